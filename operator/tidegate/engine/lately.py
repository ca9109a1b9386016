"""The least of a number of late: what was seen once in half an hour to an hour is still possible."""

from math import inf
from typing import NamedTuple

OVER = 1800.0  # seconds, to twice as many


class Least(NamedTuple):
    """The least seen in this half hour and in the one before it, which began at `since`."""

    now: float = inf
    before: float = inf
    since: float = 0.0

    def after(self, value: float, at: float) -> "Least":
        """With one more."""
        if not 0 <= at - self.since <= OVER:
            return Least(value, self.now, at)
        return self._replace(now=min(self.now, value))

    @property
    def value(self) -> float:
        """Of both half hours; inf where nothing was seen."""
        return min(self.now, self.before)
