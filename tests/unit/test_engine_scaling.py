"""Out, in, and not at all, as time lines in a small world of partitions, pods and pauses (engine_world)."""

import itertools
import re

import pytest

from tests.unit.engine_world import FLASH, T0, Line, World, changes, pods, spec
from tidegate.api import Reason
from tidegate.engine import GroupState, Memory, Pod, Target

# --- the demo's story: eightfold within a minute, promise 30 s, consumers of 100/s


def test_without_scaling_the_flash_crowd_is_late():
    """The world's own check: what follows could not pass by itself."""
    world = World(arrivals=FLASH, max_age=30)
    world.run(spec("30s", most=12, mode="Paused"), 330)
    assert world.late_share > 0.5
    assert not world.changes


@pytest.mark.parametrize("commits", [0.0, 5.0], ids=["commits at once", "auto-commit"])
@pytest.mark.parametrize("startup", [3, 8], ids=lambda s: f"start-up {s} s")
@pytest.mark.parametrize("tick", [2, 5], ids=lambda s: f"a look every {s} s")
def test_a_flash_crowd_is_served_on_time_without_being_told_the_capacity(commits, startup, tick):
    world = World(arrivals=FLASH, startup=lambda i: startup + 0.7 * (i % 3), pause=3, commits=commits, tick=tick)
    world.run(spec("30s", most=12), 330)
    assert world.late_share <= 0.01
    assert max(after for _, after in changes(world)) >= 4
    assert world.replicas <= 2
    assert len(world.changes) <= 8
    first = world.changes[0][0]
    assert first - 66 <= 20, "more than one replica can do arrives from second 66 on"
    assert world.memory.skill.capacities[0].rate == pytest.approx(100, rel=0.15)


def test_the_second_flash_crowd_of_a_group_that_is_known_is_answered_within_three_looks():
    twice = lambda t: FLASH(t) if t < 400 else FLASH(t - 400)  # noqa: E731
    world = World(arrivals=twice, startup=lambda i: 5, pause=3)
    world.run(spec("30s", most=12), 730)
    second = next(at for at, before, after in world.changes if at > 400 and after > before)
    assert second - 466 <= 15
    assert world.late_share <= 0.01
    assert world.replicas <= 2


def test_a_step_of_eight_times_is_one_jump_and_the_rest_when_the_capacity_is_known():
    world = World(arrivals=lambda t: 50 if t < 60 else 400, startup=lambda i: 5, pause=3)
    world.run(spec("30s", most=12, recordsPerSecond=100), 300)
    assert changes(world)[0] in [(1, 6), (1, 12)]
    assert world.late_share <= 0.01
    assert len(world.changes) <= 6, "then it looks for the size that needs no change, 4"
    assert world.replicas in (3, 4, 6)


def test_a_replica_that_is_enough_stays_alone_for_hours():
    world = World(arrivals=lambda t: 70 + 15 * ((t * 7919) % 13 - 6) / 6, dt=0.5)
    world.run(spec("30s", most=12), 3 * 3600)
    assert not world.changes
    assert world.log[-1][1].reason is Reason.ON_TIME


def test_a_queue_within_the_promise_is_no_reason_to_scale():
    """The deadline is a buffer: 5 % too much for a minute is 3 s of work."""
    world = World(arrivals=lambda t: 105 if 60 < t < 120 else 60, max_age=60)
    world.run(spec("60s", most=12, recordsPerSecond=100), 300)
    assert not world.changes


def test_a_slow_overload_is_answered_before_the_promise_breaks_and_not_much_sooner():
    world = World(arrivals=lambda t: 60 if t < 60 else 112, max_age=60, startup=lambda i: 20, pause=5)
    world.run(spec("60s", most=12, recordsPerSecond=100, startup="20s", rebalance="5s"), 900)
    assert world.late_share == 0
    assert world.changes[0][0] > 120
    assert changes(world)[0] == (1, 2)


def test_the_message_lets_a_person_redo_the_arithmetic():
    world = World(arrivals=lambda t: 60 if t < 60 else 390)
    policy = spec("30s", most=12, recordsPerSecond=100, startup="5s", rebalance="3s")
    world.run(policy, 70)
    decision = next(d for _, d in world.log if d.replicas)
    assert decision.message.startswith("1 → 6 replicas: ")
    assert re.search(
        r"39\d/s arrive, one replica does 100/s, [1-9,]+\d* records wait, oldest \d+s of 30s allowed", decision.message
    )
    assert (decision.need, decision.desired, decision.partitions, decision.ceiling) == (6, 6, 12, 12)


# --- no order twice


def test_nothing_is_ordered_again_while_pods_start():
    world = World(arrivals=lambda t: 60 if t < 60 else 400, startup=lambda i: 25, pause=3, max_age=60)
    world.run(spec("60s", most=12, recordsPerSecond=100, startup="25s", rebalance="3s"), 88)
    assert len(world.changes) == 1
    assert world.log[-1][1].reason is Reason.STARTING


def test_a_need_that_grows_much_while_pods_start_is_ordered():
    world = World(arrivals=lambda t: 60 if t < 60 else 150 if t < 75 else 900, startup=lambda i: 25, max_age=60)
    world.run(spec("60s", most=12, recordsPerSecond=100, startup="25s", rebalance="3s"), 100)
    assert changes(world) == [(1, 2), (2, 12)]


def test_pods_that_never_become_ready_are_no_capacity_and_no_reason_for_more():
    world = World(arrivals=lambda t: 60 if t < 60 else 330, startup=lambda i: 5 if i < 2 else 1e9, pause=3)
    world.run(spec("30s", most=12, recordsPerSecond=100), 900)
    assert len(world.changes) == 1
    decision = world.log[-1][1]
    assert decision.reason is Reason.PODS_NOT_STARTING
    assert decision.at_risk is Reason.PROMISE_BROKEN
    assert "did not start" in decision.message


def test_where_other_pods_start_one_that_does_not_is_no_obstacle():
    world = World(arrivals=lambda t: 60 if t < 60 else 250 if t < 300 else 560, startup=lambda i: 1e9 if i == 1 else 5)
    world.run(spec("30s", most=12, recordsPerSecond=100), 420)
    assert world.replicas >= 6


def test_replicas_that_get_no_pod_at_all_do_not_start_either():
    """A quota or an admission webhook refuses the pods: there is nothing to count but the wish."""
    line = Line(spec(recordsPerSecond=100, most=12), replicas=1)
    line.see(dict.fromkeys(range(12), (0, 0, 0)))
    line.replicas, line.pods = 4, pods(1)
    for second in range(5, 120, 5):
        line.see(dict.fromkeys(range(12), (0, 8 * second, 30 * second)))
    assert line.last.reason is Reason.PODS_NOT_STARTING
    assert line.last.replicas is None


# --- limits


def test_the_partition_ceiling_limits_and_the_need_goes_beyond_it():
    world = World(arrivals=lambda t: 60 if t < 60 else 700, partitions=6)
    world.run(spec("30s", most=32, recordsPerSecond=100), 200)
    decision = world.log[-1][1]
    assert world.replicas == 6
    assert decision.limited_by is Reason.PARTITIONS
    assert decision.need > 6
    assert decision.desired == 6
    assert decision.at_risk is not None


def test_the_maximum_limits_to_the_largest_useful_size():
    world = World(arrivals=lambda t: 60 if t < 60 else 900)
    world.run(spec("30s", most=5, recordsPerSecond=100), 200)
    assert world.replicas == 4, "a fifth replica of 12 partitions would have none that the fullest could spare"
    assert world.log[-1][1].limited_by is Reason.MAX_REPLICAS


def test_the_minimum_is_kept_and_said():
    world = World(arrivals=lambda t: 10, replicas=6)
    world.run(spec("30s", least=3, most=12, recordsPerSecond=100), 300)
    decision = world.log[-1][1]
    assert world.replicas == 3
    assert (decision.need, decision.desired, decision.limited_by) == (1, 3, Reason.MIN_REPLICAS)


def test_under_the_range_assignor_the_largest_topic_is_the_ceiling():
    line = Line(spec(recordsPerSecond=100, most=32))
    for second in range(0, 40, 5):
        two = {("a", p): (0, 10 * second, 400 * second) for p in range(4)} | {("b", 0): (0, 0, 0), ("b", 1): (0, 0, 0)}
        line.see(two, assignor="range")
    assert line.last.ceiling == 4
    line.see(two, assignor="cooperative-sticky")
    assert line.last.ceiling == 6


def test_consumers_in_each_replica_divide_the_ceiling():
    world = World(arrivals=lambda t: 10)
    world.run(spec(most=32, consumersPerReplica=5), 30)
    assert world.log[-1][1].ceiling == 3


@pytest.mark.parametrize(("promise", "orders"), [("60s", True), ("300s", False)])
def test_a_surge_of_two_minutes_is_answered_where_it_would_fill_the_promise_and_absorbed_where_not(promise, orders):
    world = World(arrivals=lambda t: 150 if 120 < t < 240 else 80, max_age=float(promise[:-1]), dt=0.2)
    world.run(spec(promise, most=12, recordsPerSecond=100), 600)
    assert bool(world.changes) is orders
    assert world.late_share == 0


# --- in, slowly and carefully


def test_the_end_of_a_short_low_finds_the_promise_kept():
    """A load is taken to last: the fleet may follow it down, as long as the way back is in time."""
    world = World(arrivals=lambda t: 50 if 200 < t < 225 else 350, replicas=4, max_age=30)
    world.run(spec("30s", most=12, recordsPerSecond=100), 400)
    assert world.late_share == 0
    assert world.replicas >= 3
    assert len(world.changes) <= 6


def test_a_load_that_comes_and_goes_is_averaged_by_the_queue():
    world = World(arrivals=lambda t: 350 if t % 60 < 40 else 50, replicas=6, max_age=30)
    world.run(spec("30s", most=12, recordsPerSecond=100), 1200)
    assert len(world.changes) <= 2
    assert world.late_share == 0


def test_nothing_is_scaled_in_while_a_backlog_is_drained():
    world = World(arrivals=lambda t: 500 if t < 90 else 50, replicas=4, max_age=120)
    world.run(spec("2m", most=4, recordsPerSecond=100), 105)
    assert not world.changes
    assert world.log[-1][1].backlog.lag > 0
    world.run(spec("2m", most=4, recordsPerSecond=100), 600)
    assert world.replicas == 1
    assert world.late_share == 0


def test_a_change_must_settle_before_the_next_one_in():
    world = World(arrivals=lambda t: max(50.0, 500 - t), replicas=6, max_age=30)
    world.run(spec("30s", most=12, recordsPerSecond=100), 700)
    assert world.replicas == 1
    times = [at for at, *_ in world.changes]
    assert all(later - sooner >= 30 for sooner, later in itertools.pairwise(times))


@pytest.mark.parametrize("level", [1.0, 1.45, 1.79, 1.85, 2.4, 2.75])
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.4])
def test_a_fleet_that_is_much_too_large_gets_smaller_however_the_load_lies(level, noise):
    """Between useful sizes, with peaks that fit a smaller one only at times: it must never stay at 12 for ever."""
    world = World(
        arrivals=lambda t: 100 * level * (1 + noise * ((round(t / 10) * 7919) % 13 - 6) / 6),
        replicas=12, max_age=60, dt=0.2,
    )  # fmt: skip
    world.run(spec("60s", most=12, recordsPerSecond=100), 900)
    assert world.replicas <= 4
    assert len(world.changes) <= 14, "two sizes in turn, each cycle as long as the promise at least"
    assert world.late_share == 0


def test_with_many_partitions_sizes_lie_close_and_the_fleet_still_shrinks():
    world = World(arrivals=lambda t: 3000, partitions=200, replicas=100, max_age=60, dt=1.0)
    world.run(spec("60s", most=200, recordsPerSecond=100), 400)
    assert world.replicas in (25, 29, 34, 40), "a little less than arrives fills the promise slowly, and costs less"


def test_only_useful_sizes_are_ordered():
    world = World(arrivals=FLASH, startup=lambda i: 5)
    world.run(spec("30s", most=12), 330)
    assert {after for _, after in changes(world)} <= {1, 2, 3, 4, 6, 12}


# --- zero


def test_the_last_replica_goes_after_a_minute_without_a_record():
    world = World(arrivals=lambda t: 40 if t < 60 else 0)
    world.run(spec(least=0, most=12, recordsPerSecond=100), 110)
    assert world.replicas == 1
    world.run(spec(least=0, most=12, recordsPerSecond=100), 60)
    assert world.replicas == 0
    assert world.log[-1][1].need == 0


def test_with_a_minimum_of_one_the_last_replica_stays():
    world = World(arrivals=lambda t: 40 if t < 60 else 0)
    world.run(spec(least=1, most=12, recordsPerSecond=100), 900)
    assert not world.changes


def test_any_record_wakes_the_group_from_zero():
    world = World(arrivals=lambda t: 0 if t < 120 else 0.2, replicas=0, partitions=1)
    policy = spec(least=0, most=12)
    world.run(policy, 120)
    assert not world.changes
    world.run(policy, 15)
    assert world.replicas == 1
    world.run(policy, 60)
    assert world.log[-1][1].backlog.lag == 0


def test_a_flood_at_zero_is_answered_in_full_when_the_capacity_is_known():
    world = World(arrivals=lambda t: 0 if t < 60 else 350, replicas=0)
    world.run(spec(least=0, most=12, recordsPerSecond=100), 70)
    assert changes(world)[0][0] == 0
    assert world.replicas >= 4


def test_a_transaction_marker_at_the_end_neither_keeps_the_group_awake_nor_wakes_it():
    line = Line(spec(least=0))
    for _ in range(24):
        line.see(dict.fromkeys(range(3), (0, 99, 100)))
    assert line.last.replicas == 0
    line.replicas, line.pods = 0, ()
    for _ in range(20):
        line.see(dict.fromkeys(range(3), (0, 99, 100)), state=GroupState.EMPTY)
        assert line.last.replicas is None
    line.memory = Memory.load(line.memory.dump())
    assert line.see(dict.fromkeys(range(3), (0, 99, 100))).replicas is None, "known after a restart"
    assert line.see({0: (0, 99, 101), 1: (0, 99, 100), 2: (0, 99, 100)}).replicas == 1


def test_the_record_that_woke_a_group_is_waited_for_however_long_its_consumer_starts():
    line = Line(spec(least=0), replicas=1, pods=(Pod("slow", T0, None, "v1"),))
    for _ in range(20):
        line.see({0: (0, 99, 100)}, state=GroupState.EMPTY)
        assert line.last.replicas is None
    line.pods = (Pod("slow", T0, line.now, "v1"),)
    for _ in range(10):
        line.see({0: (0, 99, 100)})
        assert line.last.replicas is None
    for _ in range(60):
        line.see({0: (0, 100, 100)})
    assert line.last.replicas == 0


def test_at_zero_without_any_commit_the_first_record_wakes():
    """`latest` consumers that never ran have no commit: somebody must begin."""
    line = Line(spec(least=0), replicas=0)
    for _ in range(5):
        line.see({0: (0, None, 500)}, state=GroupState.ABSENT)
        assert line.last.replicas is None
    assert line.see({0: (0, None, 501)}, state=GroupState.ABSENT).replicas == 1


def test_a_single_record_that_nobody_commits_is_no_marker_while_it_is_new():
    line = Line(spec(least=0))
    for second in range(0, 300, 5):
        line.see({0: (0, second, second + 1)})
    assert line.last.replicas is None


# --- restarts and edits


def test_a_restart_in_the_surge_keeps_the_capacity_and_scales_nothing_in():
    world = World(arrivals=FLASH, startup=lambda i: 5)
    policy = spec("30s", most=12)
    world.run(policy, 140)
    surged, known = world.replicas, world.memory.skill.capacities[0].rate
    assert surged >= 4
    world.memory = Memory.load(world.memory.dump())
    world.run(policy, 30)
    assert world.replicas >= surged
    assert world.log[-1][1].capacity.per_replica == pytest.approx(known, rel=0.05)
    world.run(policy, 300)
    assert world.late_share <= 0.01
    assert world.replicas <= 2


def test_an_edit_of_the_promise_takes_effect_at_the_next_step():
    world = World(arrivals=lambda t: 60 if t < 60 else 115, max_age=600)
    world.run(spec("10m", most=12, recordsPerSecond=100), 200)
    assert not world.changes
    decision = world.run(spec("15s", most=12, recordsPerSecond=100), 5)
    assert decision.reason is Reason.SURGE
    assert decision.replicas >= 2


def test_a_person_who_scales_is_seen_and_given_time():
    world = World(arrivals=lambda t: 50, replicas=1)
    policy = spec("30s", most=12, recordsPerSecond=100)
    world.run(policy, 120)
    world.scale(6)
    world.run(policy, 10)
    assert world.replicas == 6, "a start-up and a pause"
    world.run(policy, 120)
    assert world.replicas == 1


def test_the_same_inputs_give_the_same_outputs():
    def play() -> list[tuple[str, int | None]]:
        world = World(arrivals=FLASH)
        world.run(spec("30s", most=12), 300)
        return [(d.message, d.replicas) for _, d in world.log]

    assert play() == play()


def test_ready_pods_beyond_what_is_asked_are_no_error():
    line = Line(spec(recordsPerSecond=100))
    for second in range(0, 60, 5):
        line.see({0: (0, 10 * second, 10 * second)}, target=Target(1, pods(3)))
    assert line.last.replicas is None


def test_a_queue_deep_in_the_promise_asks_for_no_more_than_drains_it():
    world = World(arrivals=lambda t: 350, partitions=23, replicas=5, commits=5.0, max_age=60, dt=0.5)
    world.run(spec("60s", most=16, recordsPerSecond=100, startup="8s", rebalance="4s"), 1200)
    assert changes(world)
    assert max(after for _, after in changes(world)) <= 6


def test_a_fleet_that_does_not_catch_up_as_it_should_is_enlarged():
    """One consumer of four owns four of thirteen partitions, and a replica does a ninth less than was declared."""
    world = World(arrivals=lambda t: 350, partitions=13, replicas=4, max_age=60, dt=0.5)
    decision = world.run(spec("60s", most=12, recordsPerSecond=113, startup="5s", rebalance="3s"), 1800)
    assert decision.backlog.age < 60
    assert changes(world)[0] == (4, 5)
