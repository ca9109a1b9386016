"""The load of the demo: a flash crowd that really happened, 15 times faster.

`flash_crowd.csv` has the mentions of Apple on Twitter in each five minutes of an evening (its first lines name origin
and terms): about 2,000 at 22:47, 9,000 at 23:02, 12,000 at 23:22. A minute of it is four seconds of the demo.
"""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

FLASH_CROWD = Path(__file__).parent / "flash_crowd.csv"
BETWEEN_ROWS = 20
"""Seconds of the demo from one row to the next."""
SMOOTHING = 5
"""Seconds over which a rate is taken for the peak, and for both ends."""


@dataclass(frozen=True)
class Trace:
    """Rates in records/s, one for each second."""

    rates: tuple[float, ...]

    @property
    def seconds(self) -> int:
        """How long it is."""
        return len(self.rates)

    @property
    def peak(self) -> float:
        """The largest mean rate over `SMOOTHING` seconds."""
        windows = range(max(1, len(self.rates) - SMOOTHING + 1))
        return max(sum(self.rates[at : at + SMOOTHING]) / len(self.rates[at : at + SMOOTHING]) for at in windows)

    def scaled(self, peak: float) -> "Trace":
        """The same shape with another peak (records/s)."""
        factor = peak / self.peak
        return Trace(tuple(rate * factor for rate in self.rates))

    def surrounded(self, before: int, after: int) -> "Trace":
        """With that many seconds more at both ends, at the mean rate of the first and the last `SMOOTHING` seconds."""
        first, last = self.rates[:SMOOTHING], self.rates[-SMOOTHING:]
        head, tail = sum(first) / len(first), sum(last) / len(last)
        return Trace((head,) * before + self.rates + (tail,) * after)

    def arrivals(self, seed: int) -> Iterator[float]:
        """Seconds since the start at which single records arrive: Poisson within each second, the same for a seed."""
        dice = random.Random(seed)
        due = dice.expovariate(1)
        for second, rate in enumerate(self.rates):
            at = 0.0
            while rate * (1 - at) > due:
                at += due / rate
                due = dice.expovariate(1)
                yield second + at
            due -= rate * (1 - at)


def steady(rate: float, seconds: int) -> Trace:
    """The same rate all the time."""
    return Trace((rate,) * seconds)


def load(path: Path = FLASH_CROWD) -> Trace:
    """Read counts (columns `timestamp,value`; lines with # are remarks), a straight line from row to row."""
    with path.open() as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        counts = [float(row["value"]) for row in rows]
    steps = range(BETWEEN_ROWS)
    return Trace(tuple(a + (b - a) * step / BETWEEN_ROWS for a, b in pairwise(counts) for step in steps))
