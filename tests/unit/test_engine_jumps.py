"""How far the arrivals may jump at once: what is promised of it, and what then happens."""

from math import inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.engine_world import World, spec
from tidegate.engine.plan import Change, Deadline, Queue, path

seconds, rates = st.floats(0, 100), st.floats(1, 1000)


@given(st.floats(0, 5000), rates, seconds, st.lists(st.tuples(seconds, rates), max_size=2), st.floats(0, 60), seconds)
def test_one_percent_less_than_the_bearable_rate_is_in_time_and_one_more_is_late(
    waiting, present, stop, joins, pause, age
):
    times, speeds = zip(*joins, strict=True) if joins else ((), ())
    legs = path(
        present, stop, [Change(at, pause, speed) for at, speed in zip(sorted(times), sorted(speeds), strict=True)]
    )
    rate = Queue((0.0, waiting), (0.0, 0.0), 0.0).bearable_rate(legs, age)

    def overdue(share: float) -> float:
        return Queue((0.0, waiting), (0.0, 0.0), share * rate).overdue(legs, Deadline(age), 1e9)

    assume(rate > 0.01)
    assert overdue(0.99) <= 1e-3
    assert overdue(1.01) > 0


def jump(factor: float, promise: str, least: int, load: float = 100.0, startup: float = 30.0, pause: float = 10.0):
    """(what was promised, share of late records) where a steady load jumps by a factor."""
    world = World(
        arrivals=lambda t: load if t <= 600 else factor * load, partitions=24, replicas=least, dt=0.5,
        startup=lambda i: startup, join=0.5, pause=pause, max_age=float(promise[:-1]),
    )  # fmt: skip
    policy = spec(promise, least, recordsPerSecond=100, startup=f"{startup:.0f}s", rebalance=f"{pause:.0f}s")
    promised = world.run(policy, 600).copes_with
    world.run(policy, 300)
    return promised, world.late_share


def test_a_promise_below_start_up_and_pause_says_the_jump_that_it_can_take():
    promised, _ = jump(1.0, "15s", least=4)
    assert promised == pytest.approx(400 * 35 / (45 - 15) / 100, rel=0.05)  # see the page: c (L - R) / (L - D)


def test_a_jump_that_was_promised_is_taken_in_time():
    promised, late = jump(4.2, "15s", least=4)
    assert promised > 4.2
    assert late == 0


def test_a_jump_beyond_is_not():
    promised, late = jump(7.0, "15s", least=4)
    assert promised < 7.0
    assert late > 0


def test_a_promise_that_leaves_time_takes_any_jump_that_the_largest_fleet_can_do():
    assert jump(1.0, "60s", least=1)[0] == pytest.approx(24, rel=0.01)
    assert jump(1.0, "60s", least=1, load=10.0)[0] == pytest.approx(240, rel=0.01)


def test_a_pause_longer_than_the_promise_leaves_what_the_present_fleet_can_do():
    assert jump(1.0, "15s", least=4, pause=20.0)[0] == pytest.approx(4, rel=0.01)


def test_no_factor_where_nothing_comes():
    assert jump(1.0, "60s", least=1, load=0.0)[0] is None


def test_what_waits_too_long_already_leaves_no_room():
    legs = path(10.0, 0.0, ())
    assert Queue((0.0, 1000.0), (50.0, 0.0), 5.0).bearable_rate(legs, 60.0) == 0
    assert legs[-1].until == inf
