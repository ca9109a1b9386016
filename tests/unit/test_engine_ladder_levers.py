"""The rules R6 to R8 of the degradation ladder, each as a time line through `step`, and restarts at any point.

Records are few in these worlds: 4 replicas do 400/s with all features, 520/s at level 1 and 680/s at level 2.
"""

import pytest

from tests.unit.engine_ladder_world import BAD, POLICY, TWO_LEVELS, jump, levels, reasons, with_ladder, world
from tests.unit.engine_world import T0, spec
from tidegate.api.reasons import Reason
from tidegate.engine import Basis, Flags, Force, Memory

# --- R6: the scaling signal is not hidden


def test_r6_need_and_capacity_are_those_of_level_0():
    with_it, without = world(jump(200, 480)), world(jump(200, 480))
    degraded, whole = with_it.run(POLICY, 1200), without.run(spec("60s", most=4), 1200)
    assert with_it.level == 1
    assert (degraded.need, degraded.limited_by) == (6, Reason.MAX_REPLICAS)
    assert whole.need > 6  # it has a queue to work off as well
    assert degraded.capacity.per_replica == pytest.approx(100, rel=0.05)
    assert degraded.capacity.basis is Basis.LEARNED
    assert "(130/s at level 1)" in degraded.message


def test_r6_replicas_that_may_be_ordered_later_are_although_the_level_keeps_the_promise():
    surging = world(jump(200, 480))
    surging.run(POLICY, 1200)
    assert (surging.level, surging.replicas) == (1, 4)
    decision = surging.run(with_ladder(spec("60s", most=20), restoreAfter="2m"), 600)
    assert next(change[1:] for change in surging.changes if change[0] > 1200) == (4, 6)
    assert decision.rung.level == 0  # the features came back, as six can do it with them


def test_r6_an_increase_of_partitions_is_asked_for_as_if_no_level_were_in_force():
    policy = with_ladder(spec("60s", most=20))
    surging = world(jump(200, 480), partitions=4)
    decision = surging.run(policy, 1200)
    assert surging.level == 1
    assert decision.bound
    assert decision.increase is not None
    assert decision.increase.per_replica == pytest.approx(100, rel=0.05)


def test_r6_each_level_has_its_own_capacity_and_all_survive_a_restart():
    surging = world(jump(200, 640, until=900))
    surging.run(POLICY, 900)
    assert surging.level == 2
    kept = Memory.load(surging.memory.dump()).skill.capacities
    assert {c.template: round(c.rate, -1) for c in kept} == {"v1": 100, "v1/level-1": 130, "v1/level-2": 170}


def test_r6_nothing_is_learned_across_a_switch_of_flags():
    """Flags that take 90 s: until then a consumer does what it did, and no more is believed of it."""
    surging = world(jump(200, 480), propagation=90.0)
    while not surging.steps_taken:
        surging.run(POLICY, 5)
    surging.run(POLICY, 90)
    assert [c.template for c in surging.memory.skill.capacities] == ["v1"]
    surging.run(POLICY, 60)
    assert {c.template: round(c.rate, -1) for c in surging.memory.skill.capacities} == {"v1": 100, "v1/level-1": 130}


def test_r6_the_way_back_is_no_proof_that_replicas_are_of_no_use():
    """Four replicas with features do less than three did without: that is no trial that failed."""
    surging = world(jump(200, 480, until=1000), replicas=3)
    surging.run(with_ladder(spec("60s", most=4), restoreAfter="1m"), 3000)
    assert levels(surging)[-1] == (1, 0)
    assert all(d.reason is not Reason.NOT_EFFECTIVE for _, d in surging.log)


# --- R7: no scale-in while a level is up


def test_r7_features_come_back_before_replicas_go():
    surging = world(jump(200, 480, until=900))
    surging.run(POLICY, 3600)
    back = surging.steps_taken[-1][0]
    degraded = [at for at, before, after in surging.changes if after < before and at > 300]
    assert degraded
    assert min(degraded) > back


def test_r7_nobody_is_put_to_sleep_while_features_are_off():
    policy = with_ladder(spec("60s", least=0, most=4), restoreAfter="30m")
    surging = world(lambda t: 200 if t < 300 else 480 if t < 600 else 0)
    surging.run(policy, 1800)
    assert surging.level == 1
    assert surging.replicas == 4
    surging.run(policy, 2400)
    assert (surging.level, surging.replicas) == (0, 0)


def test_r7_an_edit_of_the_limits_takes_effect_nevertheless():
    surging = world(jump(200, 480))
    surging.run(POLICY, 700)
    assert surging.level == 1
    surging.run(with_ladder(spec("60s", most=3)), 5)
    assert surging.replicas == 3


# --- R8: limits and levers


def test_r8_features_off_for_longer_than_allowed_are_an_alarm_and_stay_off():
    policy = with_ladder(spec("60s", most=4), maxDuration="10m")
    surging = world(jump(200, 480))
    surging.run(policy, 1500)
    up = surging.steps_taken[0][0]
    alarms = [at for at, d in surging.log if d.rung.too_long]
    assert 600 < min(alarms) - up <= 620
    assert levels(surging) == [(0, 1)]


def test_r8_never_above_max_level_by_itself():
    surging = world(jump(200, 640))
    decision = surging.run(with_ladder(spec("60s", most=4), maxLevel=1), 1500)
    assert levels(surging) == [(0, 1)]
    assert decision.rung.reason is Reason.HIGHEST_LEVEL


def test_r8_max_level_0_leaves_the_ladder_to_people():
    surging = world(jump(200, 640))
    policy = with_ladder(spec("60s", most=4), maxLevel=0)
    decision = surging.run(policy, 900)
    assert decision.rung.reason is Reason.FEATURES_ON
    surging.force = Force(2, surging.now + 600)
    surging.run(policy, 5)
    assert levels(surging) == [(0, 2)]


def test_r8_paused_holds_the_level():
    surging = world(jump(200, 480, until=900))
    surging.run(POLICY, 700)
    paused = with_ladder(spec("60s", most=4, mode="Paused"), restoreAfter="2m")
    decision = surging.run(paused, 3600)
    assert levels(surging) == [(0, 1)]
    assert decision.rung.reason is Reason.PAUSED


def test_r8_a_dry_run_says_what_it_would_do_and_does_nothing():
    surging = world(jump(200, 480))
    dry = with_ladder(spec("60s", most=4, mode="DryRun"))
    decision = surging.run(dry, 900)
    assert decision.dry_run
    assert (decision.rung.level, decision.rung.reason) == (1, Reason.SCALING_EXHAUSTED)
    assert surging.level == 0


@pytest.mark.parametrize("bad", BAD)
def test_r8_a_person_forces_a_level_at_once_also_on_bad_data(bad):
    quiet = world(lambda t: 100.0)
    quiet.run(POLICY, 100)
    quiet.force = Force(2, quiet.now + 60)
    quiet.run(POLICY, 5, lambda: bad(quiet))
    assert levels(quiet) == [(0, 2)]
    quiet.run(POLICY, 60, lambda: bad(quiet))
    assert levels(quiet) == [(0, 2), (2, 0)]
    assert reasons(quiet)[-1] is Reason.FORCE_ENDED


def test_r8_a_person_wins_while_paused_and_above_max_level_but_not_above_the_ladder():
    quiet = world(lambda t: 100.0)
    paused = with_ladder(spec("60s", most=4, mode="Paused"), maxLevel=1)
    quiet.force = Force(9, quiet.now + 60)
    quiet.run(paused, 5)
    assert levels(quiet) == [(0, len(TWO_LEVELS))]


def test_r8_a_person_forces_features_on_in_a_surge_and_the_level_comes_back_after():
    surging = world(jump(200, 480))
    surging.run(POLICY, 700)
    surging.force = Force(0, surging.now + 60)
    surging.run(POLICY, 5)
    assert surging.level == 0
    surging.run(POLICY, 70)
    assert levels(surging) == [(0, 1), (1, 0), (0, 1)]


def test_r8_a_drill_that_a_surge_overtakes_keeps_the_level_that_it_needs():
    surging = world(jump(200, 480))
    policy = with_ladder(spec("60s", most=4, recordsPerSecond=100))
    surging.run(policy, 250)
    surging.force = Force(1, surging.now + 300)
    surging.run(policy, 900)
    assert levels(surging) == [(0, 1)]


def test_r8_a_drill_is_neither_a_failure_nor_watched():
    surging = world(lambda t: 200.0)
    for _ in range(5):
        surging.force = Force(1, surging.now + 30)
        surging.run(POLICY, 90)
    assert levels(surging) == [(0, 1), (1, 0)] * 5
    assert surging.memory.ladder.failed == ()
    assert surging.memory.ladder.watched == 0


# --- a restart at any point reaches the same level (R9 as far as the engine knows)


@pytest.mark.parametrize("at", range(320, 1500, 140))
def test_a_restart_at_any_point_reaches_the_same_level(at):
    surging = world(jump(200, 640, until=900))
    surging.run(POLICY, at)
    before = surging.level
    surging.restart()
    surging.run(POLICY, 5)
    assert surging.level == before
    surging.run(POLICY, 4000 - at)
    assert surging.level == 0
    assert sorted(levels(surging)[:2]) == [(0, 1), (1, 2)]


def test_without_any_memory_the_level_is_what_the_flags_show():
    surging = world(jump(200, 480))
    surging.run(POLICY, 700)
    surging.memory = Memory()
    surging.run(POLICY, 300)
    assert levels(surging) == [(0, 1)]
    assert surging.memory.ladder.left > T0 + 600


def test_flags_that_nobody_writes_are_asked_for_again_and_again():
    surging = world(jump(200, 480), stuck=True)
    surging.run(POLICY, 900)
    wanted = [d.rung.level for at, d in surging.log if at > 600]
    assert set(wanted) == {1}


def test_a_policy_without_a_ladder_has_no_rung_though_there_are_flags():
    quiet = world(lambda t: 100.0)
    quiet.level = 1
    assert quiet.run(spec("60s"), 60).rung is None
    assert Flags(1, 5.0) == quiet.flags()
