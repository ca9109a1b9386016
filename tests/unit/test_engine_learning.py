"""What is learned of replicas, start-up and pauses, and what is done before it is known, as time lines."""

import pytest

from tests.unit.engine_world import FLASH, T0, Line, World, changes, spec, surge
from tidegate.api import Reason
from tidegate.engine import Basis, Memory, Pod

# --- what is learned


def test_capacity_is_not_learned_from_an_idle_group():
    world = World(arrivals=lambda t: 20)
    world.run(spec(), 600)
    assert world.log[-1][1].capacity.basis is Basis.UNKNOWN
    assert world.log[-1][1].capacity.per_replica is None


def test_a_declared_capacity_wins_over_a_higher_one_that_is_seen():
    world = World(arrivals=lambda t: 150, capacity=100, max_age=60)
    world.run(spec("60s", recordsPerSecond=60, most=12), 120)
    capacity = world.log[-1][1].capacity
    assert (capacity.per_replica, capacity.basis) == (60, Basis.DECLARED)
    assert world.replicas == 3


def test_a_declared_capacity_that_is_not_there_gives_way_to_what_is_measured():
    world = World(arrivals=lambda t: 150, capacity=40, max_age=60)
    world.run(spec("60s", recordsPerSecond=60, most=12), 400)
    decision = world.log[-1][1]
    assert decision.capacity.basis is Basis.LEARNED
    assert decision.capacity.per_replica == pytest.approx(40, rel=0.1)
    assert world.replicas >= 4
    assert "spec.capacity says 60/s a replica" in decision.message


def test_a_capacity_that_halves_is_learned_and_answered():
    world = World(arrivals=lambda t: 390, replicas=4, max_age=60)
    world.memory = Memory.load('{"v":1,"capacities":[["v1",100,true]]}')
    world.run(spec("60s", most=12), 120)
    assert not world.changes
    world.capacity = 50
    world.run(spec("60s", most=12), 400)
    assert world.replicas >= 8
    assert world.memory.skill.capacities[0].rate == pytest.approx(50, rel=0.1)
    assert world.log[-1][1].backlog.age < 60


def test_a_deploy_starts_from_the_old_capacity_and_learns_its_own():
    world = World(arrivals=lambda t: 250, replicas=3, max_age=60)
    world.memory = Memory.load('{"v":1,"capacities":[["v1",100,true]]}')
    world.run(spec("60s", most=12), 60)
    world.template, world.capacity = "v2", 60
    for pod in world.pods:
        pod.template = "v2"
    assert world.run(spec("60s", most=12), 5).capacity.per_replica == 100
    world.run(spec("60s", most=12), 300)
    assert {c.template: round(c.rate, -1) for c in world.memory.skill.capacities} == {"v1": 100, "v2": 60}
    assert world.log[-1][1].backlog.age < 60


def test_nothing_is_learned_while_two_versions_run():
    line = Line(spec(), replicas=2)
    line.pods = (Pod("a", T0 - 600, T0 - 590, "v1"), Pod("b", T0 - 600, T0 - 590, "v2"))
    for second in range(0, 120, 5):
        line.see({0: (0, 100 * second, 9000 + 300 * second)})
    assert line.memory.skill.capacities == ()


def test_commits_that_stand_still_do_not_make_the_capacity_collapse():
    world = World(arrivals=lambda t: 90 if t < 120 else 300, commits=5.0, replicas=1, max_age=60)
    world.run(spec("60s", most=12), 700)
    rates = [d.capacity.per_replica for _, d in world.log if d.capacity.per_replica]
    assert rates
    assert all(75 <= rate <= 125 for rate in rates)


def test_startup_and_pause_are_learned_from_pods_and_service():
    world = World(arrivals=surge(90, 500, 60, 30, 120, 30), startup=lambda i: 12, pause=6, max_age=60)
    world.run(spec("60s", most=12), 400)
    capacity = world.log[-1][1].capacity
    assert capacity.startup == pytest.approx(12, abs=1)
    assert capacity.rebalance == pytest.approx(6, abs=3)


def test_declared_times_are_used_as_they_are():
    world = World(arrivals=FLASH)
    world.run(spec("30s", most=12, startup="7s", rebalance="4s"), 330)
    assert {(d.capacity.startup, d.capacity.rebalance) for _, d in world.log} == {(7, 4)}


def test_more_replicas_that_do_no_more_work_end_the_attempts():
    """A database behind the consumers gives 150/s, whoever asks."""
    world = World(arrivals=lambda t: 60 if t < 60 else 400, startup=lambda i: 5, pause=3, max_age=60, partitions=48)
    policy = spec("60s", most=48)
    for _ in range(120):
        world.capacity = 150 / max(1, len(world.members))
        world.run(policy, 5)
    assert world.replicas <= 16
    assert world.log[-1][1].reason is Reason.NOT_EFFECTIVE
    assert len(world.changes) <= 5


# --- unknown capacity


def test_a_group_that_falls_behind_is_doubled_and_its_capacity_learned():
    world = World(arrivals=lambda t: 60 if t < 60 else 160, max_age=60, startup=lambda i: 5, pause=3)
    world.run(spec("60s", most=12), 200)
    assert changes(world)[0] == (1, 2)
    assert world.late_share == 0
    assert world.log[-1][1].capacity.basis is Basis.LEARNED


def test_replicas_that_idle_are_taken_back_step_by_step():
    world = World(arrivals=lambda t: 30, replicas=6, max_age=30)
    world.run(spec("30s", most=12), 900)
    assert changes(world) == [(6, 4), (4, 3), (3, 2), (2, 1)]
    assert world.late_share == 0


def test_a_rebalance_of_the_same_members_is_no_measure_of_what_a_change_costs():
    world = World(arrivals=lambda t: 150, replicas=4)
    policy = spec("60s", least=4, most=4, recordsPerSecond=100)
    world.run(policy, 60)
    world.stopped_until = world.now + 90
    world.run(policy, 180)
    assert world.memory.times.joins == world.memory.times.leaves == ()


def test_one_order_that_joined_slowly_does_not_forbid_to_scale_in_for_ever():
    """Members that leave stop the group once, so as long as none left the shortest pause counts, not the usual one."""
    world = World(arrivals=lambda t: 150, replicas=12, max_age=60)
    world.memory = Memory.load('{"v":1,"capacities":[["v1",100,true]],"startups":[5],"joins":[5,28,64]}')
    world.run(spec("60s", most=12), 900)
    assert world.replicas < 12
    assert world.late_share == 0
