"""The ladder's benchmark: what a surge is, what the bars are, and that its cases are what they say."""

from dataclasses import replace

import numpy as np
import pytest

from bench.ladder import Row
from bench.ladder_cases import CASES, SAVES, surges
from tidegate.simulate.regime import Regime
from tidegate.simulate.trace import DAY, Trace

REGIME = Regime(partitions=4, service_rate=10, tick=5.0, packed=True)
"""All four replicas do 200 records in a tick."""


def load(*parts: tuple[int, float]) -> np.ndarray:
    """Minutes and records per tick, one after the other."""
    return np.concatenate([np.full(12 * minutes, per_tick) for minutes, per_tick in parts])


# --- surges ---


def test_a_surge_lasts_until_all_replicas_would_have_caught_up():
    """For 5 minutes 100 too many a tick; then 50 a tick are caught up, which takes twice as long."""
    [surge] = surges(load((20, 100), (5, 300), (60, 150)), REGIME)
    assert surge.start == pytest.approx(20 * 60, abs=60)
    assert surge.end == pytest.approx(20 * 60 + 5 * 60 + 10 * 60, abs=60)


def test_what_comes_before_the_first_is_caught_up_belongs_to_it():
    once = surges(load((20, 100), (5, 300), (4, 150), (5, 300), (90, 150)), REGIME)
    assert len(once) == 1


def test_surges_far_apart_are_two_and_close_ones_are_one():
    apart, close = (load((20, 100), (5, 300), (6 + quiet, 100), (5, 300), (60, 100)) for quiet in (15, 5))
    assert len(surges(apart, REGIME)) == 2
    assert len(surges(close, REGIME)) == 1


def test_a_burst_that_its_minute_levels_out_is_none_and_neither_is_a_full_house():
    burst = load((60, 100))
    burst[300] = 800
    assert surges(burst, REGIME) == []
    assert surges(load((60, 200)), REGIME) == []


# --- the cases ---


@pytest.mark.parametrize("case", [case for case in CASES if case.cap], ids=lambda case: case.name)
def test_all_replicas_do_so_much_of_the_busiest_minute(case):
    rising = Trace("rising", 1.0, np.repeat(np.linspace(1.0, 7.0, 60), 60))
    arrivals = case.arrivals(rising)
    busiest = np.convolve(arrivals, np.ones(12), "valid").max() / 60
    assert case.regime.capacity(case.regime.ceiling) == pytest.approx(case.cap * busiest)
    assert case.policy(ladder=True).replicas.max == case.regime.ceiling
    assert len(case.policy(ladder=True).degradation.levels) == len(SAVES)
    assert case.policy(ladder=False).degradation is None
    assert case.surges(arrivals)


def test_the_free_case_plays_a_week_and_its_replicas_carry_any_minute():
    [case] = [case for case in CASES if case.cap is None]
    arrivals = case.arrivals(Trace("month", 1800.0, np.tile([1.0, 9.0], 24 * 30)))
    assert len(arrivals) * case.regime.tick == 7 * DAY
    assert case.regime.capacity(case.regime.ceiling) > 2.3 * np.convolve(arrivals, np.ones(12), "valid").max() / 60
    assert case.surges(arrivals) == []


# --- the bars ---

ROW = Row("trace", "capped", 0.8, 0.01, 0.03, 8, 2, 0.02, 10.0, 10.0, 1.0)


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, []),
        ({"late_share_with": 0.015}, ["not below half as late"]),
        ({"late_share_with": 0.0, "late_share_without": 0.0}, []),
        ({"late_share_with": 0.001, "late_share_without": 0.0}, ["not below half as late"]),
        ({"transitions": 9}, ["more than 4 transitions a surge"]),
        ({"cap": None, "transitions": 0, "late_share_with": 0.03}, []),
        ({"cap": None, "transitions": 1}, ["1 transitions, 0 allowed"]),
    ],
)
def test_the_bars(change, missed):
    assert list(replace(ROW, **change).missed()) == missed
