"""How old records were when they were processed, first in first out, exactly.

Arrivals and service are curves: records so far over time, straight between the points. The age of record number x is
the time service passes x less the time arrivals passed it; between the points of both it is a straight line in x.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.simulate.trace import Curve

NEGLIGIBLE = 1e-2
"""Records. Float error in a day's sum is about 1e-8; what it leaves behind would look very late when arrivals pause."""


Points = Sequence[float] | Curve


class Pieces(NamedTuple):
    """Runs of records, each with its size and the age of its first and last record (seconds)."""

    records: Curve
    first: Curve
    last: Curve

    @classmethod
    def none(cls) -> "Pieces":
        """No records."""
        return cls(np.zeros(0), np.zeros(0), np.zeros(0))

    @classmethod
    def joined(cls, parts: Sequence["Pieces"]) -> "Pieces":
        """The records of several queues together."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True))) if parts else cls.none()


def pieces(times: Points, arrived: Points, served: Points) -> Pieces:
    """Cut one queue's records into runs whose age is linear. Records still waiting count with their age at the end."""
    t, a, c = (np.asarray(values, dtype=np.float64) for values in (times, arrived, served))
    marks = np.unique(np.concatenate([a, c]))
    marks = marks[(marks >= a[0]) & (marks <= a[-1])]
    low, high = marks[:-1], marks[1:]
    wide = high - low > NEGLIGIBLE
    low, high = low[wide], high[wide]
    if not len(low):
        return Pieces.none()
    middle = (low + high) / 2
    come_low, come_high = _when(t, a, middle, low, high)
    gone_low, gone_high = _when(t, c, middle, low, high)
    return Pieces(high - low, np.maximum(gone_low - come_low, 0), np.maximum(gone_high - come_high, 0))


def _when(t: Curve, curve: Curve, middle: Curve, low: Curve, high: Curve) -> tuple[Curve, Curve]:
    """When a curve passes the ends of each run; the run's middle says which straight part it lies on."""
    after: NDArray[np.int64] = np.searchsorted(curve, middle, side="left")
    never = after >= len(curve)
    after = np.clip(after, 1, len(curve) - 1)
    before = after - 1
    rise = np.maximum(curve[after] - curve[before], 1e-12)
    pace = (t[after] - t[before]) / rise
    start = np.where(never, t[-1], t[before] + (low - curve[before]) * pace)
    end = np.where(never, t[-1], t[before] + (high - curve[before]) * pace)
    return start, end


def late_records(ages: Pieces, limit: float) -> float:
    """Records that were older than `limit` seconds when they were processed (or are still waiting and older)."""
    young, old = np.minimum(ages.first, ages.last), np.maximum(ages.first, ages.last)
    part = np.clip((old - limit) / np.maximum(old - young, 1e-9), 0, 1)
    return float(np.sum(ages.records * np.where(old <= limit + 1e-6, 0, part)))


def age_quantile(ages: Pieces, quantile: float) -> float:
    """The age (seconds) that this share of records did not exceed; 0 where there are none."""
    total = float(ages.records.sum())
    if total <= 0:
        return 0.0
    low, high = 0.0, oldest(ages)
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if late_records(ages, middle) > (1 - quantile) * total else (low, middle)
    return high


def oldest(ages: Pieces) -> float:
    """The greatest age (seconds); 0 where there are no records."""
    return float(max(ages.first.max(), ages.last.max())) if len(ages.records) else 0.0
