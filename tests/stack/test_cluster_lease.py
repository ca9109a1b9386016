"""The Lease on the real API server: what it accepts, who of several gets it, and what is kept of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from inspect import isawaitable
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient

from demo.stack import Stack
from tests.stack.cluster import Space, client_of, configuration
from tests.stack.front import Front, behind
from tidegate.cluster.fence import FencedClient, NotLeadingError
from tidegate.cluster.lease import Elector, LeaseLostError, LeaseName, LeaseObject
from tidegate.cluster.server import path_of, request

NAME = "tidegate"


class Candidate:
    """An elector at work."""

    def __init__(self, api: ApiClient, space: Space, identity: str) -> None:
        self.elector = Elector(LeaseObject(api, LeaseName(space.name, NAME)), identity)
        self.lost: str | None = None
        self.acquired = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.elector.run(self.acquired.set)
        except LeaseLostError as error:
            self.lost = str(error)

    async def kill(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def leave(self) -> None:
        await self.kill()
        await self.elector.release()


Candidates = Callable[..., Candidate]


@pytest.fixture
async def candidate(api: ApiClient, space: Space) -> AsyncIterator[Candidates]:
    """Makes candidates, which are gone after the test."""
    made: list[Candidate] = []

    def make(identity: str, through: ApiClient = api) -> Candidate:
        made.append(Candidate(through, space, identity))
        return made[-1]

    yield make
    for one in made:
        await one.kill()


async def until(condition: Callable[[], Any | Awaitable[Any]], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if await found if isawaitable(found) else found:
            return
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.05)


async def kubectl(space: Space, *arguments: str) -> str:
    """In a thread: electors must not be held up."""
    return await asyncio.to_thread(space.kubectl, *arguments)


async def record(space: Space) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await kubectl(space, "get", "lease", NAME, "-o", "json"))
    return found


async def test_of_three_one_gets_it_and_each_end_makes_another_it(space: Space, candidate: Candidates):
    waiting = [candidate(f"pod-{n}_{n}") for n in range(3)]
    for transitions in range(3):
        await until(lambda: any(one.elector.leads for one in waiting))
        leading = [one for one in waiting if one.elector.leads]
        assert len(leading) == 1
        spec = (await record(space))["spec"]
        assert spec["holderIdentity"] == leading[0].elector.identity
        assert (spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (15, transitions)
        assert spec["renewTime"] >= spec["acquireTime"]
        await leading[0].leave()
        waiting.remove(leading[0])
    assert not (await record(space))["spec"].get("holderIdentity")


async def test_it_is_renewed_and_what_others_put_on_it_stays(space: Space, candidate: Candidates):
    one = candidate("pod_1")
    await until(lambda: one.elector.leads)
    await kubectl(space, "label", "lease", NAME, "team=streams")
    before = (await record(space))["spec"]["renewTime"]

    async def renewed() -> bool:
        return bool((await record(space))["spec"]["renewTime"] > before)

    await until(renewed)
    assert (await record(space))["metadata"]["labels"] == {"team": "streams"}
    assert one.lost is None


async def test_who_finds_another_in_it_has_lost(space: Space, candidate: Candidates):
    one = candidate("pod_1")
    await until(lambda: one.elector.leads)
    await kubectl(space, "patch", "lease", NAME, "--type=merge", "-p", '{"spec":{"holderIdentity":"somebody_9"}}')
    await until(lambda: one.lost)
    assert one.lost == "somebody_9 has taken the Lease"
    assert not one.elector.may_act()


async def test_an_answer_that_is_lost_loses_nothing(front: Front, candidate: Candidates, space: Space):
    async with behind(front) as through:
        front.faults = ["lost", 500, "lost"]  # made, though nobody is told; then twice no renewal
        one = candidate("pod_1", through)
        await until(lambda: not front.faults and one.elector.may_act())
        assert one.lost is None
        assert (await record(space))["spec"]["leaseTransitions"] == 0
        await one.kill()


async def test_a_deleted_lease_is_made_anew_by_who_holds_it(space: Space, candidate: Candidates):
    one = candidate("pod_1")
    await until(lambda: one.elector.leads)
    first = (await record(space))["metadata"]["uid"]
    await kubectl(space, "delete", "lease", NAME)

    async def there() -> bool:
        return bool((await kubectl(space, "get", "lease", "-o", "name")).strip())

    await until(there)
    again = await record(space)
    assert again["metadata"]["uid"] != first
    assert again["spec"]["holderIdentity"] == "pod_1"
    assert one.lost is None


async def test_whoever_seizes_it_ends_the_one_before(space: Space, candidate: Candidates):
    one = candidate("pod_1")
    await until(lambda: one.elector.leads)
    retire = candidate("retire_7")
    await retire.kill()
    await retire.elector.seize(300)
    assert retire.elector.may_act()
    assert not one.elector.may_act()
    await until(lambda: one.lost)
    spec = (await record(space))["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("retire_7", 300)


async def test_a_missing_right_is_named(stack: Stack, space: Space, candidate: Candidates):
    async with client_of(stack, space.name, "default") as api:
        one = candidate("pod_1", api)
        await until(lambda: one.elector.problem)
        account, where = f"ServiceAccount {space.name}/default", f"in namespace {space.name}"
        assert one.elector.problem == (
            f"{account} may not get leases {where} (API group coordination.k8s.io): grant it that right"
        )
        assert not one.elector.leads
        await one.kill()


async def test_only_who_holds_it_writes(stack: Stack, space: Space, candidate: Candidates):
    one = candidate("pod_1")
    await until(lambda: one.elector.leads)
    other = candidate("pod_2")
    path, body = path_of("", "v1", "configmaps", space.name), {"metadata": {"generateName": "fenced-"}}
    async with AsyncExitStack() as clients:
        settings = await configuration(stack)
        fenced = [await clients.enter_async_context(FencedClient(settings, who.elector)) for who in (one, other)]
        for api in fenced:
            await request(api, "GET", path)
        await until(lambda: one.elector.may_act())
        await request(fenced[0], "POST", path, body=body)
        with pytest.raises(NotLeadingError):
            await request(fenced[1], "POST", path, body=body)
        await one.leave()
        with pytest.raises(NotLeadingError):
            await request(fenced[0], "POST", path, body=body)
        await until(lambda: other.elector.may_act())
        await request(fenced[1], "POST", path, body=body)
