"""When not to judge: every guard, its reason, and that the numbers are shown nevertheless."""

import pytest

from tests.unit.engine_world import T0, Line, World, pods, spec, surge
from tidegate.api import Reason
from tidegate.engine import GroupState, Memory, Objection, Observation, Pod, ReadingError, Target

FLOOD = {0: (0, 0, 1_000_000)}
"""A backlog that no guard would let pass if it did not hold: a declared capacity makes it act at the first reading."""
POLICY = spec(recordsPerSecond=100, most=12)


def flooded(line: Line, looks: int = 4) -> Line:
    for second in range(0, 5 * looks, 5):
        line.see(dict.fromkeys(range(12), (0, 50 * second, 40000 + 100 * second)))
    return line


def test_without_an_objection_the_flood_is_acted_on():
    assert flooded(Line(POLICY)).last.replicas == 12


def test_paused_by_spec_measures_and_leaves_the_target_alone():
    decision = flooded(Line(spec(recordsPerSecond=100, mode="Paused"))).last
    assert decision.reason is Reason.PAUSED
    assert decision.replicas is None
    assert decision.need is None
    assert decision.backlog.lag == 480_000 + 12 * 15 * 50
    assert decision.backlog.arrival_rate == pytest.approx(1200)
    assert decision.capacity.per_replica == 100
    assert decision.at_risk is Reason.PROMISE_BROKEN


@pytest.mark.parametrize(
    "reason",
    [
        Reason.PAUSED,
        Reason.TARGET_MANAGED_BY_HPA,
        Reason.REPLICAS_CONTENDED,
        Reason.FORBIDDEN,
        Reason.TARGET_ALREADY_MANAGED,
    ],
)
def test_an_objection_of_the_cluster_holds_in_its_own_words(reason):
    line = flooded(Line(POLICY))
    decision = line.see(FLOOD, objection=Objection(reason, "HorizontalPodAutoscaler shop/points owns it"))
    assert decision.reason is reason
    assert decision.replicas is None
    assert decision.message.startswith("HorizontalPodAutoscaler shop/points owns it; ")
    assert "1,000,000 records wait" in decision.message


def test_a_target_that_is_gone_holds_with_or_without_an_explanation():
    line = flooded(Line(POLICY))
    assert line.see(FLOOD, target="gone").reason is Reason.TARGET_NOT_FOUND
    explained = line.see(FLOOD, target="gone", objection=Objection(Reason.TARGET_NOT_SCALABLE, "no /scale"))
    assert explained.reason is Reason.TARGET_NOT_SCALABLE
    assert line.last.replicas is None


def test_a_failed_reading_is_not_zero():
    line = flooded(Line(POLICY, replicas=12))
    known = line.last.backlog
    for _ in range(30):
        line.now += 5
        decision = line.look(ReadingError(Reason.READING_FAILED, "broker 2: connection refused", line.now))
        assert decision.reason is Reason.READING_FAILED
        assert decision.replicas is None
        assert decision.message.startswith("broker 2: connection refused")
        assert decision.backlog == known


def test_the_reason_of_a_failed_reading_is_the_brokers():
    line = flooded(Line(POLICY))
    decision = line.look(ReadingError(Reason.FORBIDDEN, "group points: GROUP_AUTHORIZATION_FAILED", line.now))
    assert decision.reason is Reason.FORBIDDEN


def test_an_old_reading_is_not_acted_on():
    line = flooded(Line(POLICY))
    old = line.reading(FLOOD)
    assert line.look(old, after=14).reason is not Reason.READING_STALE
    stale = line.look(old, after=2)
    assert stale.reason is Reason.READING_STALE
    assert stale.replicas is None
    assert stale.message.startswith("the last reading is 16s old")


def test_a_slow_reading_loop_makes_no_reading_stale():
    line = Line(POLICY)
    for second in range(0, 180, 30):
        line.see({0: (0, 10 * second, 10 * second)}, after=30)
    assert line.look(line.reading({0: (0, 1800, 1800)}, after=30), after=25).reason is Reason.ON_TIME


def test_topics_that_do_not_exist_are_an_unknown_backlog():
    line = Line(POLICY)
    empty = line.reading({})
    decision = line.look(empty)
    assert decision.reason is Reason.UNKNOWN_BACKLOG
    assert decision.replicas is None
    assert decision.backlog.lag is None


def test_ready_replicas_without_a_member_are_consumers_that_are_down():
    line = Line(POLICY, replicas=3)
    for second in range(0, 120, 5):
        line.see({0: (0, 0, 100 * second)}, state=GroupState.EMPTY, members=0)
        assert line.last.replicas is None
    assert line.last.reason is Reason.CONSUMERS_DOWN
    assert "3 replicas ready" in line.last.message


def test_pods_that_have_just_become_ready_are_given_time_to_join():
    line = Line(POLICY, replicas=1)
    line.pods = (Pod("a", T0 - 10, T0, "v1"),)
    for _ in range(8):
        line.see({0: (0, 0, 500)}, state=GroupState.EMPTY, members=0)
        assert line.last.reason is Reason.REBALANCING
    for _ in range(3):
        line.see({0: (0, 0, 500)}, state=GroupState.EMPTY, members=0)
    assert line.last.reason is Reason.CONSUMERS_DOWN


def test_consumers_that_assign_partitions_themselves_are_not_down():
    """Such a group is Empty for the broker for ever, but its commits move."""
    line = Line(POLICY, replicas=2)
    for second in range(0, 60, 5):
        line.see({0: (0, 10 * second, 10 * second)}, state=GroupState.EMPTY, members=0)
    assert line.last.reason not in (Reason.CONSUMERS_DOWN, Reason.REBALANCING)


def test_a_group_that_nobody_knows_is_down_too():
    line = Line(spec(reset="earliest"))
    for _ in range(12):
        line.see({0: (0, None, 500)}, state=GroupState.ABSENT)
    assert line.last.reason is Reason.CONSUMERS_DOWN
    assert line.last.backlog.lag == 500


def test_a_rebalance_is_measured_not_judged():
    line = flooded(Line(POLICY))
    decision = line.see(dict.fromkeys(range(12), (0, 800, 90000)), state=GroupState.REBALANCING)
    assert decision.reason is Reason.REBALANCING
    assert decision.replicas is None
    assert decision.backlog.lag == 12 * 89_200


def test_a_reading_with_other_members_than_the_last_one_is_not_judged_either():
    line = Line(POLICY)
    for second in range(0, 20, 5):
        line.see({0: (0, 0, 90_000 + second)}, members=2)
    assert line.see({0: (0, 0, 90_020)}, members=3).reason is Reason.REBALANCING
    assert line.see({0: (0, 0, 90_025)}, members=3).reason is not Reason.REBALANCING


def test_a_group_that_never_settles_does_not_freeze_a_surge():
    line = Line(spec(recordsPerSecond=100, rebalance="10s"), replicas=2)
    for second in range(0, 20, 5):
        line.see(dict.fromkeys(range(12), (0, 10 * second, 10 * second)))
    reasons = []
    for second in range(20, 90, 5):
        line.see(dict.fromkeys(range(12), (0, 200, 100 * second)), state=GroupState.REBALANCING)
        reasons.append(line.last.reason)
    assert reasons[:6] == [Reason.REBALANCING] * 6, "three times the usual pause of 10 s"
    assert line.last.reason is Reason.SURGE
    assert line.last.replicas == 12
    assert "the group has been rebalancing for" in line.last.message


def test_a_group_that_never_settles_is_never_scaled_in():
    line = Line(POLICY, replicas=8)
    for second in range(0, 900, 5):
        state = GroupState.REBALANCING if second > 100 else GroupState.STABLE
        line.see(dict.fromkeys(range(12), (0, second, second)), state=state)
        if second > 100:
            assert line.last.replicas is None


def test_the_first_readings_are_too_few_for_a_rate():
    line = Line(spec())
    assert line.see({0: (0, 0, 500)}).reason is Reason.WARMING_UP
    assert line.see({0: (0, 400, 900)}).reason is Reason.WARMING_UP
    assert line.see({0: (0, 800, 1300)}).reason is not Reason.WARMING_UP


def test_a_backlog_beyond_all_doubt_is_acted_on_at_the_first_reading():
    line = Line(POLICY)
    decision = line.see(dict.fromkeys(range(12), (0, 0, 5000)))  # 600 s of work for one replica
    assert decision.reason is Reason.SURGE
    assert decision.replicas == 12


def test_the_same_backlog_waits_for_a_rate_where_nobody_knows_the_capacity():
    assert Line(spec()).see(dict.fromkeys(range(12), (0, 0, 5000))).reason is Reason.WARMING_UP


# --- the order of the guards


def test_a_persons_pause_is_told_before_anything_else():
    line = Line(spec(mode="Paused"))
    decision = line.look(ReadingError(Reason.READING_FAILED, "refused", T0), target="gone")
    assert decision.reason is Reason.PAUSED


def test_limits_are_obeyed_without_knowing_the_backlog_but_not_without_a_reading():
    line = Line(spec(least=3, most=5), replicas=1)
    assert line.look(ReadingError(Reason.READING_FAILED, "refused", T0)).replicas is None
    unknown = dict.fromkeys(range(6), (0, None, 100))
    raised = line.see(unknown)
    assert (raised.replicas, raised.reason) == (3, Reason.MIN_REPLICAS)
    line.replicas = 9
    lowered = line.see(unknown)
    assert (lowered.replicas, lowered.reason) == (5, Reason.MAX_REPLICAS)


def test_what_is_above_the_maximum_is_brought_to_what_can_own_a_partition():
    lowered = Line(spec(most=5), replicas=9).see(dict.fromkeys(range(4), (0, 0, 0)))
    assert (lowered.replicas, lowered.reason) == (4, Reason.MAX_REPLICAS)
    assert lowered.message == "9 → 4 replicas: spec.replicas.max is 5, 4 partitions feed at most 4 replicas"


def test_dry_run_decides_in_full_and_says_that_it_is_only_a_wish():
    decision = flooded(Line(spec(recordsPerSecond=100, most=12, mode="DryRun"))).last
    assert decision.dry_run
    assert decision.replicas == decision.desired == 12
    assert decision.reason is Reason.SURGE


# --- never scale in on what is not known


def test_after_a_restart_nothing_is_scaled_in_before_a_promise_and_its_lead_were_seen():
    world = World(arrivals=lambda t: 50, replicas=6, max_age=60)
    policy = spec("60s", recordsPerSecond=100, startup="20s", rebalance="10s")
    world.memory = Memory.load(world.memory.dump())
    world.run(policy, 85)
    assert not world.changes
    world.run(policy, 200)
    assert world.replicas == 1


def test_readings_that_fail_never_scale_in_however_long_and_whatever_they_hide():
    def blind():
        return Observation(ReadingError(Reason.READING_FAILED, "timeout", world.now), world.target())

    world = World(arrivals=surge(60, 480, 60, 10, 100, 10), max_age=30)
    world.run(spec("30s", most=12), 160)
    surged = world.replicas
    assert surged >= 4
    world.run(spec("30s", most=12), 600, blind)
    assert world.replicas == surged
    world.run(spec("30s", most=12), 5)
    assert world.replicas == surged, "one whole reading after the gap is no proof either"
    world.run(spec("30s", most=12), 300)
    assert world.replicas == 1


def test_records_in_partitions_without_a_commit_stop_scale_in():
    def line(hidden: int) -> Line:
        there = Line(spec("10s", recordsPerSecond=100), replicas=4)
        for second in range(0, 300, 5):
            there.see({**dict.fromkeys(range(11), (0, second, second)), 11: (0, None, hidden * second)})
        return there

    assert line(0).last.replicas == 1
    assert line(1).last.replicas is None


def test_the_group_of_a_target_with_a_stuck_pod_still_scales_in():
    line = Line(spec("10s", recordsPerSecond=100), replicas=5)
    line.pods = pods(4, starting=1)
    for second in range(0, 300, 5):
        line.see(dict.fromkeys(range(12), (0, second, second)))
    assert line.last.replicas == 1


def test_a_target_of_another_size_than_its_pods_is_no_error():
    line = Line(POLICY, replicas=0)
    line.see({0: (0, 0, 10)}, target=Target(0, pods(3)))
    assert line.last.replicas == 1


def test_in_a_surge_nothing_is_taken_away_that_a_person_asked_for_beyond_the_ceiling():
    line = Line(spec(most=16, recordsPerSecond=100), replicas=15)
    for second in range(0, 60, 5):
        seen = line.see(dict.fromkeys(range(12), (0, 50 * second, 200 * second)))
        assert seen.replicas is None
    assert seen.limited_by is Reason.PARTITIONS
