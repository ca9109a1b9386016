"""A cycle over many policies: what one of them meets is its own affair."""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection
from typing import Any, cast

import pytest
from kubernetes.aio.client import ApiClient

from tests.unit.controllers_world import KAFKA, Watching, body, policy
from tidegate.api import ConnectionKind, LagPolicyStatus, Reason, Resource
from tidegate.cluster.conditions import find
from tidegate.cluster.discovery import Discovery
from tidegate.cluster.events import Event
from tidegate.cluster.fence import Alone, Tenure
from tidegate.cluster.flags import FlagStore
from tidegate.controllers import connections, cycle
from tidegate.controllers.charge import Charge
from tidegate.controllers.cycle import ReadingLoop
from tidegate.controllers.execution import execute
from tidegate.controllers.health import Pulses
from tidegate.controllers.proposals import Proposals
from tidegate.controllers.services import Services
from tidegate.controllers.settings import Settings
from tidegate.controllers.world import CONNECTIONS, POLICIES
from tidegate.engine import GroupState, Reading, ReadingError
from tidegate.sources import ConnectionInfo, WantedGroup

NOW = 1_800_000_000.0
READING = Reading({}, {}, NOW, NOW, GroupState.STABLE)
INFO = ConnectionInfo("cluster", 1, "4.3 or later")


class Source:
    """Answers whatever the test lays out, or raises it."""

    def __init__(self) -> None:
        self.answers: dict[str, Reading | ReadingError] = {}
        self.fault: Exception | None = None
        self.read_groups: list[set[str]] = []

    def read(self, wanted: Collection[WantedGroup]) -> dict[WantedGroup, Reading | ReadingError]:
        self.read_groups.append({group.group for group in wanted})
        if self.fault:
            raise self.fault
        return {group: self.answers.get(group.group, READING) for group in wanted}

    def describe(self) -> ConnectionInfo:
        return INFO

    def close(self) -> None:
        pass


class Shown:
    """Takes the place of what writes to the API server."""

    def __init__(self) -> None:
        self.statuses: dict[str, Any] = {}
        self.events: list[Event] = []

    def offer(self, resource: Resource, status: Any, **_: Any) -> None:
        self.statuses[resource.metadata.name] = status

    def tell(self, *events: Event) -> None:
        self.events += events

    def ready(self, name: str) -> tuple[str, str]:
        status: LagPolicyStatus = self.statuses[name]
        condition = find(status.conditions, "Ready")
        assert condition
        return condition.reason, condition.message


class Stage:
    """A loop whose cycles the test plays one by one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tenure: Tenure | None = None) -> None:
        self.source, self.shown, self.watching = Source(), Shown(), Watching()
        monkeypatch.setattr(connections, "open_source", lambda spec, secrets: self.source)
        monkeypatch.setattr(cycle.random, "uniform", lambda _, __: 0.0)  # loops start at once
        api = cast(ApiClient, None)  # nothing is written or asked for here
        self.services = Services(
            api=api,
            discovery=Discovery(api),
            recorder=cast(Any, self.shown),
            statuses=cast(Any, self.shown),
            world=self.watching.world,
            pulses=Pulses(),
            settings=Settings(period=60),
            proposals=Proposals(execute),
            flags=FlagStore(api),
            tenure=tenure or Alone(),
            clock=lambda: NOW,
        )
        self.charges: dict[str, Charge] = {}
        self.loop = ReadingLoop(KAFKA, self.services, self.charges)

    def connect(self) -> None:
        spec = {"kafka": {"bootstrapServers": ["a:9092"]}}
        connection = body("kafka", kind="BrokerConnection", spec=spec)
        self.watching.see(CONNECTIONS[ConnectionKind.BROKER_CONNECTION], connection)

    def policies(self, *names: str) -> None:
        for name in names:
            source = {"kafka": {"connectionRef": {"name": "kafka"}, "group": name}}
            self.watching.see(POLICIES, policy(name, spec={"source": source, "targetRef": {"name": name}}))


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


async def test_all_policies_of_a_connection_are_read_at_once_and_each_is_told_its_own(stage: Stage):
    stage.connect()
    stage.policies("one", "two")
    stage.source.answers["two"] = ReadingError(Reason.READING_FAILED, "its topic is gone", NOW)
    await stage.loop.cycle()
    assert stage.source.read_groups == [{"one", "two"}]
    assert stage.shown.ready("one")[0] == Reason.TARGET_NOT_FOUND  # there is none on this stage
    two = find(stage.shown.statuses["two"].conditions, "Observing")
    assert two
    assert (two.reason, two.message) == (Reason.READING_FAILED, "its topic is gone")
    assert stage.shown.statuses["kafka"].cluster_id == "cluster"


async def test_a_policy_that_breaks_says_so_and_stops_no_other(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    real = cycle.tend

    async def breaks_on_two(client: Any, charge: Any, policy: Any, reading: Any) -> None:
        if policy.metadata.name == "two":
            raise ZeroDivisionError("two")
        await real(client, charge, policy, reading)

    monkeypatch.setattr(cycle, "tend", breaks_on_two)
    stage.connect()
    stage.policies("one", "two", "three")
    await stage.loop.cycle()
    assert stage.shown.ready("two")[0] == Reason.INTERNAL_ERROR
    assert "ZeroDivisionError" in stage.shown.ready("two")[1]
    assert {stage.shown.ready(name)[0] for name in ("one", "three")} == {Reason.TARGET_NOT_FOUND}
    monkeypatch.setattr(cycle, "tend", real)
    await stage.loop.cycle()
    assert stage.shown.ready("two")[0] == Reason.TARGET_NOT_FOUND


async def test_a_source_that_breaks_is_a_failed_reading_of_every_policy(stage: Stage):
    stage.connect()
    stage.policies("one", "two")
    stage.source.fault = RuntimeError("not foreseen")
    await stage.loop.cycle()
    for name in ("one", "two"):
        condition = find(stage.shown.statuses[name].conditions, "Observing")
        assert condition
        assert condition.reason == Reason.READING_FAILED
        assert "not foreseen" in condition.message


async def test_a_connection_that_does_not_exist_is_told_to_its_policies(stage: Stage):
    stage.policies("one")
    await stage.loop.cycle()
    condition = find(stage.shown.statuses["one"].conditions, "Observing")
    assert condition
    assert condition.reason == Reason.CONNECTION_NOT_FOUND
    assert "BrokerConnection shop/kafka" in condition.message
    assert stage.source.read_groups == []


async def test_a_policy_that_changes_its_group_while_it_is_read_waits_for_its_own_reading(stage: Stage):
    stage.connect()
    stage.policies("one")
    reading = stage.source.read

    def edited_meanwhile(wanted: Collection[WantedGroup]) -> dict[WantedGroup, Reading | ReadingError]:
        source = {"kafka": {"connectionRef": {"name": "kafka"}, "group": "another"}}
        stage.watching.see(POLICIES, policy("one", spec={"source": source}))
        return reading(wanted)

    stage.source.read = edited_meanwhile  # type: ignore[method-assign]
    await stage.loop.cycle()
    assert "one" not in stage.shown.statuses
    stage.source.read = reading  # type: ignore[method-assign]
    await stage.loop.cycle()
    assert stage.source.read_groups == [{"one"}, {"another"}]
    assert "one" in stage.shown.statuses


async def test_a_policy_deleted_while_it_is_read_is_left_alone(stage: Stage):
    stage.connect()
    stage.policies("one", "two")
    reading = stage.source.read

    def deleted_meanwhile(wanted: Collection[WantedGroup]) -> dict[WantedGroup, Reading | ReadingError]:
        stage.watching.see(POLICIES, policy("one"), "DELETED")
        return reading(wanted)

    stage.source.read = deleted_meanwhile  # type: ignore[method-assign]
    await stage.loop.cycle()
    assert set(stage.shown.statuses) == {"two", "kafka"}


@pytest.fixture
async def slow(stage: Stage) -> AsyncIterator[asyncio.Event]:
    """A broker that does not answer until it is let to; the event tells that it was asked."""
    let, asked, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def read(wanted: Collection[WantedGroup]) -> dict[WantedGroup, Reading | ReadingError]:
        loop.call_soon_threadsafe(asked.set)
        let.wait(30)
        return dict.fromkeys(wanted, READING)

    stage.source.read = read  # type: ignore[method-assign]
    yield asked
    let.set()


async def test_a_loop_told_to_stop_waits_for_no_broker_and_writes_nothing_more(stage: Stage, slow: asyncio.Event):
    stage.connect()
    stage.policies("one")
    running = asyncio.create_task(stage.loop.run())
    await slow.wait()
    assert stage.services.pulses.ages().keys() == {"reading BrokerConnection shop/kafka"}
    stage.loop.stop()
    await asyncio.wait_for(running, 10)
    assert stage.shown.statuses == {}
    assert stage.services.pulses.ages() == {}


async def test_an_edit_wakes_the_loop_before_its_time(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cycle, "SHORTEST_REST", 0.0)
    played = asyncio.Queue[None]()

    async def count() -> None:
        played.put_nowait(None)

    monkeypatch.setattr(stage.loop, "cycle", count)
    running = asyncio.create_task(stage.loop.run())
    await asyncio.wait_for(played.get(), 30)
    stage.loop.wake()
    await asyncio.wait_for(played.get(), 30)  # the period is a minute
    stage.loop.stop()
    await running
