"""What replicas can do: the capacity of one, as learned, and of n, by how the partitions divide."""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

MODEST = 0.15  # weight of a new sample: a minute of saturation replaces half of what was believed
SURE = 3  # samples in a row that are off to the same side …
OFF = 0.12  # … by this share, and the capacity has changed: believe them
KEEP = 3  # pod templates remembered: the present one, the one before (a rollback), and one more


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


def learned_for(known: Capacities, template: str) -> Learned | None:
    """What is known of a pod template; of one never seen, what the last one did, until it shows its own."""
    mine = next((c for c in known if c.template == template), None)
    if mine is None and known:
        return Learned(template, known[-1].rate, inherited=known[-1].proven)
    return mine


def with_learned(known: Capacities, learned: Learned) -> Capacities:
    """The capacities with one replaced or added, the oldest forgotten."""
    return (*(c for c in known if c.template != learned.template), learned)[-KEEP:]


@dataclass(frozen=True, slots=True)
class Fleet:
    """How n replicas share the partitions: each consumer owns whole partitions, the fullest sets the pace.

    With equally busy partitions n consumers do what P / ceil(P / n) could do, so only n = ceil(P / k) is worth its
    pods.
    """

    partitions: int  # that can be spread: all of them, or the largest topic's under the range assignor
    consumers: int = 1  # in each replica

    @property
    def ceiling(self) -> int:
        """The most replicas that can own a partition."""
        return ceil(self.partitions / self.consumers)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The useful numbers of replicas, ascending."""
        return _useful_sizes(self.partitions, self.consumers)

    def largest(self, most: int) -> int:
        """The largest useful number of replicas within a limit (the limit where it is below all of them)."""
        return max((n for n in self.sizes if n <= most), default=most)

    def units(self, replicas: int) -> float:
        """How many replicas' worth of work `replicas` replicas can do (never more than their number)."""
        consumers = min(replicas * self.consumers, self.partitions)
        if consumers <= 0:
            return 0.0
        return self.partitions / ceil(self.partitions / consumers) / self.consumers

    def size_for(self, units: float) -> int:
        """The smallest useful number of replicas for so many replicas' worth of work.

        Above the ceiling it is the number that more partitions would ask for.
        """
        return next((n for n in self.sizes if self.units(n) >= units - 1e-9), max(self.ceiling, ceil(units - 1e-9)))


@lru_cache(maxsize=1024)
def _useful_sizes(partitions: int, consumers: int) -> tuple[int, ...]:
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
