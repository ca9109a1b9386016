"""How far commits are behind the work: the least that was seen to wait, as its queue runs empty at times."""

from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

STALENESS = 5.0
"""Seconds that commits may be behind the work: the default `auto.commit.interval.ms`."""
OVER = 1800.0
"""Seconds, to twice as many, in which the queue must have run empty once: a fleet that is just right holds one nearly
always, and what waits in it must not be taken for done."""
LOOKS = 6  # readings before that can be told at all


class Staleness(NamedTuple):
    """Seconds of age that the head of the queue, and seconds of arrivals that the queue, only seem to have."""

    age: float = 0.0
    work: float = 0.0


NEVER = Staleness(inf, inf)


@dataclass(frozen=True, slots=True)
class Freshest:
    """The least seen in this half hour and in the one before it."""

    now: Staleness = NEVER
    before: Staleness = NEVER
    since: float = 0.0
    looks: int = 0

    def after(self, age: float, work: float, at: float) -> "Freshest":
        """After a look at a settled group under load: the age of its head, and its queue in seconds of arrivals."""
        if at - self.since > OVER or at < self.since:
            return Freshest(Staleness(age, work), self.now, at, self.looks + 1)
        least = Staleness(min(self.now.age, age), min(self.now.work, work))
        return replace(self, now=least, looks=self.looks + 1)

    @property
    def staleness(self) -> Staleness:
        """What commits hide, at most an auto-commit's interval; nothing until that was seen often enough."""
        if self.looks < LOOKS:
            return Staleness()
        return Staleness(*(min(STALENESS, *pair) for pair in zip(self.now, self.before, strict=True)))
