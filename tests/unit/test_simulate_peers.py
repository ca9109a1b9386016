"""Peers: worked examples of their rules, and what users of them see."""

from collections import deque
from itertools import pairwise

import numpy as np
import pytest

from tidegate.engine.observation import GroupState, Observation, Offsets, PartitionId, Pod, Reading, Target
from tidegate.simulate.fluid import FluidWorld
from tidegate.simulate.outcome import outcome
from tidegate.simulate.peers import (
    Flink,
    FlinkSettings,
    Hpa,
    Keda,
    Static,
    brandwatch,
    flink,
    hpa_behavior,
    numaflow,
    static_peak,
)
from tidegate.simulate.peers.hpa import propose
from tidegate.simulate.peers.keda import capped
from tidegate.simulate.regime import Regime
from tidegate.simulate.world import View, play


def view(now: float, lag: int, replicas: int, partitions: int = 24) -> View:
    offsets = {PartitionId("t", p): Offsets(0, 0, n := (lag + p) // partitions, n) for p in range(partitions)}
    pods = tuple(Pod(f"p{i}", 0.0, 1.0, "v1") for i in range(replicas))
    reading = Reading(offsets, {"t": "id"}, now, now, GroupState.STABLE)
    return View(now, lambda: Observation(reading, Target(replicas, pods)), 1.0)


def replicas_after(keda: Keda, lag: int, replicas: int, syncs: int, partitions: int = 24) -> int:
    for sync in range(syncs):
        replicas = keda.decide(view(15.0 * sync, lag, replicas, partitions)) or replicas
    return replicas


# --- KEDA and the HPA ---


def test_one_replica_more_than_there_are_partitions():
    """P=24, T=10, L=249: 249 // 10 = 24 is not above 24, so nothing is capped, and ceil(24.9) = 25 (#4483)."""
    assert propose(10, capped(249, 10, 24), 10) == 25
    assert propose(10, capped(250, 10, 24), 10) == 24
    assert replicas_after(Keda(10), lag=249, replicas=10, syncs=20) == 25


@pytest.mark.parametrize(("partitions", "stuck"), [(24, 22), (64, 59)])
def test_stuck_below_the_ceiling_for_ever(partitions, stuck):
    """With a capped metric the ratio is P / n, and within a tenth of 1 the HPA does nothing (#4791, #2908)."""
    assert replicas_after(Keda(10), 10**6, stuck, syncs=200, partitions=partitions) == stuck
    assert replicas_after(Keda(10), 10**6, stuck - 1, syncs=200, partitions=partitions) == partitions


def test_the_older_path_doubles_at_each_sync_and_falls_in_one_jump():
    hpa = Hpa(1, 100)
    replicas, seen = 1, []
    for sync in range(6):
        replicas = hpa.sync(15.0 * sync, replicas, 320.0, 10.0)
        seen.append(replicas)
    assert seen == [4, 8, 16, 32, 32, 32]
    quiet = {at: hpa.sync(at, replicas, 0.0, 10.0) for at in (90.0, 365.0, 380.0)}
    assert quiet == {90.0: 32, 365.0: 32, 380.0: 1}  # the last 32 was proposed at 75 s


def test_with_a_behavior_the_first_step_from_one_is_five():
    hpa = Hpa(1, 100, hpa_behavior())
    replicas, seen = 1, []
    for sync in range(5):
        replicas = hpa.sync(15.0 * sync, replicas, 1000.0, 10.0)
        seen.append(replicas)
    assert seen == [5, 10, 20, 40, 80]


def test_two_syncs_within_one_period_share_its_limit():
    hpa = Hpa(1, 100, hpa_behavior())
    assert hpa.sync(0.0, 1, 1000.0, 10.0) == 5
    assert hpa.sync(10.0, 5, 1000.0, 10.0) == 5
    assert hpa.sync(15.0, 5, 1000.0, 10.0) == 10  # events count that are strictly newer than 15 s


def test_a_shorter_down_window_is_the_users_to_set():
    hpa = Hpa(1, 100, hpa_behavior(down_window=60))
    assert hpa.sync(0.0, 8, 80.0, 10.0) == 8
    assert hpa.sync(60.0, 8, 0.0, 10.0) == 8
    assert hpa.sync(75.0, 8, 0.0, 10.0) == 1


def test_a_group_that_keeps_up_loses_its_replicas_after_five_minutes():
    """Held only while the lag is about n * T: the standing backlog that users complain about (#2401, #3155)."""
    keda, replicas = Keda(10), 8
    for sync in range(22):
        replicas = keda.decide(view(15.0 * sync, 80 if sync == 0 else 0, replicas)) or replicas
        assert replicas == (8 if sync <= 20 else 1)


def test_from_and_to_zero_is_kedas_own_loop():
    keda = Keda(10, least=0)
    assert keda.decide(view(0.0, 0, 0)) is None
    assert keda.decide(view(15.0, 5, 0)) is None  # seen at the next poll only
    assert keda.decide(view(30.0, 5, 0)) == 1
    asked = [at for at in range(45, 600, 15) if keda.decide(view(float(at), 0, 1)) == 0]
    assert asked[0] == 330  # 300 s after it was last seen active, at a poll


# --- Flink ---


def test_flinks_target_is_arrivals_backlog_and_restart():
    rates = flink.Rates(target=1000.0, read=1000.0, capacity=1400.0, backlog=90_000.0)
    assert flink.target_rate(rates, 0.7, 300.0, 1800.0) == pytest.approx(90_000 / 1800 + 1000 * 300 / 1800 + 1000 / 0.7)


@pytest.mark.parametrize(
    ("wanted", "current", "aligned"),
    [(9, 4, 11), (11, 4, 16), (16, 4, 16), (13, 4, 16), (20, 16, 32), (7, 16, 8), (17, 32, 32), (3, 4, 4)],
)
def test_flink_aligns_to_a_count_that_divides_the_partitions_or_lessens_the_share(wanted, current, aligned):
    assert flink.aligned(wanted, current, partitions=32) == aligned


def test_flink_goes_all_the_way_up_where_busy_tasks_got_nothing_done():
    """A window of nothing but a stop: the true processing rate is 0, and dividing by it, in Java, is infinity."""
    controller = Flink(FlinkSettings(window=10, stabilization=0, reconcile=5), most=24)
    orders = [controller.decide(view(5.0 * look, lag=24 * look, replicas=2)) for look in range(4)]
    assert orders == [None, None, None, 24]


def test_flink_measures_for_twenty_minutes_before_it_acts():
    regime = Regime(partitions=32)
    world = FluidWorld(np.full(600, 5 * 1500.0), regime, replicas=4)
    run = play(world, Flink(FlinkSettings(), most=32), 600)
    at, replicas = run.orders[0]
    assert 1200 <= at <= 1260  # 5 min to settle, 15 min of window, then the next minute
    assert replicas == 32


# --- Numaflow, Brandwatch, static ---


def test_numaflow_asks_what_is_pending_not_what_arrives():
    assert numaflow.desired(pending=4000, rate=100, target=20, replicas=2) == 4
    assert numaflow.desired(pending=0, rate=100, target=20, replicas=9) == 1
    assert numaflow.desired(pending=0, rate=0, target=20, replicas=9) == 0


def test_numaflow_goes_two_at_a_time_and_waits():
    world = FluidWorld(np.full(120, 5 * 2000.0), Regime(), replicas=1)
    run = play(world, numaflow.Numaflow(least=1), 120)
    assert [n for _, n in run.orders[:3]] == [3, 5, 7]
    assert all(after - before >= 90 for (before, _), (after, _) in pairwise(run.orders))


def test_brandwatch_takes_the_next_divisor_one_step_at_a_time():
    assert brandwatch.fitted(current=4, ideal=5.0, partitions=12, increments=1) == 6
    assert brandwatch.fitted(current=4, ideal=11.0, partitions=12, increments=1) == 6
    assert brandwatch.fitted(current=4, ideal=1.0, partitions=12, increments=1) == 3
    assert brandwatch.fitted(current=4, ideal=11.0, partitions=12, increments=2) == 12


def test_brandwatchs_percentile_is_that_of_commons_math():
    assert brandwatch.percentile(deque([1.0, 2.0, 3.0]), 0.99) == 3.0
    assert brandwatch.percentile(deque(float(n) for n in range(1, 101)), 0.5) == 50.5


def test_the_static_peak_is_the_fewest_that_keep_the_promise():
    regime = Regime(partitions=8, service_rate=10, max_age=30)
    arrivals = np.repeat([100.0, 300.0, 100.0], [40, 12, 40])  # 20, 60 and 20 records a second, the peak for a minute
    least = static_peak(arrivals, regime)
    late = {n: outcome_of(arrivals, regime, n) for n in (least - 1, least)}
    assert late[least] == 0
    assert late[least - 1] > 0


def outcome_of(arrivals, regime, replicas):
    return outcome(play(FluidWorld(arrivals, regime, replicas=replicas), Static(replicas), len(arrivals))).late_share
