"""From the recorded ends of partitions to what arrived: samples may be missing, offsets may fall."""

from itertools import groupby
from typing import NamedTuple

import numpy as np

from tidegate.simulate.trace import Curve

SHORTEST_GAP = 3
"""Steps without any sample that are worth a word; one or two are a scrape that came late."""


class Counted(NamedTuple):
    """Records that arrived in each step, how often an end fell, and the lengths (steps) of times without any sample."""

    counts: Curve
    falls: int
    gaps: list[int]


def counted(ends: Curve) -> Counted | None:
    """Count what arrived, all partitions together, between the first and the last sample.

    `ends` has a row for each partition and a column for each moment; not a number where there is no sample. None where
    no partition has two samples.
    """
    seen = np.isfinite(ends)
    if not len(ends) or seen.sum(axis=1).max() < 2:
        return None
    moments = np.flatnonzero(seen.any(axis=0))
    covered = slice(int(moments[0]), int(moments[-1]) + 1)
    each = [increments(row) for row in ends[:, covered]]
    quiet: list[bool] = np.logical_not(np.any(seen[:, covered], axis=0)).tolist()
    silent = (len(list(run)) for silence, run in groupby(quiet) if silence)
    return Counted(
        np.sum([counts for counts, _ in each], axis=0),
        sum(falls for _, falls in each),
        [length for length in silent if length >= SHORTEST_GAP],
    )


def increments(ends: Curve) -> tuple[Curve, int]:
    """What arrived in one partition between each moment and the next, and how often its end fell.

    What arrived while samples were missing is spread evenly. A fall counts as nothing, as nobody saw what came before
    and after it; a single low sample between two higher ones is an exporter's slip and counts as missing.
    """
    counts = np.zeros(len(ends) - 1)
    known = np.flatnonzero(np.isfinite(ends))
    values = ends[known]
    slips = np.zeros(len(values), dtype=bool)
    slips[1:-1] = (values[1:-1] < values[:-2]) & (values[2:] >= values[:-2])
    known, values = known[~slips], values[~slips]
    if len(known) < 2:
        return counts, 0
    rise, lengths = np.diff(values), np.diff(known)
    counts[known[0] : known[-1]] = np.repeat(np.maximum(rise, 0) / lengths, lengths)
    return counts, int((rise < 0).sum())
