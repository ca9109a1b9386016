"""What arrived, from recorded ends of partitions: missing samples, topics made anew, exporters' slips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.simulate.counting import counted, increments

NAN = float("nan")


@pytest.mark.parametrize(
    ("ends", "counts", "falls"),
    {
        "steady": ([10, 12, 15], [2, 3], 0),
        "what came before the first sample is not known": ([NAN, 10, 15], [0, 5], 0),
        "nothing is made up after the last sample": ([10, 15, NAN, NAN], [5, 0, 0], 0),
        "a gap is spread evenly": ([10, NAN, NAN, 40], [10, 10, 10], 0),
        "a topic made anew starts from its new end": ([1000, 1010, 3, 8], [10, 0, 5], 1),
        "an exporter's slip to zero is no load": ([1000, 0, 1010, 1020], [5, 5, 10], 0),
        "records lost by a broker are no load": ([1000, 990, 995], [0, 5], 1),
        "one sample says nothing": ([NAN, 7, NAN], [0, 0], 0),
        "none says nothing": ([NAN, NAN], [0], 0),
    }.values(),
)
def test_increments_of_one_partition(ends, counts, falls):
    found, fell = increments(np.array(ends, dtype=float))
    assert (found.tolist(), fell) == (counts, falls)


@given(steps=st.lists(st.integers(0, 1000), min_size=2, max_size=30), lost=st.sets(st.integers(1, 28)))
def test_samples_may_be_missing_and_nothing_is_lost_or_made_up(steps, lost):
    ends = np.concatenate([[0.0], np.cumsum(steps)])
    ends[[place for place in lost if place < len(steps)]] = NAN
    counts, falls = increments(ends)
    assert falls == 0
    assert counts.sum() == pytest.approx(sum(steps))
    assert (counts >= 0).all()


def test_partitions_are_summed_over_the_time_that_was_recorded():
    ends = np.array([[NAN, 10, 12, 14, NAN], [NAN, NAN, 100, 110, NAN]])
    result = counted(ends)
    assert result is not None
    assert result.counts.tolist() == [2, 12]
    assert (result.falls, result.gaps) == (0, [])


def test_a_gap_is_a_time_in_which_no_partition_has_a_sample():
    holey = [0, 1, NAN, NAN, NAN, NAN, 6, 7]
    other = [0, NAN, NAN, NAN, NAN, 5, 6, 7]
    result = counted(np.array([holey, other], dtype=float))
    assert result is not None
    assert result.gaps == [3]
    late_scrape = counted(np.array([[0, NAN, 2, NAN, NAN, 5]], dtype=float))
    assert late_scrape is not None
    assert late_scrape.gaps == []


@pytest.mark.parametrize("ends", [np.empty((0, 3)), np.full((2, 3), NAN), np.array([[1.0, NAN], [NAN, 2.0]])])
def test_too_few_samples_are_no_load(ends):
    assert counted(ends) is None
