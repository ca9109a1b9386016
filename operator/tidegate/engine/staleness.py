"""How far commits are behind the work: the least that was seen to wait, as its queue runs empty at times."""

from typing import NamedTuple

from tidegate.engine.lately import Least

STALENESS = 5.0
"""Seconds that commits may be behind the work: the default `auto.commit.interval.ms`."""
LOOKS = 6  # readings before that can be told at all


class Staleness(NamedTuple):
    """Seconds of age that the head of the queue, and seconds of arrivals that the queue, only seem to have."""

    age: float = 0.0
    work: float = 0.0


class Freshest(NamedTuple):
    """The least seen lately. The queue must have run empty once in that time: a fleet that is just right holds one
    nearly always, and what waits in it must not be taken for done.
    """

    age: Least = Least()
    work: Least = Least()
    looks: int = 0

    def after(self, age: float, work: float, at: float) -> "Freshest":
        """After a look at a settled group under load: the age of its head, and its queue in seconds of arrivals."""
        return Freshest(self.age.after(age, at), self.work.after(work, at), self.looks + 1)

    @property
    def staleness(self) -> Staleness:
        """What commits hide, at most an auto-commit's interval; nothing until that was seen often enough."""
        if self.looks < LOOKS:
            return Staleness()
        return Staleness(min(STALENESS, self.age.value), min(STALENESS, self.work.value))
