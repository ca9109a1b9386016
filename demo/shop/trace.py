"""The load of the demo: a flash crowd that really happened, 240 times faster.

`nasa_sts70.csv` says how many requests a second the web server of the Kennedy Space Center got on the day Discovery
flew to space (its first lines name origin and terms). `python -m demo.shop.trace COUNTS.csv` made it, see README.md.
"""

import csv
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

FLASH_CROWD = Path(__file__).parent / "nasa_sts70.csv"
SPEED = 240
"""Seconds of the trace in one second of the demo."""
FROM, TO = 4 * 3600, 19 * 3600 + 1800
"""The cut, in seconds of that day: from the quiet night over the launch (09:42) to the evening, before a long gap."""
LIFT_OFF = (9 * 3600 + 42 * 60 - FROM) / SPEED
"""When Discovery left the ground, in seconds of the trace."""
SMOOTHING = 5
"""The peak is the largest mean over this many seconds of the demo; a single second is mostly noise."""


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
        """With that many seconds more at both ends, at the mean rate of the first and the last 20 seconds."""
        first, last = self.rates[:20], self.rates[-20:]
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
    """Read a trace: columns `second,rate`, lines with # are remarks."""
    with path.open() as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return Trace(tuple(float(row["rate"]) for row in rows))


def compress(counts: Iterable[int]) -> list[float]:
    """Requests/s, averaged over each `SPEED` seconds of the cut; `counts` are a day's requests by second."""
    cut = list(counts)[FROM:TO]
    return [sum(cut[at : at + SPEED]) / SPEED for at in range(0, len(cut) - SPEED + 1, SPEED)]


def main(source: str) -> None:
    """Print the rows of the trace from a CSV of a day's counts by second (`timestamp_s,count`)."""
    with Path(source).open() as file:
        rates = compress(int(row["count"]) for row in csv.DictReader(file))
    print("second,rate")
    for second, rate in enumerate(rates):
        print(f"{second},{rate:.4f}")


if __name__ == "__main__":
    main(sys.argv[1])
