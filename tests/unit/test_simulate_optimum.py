"""The clairvoyant optimum against every plan there is."""

from itertools import pairwise, product
from math import inf

import numpy as np
import pytest

from tidegate.simulate.ages import NEGLIGIBLE
from tidegate.simulate.optimum import HOUR, optimum
from tidegate.simulate.peers import static_peak
from tidegate.simulate.regime import Regime


def cheapest_of_all(arrivals, regime):
    """Every sequence of replicas, tick by tick; a change costs its stop and its start-ups."""
    ticks, tick = len(arrivals), regime.tick
    stop, start = int(regime.rebalance / tick), int(regime.startup / tick)
    total = np.concatenate([[0.0], np.cumsum(arrivals)])
    due = np.interp(np.arange(ticks + 1) - regime.max_age / tick, np.arange(ticks + 1), total)
    full = queue_curve([regime.ceiling] * ticks, arrivals, regime, 0)
    longest = np.maximum(total - due, full) + NEGLIGIBLE
    best = inf
    for plan in product(range(regime.least, regime.ceiling + 1), repeat=ticks):
        queue = queue_curve(plan, arrivals, regime, stop)
        if queue is None or np.any(queue > longest):
            continue
        cost = sum(plan) + start * sum(max(0, after - before) for before, after in pairwise(plan))
        best = min(best, cost)
    return best * tick / HOUR


def queue_curve(plan, arrivals, regime, stop):
    """The queue after each tick; None where a change falls into a stop, or a stop is cut off by the end."""
    queue, stopped, curve = 0.0, 0, [0.0]
    for place, come in enumerate(arrivals):
        if place and plan[place] != plan[place - 1]:
            if stopped:
                return None
            stopped = stop
        able = 0.0 if stopped else regime.capacity(plan[place]) * regime.tick
        stopped = max(0, stopped - 1)
        queue = max(0.0, queue + come - able)
        curve.append(queue)
    return None if stopped else np.array(curve)


REGIMES = {
    "a stop of one tick": Regime(partitions=3, max_age=15, startup=5, rebalance=5, least=1),
    "a stop of two ticks": Regime(partitions=3, max_age=20, startup=10, rebalance=10, least=1),
    "no stop": Regime(partitions=3, max_age=10, startup=5, rebalance=0, least=1),
    "whole partitions": Regime(partitions=4, most=3, max_age=20, startup=5, rebalance=5, packed=True),
    "never fewer than two": Regime(partitions=3, max_age=15, startup=5, rebalance=5, least=2),
}


@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES.keys())
@pytest.mark.parametrize("seed", range(6))
def test_no_plan_is_cheaper(regime, seed):
    draw = np.random.default_rng(seed)
    arrivals = draw.choice([0, 200, 450, 900, 1400], size=8).astype(float)
    found = optimum(arrivals, regime)
    assert found.replica_hours == pytest.approx(cheapest_of_all(arrivals, regime))


@pytest.mark.parametrize("rebalance", [0.0, 10.0])
def test_its_plan_costs_what_it_says_and_keeps_the_promise(rebalance):
    draw = np.random.default_rng(3)
    regime = Regime(partitions=8, rebalance=rebalance)
    arrivals = draw.poisson(np.repeat(draw.integers(200, 3500, 20), 30)).astype(float)
    found = optimum(arrivals, regime)
    ups = np.maximum(np.diff(found.replicas), 0).sum() * regime.startup
    assert found.replica_hours == pytest.approx((sum(found.replicas) * regime.tick + ups) / HOUR)
    assert found.scale_events > 3
    queue = queue_curve(found.replicas, arrivals, regime, int(rebalance / regime.tick))
    total = np.concatenate([[0.0], np.cumsum(arrivals)])
    due = np.interp(np.arange(601) - 12, np.arange(601), total)
    assert np.all(total - queue >= due - 2 * NEGLIGIBLE)
    assert found.replica_hours < static_peak(arrivals, regime) * 600 * regime.tick / HOUR


def test_where_every_change_would_be_late_it_stands_still():
    regime = Regime(partitions=8, max_age=15, rebalance=30)
    arrivals = np.repeat([500.0, 3000.0, 500.0], 50)
    found = optimum(arrivals, regime)
    assert set(found.replicas) == {static_peak(arrivals, regime)}
