"""An API server that fails now and then: a front before the real one refuses what it is told to, and loses answers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from kubernetes.aio.client import ApiClient

from demo.stack import Stack
from tests.stack.cluster import ROOT, WORKERS, Space, install, policy, worker
from tests.stack.front import Front, behind
from tidegate.api import LagPolicyStatus, Reason
from tidegate.cluster.discovery import Discovery
from tidegate.cluster.events import About, Event, EventType, Recorder
from tidegate.cluster.scaling import Scaled, scale
from tidegate.cluster.status import Worth
from tidegate.cluster.workloads import Workload, read_workload
from tidegate.cluster.writing import RETRY_AFTER, StatusWriter
from tidegate.engine.observation import Objection


@pytest.fixture(scope="module", autouse=True)
def crds(stack: Stack) -> None:
    install(stack, ROOT / "crds", WORKERS)


@pytest.fixture
def space(stack: Stack, namespace: str) -> Space:
    found = Space(stack, namespace)
    found.apply(policy())
    return found


@pytest.fixture
async def api(front: Front) -> AsyncIterator[ApiClient]:
    async with behind(front) as opened:
        yield opened


async def scale_to_three(api: ApiClient, space: Space) -> Scaled | Objection:
    """Scale what nobody else writes: a controller that wrote its status meanwhile would cost a write more."""
    target, discovery = worker(space), Discovery(api)
    seen = await read_workload(api, discovery, space.name, target)
    assert isinstance(seen, Workload)
    return await scale(api, discovery, space.name, target, 3, seen=seen)


def size(space: Space) -> int:
    return int(space.get("worker", "web")["spec"]["size"])


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
    assert size(space) == 3
    assert front.writes == 3


async def test_a_fault_that_stays_is_told_in_the_servers_words(api: ApiClient, front: Front, space: Space):
    front.faults = [503] * 100
    failed = await scale_to_three(api, space)
    assert isinstance(failed, Objection)
    assert failed.reason is Reason.SCALE_FAILED
    assert "told to say 503" in failed.message
    assert front.writes < 10
    assert size(space) == 1


async def test_a_refusal_is_not_tried_again(api: ApiClient, front: Front, space: Space):
    front.faults = [403]
    refused = await scale_to_three(api, space)
    assert isinstance(refused, Objection)
    assert refused.reason is Reason.FORBIDDEN
    assert front.writes == 1


async def test_a_write_whose_answer_was_lost_is_still_ours(api: ApiClient, front: Front, space: Space):
    front.faults = ["lost"]
    scaled = await scale_to_three(api, space)
    assert isinstance(scaled, Scaled)
    assert scaled.written
    assert scaled.workload.replicas == size(space) == 3
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
