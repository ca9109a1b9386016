"""How a process ends: what is under way is finished first, and where it cannot be, nobody else is let in early."""

import asyncio
import subprocess
import sys
from typing import Any, cast

import pytest

from tests.unit.controllers_world import KAFKA
from tidegate.cluster.fence import Alone
from tidegate.controllers import operator
from tidegate.controllers.execution.runner import _to_its_end
from tidegate.controllers.operator import Operator
from tidegate.controllers.settings import Settings


class Noting(Alone):
    """A tenure that notes what it is told, with so many seconds left."""

    def __init__(self, left: float = 60.0) -> None:
        self.told: list[str] = []
        self._left = left

    def left(self) -> float:
        return self._left

    def keep(self) -> None:
        self.told.append("keep")


class Loop:
    """In place of a reading loop."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def stop(self) -> None:
        self.heard.append("stop")

    def wake(self, *, at_once: bool = False) -> None:
        self.heard.append("at once" if at_once else "soon")


def running(work: Any) -> tuple[Operator, Noting, Loop]:
    """An operator with one loop, whose cycle does this."""
    tenure, loop = Noting(), Loop()
    made = Operator(Settings(), cast(Any, None), tenure)
    made._loops[KAFKA] = cast(Any, loop)
    made._tasks[KAFKA] = asyncio.create_task(work)
    return made, tenure, loop


async def test_writes_under_way_are_finished_and_then_the_lease_may_go():
    done = asyncio.Event()
    made, tenure, loop = running(done.wait())
    finishing = asyncio.create_task(made._finish())
    await asyncio.sleep(0)
    assert not finishing.done()
    done.set()
    await asyncio.wait_for(finishing, 30)
    assert (loop.heard, tenure.told) == (["stop"], [])


async def test_one_that_does_not_end_keeps_the_lease(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(operator, "END_CYCLES", 0.01)
    made, tenure, _ = running(asyncio.Event().wait())
    await asyncio.wait_for(made._finish(), 30)
    assert tenure.told == ["keep"]


async def test_an_act_in_a_thread_that_does_not_end_keeps_the_lease_too():
    tenure = Noting(left=0.0)
    act = asyncio.create_task(_to_its_end(asyncio.sleep(3600), tenure))
    await asyncio.sleep(0)
    act.cancel()
    with pytest.raises(asyncio.CancelledError):
        await act
    assert tenure.told == ["keep"]


async def test_a_take_over_wakes_every_loop_at_once():
    made, _, loop = running(asyncio.sleep(0))
    made._take_over()
    assert loop.heard == ["at once"]


def test_who_has_lost_the_lease_is_gone_soon_whatever_still_runs():
    stuck = "import time; from tidegate.controllers.operator import end_within; end_within(0.1); time.sleep(600)"
    assert subprocess.run([sys.executable, "-c", stuck], timeout=300).returncode == 1
