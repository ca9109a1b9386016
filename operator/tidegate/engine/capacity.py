"""What replicas can do: the capacity of one, as learned, and of n, by how the partitions divide."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import NamedTuple

MODEST = 0.15  # weight of a new sample: a minute of saturation replaces half of what was believed
SURE = 3  # samples in a row that are off to the same side …
OFF = 0.12  # … by this share, and the capacity has changed: believe them
KEEP = 3
"""Pod templates remembered: the present one, the one before (a rollback), and one more; and as many levels of the
degradation ladder: the present one, and those that it leads back to."""
LEVEL = "/level-"  # between a template and the level at which its pods work: no label can have a slash


@dataclass(frozen=True, slots=True)
class Learned:
    """Records/s of one ready replica of one pod template.

    `samples` were taken while it was saturated; without any the rate is what the template before it did (`inherited`),
    or only a lower bound: what it was seen to do with idle moments.
    """

    template: str
    rate: float
    samples: int = 0
    inherited: bool = False
    off: int = 0  # samples in a row above (positive) or below (negative) by more than OFF

    @property
    def proven(self) -> bool:
        """Whether the rate is a capacity, not only a lower bound."""
        return self.samples > 0 or self.inherited

    def saturated(self, sample: float) -> "Learned":
        """After a sample of replicas that had work all the time."""
        if not self.samples:
            first = sample if self.inherited else max(sample, self.rate)
            return Learned(self.template, first, samples=1)
        side = (sample > self.rate * (1 + OFF)) - (sample < self.rate * (1 - OFF))
        off = self.off + side if self.off * side > 0 else side
        if abs(off) >= SURE:
            return Learned(self.template, sample, samples=1)
        weight = max(MODEST, 1 / (self.samples + 1))
        rate = self.rate + weight * (sample - self.rate)
        return replace(self, rate=rate, samples=min(self.samples + 1, 99), off=off)

    def busy(self, sample: float) -> "Learned":
        """After a sample of replicas that may have had idle moments: they can do at least that."""
        return replace(self, rate=sample) if sample > self.rate else self


Capacities = tuple[Learned, ...]
"""By pod template, the last used one last."""


def at_level(template: str, level: int) -> str:
    """The identity of a pod template whose pods work without the features of a level: another capacity is theirs."""
    return f"{template}{LEVEL}{level}" if level else template


def undegraded(template: str) -> str:
    """The identity of the pod template itself."""
    return template.partition(LEVEL)[0]


def level_of(template: str) -> int:
    """The level in the identity of a pod template; 0: its pods do all of their work."""
    level = template.partition(LEVEL)[2]
    return int(level) if level.isdecimal() else 0


def known_for(known: Capacities, template: str) -> Learned | None:
    """What is known of a pod template."""
    for learned in known:
        if learned.template == template:
            return learned
    return None


def learned_for(known: Capacities, template: str) -> Learned | None:
    """What is known of a pod template; of one never seen, what the last one did, until it shows its own.

    That is the last one that did no less work a record: what a level of the ladder spares is no credit for those below.
    """
    learned = known_for(known, template)
    if learned is not None or not known:
        return learned
    before = next((c for c in reversed(known) if level_of(c.template) <= level_of(template)), known[-1])
    return Learned(template, before.rate, inherited=before.proven)


def with_learned(known: Capacities, learned: Learned) -> Capacities:
    """The capacities with one replaced or added; of its kind (with all features, or without some) the oldest go."""
    kept = (*(c for c in known if c.template != learned.template), learned)
    kind = bool(level_of(learned.template))
    alike = [c for c in kept if bool(level_of(c.template)) == kind]
    return tuple(c for c in kept if c not in alike[:-KEEP])


class Fleet(NamedTuple):
    """How n replicas share the partitions: each consumer owns whole partitions, the fullest sets the pace.

    With equally busy partitions n consumers do what P / ceil(P / n) could do, so only n = ceil(P / k) is worth its
    pods. `uneven`, where they are not: the sizes of which each does more than the one before, and how many replicas'
    worth of work.
    """

    partitions: int  # that can be spread: all of them, or the largest topic's under the range assignor
    consumers: int = 1  # in each replica
    uneven: tuple[tuple[int, ...], tuple[float, ...]] = ((), ())
    topics: tuple[int, ...] = ()  # partitions of each, where each is divided by itself and there are several

    @property
    def even(self) -> "Fleet":
        """The same if all partitions were alike."""
        return self._replace(uneven=((), ()))

    @property
    def owners(self) -> int:
        """The most replicas that can own a partition."""
        return ceil(self.partitions / self.consumers)

    @property
    def ceiling(self) -> int:
        """The most replicas that are of use."""
        return self.uneven[0][-1] if self.uneven[0] else self.owners

    @property
    def sizes(self) -> tuple[int, ...]:
        """The useful numbers of replicas, ascending."""
        return self.uneven[0] or _useful_sizes(self.partitions, self.consumers, self.topics)

    def largest(self, most: int) -> int:
        """The largest useful number of replicas within a limit (the limit where it is below all of them)."""
        sizes = self.sizes
        place = bisect_right(sizes, most)
        return sizes[place - 1] if place else most

    def units(self, replicas: int) -> float:
        """How many replicas' worth of work `replicas` replicas can do (never more than their number)."""
        partitions, consumers, (sizes, work), topics = self
        if sizes and replicas > 0:
            return work[bisect_right(sizes, replicas) - 1]
        return _even_units(partitions, consumers, topics, replicas)

    def size_for(self, units: float) -> int:
        """The smallest useful number of replicas for so many replicas' worth of work.

        Above what the ceiling's replicas can do it is the number that more partitions would ask for, and so above the
        ceiling: not all consumers of those need have a partition.
        """
        sizes, work = self.sizes, _work_of_sizes(self)
        place = bisect_left(work, units - 1e-9)
        return sizes[place] if place < len(sizes) else max(self.ceiling + 1, ceil(units - 1e-9))


@lru_cache(maxsize=4096)
def _even_units(partitions: int, consumers: int, topics: tuple[int, ...], replicas: int) -> float:
    busy = min(replicas * consumers, partitions)
    if busy <= 0:
        return 0.0
    if topics:
        return sum(topics) / _most_owned(topics, busy) / consumers
    return partitions / ceil(partitions / busy) / consumers


def _most_owned(topics: tuple[int, ...], members: int) -> int:
    """Partitions of the first of so many consumers: of every topic it has as many as anyone."""
    return sum(ceil(partitions / members) for partitions in topics)


@lru_cache(maxsize=1024)
def _work_of_sizes(fleet: Fleet) -> tuple[float, ...]:
    return fleet.uneven[1] or tuple(map(fleet.units, fleet.sizes))


@lru_cache(maxsize=1024)
def _useful_sizes(partitions: int, consumers: int, topics: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of replicas, ascending, of which each lets the fullest consumer own fewer partitions.

    Where each topic is divided by itself, that is where any of its divisions does.
    """
    if topics:
        return tuple(sorted({size for one in topics for size in _useful_sizes(one, consumers, ())}))
    sizes = set()
    owned = 1
    while owned <= partitions:
        members = ceil(partitions / owned)
        sizes.add(ceil(members / consumers))
        if members == 1:
            break
        owned = ceil(partitions / (members - 1))  # the next load that needs fewer members
    return tuple(sorted(sizes))


GAIN = 1.1  # a fleet a quarter larger that does less than a tenth more is not limited by replicas
LARGER = 1.25
GIVE_UP_FOR = 600.0  # seconds until more is tried again: the other bottleneck may have gone


@dataclass(frozen=True, slots=True)
class Trial:
    """What saturated replicas did at some size, to see whether more of them do more."""

    units: float
    rate: float
    failed_at: float | None = None  # when a larger fleet was seen to do no more

    def failed(self, now: float) -> bool:
        """Whether more replicas were tried in vain lately."""
        return self.failed_at is not None and now - self.failed_at < GIVE_UP_FOR

    def doubtful(self, units: float, rate: float) -> bool:
        """Whether a larger fleet seems to do no more, so that it must be judged before it is enlarged again."""
        return self.failed_at is None and units >= LARGER * self.units and rate < GAIN * self.rate


def tried(trial: Trial | None, units: float, rate: float, sure: bool, now: float) -> Trial | None:
    """A trial after a sample of a fleet of that size; a larger fleet is judged only when its rate is sure.

    One that failed is no measure once its time is over: what a replica can do may have changed in between.
    """
    if trial is not None and trial.failed(now):
        return trial
    if trial is not None and trial.failed_at is None and units >= LARGER * trial.units:
        if not sure:
            return trial
        if rate < GAIN * trial.rate:
            return Trial(trial.units, trial.rate, now)
    return Trial(units, rate)
