"""Traces: what is read, how it is scaled, how bins are filled."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tidegate.simulate.trace import Trace, TraceError, find, load


def written(folder: Path, text: str, name: str = "load.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["load.csv", "load.csv.gz"])
def test_a_missing_step_had_no_arrivals(tmp_path, name):
    trace = load(written(tmp_path, "timestamp_s,count,gap_flag\n0,3,0\n1,4,0\n3,5,1\n", name))
    assert (trace.name, trace.step, trace.counts.tolist()) == ("load", 1.0, [3, 4, 0, 5])


@pytest.mark.parametrize(
    ("text", "complaint"),
    {
        "a word for a number": ("timestamp_s,count\n0,1\n1,many\n", "line 3: '1,many'; expected timestamp_s,count"),
        "a negative count": ("0,1\n1,-4\n", "line 2"),
        "one column": ("timestamp_s,count\n0\n1\n", "line 2"),
        "not a number at all": ("0,1\n1,nan\n", "line 2"),
        "only a header": ("timestamp_s,count\n", "0 rows of data; at least 2"),
        "time runs backwards": ("0,1\n1,1\n2,1\n1,1\n", "sort the rows"),
        "time stands still": ("0,1\n0,1\n0,1\n", "timestamps do not rise"),
    }.values(),
)
def test_a_bad_trace_is_refused_in_words(tmp_path, text, complaint):
    with pytest.raises(TraceError, match=complaint):
        load(written(tmp_path, text))


def test_a_trace_that_is_not_there_says_where_one_looked(tmp_path, monkeypatch):
    monkeypatch.delenv("TIDEGATE_TRACES", raising=False)
    with pytest.raises(TraceError, match="TIDEGATE_TRACES is not set"):
        find("twitter")
    monkeypatch.setenv("TIDEGATE_TRACES", str(tmp_path))
    with pytest.raises(TraceError, match="0 files that begin with it"):
        find("twitter")
    path = written(tmp_path, "0,1\n1,1\n", "twitter_2021.csv.gz")
    assert find("twitter") == path


def test_the_busy_minute_gets_the_rate_asked_for():
    trace = Trace("t", 1.0, np.arange(7200.0)).at_busy_minute(50.0)
    assert trace.busy_minute() == pytest.approx(50.0)


def test_fine_bins_are_summed_and_keep_their_noise():
    trace = Trace("t", 1.0, np.array([1.0, 2, 3, 4, 5, 60, 7, 8, 9, 10]))
    assert trace.arrivals(5.0, seed=1).tolist() == [15, 94]


def test_coarse_bins_are_filled_by_a_process_that_the_seed_fixes():
    trace = Trace("t", 60.0, np.array([6000.0, 0.0, 12000.0]))
    once, again, other = trace.arrivals(5.0, 1), trace.arrivals(5.0, 1), trace.arrivals(5.0, 2)
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert once[12:24].sum() == 0
    assert once[:12].mean() == pytest.approx(500, rel=0.1)
    assert once[24:].mean() == pytest.approx(1000, rel=0.1)
