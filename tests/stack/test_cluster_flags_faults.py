"""Flags while the API server fails now and then, and the store that asks it no more often than needed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from kubernetes.aio.client import ApiClient

from demo.stack import Stack
from tests.stack.cluster import Space, install
from tests.stack.featureflags import FEATURE_FLAGS
from tests.stack.flags_world import KINDS, OFF, TEXT, body_of, flags_map, objected, read, ref, sink, switched
from tests.stack.front import Front, behind
from tidegate.api import FlagsKind, Reason
from tidegate.cluster.flags import FlagStore, Seen, propagation_of
from tidegate.cluster.flags.store import OBJECTION_KEPT
from tidegate.cluster.insisting import ATTEMPTS
from tidegate.engine.observation import Objection


@pytest.fixture(scope="module", autouse=True)
def feature_flags(stack: Stack) -> None:
    install(stack, FEATURE_FLAGS)


@pytest.fixture
async def failing(front: Front) -> AsyncIterator[ApiClient]:
    async with behind(front) as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", [409, 429, 500, 503])
async def test_a_fault_is_tried_again_until_it_is_written(
    failing: ApiClient, front: Front, space: Space, fault: int, kind: FlagsKind
):
    space.apply(body_of(kind))
    front.faults = [fault, fault]
    after = await switched(sink(failing, space, kind))
    assert {flag: after.document.variants[flag] for flag in OFF} == OFF
    assert front.writes == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_a_write_whose_answer_was_lost_is_still_ours(
    failing: ApiClient, front: Front, space: Space, kind: FlagsKind
):
    space.apply(body_of(kind))
    front.faults = ["lost"]
    after = await switched(sink(failing, space, kind))
    assert {flag: after.document.variants[flag] for flag in OFF} == OFF
    assert after.version == space.get(kind, "flags")["metadata"]["resourceVersion"]
    assert front.writes == 1


async def test_a_fault_that_stays_is_told_in_the_servers_words(failing: ApiClient, front: Front, space: Space):
    space.apply(flags_map())
    front.faults = [503] * 100
    failed = await sink(failing, space).write(await read(sink(failing, space)), OFF)
    assert isinstance(failed, Objection)
    assert failed.reason is Reason.FLAGS_NOT_WRITTEN
    assert "cannot switch flags in ConfigMap" in failed.message
    assert "told to say 503" in failed.message
    assert front.writes == ATTEMPTS
    assert space.get("configmap", "flags")["data"]["flags.json"] == TEXT


async def test_an_api_server_that_is_away(front: Front, space: Space):
    async with behind(front) as lost:
        lost.configuration.host = "http://127.0.0.1:1"
        found = await objected(sink(lost, space))
    assert found.reason is Reason.FLAGS_NOT_READ
    assert f"cannot read ConfigMap {space.name}/flags: the API server says:" in found.message


# The store


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_all_who_ask_at_once_share_one_request(failing: ApiClient, front: Front, space: Space):
    space.apply(flags_map())
    store = FlagStore(failing)
    first, *others = await asyncio.gather(*(store.read(space.name, ref(), 0) for _ in range(20)))
    assert isinstance(first, Seen)
    assert all(each is first for each in others)
    assert front.reads == 1


async def test_who_gives_up_waiting_does_not_spoil_it_for_the_others(failing: ApiClient, space: Space):
    space.apply(flags_map())
    store = FlagStore(failing)
    first = asyncio.create_task(store.read(space.name, ref(), 0))
    second = asyncio.create_task(store.read(space.name, ref(), 0))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, Seen)
    assert first.cancelled()


async def test_what_is_young_enough_is_not_asked_for_again(failing: ApiClient, front: Front, space: Space):
    space.apply(flags_map())
    store = FlagStore(failing, clock := Clock())
    for at, max_age, requests in [(0, 60, 1), (59, 60, 1), (59, 10, 2), (60, 60, 2), (60, 0, 3), (61, 1, 4)]:
        clock.now = at
        assert isinstance(await store.read(space.name, ref(), max_age), Seen)
        assert front.reads == requests, at


async def test_flags_that_were_mended_are_seen_soon(failing: ApiClient, front: Front, space: Space):
    store = FlagStore(failing, clock := Clock())
    for _ in range(2):
        assert isinstance(await store.read(space.name, ref(), 60), Objection)
    assert front.reads == 1
    space.apply(flags_map())
    clock.now = OBJECTION_KEPT
    assert isinstance(await store.read(space.name, ref(), 60), Seen)


async def test_what_was_written_is_what_is_read_next(failing: ApiClient, front: Front, space: Space):
    space.apply(flags_map())
    store = FlagStore(failing, Clock())
    seen = await store.read(space.name, ref(), 60)
    assert isinstance(seen, Seen)
    after = await store.write(space.name, ref(), seen, OFF)
    assert await store.read(space.name, ref(), 60) is after
    assert (front.reads, front.writes) == (1, 1)
    refused = await store.write(space.name, ref(), seen, {"search": "none"})
    assert isinstance(refused, Objection)
    assert await store.read(space.name, ref(), 60) == after
    store.forget(space.name, ref())
    reads = front.reads
    await store.read(space.name, ref(), 60)
    assert front.reads == reads + 1


def test_each_kind_is_given_its_time_to_show():
    assert [propagation_of(ref(kind)) for kind in KINDS] == [90, 5]
    assert propagation_of(ref(propagation=timedelta(seconds=2))) == 2
