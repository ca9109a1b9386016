"""A process that stands by: it sees and reckons like the one that acts, and nobody hears of it until it takes over."""

import asyncio
from typing import Any

import pytest

from tests.unit.controllers_world import policy
from tests.unit.test_controllers_cycle import NOW, Stage
from tidegate.api import LagPolicyStatus, Reason
from tidegate.cluster.fence import Alone
from tidegate.controllers import cycle
from tidegate.controllers.shelf import Name
from tidegate.controllers.world import POLICIES
from tidegate.engine import Memory, ReadingError
from tidegate.engine.timing import Times

LEARNED = Memory(times=Times(startups=(7.0,)), asked=3, changed_at=NOW - 60)


class StandingBy(Alone):
    """Until the test says otherwise."""

    leads = False

    def left(self) -> float:
        return 10.0 if self.leads else 0.0

    def may_act(self) -> bool:
        return self.leads


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(monkeypatch, StandingBy())
    stage.connect()
    stage.policies("one")
    return stage


def written(stage: Stage, memory: Memory, *, uid: str = "one") -> None:
    """The one that acts has written its status."""
    status = LagPolicyStatus(memory=memory.dump(), observed_generation=4).wire()
    source = {"kafka": {"connectionRef": {"name": "kafka"}, "group": "one"}}
    stage.watching.see(POLICIES, policy("one", spec={"source": source, "targetRef": {"name": "one"}}, status=status))


def lead(stage: Stage) -> None:
    tenure: Any = stage.services.tenure
    tenure.leads = True


async def test_it_reads_and_remembers_and_writes_nothing(stage: Stage):
    await stage.loop.cycle()
    await stage.loop.cycle()
    assert stage.source.read_groups == [{"one"}, {"one"}]
    assert stage.charges.keys() == {"one"}
    assert (stage.shown.statuses, stage.shown.events) == ({}, [])


async def test_it_learns_from_what_the_other_writes_and_keeps_what_it_has_seen_itself(stage: Stage):
    await stage.loop.cycle()
    seen = stage.charges["one"].memory
    assert seen.times.startups == ()
    written(stage, LEARNED)
    await stage.loop.cycle()
    charge = stage.charges["one"]
    assert charge.memory.times.startups == (7.0,)
    assert charge.memory.freshest == seen.freshest
    assert charge.status.observed_generation == 4


async def test_when_it_takes_over_it_goes_on_from_the_newest_status_and_says_so(stage: Stage):
    await stage.loop.cycle()
    written(stage, LEARNED)
    lead(stage)
    await stage.loop.cycle()
    assert stage.charges["one"].memory.times.startups == (7.0,)
    assert stage.shown.ready("one")[0] == Reason.TARGET_NOT_FOUND


async def test_from_then_on_its_own_status_counts_not_what_a_watch_shows_late(stage: Stage):
    written(stage, LEARNED)
    lead(stage)
    await stage.loop.cycle()
    written(stage, LEARNED._replace(times=Times(startups=(99.0,))))
    await stage.loop.cycle()
    assert stage.charges["one"].memory.times.startups == (7.0,)


async def test_a_take_over_in_the_middle_of_a_cycle_acts_on_its_reading(stage: Stage):
    read = stage.source.read

    def taken_over_meanwhile(wanted: Any) -> Any:
        lead(stage)
        return read(wanted)

    stage.source.read = taken_over_meanwhile  # type: ignore[method-assign]
    written(stage, LEARNED)
    await stage.loop.cycle()
    assert stage.shown.ready("one")[0] == Reason.TARGET_NOT_FOUND


async def test_what_fails_in_it_is_not_told_in_a_status_that_is_anothers(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    async def breaks(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cycle, "consider", breaks)
    await stage.loop.cycle()
    stage.source.answers["one"] = ReadingError(Reason.READING_FAILED, "gone", NOW)
    await stage.loop.cycle()
    assert stage.shown.statuses == {}
    assert not stage.charges["one"].busy


async def test_a_take_over_waits_for_no_rest(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cycle, "SHORTEST_REST", 3600.0)
    played = asyncio.Queue[None]()

    async def count() -> None:
        played.put_nowait(None)

    monkeypatch.setattr(stage.loop, "cycle", count)
    running = asyncio.create_task(stage.loop.run())
    await asyncio.wait_for(played.get(), 30)
    stage.loop.wake(at_once=True)
    await asyncio.wait_for(played.get(), 30)
    stage.loop.stop()
    stage.loop.wake(at_once=True)
    await asyncio.wait_for(running, 30)


async def test_a_policy_made_anew_is_another_one(stage: Stage):
    await stage.loop.cycle()
    stage.watching.see(POLICIES, policy("one"), "DELETED")
    assert stage.services.world.policy(Name("shop", "one")) is None
    lead(stage)
    await stage.loop.cycle()
    assert "one" not in stage.shown.statuses
