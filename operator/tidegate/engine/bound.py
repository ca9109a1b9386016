"""For how long the need has been above the partition ceiling."""

from typing import NamedTuple

BOUND_FOR = 60.0
"""Seconds in a row of such a need until partitions are the answer: as long as a rate must at least have been reached. A
time without an answer that is longer begins it anew."""
LEFT_AFTER = 300.0
"""Seconds without such a need until it counts as gone: near the ceiling noise carries it to and fro, and each time
would be news. More partitions end it at once."""


class Bound(NamedTuple):
    """A need above a ceiling: since when (0: not now), when it was last seen, and above which ceiling."""

    since: float = 0.0
    seen: float = 0.0
    ceiling: int = 0

    def after(self, need: int | None, ceiling: int | None, now: float) -> "Bound":
        """With one more decision. One that could not tell, such as in a rebalance, shows nothing and ends nothing."""
        if need is None or ceiling is None or (need <= ceiling and not self.seen):
            return self
        if need > ceiling:
            goes_on = self.since and self.seen <= now <= self.seen + BOUND_FOR
            return Bound(self.since if goes_on else now, now, ceiling)
        lately = ceiling <= self.ceiling and self.seen <= now <= self.seen + LEFT_AFTER
        return self._replace(since=0.0) if lately else UNBOUND

    def lasted(self, now: float) -> float:
        """Seconds, if the newest decision saw it too; else 0."""
        return now - self.since if self.since and self.seen == now else 0.0


UNBOUND = Bound()
