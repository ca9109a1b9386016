"""The world of records: owners, stops, commits, faults."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.engine.observation import GroupState, Reading, ReadingError
from tidegate.simulate.ages import oldest
from tidegate.simulate.assignors import NOBODY, by_range, sticky
from tidegate.simulate.conditions import Conditions, Protocol
from tidegate.simulate.fleet import EPOCH
from tidegate.simulate.outcome import outcome
from tidegate.simulate.records import RecordWorld
from tidegate.simulate.regime import Regime
from tidegate.simulate.world import play

REGIME = Regime(partitions=4, service_rate=10, max_age=60, startup=30, rebalance=10)
CALM = Conditions(commit_every=0.0, join_spread=0.0)


class Script:
    """Orders at given times."""

    name = "script"

    def __init__(self, orders=None):
        self.orders, self.views = orders or {}, []

    def decide(self, view):
        self.views.append(view)
        return self.orders.get(round(view.now - EPOCH))

    @property
    def readings(self):
        return [view.observation.reading for view in self.views]


def played(conditions, orders=None, *, per_tick=60.0, ticks=40, replicas=2, regime=REGIME, seed=0):
    script = Script(orders)
    world = RecordWorld(np.full(ticks, per_tick), regime, conditions, seed=seed, replicas=replicas)
    return script, play(world, script, ticks)


def lags(reading: Reading) -> list[int]:
    return [o.end - o.committed for o in reading.partitions.values()]


# --- who owns what ---


def test_range_gives_neighbours_to_the_same_member():
    assert by_range([NOBODY] * 7, [30, 10, 20]) == [10, 10, 10, 20, 20, 30, 30]
    assert by_range([1, 1], []) == [NOBODY, NOBODY]


@given(
    partitions=st.integers(1, 40),
    generations=st.lists(st.sets(st.integers(0, 12), min_size=1), min_size=1, max_size=6),
    assign=st.sampled_from([by_range, sticky]),
)
def test_assignments_are_even_whoever_comes_and_goes(partitions, generations, assign):
    owners = [NOBODY] * partitions
    for members in generations:
        owners = assign(owners, sorted(members))
        shares = [Counter(owners)[member] for member in members]
        assert sum(shares) == partitions
        assert max(shares) - min(shares) <= 1


@given(partitions=st.integers(1, 40), members=st.integers(1, 12))
def test_sticky_moves_no_more_than_a_newcomer_needs(partitions, members):
    before = sticky([NOBODY] * partitions, range(members))
    after = sticky(before, range(members + 1))
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) <= {members}
    assert len(moved) == partitions // (members + 1)


# --- what stops ---


@pytest.mark.parametrize(
    ("protocol", "assignor", "stopped"),
    [(Protocol.EAGER, "range", 4), (Protocol.COOPERATIVE, "sticky", 1), (Protocol.CONSUMER, "uniform", 1)],
)
def test_a_newcomer_stops_all_or_only_what_moves(protocol, assignor, stopped):
    conditions = replace(CALM, protocol=protocol, assignor=assignor)
    script, run = played(conditions, {0: 3}, per_tick=50.0)
    before, after = lags(script.readings[6]), lags(script.readings[8])  # the newcomer is there at 30 s
    assert max(before) <= 2
    assert sum(lag > 10 for lag in after) == stopped
    assert run.rebalances == 1


def test_pods_that_come_one_after_another_stop_the_group_again_and_again():
    _, together = played(CALM, {0: 4})
    _, spread = played(replace(CALM, join_spread=9.0), {0: 4})
    assert (together.rebalances, spread.rebalances) == (1, 2)
    assert oldest(spread.ages) == pytest.approx(oldest(together.ages) + 9, abs=2)


# --- who is fast, who is not there ---


def test_the_busiest_consumer_sets_the_pace():
    """3 consumers of 10 records/s for 4 even partitions: the two on one consumer get 5 each, and 6 come."""
    _, run = played(CALM, replicas=3, per_tick=5 * 24.0, ticks=400)
    assert outcome(run).late_share > 0.2
    _, enough = played(CALM, replicas=4, per_tick=5 * 24.0, ticks=400)
    assert outcome(enough).late_share == 0


def test_a_few_keys_make_partitions_uneven():
    script, _ = played(replace(CALM, keys=50, skew=1.2), per_tick=200.0, replicas=4)
    ends = [o.end for o in script.readings[-1].partitions.values()]
    assert max(ends) > 2 * min(ends)
    assert sum(ends) == pytest.approx(200 * 39, abs=4)


def test_pods_that_find_no_node_never_become_ready_and_are_paid_for():
    script, run = played(replace(CALM, schedulable=3), {0: 4})
    last = script.views[-1].observation.target
    assert (last.replicas, len(last.pods), last.ready) == (4, 4, 3)
    assert run.pod_seconds == 4 * 200


# --- how it is read ---


def test_commits_come_at_each_consumers_own_time():
    script, _ = played(replace(CALM, commit_every=15.0), per_tick=50.0, ticks=100)
    seen = [sum(lags(reading)) for reading in script.readings[10:]]
    assert 50 < np.mean(seen) < 100  # 10 records/s, and 5 to 10 s old, as 15 s are looked at every 5 s
    commits = [[o.committed for o in reading.partitions.values()] for reading in script.readings]
    assert all([*map(max, before, after)] == after for before, after in pairwise(commits))


def test_readings_fail_get_lost_and_come_late():
    script, _ = played(replace(CALM, failed=0.2, lost=0.2, jitter=2.0), ticks=300)
    errors = [reading for reading in script.readings if isinstance(reading, ReadingError)]
    whole = [
        (view.now, view.observation.reading)
        for view in script.views
        if not isinstance(view.observation.reading, ReadingError)
    ]
    stale = [now - reading.ended_at for now, reading in whole if now > reading.ended_at]
    late = {round(now - EPOCH, 3) % 5 for now, _ in whole}
    assert 30 < len(errors) < 90
    assert len(stale) > 20
    assert len(late) > 50
    assert max(late) <= 2.0


def test_the_state_says_rebalancing_while_something_stands_still():
    script, _ = played(CALM, {0: 4})
    states = [5 * k for k, reading in enumerate(script.readings) if reading.state == GroupState.REBALANCING]
    assert states == [30, 35]


# --- the whole ---


@pytest.mark.parametrize("protocol", Protocol)
def test_nothing_is_lost_and_the_seed_fixes_everything(protocol):
    wild = Conditions(keys=200, skew=0.9, protocol=protocol, startup_sd=8, pod_sd=0.2, failed=0.1, lost=0.1, jitter=1.5)
    orders = {0: 4, 100: 1, 200: 3, 300: 2}
    once, again = (played(wild, orders, ticks=120, seed=3) for _ in range(2))
    other = played(wild, orders, ticks=120, seed=4)
    assert once[0].readings == again[0].readings
    assert once[0].readings != other[0].readings
    assert once[1].ages.records.sum() == pytest.approx(60 * 120, abs=5)
    served = once[1].served
    assert all(before <= after + 1e-6 for before, after in pairwise(served))
