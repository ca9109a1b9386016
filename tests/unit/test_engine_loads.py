"""Partitions that get more than others: what replicas can do then, which of them help, and what is only noise."""

import numpy as np
import pytest

from tests.unit.engine_world import Partition, World, changes, spec
from tidegate.engine import Memory
from tidegate.engine.loads import beyond_chance
from tidegate.simulate.conditions import Conditions
from tidegate.simulate.outcome import outcome
from tidegate.simulate.records import RecordWorld
from tidegate.simulate.regime import Regime
from tidegate.simulate.steered import Tidegate, policy_for
from tidegate.simulate.world import play

KNOWS_100 = '{"v":1,"capacities":[["v1",100,true]]}'


class Watched(Tidegate):
    """The engine, and the loads it saw."""

    def __init__(self, policy):
        super().__init__(policy)
        self.seen = []

    def decide(self, view):
        wanted = super().decide(view)
        self.seen.append(self.memory.loads)
        return wanted


def day_of(arrivals, regime, conditions, seed=3):
    controller = Watched(policy_for(regime))
    run = play(RecordWorld(arrivals, regime, conditions, seed=seed), controller, len(arrivals))
    return controller, outcome(run), run


def noisy(mean, sigma, ticks, seed):
    """Arrivals whose pace is drawn anew every half minute."""
    draw = np.random.default_rng(seed)
    return mean * np.repeat(draw.lognormal(0, sigma, ticks // 6 + 1), 6)[:ticks]


@pytest.mark.parametrize(("mean", "sigma", "partitions"), [(2000, 0.1, 32), (40, 0.8, 12), (300, 1.0, 2), (5, 0.3, 64)])
def test_noise_does_not_pass_for_uneven_partitions(mean, sigma, partitions):
    regime = Regime(partitions=partitions, packed=True)
    watched, _, _ = day_of(noisy(mean, sigma, 2000, seed=partitions), regime, Conditions())
    assert len(watched.seen) == 2000
    assert all(loads.shares == () for loads in watched.seen)


def test_the_shares_of_uneven_partitions_are_learned():
    weights = (3, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1)
    world = World(arrivals=lambda t: 300, replicas=6, weights=weights, max_age=60)
    world.memory = Memory.load(KNOWS_100)
    world.run(spec("60s", most=12), 600)
    assert world.memory.loads.shares == pytest.approx([weight / 15 for weight in weights], rel=0.05)


def test_partitions_that_were_all_there_was_before_a_topic_grew_are_not_taken_for_hot_ones():
    world = World(arrivals=lambda t: 380 if t < 300 else 500, partitions=4, replicas=4, max_age=60)
    world.memory = Memory.load(KNOWS_100)
    world.run(spec("60s", most=8), 300)
    world.parts += [Partition() for _ in range(4)]
    world.weights = (1.0,) * 8
    world.run(spec("60s", most=8), 300)
    assert world.replicas == 8
    assert not any(decision.hot for _, decision in world.log)
    assert world.memory.loads.shares == ()


def test_a_ratio_of_variances_is_judged_by_how_often_chance_makes_it():
    assert not beyond_chance(1.0, 11, 77)
    assert not beyond_chance(3.0, 1, 7)  # two partitions: anything may be chance
    assert not beyond_chance(2.4, 31, 217)
    assert beyond_chance(4.0, 31, 217)
    assert beyond_chance(1e6, 1, 7)


def test_the_fullest_consumer_sets_the_pace_of_an_order():
    """Of 15 parts one consumer of six gets 4 or 5, whoever deals: 6 do no more than 300 to 375, and 450 come."""
    world = World(arrivals=lambda t: 250 if t < 600 else 450, replicas=6, weights=(3,) + (1,) * 2 + (2,) + (1,) * 8)
    world.max_age, world.memory = 60, Memory.load(KNOWS_100)
    world.run(spec("60s", most=12), 1500)
    assert world.replicas == 12
    assert world.late_share < 0.02
    assert world.log[-1][1].backlog.age < 30


def test_a_partition_beyond_one_consumer_is_named_and_gets_no_more_replicas_than_leave_it_alone():
    """120 of 340 records/s go to one partition: from six replicas on its consumer does little else."""
    world = World(arrivals=lambda t: 340, replicas=4, weights=(6,) + (1,) * 11, max_age=60)
    world.memory = Memory.load(KNOWS_100)
    decision = world.run(spec("60s", most=12), 1800)
    assert max(after for _, after in changes(world)) == 6
    assert (
        "points/0 gets 35 % of the records, 120/s: it has one consumer, and more replicas do not help"
        in decision.message
    )
    assert decision.at_risk == "PromiseBroken"  # it is, and nobody hides it
    assert max(upto.end - upto.done for upto in world.parts[1:] if upto is not world.parts[6]) < 200


def test_a_hot_partition_shows_by_its_lag_where_nobody_knows_the_capacity():
    world = World(arrivals=lambda t: 60 if t < 300 else 260, replicas=2, weights=(12,) + (1,) * 11, max_age=60)
    decision = world.run(spec("60s", most=12), 1800)
    assert world.replicas <= 6
    assert "points/0 gets 52 % of the records" in decision.message


def test_a_partition_that_cools_down_is_forgotten_once_its_backlog_is_gone():
    world = World(arrivals=lambda t: 340 if t < 400 else 150, replicas=6, weights=(6,) + (1,) * 11, max_age=60)
    world.memory = Memory.load(KNOWS_100)
    world.run(spec("60s", most=12), 400)
    assert world.memory.loads.hot == {0}
    decision = world.run(spec("60s", most=12), 900)
    assert world.memory.loads.hot == frozenset()
    assert decision.at_risk is None
    assert world.replicas <= 3


def test_zipf_keys_keep_the_promise_in_the_world_of_records():
    tide = 5 * (600 + 400 * np.sin(np.arange(1440) / 229))
    _, result, _ = day_of(tide, Regime(max_age=60, packed=True), Conditions(keys=2000, skew=0.5, join_spread=0.0))
    assert result.late_share <= 0.003
