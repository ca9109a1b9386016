"""A warm start: the arrivals that the broker remembers become the first rows of a history.

Nothing else of those rows is known (brokers keep no old commits), so nobody learns capacity, pauses or service from
them: `History.since` begins at the first row that was seen.
"""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from math import inf

from tidegate.engine.history import MOVING, NO_COMMIT, History
from tidegate.engine.observation import Past, Reading


def warmed(history: History, reading: Reading) -> History:
    """The history with the reading's past before its first row; as it is where that is not of all its partitions."""
    past, partitions = reading.past, tuple(reading.partitions)
    if past is None or history.told or not past.ends.keys() >= reading.partitions.keys():
        return history
    if not len(history):
        ends = [max(offsets.high, offsets.end) for offsets in reading.partitions.values()]
        return _preceded(_empty(reading), past, reading.ended_at, ends)
    if history.partitions != partitions:
        return history
    return _preceded(history, past, history.ended[0], history.ends(0))


def _empty(reading: Reading) -> History:
    """A history of the partitions of a reading, before the first look at them."""
    return History(
        partitions=tuple(reading.partitions),
        topic_ids=reading.topic_ids,
        positions=array("q", [NO_COMMIT]) * len(reading.partitions),
        standing=array("d", [MOVING]) * len(reading.partitions),
    )


def _preceded(history: History, past: Past, first: float, ends: Sequence[int]) -> History:
    """With rows of the past before the time `first`, at which the partitions ended at `ends`."""
    times = array("d", [time for time in past.times if time < first])
    columns = [past.ends[partition][: len(times)] for partition in history.partitions]
    highs = [min(told, end) for row in zip(*columns, strict=True) for told, end in zip(row, ends, strict=True)]
    arrived, served = (history.arrived[0], history.served[0]) if len(history) else (0.0, 0.0)
    width, before = len(ends), arrived - sum(ends)
    totals = [before + sum(highs[row * width : (row + 1) * width]) for row in range(len(times))]
    return replace(
        history,
        ended=times + history.ended,
        committed=times + history.committed,
        arrived=array("d", totals) + history.arrived,
        served=array("d", [served]) * len(times) + history.served,
        behind=array("d", [0.0]) * len(times) + history.behind,
        age=array("d", [inf]) * len(times) + history.age,
        highs=array("q", highs) + history.highs,
        told=len(times),
    )
