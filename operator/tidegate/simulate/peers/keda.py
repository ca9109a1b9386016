"""KEDA's Kafka scaler (2.21) with the HPA it drives."""

from tidegate.api.behavior import Behavior
from tidegate.engine.observation import Reading
from tidegate.simulate.peers.hpa import SYNC, Hpa
from tidegate.simulate.peers.signals import Every
from tidegate.simulate.world import View

POLLING_INTERVAL = 30.0
COOLDOWN = 300.0


class Keda:
    """A ScaledObject with one Kafka trigger; everything but the threshold and the limits is KEDA's default.

    `phase` is when its HPA's first sync comes, in seconds. With `least` 0 KEDA's own loop goes from and to zero.
    """

    def __init__(
        self,
        threshold: float,
        *,
        least: int = 1,
        most: int = 100,
        behavior: Behavior | None = None,
        phase: float = 0.0,
        name: str = "",
    ) -> None:
        self.name = name or f"keda-{threshold:g}"
        self.threshold, self.least = threshold, least
        self._hpa = Hpa(least, most, behavior)
        self._sync, self._poll = Every(SYNC, phase), Every(POLLING_INTERVAL)
        self._active_at: float | None = None

    def decide(self, view: View) -> int | None:
        """The scale loop's word on 0 and 1, else the HPA's."""
        sync, poll = self._sync.due(view.now), self._poll.due(view.now)
        if not sync and not (poll and self.least == 0):
            return None
        reading, target = view.observation.reading, view.observation.target
        if not isinstance(reading, Reading):
            return None
        current, lag = target.replicas if target else 0, lag_of(reading)
        if self.least == 0 and poll:
            zero = self._zero_or_one(view.now, current, lag)
            if zero is not None:
                return zero
        if not sync or current == 0:
            return None
        metric = capped(lag, self.threshold, len(reading.partitions))
        return self._hpa.sync(view.now, current, metric, self.threshold)

    def _zero_or_one(self, now: float, current: int, lag: int) -> int | None:
        if lag > 0:
            self._active_at = now
            return 1 if current == 0 else None
        idle_since = self._active_at if self._active_at is not None else now - COOLDOWN
        return 0 if current and now - idle_since >= COOLDOWN else None


def lag_of(reading: Reading) -> int:
    """End less commit, summed; a partition without a commit counts 1 (offsetResetPolicy latest)."""
    return sum(1 if o.committed is None else o.end - o.committed for o in reading.partitions.values())


def capped(lag: int, threshold: float, partitions: int) -> float:
    """The metric the HPA is given: one replica per partition at most, by a division that drops the rest (#4483)."""
    return partitions * threshold if lag // threshold > partitions else lag
