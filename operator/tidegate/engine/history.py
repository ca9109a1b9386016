"""The recent past of one group: arrival and service as curves over time, dense near now and thin long ago.

Kept in flat arrays because an operator holds one history per policy: 12 partitions over 10 minutes take about 10 KB.
A History is a value: nothing changes one in place.
"""

from __future__ import annotations  # array is generic to type checkers only before Python 3.12

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tidegate.engine.observation import PartitionId, Reading

THIN_BELOW = 1 / 8
"""Neighbours of a row may be this share of its age apart. An age read off the curve is then at worst an eighth off
between rows (and exact where arrivals are even), and the rows grow with the logarithm of the span: about 35 for 10
minutes, 50 for a day."""
THIN_AT = 16  # rows added before the next thinning: it costs a pass over all rows
HOLE = 5.0  # readings without an answer, after which nobody can say what the peak was

NO_COMMIT = -1


class Still(NamedTuple):
    """An offset that does not move, and since when."""

    offset: int
    since: float


def _doubles() -> array[float]:
    return array("d")


def _longs() -> array[int]:
    return array("q")


class Row(NamedTuple):
    """One reading, summed up: records that arrived and were served since the history began, and what waits.

    `behind` is the distance from the head of the queue to the last record; `age` is the age of that head in seconds.
    Then, by partition, the ends and the positions, and the offsets that stand still.
    """

    ended: float
    committed: float
    arrived: float
    served: float
    behind: float
    age: float
    highs: Sequence[int]
    positions: Sequence[int]
    standing: Mapping[PartitionId, Still]
    pinned: Mapping[PartitionId, Still]


@dataclass(frozen=True, slots=True)
class History:
    """Rows of totals over time, and for each row the last offset of every partition."""

    partitions: tuple[PartitionId, ...] = ()
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    ended: array[float] = field(default_factory=_doubles)
    committed: array[float] = field(default_factory=_doubles)
    arrived: array[float] = field(default_factory=_doubles)
    served: array[float] = field(default_factory=_doubles)
    behind: array[float] = field(default_factory=_doubles)
    age: array[float] = field(default_factory=_doubles)
    highs: array[int] = field(default_factory=_longs)  # rows by partitions
    positions: array[int] = field(default_factory=_longs)  # of the last row only; NO_COMMIT where there is none
    standing: Mapping[PartitionId, Still] = field(default_factory=dict)  # commits of partitions with a backlog
    pinned: Mapping[PartitionId, Still] = field(default_factory=dict)  # last stable offsets below the high watermark
    grown: int = 0  # rows since the last thinning

    def __len__(self) -> int:
        return len(self.ended)

    @property
    def span(self) -> float:
        """Seconds from the first row to the last."""
        return self.ended[-1] - self.ended[0] if self.ended else 0.0

    def watched(self, hole: float) -> float:
        """Seconds up to the last row without a hole: a gap of more than `hole` seconds that is not one of thinning."""
        now = self.ended[-1] if self.ended else 0.0
        for row in range(len(self) - 1, 0, -1):
            gap = self.ended[row] - self.ended[row - 1]
            if gap > hole and gap > 2 * THIN_BELOW * (now - self.ended[row - 1]):
                return now - self.ended[row]
        return self.span

    def last_highs(self) -> array[int]:
        """The end of every partition in the last row."""
        return self.highs[len(self.highs) - len(self.partitions) :] if self.ended else self.highs

    def column(self, index: int) -> array[int]:
        """The end of one partition in every row."""
        return self.highs[index :: len(self.partitions)]

    def arrival(self, index: int, offset: int, ended: float, high: int) -> tuple[float | None, int]:
        """When the end of a partition passed an offset, that is when that record arrived, by interpolation.

        `ended` and `high` are the newest point of the curve, not yet a row. Returns (time, 0), or (None, records) for a
        record that arrived before the first row, with the number of records between the two.
        """
        ends = self.column(index)
        row = bisect_right(ends, offset)
        if row == 0:
            return None, (ends[0] if ends else high) - offset
        before, after = ends[row - 1], ends[row] if row < len(ends) else high
        then = self.ended[row] if row < len(ends) else ended
        share = (offset - before) / (after - before) if after > before else 1.0
        return self.ended[row - 1] + share * (then - self.ended[row - 1]), 0

    def at(self, ago: float) -> int:
        """The row nearest to `ago` seconds before the last one."""
        wanted = self.ended[-1] - ago
        row = bisect_left(self.ended, wanted)
        if row > 0 and wanted - self.ended[row - 1] < self.ended[min(row, len(self) - 1)] - wanted:
            row -= 1
        return min(row, len(self) - 1)

    def since(self, time: float) -> int:
        """The first row at or after a time (the last row where there is none)."""
        return min(bisect_left(self.ended, time), len(self) - 1)

    def add(self, row: Row, keep: float) -> History:
        """The history with one more row; rows older than `keep` seconds go, and old ones are thinned now and then."""
        grown = History(
            partitions=self.partitions,
            topic_ids=self.topic_ids,
            ended=_with(self.ended, row.ended),
            committed=_with(self.committed, row.committed),
            arrived=_with(self.arrived, row.arrived),
            served=_with(self.served, row.served),
            behind=_with(self.behind, row.behind),
            age=_with(self.age, row.age),
            highs=self.highs + array("q", row.highs),
            positions=array("q", row.positions),
            standing=row.standing,
            pinned=row.pinned,
            grown=self.grown + 1,
        )
        return grown if grown.grown < THIN_AT else grown.thinned(keep)

    def thinned(self, keep: float) -> History:
        """Without the rows that say little: those too old, and those whose neighbours stand close for their age."""
        now, times = self.ended[-1], self.ended
        kept: list[int] = []
        for row in range(len(times)):
            age = now - times[row]
            if age > keep:
                continue
            inner = kept and row + 1 < len(times)
            if not (inner and times[row + 1] - times[kept[-1]] < age * THIN_BELOW):
                kept.append(row)
        return self._select(kept)

    def _select(self, rows: Sequence[int]) -> History:
        width = len(self.partitions)
        highs = _longs()
        for row in rows:
            highs += self.highs[row * width : (row + 1) * width]
        return replace(
            self,
            ended=_pick(self.ended, rows),
            committed=_pick(self.committed, rows),
            arrived=_pick(self.arrived, rows),
            served=_pick(self.served, rows),
            behind=_pick(self.behind, rows),
            age=_pick(self.age, rows),
            highs=highs,
            grown=0,
        )

    def over(self, reading: Reading, columns: Sequence[Sequence[int]], positions: Sequence[int]) -> History:
        """The same totals over the partitions of a reading, given the past of each."""
        return replace(
            self,
            partitions=tuple(reading.partitions),
            topic_ids=reading.topic_ids,
            highs=array("q", (column[row] for row in range(len(self)) for column in columns)),
            positions=array("q", positions),
        )

    def mean_pace(self) -> float:
        """Records/s that moved through one partition on average, in or out, whichever is more; 0 where unknown."""
        if len(self) < 2 or self.span <= 0:
            return 0.0
        moved = max(self.arrived[-1] - self.arrived[0], self.served[-1] - self.served[0])
        return moved / self.span / max(1, len(self.partitions))


def _with(values: array[float], value: float) -> array[float]:
    longer = values[:]
    longer.append(value)
    return longer


def _pick(values: array[float], rows: Sequence[int]) -> array[float]:
    return array("d", [values[row] for row in rows])
