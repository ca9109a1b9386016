"""The account at the end: what was produced against what the ledger shows, message by message. Pure."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from demo.shop.clock import clock
from demo.shop.ledger import Posting
from demo.shop.levels import Ladder
from demo.shop.producer import Produced

LATE_SHARE_ALLOWED = 0.01


class Decided(NamedTuple):
    """When the proposal was there to be read, and when it was approved (seconds since the epoch); None before."""

    proposed: float | None = None
    approved: float | None = None


@dataclass(frozen=True)
class Growth:
    """Partitions of the topic at the beginning and at the end, and the seconds of the play at which they were more."""

    partitions_before: int
    partitions_after: int
    proposed_at: float | None = None
    approved_at: float | None = None
    increased_at: float | None = None

    def words(self) -> str:
        """In a line."""
        told = {"proposed": self.proposed_at, "approved": self.approved_at, "there": self.increased_at}
        moments = ", ".join(f"{what} at {clock(at)}" for what, at in told.items() if at is not None)
        return f"{self.partitions_before} → {self.partitions_after}: {moments or 'no proposal'}"


class Scale(NamedTuple):
    """From `at` on (seconds since the epoch) the Deployment asked for that many replicas."""

    at: float
    replicas: int


@dataclass(frozen=True)
class Summary:
    """The figures of one run; times in seconds, `late_share` of the produced messages (lost ones are late)."""

    produced: int
    applied: int
    lost: int
    applied_twice: int
    late_share: float
    max_age_seconds: float
    promise_seconds: float
    replicas_start: int
    replicas_peak: int
    replicas_end: int
    scale_events: int
    replica_seconds: float
    reaction_seconds: float | None
    growth: Growth
    ladder: Ladder

    def lines(self) -> list[str]:
        """The figures in words."""
        reaction = "no scale-out" if self.reaction_seconds is None else f"{self.reaction_seconds:.1f} s"
        return [
            f"Messages   {self.produced:,} produced, {self.applied:,} applied, {self.lost} lost, "
            f"{self.applied_twice} applied twice",
            f"Promise    {self.promise_seconds:.0f} s: the oldest took {self.max_age_seconds:.1f} s, "
            f"{self.late_share:.2%} were late",
            f"Replicas   {self.replicas_start} → {self.replicas_peak} → {self.replicas_end} in {self.scale_events} "
            f"changes; {self.replica_seconds:,.0f} replica-seconds in all",
            f"Reaction   {reaction} from the surge being visible in the broker to the first scale-out",
            f"Partitions {self.growth.words()}",
            *self.ladder.lines(),
        ]

    def failures(self) -> list[str]:
        """What did not hold, in words; empty for a good run."""
        found = {
            f"{self.lost} messages were lost": self.lost > 0,
            f"{self.applied_twice} messages were applied twice": self.applied_twice > 0,
            f"{self.late_share:.2%} of the messages were late, allowed are {LATE_SHARE_ALLOWED:.0%}": (
                self.late_share > LATE_SHARE_ALLOWED
            ),
            "nothing was produced": self.produced == 0,
            "the topic has no more partitions than before": (
                self.growth.partitions_after <= self.growth.partitions_before
            ),
            f"{self.replicas_peak} replicas are no more than there were partitions": (
                self.replicas_peak <= self.growth.partitions_before
            ),
        }
        return [*(words for words, is_so in found.items() if is_so), *self.ladder.failures()]


class Account(NamedTuple):
    """The ledger against the producer: counts of messages, ages in seconds."""

    applied: int
    lost: int
    applied_twice: int
    late: int
    max_age: float


def account(
    produced: Sequence[Produced], postings: Sequence[Posting], balances: Mapping[str, int], promise: float
) -> Account:
    """Compare what was acknowledged with what was done, three ways that do not rest on each other.

    A message without a posting is lost; a second posting is a message applied twice; and a balance that is not minus
    the sum of the user's postings shows an effect that left no posting (too much: twice, too little: lost).
    """
    effects = Counter(posting.id for posting in postings)
    first: dict[str, float] = {}
    for posting in postings:
        first[posting.id] = min(posting.applied_at, first.get(posting.id, posting.applied_at))
    ages = [first[deduction.id] - at for deduction, at in produced if deduction.id in first]
    lost = len(produced) - len(ages)
    too_much, too_little = _wrong_balances(postings, balances)
    return Account(
        applied=len(ages),
        lost=lost + too_little,
        applied_twice=sum(count - 1 for count in effects.values()) + too_much,
        late=lost + sum(age > promise for age in ages),
        max_age=max(ages, default=0.0),
    )


def _wrong_balances(postings: Iterable[Posting], balances: Mapping[str, int]) -> tuple[int, int]:
    """Users from whom more, and users from whom less was taken than their postings say."""
    owed: dict[str, int] = defaultdict(int)
    for posting in postings:
        owed[posting.user] += posting.points
    off = [-balances.get(user, 0) - owed.get(user, 0) for user in owed.keys() | balances.keys()]
    return sum(each > 0 for each in off), sum(each < 0 for each in off)


def replicas_at(scales: Sequence[Scale], at: float) -> int:
    """Replicas asked for at that time; `scales` ascend and begin before it."""
    return scales[max(0, bisect_right([scale.at for scale in scales], at) - 1)].replicas


def replica_seconds(scales: Sequence[Scale], start: float, end: float) -> float:
    """What was paid: replicas asked for, summed over the time between."""
    inner = [scale.at for scale in scales if start < scale.at < end]
    edges = [start, *inner, end]
    return sum(replicas_at(scales, a) * (b - a) for a, b in pairwise(edges))


class Load(NamedTuple):
    """A look at the broker: arrival rate, and what the ready replicas can serve, both in records/s."""

    at: float
    arriving: float
    capacity: float


def reaction(loads: Sequence[Load], scales: Sequence[Scale]) -> float | None:
    """Seconds from the surge being visible in the broker to the first scale-out; None where there was none.

    Visible is the first of the unbroken run of looks at which more arrives than the ready replicas can serve that leads
    to the scale-out: a shorter excess that passed by itself before is not the surge.
    """
    out = next((b.at for a, b in pairwise(scales) if b.replicas > a.replicas), None)
    if out is None:
        return None
    seen = out
    for load in reversed([load for load in loads if load.at <= out]):
        if load.arriving <= load.capacity:
            break
        seen = load.at
    return out - seen


def summarise(
    figures: Account,
    produced: int,
    promise: float,
    scales: Sequence[Scale],
    loads: Sequence[Load],
    growth: Growth,
    ladder: Ladder,
    end: float,
) -> Summary:
    """All figures; the play began with the first of `scales` and ended at `end`."""
    start = scales[0].at
    return Summary(
        produced=produced,
        applied=figures.applied,
        lost=figures.lost,
        applied_twice=figures.applied_twice,
        late_share=round(figures.late / produced, 5) if produced else 0.0,
        max_age_seconds=round(figures.max_age, 2),
        promise_seconds=promise,
        replicas_start=scales[0].replicas,
        replicas_peak=max(scale.replicas for scale in scales),
        replicas_end=replicas_at(scales, end),
        scale_events=len(scales) - 1,
        replica_seconds=round(replica_seconds(scales, start, end), 1),
        reaction_seconds=None if (seconds := reaction(loads, scales)) is None else round(seconds, 2),
        growth=growth,
        ladder=ladder,
    )


def growth(partitions: Sequence[tuple[float, int]], decided: Decided, start: float) -> Growth:
    """From looks at the topic (seconds since the epoch, partitions); the play began at `start`."""
    before, after = partitions[0][1], partitions[-1][1]
    moments = (*decided, next((at for at, count in partitions if count > before), None))
    return Growth(before, after, *(None if at is None else round(at - start, 1) for at in moments))


def ages(produced: Sequence[Produced], postings: Sequence[Posting], at: Sequence[float]) -> list[float]:
    """How old the oldest message not yet applied was at these (ascending) times, exactly; 0 with none waiting."""
    applied = {posting.id: posting.applied_at for posting in reversed(postings)}
    waiting = sorted((when, applied.get(deduction.id, float("inf"))) for deduction, when in produced)
    # suffix-free sweep: a message is out of the running once it and all older ones are applied
    answers, oldest = [], 0
    for moment in at:
        while oldest < len(waiting) and waiting[oldest][1] <= moment:
            oldest += 1
        behind = (when for when, done in waiting[oldest:] if done > moment)
        first = next(behind, moment)
        answers.append(max(0.0, moment - first))
    return answers
