"""Brandwatch's kafka-pod-autoscaler, its throughput trigger."""

from collections import deque

from tidegate.simulate.peers.signals import Every, Signal, signal
from tidegate.simulate.world import View

RECONCILE = 10.0
SAMPLES = 360
FEWEST = 3


class Brandwatch:
    """Capacity for the 99th percentile of the topic's rate, and for the lag within `sla` where it is above `threshold`.

    The rate of a replica is taken whether or not it had to wait for records, as the original does.
    """

    def __init__(
        self,
        *,
        sla: float = 600.0,
        threshold: float = 0.0,
        cooloff: float = 300.0,
        increments: int = 1,
        per_replica: float | None = None,
        name: str = "brandwatch",
    ) -> None:
        self.name = name
        self.sla, self.threshold, self.cooloff = sla, threshold, cooloff
        self.increments, self.per_replica = increments, per_replica
        self._reconcile = Every(RECONCILE)
        self._topic: deque[float] = deque(maxlen=SAMPLES)
        self._consumer: deque[float] = deque(maxlen=SAMPLES)
        self._last: tuple[float, Signal] | None = None
        self._scaled_at = float("-inf")

    def decide(self, view: View) -> int | None:
        """The next count that divides the partitions, some such counts away at most; none soon after another."""
        if not self._reconcile.due(view.now):
            return None
        seen, target = signal(view), view.observation.target
        if seen is None or target is None or target.replicas == 0 or target.ready < target.replicas:
            return None
        self._measure(view.now, seen, target.replicas)
        if len(self._topic) < FEWEST or view.now - self._scaled_at < self.cooloff:
            return None
        wanted = self._wanted(seen, target.replicas)
        if wanted == target.replicas:
            return None
        self._scaled_at = view.now
        return wanted

    def _measure(self, now: float, seen: Signal, replicas: int) -> None:
        if self._last is not None:
            then, before = self._last
            self._topic.append((seen.produced - before.produced) / (now - then))
            self._consumer.append((seen.committed - before.committed) / (now - then) / replicas)
        self._last = (now, seen)

    def _wanted(self, seen: Signal, replicas: int) -> int:
        rate = percentile(self._topic, 0.99) + (seen.lag / self.sla if seen.lag > self.threshold else 0.0)
        each = self.per_replica or percentile(self._consumer, 0.99)
        if each <= 0:
            return replicas
        return fitted(replicas, rate / each, seen.partitions, self.increments)


def percentile(values: deque[float], quantile: float) -> float:
    """The percentile as Apache Commons Math gives it: at place q (n + 1), between neighbours in proportion."""
    ordered = sorted(values)
    place = quantile * (len(ordered) + 1)
    if place < 1:
        return ordered[0]
    if place >= len(ordered):
        return ordered[-1]
    low = int(place)
    return ordered[low - 1] + (place - low) * (ordered[low] - ordered[low - 1])


def fitted(current: int, ideal: float, partitions: int, increments: int) -> int:
    """The first divisor of the partitions that is enough, but at most some divisors away from the current count."""
    counts = [n for n in range(1, partitions + 1) if partitions % n == 0]
    enough = next((place for place, n in enumerate(counts) if n >= ideal), len(counts) - 1)
    here = next((place for place, n in enumerate(counts) if n >= current), len(counts) - 1)
    return counts[min(max(enough, here - increments), here + increments)]
