"""Features that may be switched off for a while, and how much faster a replica is without them."""

from collections.abc import Sequence
from itertools import accumulate

from tidegate.engine.observation import Flags


class Features:
    """The flags of one application: who steers switches them, and the application obeys a while later.

    `saves` is the share of a record's service time that each level of the ladder saves beyond the levels before it:
    with (0.2, 0.15) a replica does 1 / 0.8 times as much at level 1 and 1 / 0.65 times at level 2. All replicas obey at
    once, `propagation` seconds after the switch. Times in seconds from the start.
    """

    def __init__(self, saves: Sequence[float], propagation: float) -> None:
        self.propagation = propagation
        self.steps: list[tuple[float, int]] = []
        self._paces = [1.0, *(1 / (1 - saved) for saved in accumulate(saves))]

    @property
    def level(self) -> int:
        """The level that the flags show."""
        return self.steps[-1][1] if self.steps else 0

    def switch(self, level: int, now: float) -> None:
        """Make the flags show another level. Raises ValueError for one that is not on the ladder."""
        if not 0 <= level < len(self._paces):
            raise ValueError(f"level {level} is not on a ladder of {len(self._paces) - 1} levels")
        if level != self.level:
            self.steps.append((now, level))

    def obeyed(self, time: float) -> int:
        """The level that the application obeys at a time."""
        return next((level for at, level in reversed(self.steps) if at + self.propagation <= time), 0)

    def pace(self, time: float) -> float:
        """What a replica does then, as a multiple of what it does with all features on: a drift of any world."""
        return self._paces[self.obeyed(time)]

    def off(self, end: float) -> float:
        """Seconds with the flags above level 0, until `end`."""
        ends = [*(at for at, _ in self.steps), end][1:]
        return (
            sum(until - at for (at, level), until in zip(self.steps, ends, strict=True) if level) if self.steps else 0
        )

    def flags(self) -> Flags:
        """What the engine is told."""
        return Flags(self.level, self.propagation)
