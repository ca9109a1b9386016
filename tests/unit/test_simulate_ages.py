"""Ages of records, first in first out."""

import numpy as np
import pytest

from tidegate.simulate.ages import age_quantile, late_records, oldest, pieces


def test_what_is_served_at_once_has_no_age():
    ages = pieces([0, 10, 20], [0, 100, 300], [0, 100, 300])
    assert oldest(ages) == pytest.approx(0)
    assert late_records(ages, 0.0) == 0


def test_a_stop_ages_exactly_those_who_came_in_it():
    # 10 records a second; nothing is served in the first 10 s, then 20 a second: all caught up at 20 s
    ages = pieces([0, 10, 20, 30], [0, 100, 200, 300], [0, 0, 200, 300])
    assert oldest(ages) == pytest.approx(10)
    assert ages.records.sum() == pytest.approx(300)
    # the age falls evenly from 10 s (the first record) to 0 s (number 200)
    assert late_records(ages, 4.0) == pytest.approx(200 * 6 / 10)
    assert age_quantile(ages, 1 - 20 / 300) == pytest.approx(9.0, abs=2e-3)


def test_a_pause_in_arrivals_makes_nobody_old():
    # all 100 are served when they come, then nothing comes for an hour
    rest = 1e-6  # what float error leaves
    ages = pieces([0, 10, 3610, 3620], [0, 100, 100, 200], [0, 100 - rest, 100 - rest, 200])
    assert late_records(ages, 5.0) == 0
    assert oldest(ages) < 1e-3


def test_who_is_never_served_is_as_old_as_the_end():
    ages = pieces([0, 10, 100], [0, 100, 100], [0, 0, 50])
    assert oldest(ages) == pytest.approx(100 - 5)  # number 50 came at 5 s and still waits
    # the served ones have ages 10 + 1.7 n; of those that wait all are over 90 s
    assert late_records(ages, 80.0) == pytest.approx(50 + 50 - 70 / 1.7)


def test_the_ages_are_those_of_single_records():
    draw = np.random.default_rng(7)
    times = np.arange(201.0)
    arrived = np.concatenate([[0], np.cumsum(draw.poisson(30, 200) * (draw.random(200) > 0.3))]).astype(float)
    served = [0.0]
    for tick in range(200):
        served.append(min(arrived[tick + 1], served[-1] + draw.integers(0, 45)))
    ages = pieces(times, arrived, served)
    numbers = np.arange(0, int(served[-1])) + 0.5
    one_by_one = np.array([crossing(times, served, n) - crossing(times, arrived, n) for n in numbers])
    for limit in (0.5, 2.0, 5.0, 11.0):
        done = late_records(pieces(times, np.minimum(arrived, served[-1]), served), limit)
        assert done == pytest.approx((one_by_one > limit).sum(), abs=3)
    assert oldest(ages) >= one_by_one.max() - 0.1


def crossing(times, curve, number):
    after = int(np.searchsorted(curve, number))
    before = after - 1
    return times[before] + (number - curve[before]) / (curve[after] - curve[before])
