"""What peers read from a broker, and clocks that tick at a controller's own pace."""

from typing import NamedTuple

from tidegate.engine.observation import Reading
from tidegate.simulate.world import View


class Signal(NamedTuple):
    """The group as one number each: partitions, records produced and committed so far."""

    partitions: int
    produced: int
    committed: int

    @property
    def lag(self) -> int:
        """Records that wait."""
        return self.produced - self.committed


def signal(view: View) -> Signal | None:
    """The sums over the partitions; None where the reading failed or a partition has no commit."""
    reading = view.observation.reading
    if not isinstance(reading, Reading):
        return None
    offsets = reading.partitions.values()
    committed = sum(o.committed if o.committed is not None else o.end for o in offsets)
    return Signal(len(offsets), sum(o.end for o in offsets), committed)


class Every:
    """Says when a loop is due that runs every `period` seconds, first at `phase` after the first question."""

    def __init__(self, period: float, phase: float = 0.0) -> None:
        self.period, self.phase = period, phase
        self._next: float | None = None

    def due(self, now: float) -> bool:
        """Whether the loop runs now."""
        if self._next is None:
            self._next = now + self.phase
        if now < self._next - 1e-6:
            return False
        self._next += self.period
        return True
