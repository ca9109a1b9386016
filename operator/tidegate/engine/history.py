"""The recent past of one group: arrival and service as curves over time, dense near now and thin long ago.

Kept in flat arrays because an operator holds one history per policy: 12 partitions over 10 minutes take about 10 KB.
A History is a value: nothing changes one in place.
"""

from __future__ import annotations  # array is generic to type checkers only before Python 3.12

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from math import inf
from operator import sub
from typing import NamedTuple

from tidegate.engine.observation import PartitionId, Reading

THIN_BELOW = 1 / 8
"""Neighbours of a row may be this share of its age apart. An age read off the curve is then at worst an eighth off
between rows (and exact where arrivals are even), and the rows grow with the logarithm of the span: about 35 for 10
minutes, 50 for a day."""
THIN_AT = 16  # rows added before the next thinning: it costs a pass over all rows
HOLE = 5.0  # readings without an answer, after which nobody can say what the peak was

CAUGHT_UP = 2.0  # readings: what is no older has come just now

NO_COMMIT = -1
MOVING = inf
"""Since when a commit stands still that moves, or has nothing before it."""


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
    Then, by partition, the ends, the positions, and since when those stand still with a backlog; and the last stable
    offsets that hold records back.
    """

    ended: float
    committed: float
    arrived: float
    served: float
    behind: float
    age: float
    highs: Sequence[int]
    positions: Sequence[int]
    standing: Sequence[float]
    pinned: Mapping[PartitionId, Still]


@dataclass(frozen=True, slots=True)
class History:
    """Rows of totals over time, and for each row the end of every partition."""

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
    standing: array[float] = field(default_factory=_doubles)  # since when those stand still; MOVING where they do not
    pinned: Mapping[PartitionId, Still] = field(default_factory=dict)  # last stable offsets below the high watermark
    grown: int = 0  # rows since the last thinning
    told: int = 0  # the first rows, which the broker told: only of their arrivals is anything known
    whole: float = 0.0  # when the newest of its partitions was first seen; 0: with the first row

    def __len__(self) -> int:
        return len(self.ended)

    @property
    def span(self) -> float:
        """Seconds from the first row to the last."""
        return self.ended[-1] - self.ended[0] if self.ended else 0.0

    @property
    def alike(self) -> float:
        """Seconds in which all its partitions could be written to: before, the older ones got what is theirs now."""
        return min(self.span, self.ended[-1] - self.whole) if self.ended else 0.0

    @property
    def looks(self) -> int:
        """Rows that were seen, not told."""
        return len(self) - self.told

    @property
    def looked(self) -> float:
        """Seconds from the first row that was seen to the last."""
        return self.ended[-1] - self.ended[self.told] if self.looks else 0.0

    def watched(self, hole: float) -> float:
        """Seconds of looking without a hole: a gap of more than `hole` seconds that is not one of thinning."""
        now = self.ended[-1] if self.ended else 0.0
        for row in range(len(self) - 1, self.told, -1):
            gap = self.ended[row] - self.ended[row - 1]
            if gap > hole and gap > 2 * THIN_BELOW * (now - self.ended[row - 1]):
                return now - self.ended[row]
        return self.looked

    def known(self, hole: float) -> float:
        """Seconds of arrivals without a hole: those watched, and those told of the time before."""
        watched = self.watched(hole)
        return self.span if watched == self.looked else watched

    def ends(self, row: int) -> array[int]:
        """The end of every partition in a row."""
        width = len(self.partitions)
        return self.highs[row * width : (row + 1) * width]

    def last_highs(self) -> array[int]:
        """The end of every partition in the last row."""
        return self.ends(len(self) - 1)

    def flow(self, over: float) -> Sequence[int]:
        """What arrived in each partition in about the last `over` seconds."""
        return list(map(sub, self.last_highs(), self.ends(self.at(over))))

    def column(self, place: int) -> array[int]:
        """The end of one partition in every row."""
        return self.highs[place :: len(self.partitions)]

    def oldest(self, places: Sequence[int], offsets: Sequence[int]) -> tuple[int, Sequence[int]]:
        """The first row by which a record at one of these offsets had arrived, and the places where it had.

        The number of rows where none had. Looks further and further back from now until none had, then bisects in
        between; for all places at once, and on with those that may be it.
        """
        low, high, back = 0, len(self), 1
        while low < high:
            row = (low + high) // 2 if low else max(0, high - back)
            ends = self.ends(row)
            if earlier := [place for place in places if ends[place] > offsets[place]]:
                places, high, back = earlier, row, 2 * back
            else:
                low = row + 1
        return low, places

    def at(self, ago: float) -> int:
        """The row nearest to `ago` seconds (0 or more) before the last one."""
        times = self.ended
        wanted = times[-1] - ago
        row = bisect_left(times, wanted)
        return row - 1 if row and wanted - times[row - 1] < times[row] - wanted else row

    def overhangs(self, tick: float) -> bool:
        """Whether what waits may still do so in the partitions there were before others came: only their consumers can
        work on it. Until it was gone once, or for as long as the history reaches.
        """
        if not self.ended or self.whole < self.ended[0]:
            return False
        return min(self.age[self.since(self.whole) :]) > CAUGHT_UP * tick

    def arrived_by(self, time: float) -> float:
        """Records that had arrived by a time, by interpolation; at the first row for one before it."""
        row = bisect_left(self.ended, time)
        if row == 0 or row == len(self):
            return self.arrived[max(0, min(row, len(self) - 1))]
        before, after = self.ended[row - 1], self.ended[row]
        return self.arrived[row - 1] + (time - before) / (after - before) * (self.arrived[row] - self.arrived[row - 1])

    def since(self, time: float) -> int:
        """The first row seen at or after a time (the last row where there is none)."""
        return min(max(bisect_left(self.ended, time), self.told), len(self.ended) - 1)

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
            standing=array("d", row.standing),
            pinned=row.pinned,
            grown=self.grown + 1,
            told=self.told,
            whole=self.whole,
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
        highs = _longs()
        for row in rows:
            highs += self.ends(row)
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
            told=bisect_left(rows, self.told),
        )

    def over(self, reading: Reading, columns: Sequence[Sequence[int]], places: Sequence[int | None]) -> History:
        """The same totals over the partitions of a reading, given the past of each and the place that it had so far."""
        return replace(
            self,
            partitions=tuple(reading.partitions),
            topic_ids=reading.topic_ids,
            highs=array("q", chain.from_iterable(zip(*columns, strict=True))),
            positions=array("q", [NO_COMMIT if place is None else self.positions[place] for place in places]),
            standing=array("d", [MOVING if place is None else self.standing[place] for place in places]),
            whole=self.ended[-1] if self.ended and None in places else self.whole,
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
