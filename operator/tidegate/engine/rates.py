"""Arrival and service rates from offsets and the times of their answers."""

from dataclasses import dataclass
from math import sqrt
from operator import sub
from typing import NamedTuple

from tidegate.engine.history import History

WINDOWS = (1, 2, 3, 6, 12, 24, 48, 96)  # readings
RISEN, FALLEN = 3.5, 6.0
"""Standard deviations by which a short window must leave a long one to prove that the rate rose or fell: a false alarm
costs a switch, a missed burst lateness, and a fall that is seen late only some replicas for a while."""
NOTICE = 0.01
"""Weight of the newest reading in the dispersion: it is a trait of the group, learned over some minutes."""
KNOWN = 100  # readings that make it known
SERVICE_WINDOW = 30.0
"""Seconds: six auto-commits of 5 s, so that commits in jumps are off by a sixth at most."""
SEEN_OVER = 25.0  # seconds, so that six readings of 5 s do
USUAL_TICK = 5.0
USUAL_OVER = 300.0  # seconds over which the usual age is taken: commits in batches of 30 s show ten times


class Level(NamedTuple):
    """An arrival rate (records/s), the standard deviation of that estimate, and the window it comes from (s).

    `latest` is the rate since the last reading, `latest_sd` what chance makes of it. `seen` is the plain rate over half
    a minute, or over the window where that is shorter: what a person would count.
    """

    rate: float
    sd: float
    window: float
    latest: float
    latest_sd: float
    seen: float


@dataclass(frozen=True, slots=True)
class Dispersion:
    """How bursty the arrivals are: variance over mean of the records in a reading (1 for Poisson arrivals).

    The variance is that of neighbouring readings, half the mean squared difference, so slow changes do not count.
    """

    last: float | None = None
    mean: float = 0.0
    variance: float = 0.0
    seen: int = 0

    @property
    def index(self) -> float:
        """Variance over mean, at least 1."""
        return max(1.0, self.variance / self.mean) if self.mean > 0 else 1.0

    def after(self, arrived: float) -> "Dispersion":
        """With the records of one more reading."""
        if self.last is None:
            return Dispersion(arrived, self.mean, self.variance, max(1, self.seen))
        weight = max(NOTICE, 1 / self.seen)
        mean = self.mean + weight * ((arrived + self.last) / 2 - self.mean)
        variance = self.variance + weight * ((arrived - self.last) ** 2 / 2 - self.variance)
        return Dispersion(arrived, mean, variance, self.seen + 1)


def tick_of(history: History) -> float:
    """Seconds between readings: the median of the last three gaps, so that a lost reading does not count."""
    times = history.ended[max(history.told, len(history.ended) - 4) :]
    gaps = sorted(map(sub, times[1:], times))
    return max(0.1, gaps[len(gaps) // 2]) if gaps else USUAL_TICK


def arrival_level(history: History, dispersion: Dispersion, tick: float) -> Level | None:
    """The arrival rate over the longest window that no shorter one contradicts (Lepski's method); None before two rows.

    The standard deviation of the test is that of the long window's rate: with the short one's, a burst excuses itself.
    """
    rates, index = _window_rates(history, tick), dispersion.index
    for reach in range(len(rates) - 1, -1, -1):
        window, rate = rates[reach]
        sd = sqrt(index * rate)  # over 1 s: shrinks with the root of the window
        if all(-FALLEN * sd <= (short - rate) * sqrt(width) <= RISEN * sd for width, short in rates[:reach]):
            seen = next((short for width, short in rates if width >= min(window, SEEN_OVER)), rate)
            return Level(rate, sd / sqrt(window), window, rates[0][1], sd / sqrt(rates[0][0]), seen)
    return None


def _window_rates(history: History, tick: float) -> list[tuple[float, float]]:
    """(seconds, records/s) of each window that the history can fill, the shortest first."""
    rates: list[tuple[float, float]] = []
    times, totals = history.ended, history.arrived
    if len(times) < 2:
        return rates
    now, total, last, least = times[-1], totals[-1], len(times) - 2, 0.0
    for readings in WINDOWS:
        row = min(history.at(readings * tick), last)
        seconds = now - times[row]
        if seconds > least:
            rates.append((seconds, (total - totals[row]) / seconds))
            least = seconds * 1.2
        if row == 0:
            break
    return rates


def arrived_of_late(history: History, over: float) -> float:
    """Records/s that arrived in about the last so many seconds; 0 where unknown."""
    row = history.at(over)
    seconds = history.ended[-1] - history.ended[row]
    return (history.arrived[-1] - history.arrived[row]) / seconds if seconds > 0 else 0.0


def service_rate(history: History, since: float, over: float = SERVICE_WINDOW) -> float | None:
    """Records/s committed `over` so many seconds, or since the group changed if that is later; None where unknown."""
    if history.looks < 2:
        return None
    row = min(history.since(max(since, history.ended[-1] - over)), len(history) - 2)
    seconds = history.committed[-1] - history.committed[row]
    return max(0.0, history.served[-1] - history.served[row]) / seconds if seconds > 0 else None


def usual_age(history: History) -> float | None:
    """Twice the median age of the time before the last three readings; None where that is too short to tell.

    The ages of a group that commits every 5 s lie between 0 and 5 s or so, those of one that commits at once near 0.
    """
    past = sorted(history.age[history.since(history.ended[-1] - USUAL_OVER) : -3])
    return 2 * past[len(past) // 2] if len(past) >= 3 else None
