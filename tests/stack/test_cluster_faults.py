"""An API server that fails now and then: a front before the real one refuses what it is told to, and loses answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from demo.stack import Stack
from tests.stack.cluster import ROOT, Space, configuration, install, policy, ref, workload
from tidegate.api import LagPolicyStatus, Reason
from tidegate.cluster import server
from tidegate.cluster.discovery import Discovery
from tidegate.cluster.events import About, Event, EventType, Recorder
from tidegate.cluster.scaling import Scaled, scale
from tidegate.cluster.status import Worth
from tidegate.cluster.writing import RETRY_AFTER, StatusWriter
from tidegate.engine.observation import Objection


class Front:
    """Passes requests on. Each write takes the next of `faults` first: a status to answer instead, or "lost"."""

    def __init__(self, settings: Configuration) -> None:
        self.faults: list[int | str] = []
        self.writes = 0
        self._server = settings.host
        self._tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
        if settings.cert_file:
            self._tls.load_cert_chain(settings.cert_file, settings.key_file)

    async def handle(self, got: web.Request) -> web.Response:
        fault = None
        if got.method != "GET":
            self.writes += 1
            fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            return web.json_response({"message": f"told to say {fault}"}, status=fault)
        status, body = await self._pass_on(got)
        if fault == "lost":
            await asyncio.sleep(60)
        return web.json_response(text=body, status=status)

    async def _pass_on(self, got: web.Request) -> tuple[int, str]:
        kept = ("Accept", "Content-Type", "Authorization")
        headers = {name: got.headers[name] for name in kept if name in got.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                got.method, f"{self._server}{got.path_qs}", headers=headers, data=await got.read(), ssl=self._tls
            ) as answer,
        ):
            return answer.status, await answer.text()


@pytest.fixture(scope="module", autouse=True)
def crds(stack: Stack) -> None:
    install(stack, ROOT / "crds")


@pytest.fixture
def space(stack: Stack, namespace: str) -> Space:
    found = Space(stack, namespace)
    found.apply(policy(), workload())
    return found


@pytest.fixture
async def front(stack: Stack) -> Front:
    return Front(await configuration(stack))


@pytest.fixture
async def api(front: Front) -> AsyncIterator[ApiClient]:
    runner = web.AppRunner(app := web.Application(), shutdown_timeout=0.1)
    app.router.add_route("*", "/{path:.*}", front.handle)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = Configuration()
    settings.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with ApiClient(settings) as opened:
        yield opened
    await runner.cleanup()


async def scale_to_three(api: ApiClient, space: Space) -> Scaled | Objection:
    return await scale(api, Discovery(api), space.name, ref(), 3, seen=space.workload())


async def written(writer: StatusWriter) -> None:
    task = asyncio.create_task(writer.run())
    await asyncio.wait_for(writer.drain(), 20)
    task.cancel()


@pytest.mark.parametrize("fault", [409, 429, 500, 503])
async def test_a_fault_is_tried_again_until_the_target_is_scaled(
    api: ApiClient, front: Front, space: Space, fault: int
):
    front.faults = [fault, fault]
    scaled = await scale_to_three(api, space)
    assert isinstance(scaled, Scaled)
    assert scaled.written
    assert space.replicas() == 3
    assert front.writes == 3


async def test_a_fault_that_stays_is_told_in_the_servers_words(api: ApiClient, front: Front, space: Space):
    front.faults = [503] * 100
    failed = await scale_to_three(api, space)
    assert isinstance(failed, Objection)
    assert failed.reason is Reason.SCALE_FAILED
    assert "told to say 503" in failed.message
    assert front.writes < 10
    assert space.replicas() == 1


async def test_a_refusal_is_not_tried_again(api: ApiClient, front: Front, space: Space):
    front.faults = [403]
    refused = await scale_to_three(api, space)
    assert isinstance(refused, Objection)
    assert refused.reason is Reason.FORBIDDEN
    assert front.writes == 1


async def test_a_write_whose_answer_was_lost_is_still_ours(
    api: ApiClient, front: Front, space: Space, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "TIMEOUT", 1.0)
    front.faults = ["lost"]
    scaled = await scale_to_three(api, space)
    assert isinstance(scaled, Scaled)
    assert scaled.written
    assert scaled.workload.replicas == space.replicas() == 3
    assert front.writes == 1


async def test_a_status_gets_through_a_fault(api: ApiClient, front: Front, space: Space):
    writer = StatusWriter(api)
    front.faults = [503, 409]
    writer.offer(space.policy(), LagPolicyStatus(observed_generation=1))
    await written(writer)
    assert front.writes == 3
    assert space.policy().status.observed_generation == 1


async def test_a_refused_status_is_tried_again_after_a_while(
    api: ApiClient, front: Front, space: Space, caplog: pytest.LogCaptureFixture
):
    now, points, wanted = [0.0], space.policy(), LagPolicyStatus(observed_generation=1)
    writer = StatusWriter(api, clock=lambda: now[0])
    front.faults = [403]
    writer.offer(points, wanted)
    await written(writer)
    assert "told to say 403" in caplog.text
    now[0] = RETRY_AFTER - 1
    assert writer.offer(points, wanted) is Worth.NOTHING
    now[0] = RETRY_AFTER
    assert writer.offer(points, wanted) is Worth.AT_ONCE
    await written(writer)
    assert space.policy().status.observed_generation == 1


async def test_what_waits_is_overtaken_by_what_matters_and_dropped_with_its_policy(
    api: ApiClient, front: Front, space: Space
):
    space.apply(policy(name="other"))
    points, other = space.policy(), space.policy("other")
    numbers = points.status.model_copy(update={"memory": "numbers"})
    writer = StatusWriter(api)
    assert writer.offer(points, numbers) is Worth.ROUTINE
    assert writer.offer(points, LagPolicyStatus(observed_generation=1)) is Worth.AT_ONCE
    writer.offer(other, LagPolicyStatus(observed_generation=1))
    writer.forget(other)
    await written(writer)
    assert front.writes == 1
    assert space.policy().status.observed_generation == 1
    assert space.policy().status.memory is None
    assert space.policy("other").status == LagPolicyStatus()


async def test_an_event_that_is_refused_does_not_stop_the_next(api: ApiClient, front: Front, space: Space):
    recorder = Recorder(api, "tidegate-0")
    front.faults = [400, 503]
    about = About.resource(space.policy())
    for reason in (Reason.SURGE, Reason.DRAINED):
        recorder.tell(Event(about, EventType.NORMAL, reason, reason))
    task = asyncio.create_task(recorder.run())
    await asyncio.wait_for(recorder.drain(), 20)
    task.cancel()
    assert [event["reason"] for event in space.events("points")] == ["Drained"]
    assert front.writes == 3
