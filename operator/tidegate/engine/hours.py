"""What arrived over the last hours, as rates: whether a need is persistent.

A History cannot tell: it grows thin with age and ends a little beyond the promise. Here every half minute of four hours
counts the same: 480 numbers of four bytes, one more each half minute.
"""

from __future__ import annotations  # array is generic to type checkers only before Python 3.12

from array import array
from itertools import dropwhile, pairwise
from math import ceil
from operator import not_
from typing import NamedTuple

from tidegate.engine.history import History

EVERY = 30.0
"""Seconds to a rate: six readings of 5 s, so that noise between readings does not pass for a rate that was reached."""
KEPT = 480  # four hours
AT_LEAST = 2  # rates, a minute: less is a burst, however young the topic is


class Hours(NamedTuple):
    """Arrival rates (records/s) of each half minute up to `at`, the newest last; `total` had arrived by then."""

    rates: array[float] = array("f")
    at: float = 0.0
    total: float = 0.0

    @property
    def seconds(self) -> float:
        """The time that is known."""
        return len(self.rates) * EVERY

    def after(self, before: History, history: History) -> Hours:
        """With what a history shows that grew from `before`; from its beginning where it is new, or was told a past."""
        if not self.at or history.told > before.told:
            return _of(history)
        count = int((history.ended[-1] - self.at) // EVERY)
        if count < 1:
            return self
        at = self.at + count * EVERY
        total = history.arrived_by(at)
        rate = max(0.0, total - self.total) / (at - self.at)
        return Hours((self.rates + array("f", [rate]) * min(count, KEPT))[-KEPT:], at, total)

    def reached(self, share: float) -> float:
        """The rate that was reached or exceeded in a share of the time, but at least in a minute; 0 where unknown."""
        place = self.often(share)
        return sorted(self.rates)[-place] if len(self.rates) >= place else 0.0

    def often(self, share: float) -> int:
        """How many half minutes that is."""
        return max(AT_LEAST, ceil(share * len(self.rates)))


def _of(history: History) -> Hours:
    """From the first record on that the log still tells of: before it there may have been none, or no topic, or they
    were deleted.
    """
    now = history.ended[-1]
    count = min(KEPT, int(history.span // EVERY))
    totals = [history.arrived_by(now - EVERY * ago) for ago in range(count, -1, -1)]
    rates = [max(0.0, later - earlier) / EVERY for earlier, later in pairwise(totals)]
    return Hours(array("f", dropwhile(not_, rates)), now, totals[-1])
