"""The rules R1 to R5 of the degradation ladder, each as a time line through `step`.

Records are few in these worlds: 4 replicas do 400/s with all features, 520/s at level 1 and 680/s at level 2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.unit.engine_ladder_world import (
    BAD,
    POLICY,
    Degradable,
    failed,
    jump,
    levels,
    reasons,
    rebalancing,
    with_ladder,
    world,
)
from tests.unit.engine_world import spec
from tidegate.api.reasons import Reason
from tidegate.engine.plan import Queue, path


@dataclass
class Behind(Degradable):
    """All consumers together do no more than a database allows."""

    allows: float = float("inf")

    def advance(self, seconds: float) -> None:
        self.full = min(100.0, self.allows / max(1, len(self.members)))
        super().advance(seconds)


# --- R1: scale first, degrade second


def test_r1_scale_first_what_replicas_can_do_costs_no_feature():
    surging = world(jump(100, 380), replicas=2)
    surging.run(POLICY, 1200)
    assert not surging.steps_taken
    assert surging.replicas == 4


def test_r1_up_when_no_more_replicas_may_run():
    surging = world(jump(200, 480))
    surging.run(POLICY, 900)
    assert reasons(surging) == [Reason.SCALING_EXHAUSTED]
    message = surging.steps_taken[0][-1]
    for number in ("480/s arrive", "one replica does 100/s", "of 1m allowed", "4 replicas", "level 1 (NoRecommend"):
        assert number in message


def test_r1_up_when_no_more_replicas_can_own_a_partition():
    surging = world(jump(200, 480), partitions=4)
    surging.run(with_ladder(spec("60s", most=20)), 900)
    assert reasons(surging) == [Reason.SCALING_EXHAUSTED]
    assert surging.replicas == 4


def test_r1_up_when_replicas_do_not_start():
    surging = world(jump(100, 380), replicas=2, startup=lambda index: 5.0 if index < 2 else float("inf"))
    surging.run(with_ladder(spec("60s", most=20)), 900)
    assert reasons(surging)[0] is Reason.SCALING_INEFFECTIVE
    assert "do not start" in surging.steps_taken[0][-1]


def test_r1_up_when_more_replicas_do_no_more_work():
    surging = Behind(jump(150, 260), replicas=2, max_age=60.0, dt=0.25, allows=200.0)
    surging.run(with_ladder(spec("60s", most=20)), 1500)
    assert reasons(surging)[0] is Reason.SCALING_INEFFECTIVE
    assert "no more work" in surging.steps_taken[0][-1]


def test_r1_up_when_replicas_come_much_too_late():
    surging = world(jump(150, 380), replicas=2, startup=lambda index: 5.0 if index < 2 else 400.0)
    surging.run(with_ladder(spec("60s", most=20, startup="400s")), 900)
    assert reasons(surging)[0] is Reason.SCALING_TOO_LATE
    assert surging.steps_taken[0][0] < 300 + 400
    assert "replicas serve in" in surging.steps_taken[0][-1]


@pytest.mark.parametrize("peak", [300, 600, 1000])
def test_r1_a_jump_that_the_ordered_replicas_cure_costs_no_feature(peak):
    surging = world(jump(150, peak), replicas=2, startup=lambda index: 20.0)
    surging.run(with_ladder(spec("60s", most=20)), 900)
    assert not surging.steps_taken


def test_r1_what_is_cured_before_flags_would_show_costs_no_feature():
    """A queue older than the promise that drains within a minute: flags that show after two would help no record."""
    queue = Queue((0.0, 14_000.0), (70.0, 0.0), rate=200.0)
    drains = path(400.0, 0.0, ())
    assert queue.peak_age(drains, 300) >= 70
    assert queue.peak_age_after(drains, 5, 300) > 60
    assert queue.peak_age_after(drains, 120, 300) < 30


def test_r1_a_partition_that_more_replicas_do_not_help_is_a_cause():
    surging = world(jump(300, 400), replicas=6, weights=(4.0, *(1.0,) * 11))
    surging.run(with_ladder(spec("60s", most=20, recordsPerSecond=100)), 2400)
    assert levels(surging) == [(0, 1)]
    assert reasons(surging) == [Reason.SCALING_EXHAUSTED]
    assert "points/0 gets 107/s, its consumer does 100/s" in surging.steps_taken[0][-1]


# --- R2: never on bad data


@pytest.mark.parametrize("bad", BAD)
def test_r2_no_level_up_on_bad_data(bad):
    surging = world(jump(200, 480))
    surging.run(POLICY, 400)
    assert not surging.steps_taken
    surging.run(POLICY, 900, lambda: bad(surging))
    assert not surging.steps_taken
    surging.run(POLICY, 120)
    assert levels(surging)[:1] == [(0, 1)]  # it was about to


@pytest.mark.parametrize("bad", BAD)
def test_r2_no_level_down_on_bad_data_and_its_reason_is_told(bad):
    surging = world(jump(200, 480, until=900))
    surging.run(POLICY, 900)
    assert levels(surging) == [(0, 1)]
    decision = surging.run(POLICY, 1800, lambda: bad(surging))
    assert levels(surging) == [(0, 1)]
    assert decision.rung.reason is decision.reason
    assert "is kept" in decision.rung.message
    surging.run(POLICY, 900)
    assert levels(surging) == [(0, 1), (1, 0)]  # it was about to


def test_r2_danger_must_last_anew_after_bad_data():
    surging = world(jump(200, 480))
    while not surging.memory.ladder.danger:
        surging.run(POLICY, 5)
    surging.run(POLICY, 20)
    surging.run(POLICY, 5, lambda: failed(surging))
    began = surging.now
    while not surging.steps_taken:
        surging.run(POLICY, 5)
    assert surging.now - began >= 30


def test_r2_a_rebalance_is_no_time_for_a_step():
    surging = world(jump(200, 480))
    surging.run(POLICY, 400)
    surging.run(POLICY, 15, lambda: rebalancing(surging))
    assert surging.memory.ladder.danger is None


# --- R3: ordered, one step per settle time


@pytest.mark.parametrize("propagation", [2.0, 5.0, 90.0])
def test_r3_one_level_at_a_time_and_none_before_the_last_one_is_measured(propagation):
    surging = world(jump(200, 640), propagation=propagation)
    surging.run(POLICY, 1200)
    assert levels(surging) == [(0, 1), (1, 2)]
    first, second = (at for at, *_ in surging.steps_taken)
    assert second - first >= propagation + 5 + 30


def test_r3_what_settles_says_so():
    surging = world(jump(200, 480))
    while not surging.steps_taken:
        surging.run(POLICY, 5)
    decision = surging.run(POLICY, 5)
    assert decision.rung.reason is Reason.SETTLING
    assert "is judged in" in decision.rung.message


# --- R4: hysteresis in value and time


def test_r4_between_entering_and_leaving_the_level_stays():
    """380/s is less than the 400/s of level 0, so it would not lead to level 1; but too near to leave it."""
    surging = world(lambda t: 200 if t < 300 else 480 if t < 900 else 380)
    decision = surging.run(POLICY, 3600)
    assert levels(surging) == [(0, 1)]
    assert decision.rung.reason is Reason.NOT_YET_DISPENSABLE
    assert "400/s would be done" in decision.rung.message


def test_r4_leaving_takes_as_long_as_the_policy_says():
    surging = world(jump(200, 480, until=900))
    surging.run(POLICY, 3600)
    (_, up), (_, down) = [(at, to) for at, _, to, *_ in surging.steps_taken]
    assert (up, down) == (1, 0)
    calm = next(at for at, d in surging.log if at > 900 and "has been dispensable" in d.rung.message)
    assert surging.steps_taken[-1][0] - calm >= 120


def test_r4_who_is_in_haste_need_not_wait_ten_minutes():
    surging = world(jump(200, 480, until=700))
    surging.run(with_ladder(spec("60s", most=4), restoreAfter="15s"), 1000)
    assert levels(surging) == [(0, 1), (1, 0)]


def test_r4_leaving_takes_longer_than_entering_took():
    policy = with_ladder(spec("60s", most=4), escalateAfter="3m", restoreAfter="10s")
    surging = world(jump(200, 480, until=1200))
    surging.run(policy, 3600)
    assert levels(surging) == [(0, 1), (1, 0)]
    calm = next(at for at, d in surging.log if at > 1200 and "has been dispensable" in d.rung.message)
    assert surging.steps_taken[-1][0] - calm >= 180


def test_r4_the_least_valuable_feature_goes_first_and_comes_back_last_each_watched():
    surging = world(jump(200, 640, until=900))
    surging.run(POLICY, 4000)
    assert levels(surging) == [(0, 1), (1, 2), (2, 1), (1, 0)]
    *_, first, second = (at for at, *_ in surging.steps_taken)
    assert second - first >= 5 + 120


def test_r4_no_level_goes_while_an_old_queue_waits():
    surging = world(jump(200, 680, until=700))
    surging.run(POLICY, 3000)
    at = next(at for at, _, to, reason, _ in surging.steps_taken if reason is Reason.RESTORING)
    ages = [d.backlog.age for t, d in surging.log if at - 120 < t <= at]
    assert max(ages) <= 15


# --- R5: the flap guard


def traps(times: int) -> Callable[[float], float]:
    """It falls until the level goes, and comes back as soon as it went: so often."""
    state = {"failed": 0, "level": 0}

    def rate(world: Degradable) -> float:
        if world.level < state["level"]:
            state["failed"] += 1
        state["level"] = world.level
        return 480.0 if world.level == 0 and state["failed"] <= times else 200.0

    return rate


def trapped(times: int) -> Degradable:
    found = world(lambda t: 200.0)
    rate = traps(times)
    found.arrivals = lambda t: rate(found) if t > 300 else 200.0
    return found


def restores(of: Degradable) -> list[float]:
    return [at for at, *_, reason, _ in of.steps_taken if reason is Reason.RESTORING]


def test_r5_each_restore_that_did_not_hold_doubles_the_time_before_the_next():
    policy = with_ladder(spec("60s", most=4), restoreAfter="1m")
    surging = trapped(3)
    surging.run(policy, 5400)
    ups = [at for at, before, after, *_ in surging.steps_taken if after > before]
    stayed = [down - up for up, down in zip(ups, restores(surging), strict=False)]
    assert len(stayed) == 4
    assert stayed[1] >= 120
    assert stayed[2] >= 240
    assert stayed[3] >= 480


def test_r5_after_too_many_failures_none_is_tried_for_a_while_and_it_says_so():
    policy = with_ladder(spec("60s", most=4), restoreAfter="10s")
    surging = trapped(99)
    surging.run(policy, 4200)
    ups = [at for at, before, after, *_ in surging.steps_taken if after > before]
    assert len(ups) == 1 + 4  # the surge, and four restores that did not hold
    told = [d.rung for _, d in surging.log if d.rung.reason is Reason.FLAPPING]
    assert told
    assert "4 restores within an hour failed" in told[0].message


def test_r5_an_hour_of_calm_at_level_0_forgets_the_failures():
    policy = with_ladder(spec("60s", most=4), restoreAfter="1m")
    surging = trapped(1)
    surging.run(policy, 1800)
    assert len(surging.memory.ladder.failed) == 1
    surging.run(policy, 4200)
    assert not surging.memory.ladder.failed
