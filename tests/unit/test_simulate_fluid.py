"""The fluid world, second by second, by hand."""

from itertools import pairwise

import numpy as np
import pytest

from tidegate.engine.observation import GroupState, Reading
from tidegate.simulate.fleet import EPOCH
from tidegate.simulate.fluid import FluidWorld
from tidegate.simulate.outcome import outcome
from tidegate.simulate.regime import Regime
from tidegate.simulate.world import play

REGIME = Regime(partitions=4, service_rate=10, max_age=60, startup=30, rebalance=10)


class Script:
    """Orders at given times."""

    name = "script"

    def __init__(self, orders):
        self.orders, self.views = orders, []

    def decide(self, view):
        self.views.append(view)
        return self.orders.get(view.now - EPOCH)


def reading(view) -> Reading:
    assert isinstance(view.observation.reading, Reading)
    return view.observation.reading


def lag(view) -> int:
    return sum(o.end - (o.committed or 0) for o in reading(view).partitions.values())


def test_an_order_serves_after_its_start_up_and_the_stop_of_its_joining():
    world = FluidWorld(np.full(40, 75.0), REGIME, replicas=1)  # 15 records a second, 10 can be served
    script = Script({0.0: 2})
    run = play(world, script, 40)
    at = {round(view.now - EPOCH): view for view in script.views}
    assert lag(at[30]) == 5 * 30  # the old one goes on alone until the new one is there
    assert at[25].observation.target.ready == 1
    assert at[30].observation.target.ready == 2
    assert at[25].observation.target.replicas == 2
    assert reading(at[25]).state == GroupState.STABLE
    assert reading(at[30]).state == GroupState.REBALANCING
    assert lag(at[40]) == 150 + 15 * 10  # nobody serves in the stop
    assert reading(at[40]).state == GroupState.STABLE
    assert lag(at[60]) == 300 - 5 * 20  # 20 can be served now
    assert lag(at[110]) == 0
    assert run.pod_seconds == 2 * 200  # paid from creation
    assert (len(run.orders), run.rebalances) == (1, 1)
    result = outcome(run)
    assert result.max_age_seconds == pytest.approx(20, abs=1)  # at 40 s number 300 is served, which came at 20 s
    assert result.late_share == 0


def test_fewer_stop_at_once_and_cost_less_at_once():
    world = FluidWorld(np.full(10, 50.0), REGIME, replicas=3)
    script = Script({20.0: 1})
    run = play(world, script, 10)
    assert run.pod_seconds == 3 * 20 + 1 * 30
    assert [lag(view) for view in script.views] == [0, 0, 0, 0, 0, 50, 100, 100, 100, 100]


def test_a_second_joining_within_a_stop_only_makes_it_longer():
    world = FluidWorld(np.full(20, 50.0), REGIME, replicas=1)
    script = Script({0.0: 2, 5.0: 3})
    run = play(world, script, 20)
    states = [reading(view).state for view in script.views]
    assert [5 * k for k, state in enumerate(states) if state == GroupState.REBALANCING] == [30, 35, 40]
    assert run.rebalances == 2


def test_pods_that_are_not_ready_leave_first_and_stop_nobody():
    world = FluidWorld(np.full(20, 50.0), REGIME, replicas=2)
    script = Script({0.0: 4, 10.0: 2})
    run = play(world, script, 20)
    assert run.rebalances == 0
    assert run.pod_seconds == 2 * 100 + 2 * 10


def test_commits_that_come_now_and_then_are_behind_by_half_their_interval():
    world = FluidWorld(np.full(100, 50.0), REGIME, replicas=2, commit_every=10.0)
    script = Script({})
    play(world, script, 100)
    seen = [lag(view) for view in script.views[20:]]
    assert np.mean(seen) == pytest.approx(10 * 10 / 2, rel=0.1)
    committed = [[o.committed for o in reading(view).partitions.values()] for view in script.views]
    assert all([*map(max, before, after)] == after for before, after in pairwise(committed))


def test_capacity_can_drift():
    world = FluidWorld(np.full(20, 50.0), REGIME, replicas=1, drift=lambda t: 0.5 if t >= 50 else 1.0)
    script = Script({})
    play(world, script, 20)
    assert lag(script.views[10]) == 0
    assert lag(script.views[14]) == 5 * 20


def test_whole_partitions_make_the_busiest_consumer_set_the_pace():
    packed = Regime(partitions=32, service_rate=100, packed=True)
    assert [packed.capacity(n) for n in (1, 15, 16, 17, 31, 32, 40)] == [100, 3200 / 3, 1600, 1600, 1600, 3200, 3200]
