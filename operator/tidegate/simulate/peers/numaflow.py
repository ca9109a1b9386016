"""Numaflow's autoscaler for a source vertex."""

from collections import deque

from tidegate.simulate.peers.signals import Every, Signal, signal
from tidegate.simulate.world import View

TASK_INTERVAL = 30.0


class Numaflow:
    """`scale:` with its defaults: what is pending is to be processed in `target` seconds at the pace seen last."""

    def __init__(
        self,
        *,
        least: int = 0,
        most: int = 50,
        target: float = 20.0,
        lookback: float = 120.0,
        cooldown: float = 90.0,
        step: int = 2,
        name: str = "numaflow",
    ) -> None:
        self.name = name
        self.least, self.most, self.target = least, most, target
        self.lookback, self.cooldown, self.step = lookback, cooldown, step
        self._task = Every(TASK_INTERVAL)
        self._seen: deque[tuple[float, Signal]] = deque()
        self._scaled_at = float("-inf")

    def decide(self, view: View) -> int | None:
        """At most `step` replicas towards what the pending records ask for, after the cooldown."""
        seen, target = signal(view), view.observation.target
        if seen is not None:
            self._seen.append((view.now, seen))
        while self._seen and self._seen[0][0] < view.now - self.lookback:
            self._seen.popleft()
        if not self._task.due(view.now) or seen is None or target is None or len(self._seen) < 2:
            return None
        if view.now - self._scaled_at < self.cooldown:
            return None
        current = target.replicas
        wanted = min(max(self._desired(target.ready), self.least), self.most)
        if wanted == current:
            return None
        self._scaled_at = view.now
        return max(current - self.step, wanted) if wanted < current else min(current + self.step, wanted)

    def _desired(self, replicas: int) -> int:
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        rate = (last.committed - first.committed) / (end - start)
        pending = sum(seen.lag for _, seen in self._seen) / len(self._seen)
        return desired(pending, rate, self.target, replicas)


def desired(pending: float, rate: float, target: float, replicas: int) -> int:
    """Replicas that process the pending records in `target` seconds; arrivals do not count."""
    if pending == 0 and rate == 0:
        return 0
    if pending == 0 or rate == 0:
        return 1
    return max(1, int(pending / rate / target * replicas + 0.5))
