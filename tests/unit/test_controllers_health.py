"""/healthz fails when a loop falls silent, and says which."""

import aiohttp

from tidegate.controllers.health import Pulses, application, serving
from tidegate.controllers.rollcall import Attendance
from tidegate.controllers.settings import Address


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_falls_silent_stalls_and_recovers_with_its_next_beat():
    clock = Clock()
    pulses = Pulses(clock)
    pulses.expect("reading shop/kafka", within=60)
    clock.now = 60
    assert pulses.stalled() == {}
    clock.now = 61
    assert pulses.stalled() == {"reading shop/kafka": 61}
    pulses.beat("reading shop/kafka")
    assert pulses.stalled() == {}


def test_a_loop_that_ended_on_purpose_is_not_missed_and_a_late_beat_does_not_revive_it():
    clock = Clock()
    pulses = Pulses(clock)
    pulses.expect("reading shop/kafka", within=60)
    pulses.drop("reading shop/kafka")
    pulses.beat("reading shop/kafka")
    clock.now = 1000
    assert pulses.ages() == {}


async def ask(port: int, path: str) -> tuple[int, dict[str, object]]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.json()


async def test_healthz_names_what_has_stalled_and_readyz_what_is_missing():
    clock, missing = Clock(), ["pods"]
    pulses = Pulses(clock)
    pulses.expect("watch", within=30)
    async with serving(Address("127.0.0.1", 0), application(pulses, lambda: missing)) as port:
        assert await ask(port, "/healthz") == (200, {"ok": True, "stalled": {}, "secondsSinceBeat": {"watch": 0}})
        assert await ask(port, "/readyz") == (503, {"ok": False, "waitingFor": ["pods"]})
        clock.now = 31
        missing.clear()
        assert await ask(port, "/healthz") == (
            503,
            {"ok": False, "stalled": {"watch": 31}, "secondsSinceBeat": {"watch": 31}},
        )
        assert await ask(port, "/readyz") == (200, {"ok": True, "waitingFor": []})


def test_attendance_is_complete_once_everything_listed_was_seen():
    attendance = Attendance()
    assert not attendance.complete
    attendance.note({"a", "b"}, now=0)
    assert not attendance.complete
    attendance.note({"b"}, now=300)
    assert attendance.longest_unseen(now=310) == 310  # b is missing since the first call
    attendance.note((), now=600)
    assert attendance.complete
    assert attendance.longest_unseen(now=610) == 0
