"""A backtest as a whole: who plays, what is measured, what the optimum's plan does when it is played."""

from dataclasses import replace

import numpy as np
import pytest

from tidegate.api.lagpolicy import Mode
from tidegate.engine.observation import GroupState
from tidegate.simulate.backtest import COMPARABLE, backtest, optimum_fits, unavoidable
from tidegate.simulate.fluid import FluidWorld
from tidegate.simulate.optimum import optimum
from tidegate.simulate.outcome import outcome
from tidegate.simulate.planned import planned
from tidegate.simulate.regime import Regime
from tidegate.simulate.steered import policy_for

REGIME = Regime(partitions=8, service_rate=10, max_age=60, startup=30, rebalance=10, packed=True)
WAVE = np.round(150 + 140 * np.sin(np.arange(240) / 20))


def test_everyone_plays_the_same_load_and_is_measured_against_the_optimum():
    told = set()
    results = backtest(policy_for(REGIME), REGIME, WAVE, COMPARABLE, lambda name, tick: told.add(name))
    names = [result.outcome.controller for result in results]
    assert names == ["tidegate", "keda", "flink", "numaflow", "brandwatch", "static", "optimum"]
    assert told == set(names)
    best = results[-1].outcome
    assert {result.outcome.optimum_replica_hours for result in results} == {best.replica_hours}
    punctual = [result.outcome for result in results if result.outcome.late_share == 0]
    assert len(punctual) >= 2
    assert all(other.replica_hours >= best.replica_hours for other in punctual)
    assert all(result.run.ages.records.sum() == pytest.approx(WAVE.sum(), rel=1e-3) for result in results)


def test_without_the_optimum_there_is_nothing_to_compare_with():
    [result] = backtest(policy_for(REGIME), REGIME, WAVE, (), lambda name, tick: None)
    assert result.outcome.optimum_replica_hours is None


def test_a_policy_that_only_looks_on_is_played_as_if_it_acted():
    looking = policy_for(REGIME).model_copy(update={"mode": Mode.DRY_RUN})
    acting, dry = (
        backtest(spec, REGIME, WAVE, (), lambda name, tick: None)[0].run.orders
        for spec in (policy_for(REGIME), looking)
    )
    assert dry == acting != []


@pytest.mark.parametrize("rebalance", [0, 10])
def test_the_optimums_plan_keeps_the_promise_when_it_is_played(rebalance):
    regime = replace(REGIME, rebalance=rebalance)
    plan = optimum(WAVE, regime)
    run = planned(plan, WAVE, regime)
    measured = outcome(run)
    assert measured.replica_hours == pytest.approx(plan.replica_hours)
    assert measured.scale_events == plan.scale_events > 0
    assert measured.late_share == 0
    assert 0 < measured.max_age_seconds <= 60.01


def test_an_optimum_that_would_fill_the_memory_is_refused():
    assert optimum_fits(Regime(partitions=32), 7 * 17_280)
    assert not optimum_fits(Regime(partitions=1000), 7 * 17_280)


def test_consumers_in_a_replica_share_its_capacity_and_the_partitions():
    regime = Regime(partitions=12, service_rate=40, consumers=4, packed=True, most=10)
    assert regime.ceiling == 3
    assert [regime.capacity(n) for n in (1, 2, 3, 4)] == [40, 60, 120, 120]
    view = FluidWorld(np.full(10, 5.0), regime, replicas=2).view()
    assert view.observation.reading.members == 8


def test_a_group_without_replicas_is_empty():
    world = FluidWorld(np.full(20, 5.0), replace(REGIME, least=0), replicas=1)
    world.view()
    world.scale(0)
    world.advance(50.0)
    assert world.view().observation.reading.state == GroupState.EMPTY


def test_what_nobody_can_do_is_known_beforehand():
    assert unavoidable(REGIME, WAVE) == 0
    assert unavoidable(replace(REGIME, most=5), np.full(240, 300.0)) > 0.5
    assert unavoidable(replace(REGIME, most=6), np.full(240, 200.0)) == 0
