"""Commits that come in batches: what is done and not yet committed is neither a backlog nor a lack of capacity."""

import numpy as np
import pytest

from tests.unit.engine_world import World, changes, spec, surge
from tidegate.engine import Memory
from tidegate.simulate.conditions import Conditions
from tidegate.simulate.outcome import Outcome, outcome
from tidegate.simulate.records import RecordWorld
from tidegate.simulate.regime import Regime
from tidegate.simulate.steered import Tidegate, policy_for
from tidegate.simulate.world import play

KNOWS_100 = '{"v":1,"capacities":[["v1",100,true]]}'
TIDE = 400 + 300 * np.sin(np.arange(1440) / 229)  # records/s for two hours, two waves, 5 s apart


class OneByOne(World):
    """Consumers that go through their partitions one by one, a thousand records each, as fetched batches make them."""

    def _serve(self):
        if self.now < self.stopped_until or not self.members:
            return
        for index in range(len(self.members)):
            mine = self.parts[index :: len(self.members)]
            busy = int(self.served_by_each // 1000) % len(mine)
            ordered = mine[busy:] + mine[:busy]
            budget = self.capacity * self.dt
            for part in ordered:
                taken = min(budget, part.end - part.done)
                budget -= taken
                self._done(part, taken)

    @property
    def served_by_each(self):
        return self.served / max(1, len(self.members))


def rates(world):
    return [d.capacity.per_replica for _, d in world.log if d.capacity.per_replica]


@pytest.mark.parametrize("commits", [15, 30, 55])
def test_a_group_that_commits_in_batches_and_keeps_up_is_left_alone(commits):
    world = World(arrivals=lambda t: 280, replicas=3, commits=commits, max_age=120)
    world.memory = Memory.load(KNOWS_100)
    world.run(spec("2m", most=12), 1800)
    assert changes(world) == []
    assert rates(world) == [100] * len(world.log)
    assert max(d.backlog.age or 0 for _, d in world.log) > 0.8 * commits  # people see what is committed
    assert {d.at_risk for _, d in world.log} == {None}


def test_nobody_is_ordered_before_the_first_commit_was_seen():
    world = World(arrivals=lambda t: 280, replicas=3, commits=30, max_age=120)
    world.run(spec("2m", most=12), 180)
    assert changes(world) == []


@pytest.mark.parametrize("commits", [15, 30, 55])
def test_capacity_is_learned_from_commits_in_batches(commits):
    world = World(arrivals=surge(90, 450, 300, 60, 900, 60), commits=commits, replicas=1, max_age=120)
    world.run(spec("2m", most=12), 1800)
    assert len(rates(world)) > 200
    assert all(85 <= rate <= 115 for rate in rates(world))
    assert world.late_share == 0
    assert max(after for _, after in changes(world)) <= 6


def test_the_interval_is_seen_and_forgotten_with_the_deploy_that_changes_it():
    world = World(arrivals=lambda t: 280, replicas=3, commits=30, max_age=120)
    world.run(spec("2m", most=12), 600)
    assert world.memory.rhythm.own == pytest.approx(30, rel=0.15)
    world.commits, world.template = 5, "v2"
    for pod in world.pods:
        pod.template = "v2"
    world.run(spec("2m", most=12), 30)
    assert world.memory.rhythm.own == pytest.approx(5, rel=0.15)


def test_commits_at_every_reading_hide_nothing():
    world = World(arrivals=FLOOD, commits=5, replicas=2, max_age=60)
    world.run(spec("60s", most=12), 900)
    assert world.memory.rhythm.own <= 7.5
    assert not world.memory.rhythm.in_batches(5.0)


FLOOD = surge(150, 700, 120, 30, 240, 30)


def test_a_promise_shorter_than_two_commits_is_said_to_be_unseen_and_is_no_reason_to_scale():
    world = World(arrivals=lambda t: 280, replicas=3, commits=30, max_age=45)
    world.memory = Memory.load(KNOWS_100)
    decision = world.run(spec("45s", most=12), 900)
    assert changes(world) == []
    assert "commits come every 30s: too seldom to show that 45s are kept" in decision.message
    assert world.late_share == 0


def test_partitions_that_wait_for_their_turn_are_not_taken_for_done():
    """Frequent commits, but a consumer with a backlog lets most of its partitions wait."""
    world = OneByOne(arrivals=surge(150, 420, 900, 10, 900, 10), replicas=2, commits=5, max_age=60)
    world.memory = Memory.load(KNOWS_100)
    world.run(spec("60s", most=12), 1800)
    assert world.memory.rhythm.interval > world.memory.rhythm.own
    assert world.memory.rhythm.own < 10
    assert world.replicas >= 4
    assert world.late_share < 0.01


def day(commit_every: float) -> tuple[Outcome, list[float]]:
    """Two waves of a tide in the world of records, and the capacities believed meanwhile (it is 100)."""
    regime = Regime(max_age=120, packed=True)
    believed: list[float] = []

    class Watched(Tidegate):
        def decide(self, view):
            wanted = super().decide(view)
            believed.extend(c.rate for c in self.memory.skill.capacities if c.proven)
            return wanted

    controller = Watched(policy_for(regime))
    world = RecordWorld(TIDE * regime.tick, regime, Conditions(commit_every=commit_every), seed=4)
    return outcome(play(world, controller, len(TIDE))), believed


def test_two_waves_of_a_tide_cost_with_commits_of_30_s_what_they_cost_with_commits_of_5_s():
    (seldom, believed), (often, _) = day(30), day(5)
    assert seldom.late_share <= 0.003
    assert seldom.replica_hours <= 1.06 * often.replica_hours
    assert len(believed) > 500
    assert all(85 <= rate <= 115 for rate in believed)
