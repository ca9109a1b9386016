"""The Flink Kubernetes operator's autoscaler (1.16), applied to one source vertex."""

from collections import deque
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import NamedTuple

from tidegate.simulate.peers.signals import Every, Signal, signal
from tidegate.simulate.regime import Regime
from tidegate.simulate.world import View

RECONCILE = 60.0


@dataclass(frozen=True)
class FlinkSettings:
    """`job.autoscaler.*`; times in seconds. The defaults are Flink's."""

    window: float = 900.0
    stabilization: float = 300.0
    utilization: float = 0.7
    boundary: float = 0.3  # utilization.max and .min are this far from the target
    scale_down_interval: float = 3600.0
    scale_down_factor: float = 0.6
    scale_up_factor: float = 1e5
    catch_up: float = 1800.0
    restart: float = 300.0
    backlog_limit: float = 300.0  # backlog-processing.lag-threshold
    observed_lag: float = 30.0  # observed-true-processing-rate.lag-threshold
    observed_times: int = 2
    observed_switch: float = 0.15
    reconcile: float = RECONCILE

    @classmethod
    def tuned(cls, regime: Regime) -> "FlinkSettings":
        """What someone would set who knows the promise, the start-up time and the pause."""
        return replace(
            cls(),
            window=60.0,
            stabilization=regime.startup,
            scale_down_interval=300.0,
            catch_up=regime.max_age,
            restart=regime.rebalance,
            backlog_limit=max(regime.max_age, 60.0),
            observed_lag=min(30.0, regime.max_age / 2),
            reconcile=15.0,
        )


class _Sample(NamedTuple):
    at: float
    signal: Signal
    busy: float


class Rates(NamedTuple):
    """The vertex over the window: records/s that arrive, are read, and could be read; and the backlog (records)."""

    target: float
    read: float
    capacity: float
    backlog: float


class Flink:
    """Measures after each change until its window is full, then acts once the rates leave their band."""

    def __init__(self, settings: FlinkSettings, *, least: int = 1, most: int = 200, name: str = "flink") -> None:
        self.name = name
        self.settings, self.least, self.most = settings, least, most
        self._reconcile = Every(settings.reconcile)
        self._samples: deque[_Sample] = deque()
        self._observed: deque[float] = deque(maxlen=64)
        self._quiet_until: float | None = None
        self._down: list[tuple[float, int]] = []

    def decide(self, view: View) -> int | None:
        """New parallelism, or None while measuring or within the band."""
        seen, target = signal(view), view.observation.target
        if seen is None or target is None:
            return None
        if target.ready < target.replicas or self._quiet_until is None:
            self._restarted(view.now)
            return None
        if view.now < self._quiet_until:
            return None
        self._collect(_Sample(view.now, seen, view.busy))
        full = self._samples[-1].at - self._samples[0].at >= self.settings.window
        if not full or not self._reconcile.due(view.now):
            return None
        wanted = self._wanted(view.now, target.replicas, seen.partitions)
        if wanted is None or wanted == target.replicas:
            return None
        self._restarted(view.now)
        return wanted

    def _restarted(self, now: float) -> None:
        """The metrics of before say nothing about the job of after."""
        self._quiet_until = now + self.settings.stabilization
        self._samples.clear()
        self._observed.clear()
        self._down.clear()

    def _collect(self, sample: _Sample) -> None:
        if self._samples:
            before = self._samples[-1]
            rate = (sample.signal.committed - before.signal.committed) / (sample.at - before.at)
            if rate > 0 and sample.signal.lag >= self.settings.observed_lag * rate:
                self._observed.append(rate)
        self._samples.append(sample)
        while self._samples[1].at <= sample.at - self.settings.window if len(self._samples) > 2 else False:
            self._samples.popleft()

    def _rates(self) -> Rates:
        first, last = self._samples[0], self._samples[-1]
        length = last.at - first.at
        read = (last.signal.committed - first.signal.committed) / length
        grown = (last.signal.lag - first.signal.lag) / length
        busy = sum(sample.busy for sample in self._samples) / len(self._samples)
        capacity = read / busy if busy > 0 else float("inf")
        if len(self._observed) >= self.settings.observed_times:
            observed = sum(self._observed) / len(self._observed)
            if capacity > observed * (1 + self.settings.observed_switch):
                capacity = observed
        return Rates(max(0.0, read + grown), read, capacity, float(last.signal.lag))

    def _wanted(self, now: float, current: int, partitions: int) -> int | None:
        """The new parallelism if the capacity has left its band; a way down waits for the greatest of an interval."""
        rates, s = self._rates(), self.settings
        behind = rates.read > 0 and rates.backlog / rates.read > s.backlog_limit
        highest = 1.0 if behind else s.utilization + s.boundary
        too_small = rates.capacity < target_rate(rates, highest, 0.0, s.catch_up)
        lowest = s.utilization - s.boundary
        too_large = not behind and rates.capacity > target_rate(rates, lowest, s.restart, s.catch_up)
        if not too_small and not too_large:
            self._down.clear()
            return None
        ideal_rate = target_rate(rates, s.utilization, s.restart, s.catch_up)
        factor = ideal_rate / rates.capacity if rates.capacity > 0 else inf  # as Java divides: up by as much as allowed
        ideal = ceil(current * min(max(factor, 1 - s.scale_down_factor), 1 + s.scale_up_factor))
        wanted = aligned(min(max(ideal, self.least), self.most, partitions), current, partitions)
        if wanted >= current:
            self._down.clear()
            return wanted
        self._down.append((now, wanted))
        return max(n for _, n in self._down) if now - self._down[0][0] >= s.scale_down_interval else None


def target_rate(rates: Rates, utilization: float, restart: float, catch_up: float) -> float:
    """The capacity (records/s) for arrivals at a utilization, the backlog and what comes in during a restart."""
    return rates.backlog / catch_up + rates.target * restart / catch_up + rates.target / utilization


def aligned(wanted: int, current: int, partitions: int) -> int:
    """BALANCED alignment: the first count from `wanted` on that divides the partitions or lessens each one's share."""
    end = partitions if wanted > current else min(current, partitions)
    fits = (n for n in range(wanted, end + 1) if partitions % n == 0 or partitions // n < partitions // wanted)
    return next(fits, wanted)
