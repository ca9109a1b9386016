"""What a step's numbers say of the degradation ladder: danger, why scaling does not help, and what would do without.

Flags help only records that are done after they show: what is late before, or will have been cured by then by replicas
that are ordered anyway, is no reason for a level.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from tidegate.api.reasons import Reason
from tidegate.engine import words
from tidegate.engine.guards import Verdict
from tidegate.engine.hours import EVERY
from tidegate.engine.ladder import Below, Blind, View, Words
from tidegate.engine.observation import Flags, PartitionId
from tidegate.engine.outlook import Outlook, outlook
from tidegate.engine.rates import SERVICE_WINDOW
from tidegate.engine.situation import Situation
from tidegate.engine.terms import LadderTerms
from tidegate.engine.words import Said

CALM, CALM_READINGS = 0.25, 2.0
"""Of maxAge, and readings (up to half of maxAge): an older queue is no time to bring work back."""
SPARE = 0.9
"""Of what the fleet does without a level: more than that, with head room, must not have come lately. Well below what
leads to a level, which is more than all of it."""
LATELY, LEAST_LATELY, MOST_LATELY = 2.0, 120.0, 600.0
"""Times the seconds for which a level must be dispensable, and bounds in seconds: the most that came in a minute of
these counts.
"""
REAL = 0.25
"""Of maxAge: what is late by less, until ordered replicas work, is not worth a feature."""
INEFFECTIVE = {
    Reason.NOT_EFFECTIVE: "more replicas did no more work",
    Reason.PODS_NOT_STARTING: "replicas that were asked for do not start",
}
LIMITS = (Reason.MAX_REPLICAS, Reason.PARTITIONS, Reason.BEHAVIOR)


class Prospect(NamedTuple):
    """What becomes of the records that flags could help, with the level in force and the replicas that are ordered.

    `peak` is the highest age at which one will be done within `horizon` seconds, `shows` the seconds until flags help.
    """

    o: Outlook | None
    peak: float
    shows: float
    horizon: float


class Hottest(NamedTuple):
    """The partition that gets most of those that get more than a consumer does; records/s."""

    partition: PartitionId
    gets: float
    share: float


def settle_of(s: Situation, propagation: float) -> float:
    """Seconds until a step of the ladder can be judged: it shows, is read, and is measured."""
    return propagation + s.tick + max(SERVICE_WINDOW, s.memory.rhythm.window)


def sight_of(s: Situation, verdict: Verdict, judged: bool, flags: Flags, terms: LadderTerms) -> View | Blind:
    """What the ladder sees of a step; nothing where a guard held it."""
    if not judged:
        return Blind(verdict.reason, verdict.said)
    order = verdict.replicas if (verdict.replicas or 0) > s.asked else None
    p = _prospect(s, order, flags.propagation, terms.escalate_after)
    danger, cause = _danger(s, verdict, p), _cause(s, verdict, p)
    hot = None if danger and cause else _hot_danger(s, p)
    if hot is not None:
        danger, cause = hot, Reason.SCALING_EXHAUSTED
    return View(
        danger=danger,
        cause=cause,
        why="more replicas do not help it" if hot else Said(lambda: _why(s, verdict, p, cause)),
        below=lambda level: _below(s, verdict, p.o, level),
        breaks=p.o.breaks_promise(order) if p.o else verdict.at_risk,
    )


def _prospect(s: Situation, order: int | None, shows: float, escalate_after: float) -> Prospect:
    """Looked at is the time until one more step, after the next one, would show: so that two can be in time."""
    o, horizon = outlook(s, s.rate_at(s.level)), escalate_after + settle_of(s, shows) + shows
    return Prospect(o, o.peak_after(order, shows, horizon) if o else 0.0, shows, horizon)


def _danger(s: Situation, verdict: Verdict, p: Prospect) -> Words | None:
    """The promise will be broken, by what the ladder can help."""
    if s.retention_near:
        return "the oldest record is near the end of its retention"
    if p.o is None:
        age = s.counted.pace_age if s.counted else None
        broken = age is not None and age - s.staleness.age > s.terms.max_age
        return "the promise is broken" if broken else "the promise will be broken" if verdict.at_risk else None
    if p.peak > s.terms.max_age:
        return Said(lambda: "; ".join([f"the oldest would reach {_age(p.peak)}", *s.numbers()]))
    return Said(lambda: "; ".join(["the oldest does not get younger", *s.numbers()])) if p.o.failing else None


def _cause(s: Situation, verdict: Verdict, p: Prospect) -> Reason | None:
    """Why scaling does not help; None where it may."""
    if verdict.reason in INEFFECTIVE:
        return Reason.SCALING_INEFFECTIVE
    most = s.fleet.largest(s.terms.most) if s.fleet else s.terms.most
    if verdict.limited_by in LIMITS or min(s.asked, s.ready) >= most:
        return Reason.SCALING_EXHAUSTED
    ordered = (verdict.replicas or 0) > s.asked
    if p.o is None or not (p.o.coming or ordered):
        return None
    real = p.peak > (1 + REAL) * s.terms.max_age
    return Reason.SCALING_TOO_LATE if real and p.shows + s.tick < _serves(p.o) else None


def _serves(o: Outlook) -> float:
    """Seconds until the replicas on their way work, or those ordered now."""
    return (o.within if o.coming else o.startup) + o.pause


def _why(s: Situation, verdict: Verdict, p: Prospect, cause: Reason | None) -> str:
    if verdict.reason in INEFFECTIVE:
        return INEFFECTIVE[verdict.reason]
    if cause is Reason.SCALING_EXHAUSTED:
        return f"{words.some(s.asked, 'replica')} {'is' if s.asked == 1 else 'are'} all that {_limit(s, verdict)}"
    if cause is Reason.SCALING_TOO_LATE and p.o is not None:
        return f"replicas serve in {words.seconds(_serves(p.o))}, flags in {words.seconds(p.shows)}"
    return "replicas may help"


def _limit(s: Situation, verdict: Verdict) -> str:
    if verdict.limited_by is Reason.BEHAVIOR:
        return "spec.behavior allows now"
    if s.fleet is None or s.terms.most <= s.fleet.ceiling:
        return "spec.replicas.max allows"
    return f"{words.some(s.fleet.partitions, 'partition')} can employ"


def _below(s: Situation, verdict: Verdict, o: Outlook | None, level: int) -> Below:
    """Whether a lower level would do. Where nobody knows it must be tried."""
    age, calm = _oldest(s), max(CALM * s.terms.max_age, min(CALM_READINGS * s.tick, s.terms.max_age / 2))
    if age > calm:
        return Below(False, f"the oldest waits {words.seconds(age)}, that must be {words.seconds(calm)} at most")
    rate = s.rate_at(level)
    if o is None or not rate:
        return Below(True, "what replicas can do is not known")
    peak, does = (1 + o.growth) * max(o.queue.rate, _peak(s)), rate * o.fleet.units(_fleet(o, verdict))
    hottest = _hottest(s)
    if hottest is not None and peak * hottest.share / (rate / s.terms.consumers) > peak / does:
        peak, does = peak * hottest.share, rate / s.terms.consumers
    came, could = words.rate(peak), words.rate(does)
    return Below(
        peak <= SPARE * does,
        f"lately up to {came} came (with head room), at level {level} {could} would be done, and {SPARE:.0%} must do",
    )


def _oldest(s: Situation) -> float:
    """The age of the oldest record that is not held up by itself."""
    if s.counted is None:
        return 0.0
    return max(0.0, (s.counted.pace_age if s.counted.frozen else s.counted.age) or 0.0) - s.unseen


def _fleet(o: Outlook, verdict: Verdict) -> int:
    """The replicas that there would be: all that may be of use, unless those on their way do not come in time."""
    slow = verdict.reason in INEFFECTIVE or o.scale_up is not None
    return o.ready if slow else max(o.most, o.ready)


def _peak(s: Situation) -> float:
    """The most that came in a minute of late, records/s."""
    rates: Sequence[float] = s.memory.hours.rates
    hold = s.memory.ladder.hold(s.terms.ladder) if s.terms.ladder else 0.0
    lately = rates[-ceil(max(LEAST_LATELY, min(LATELY * hold, MOST_LATELY)) / EVERY) :]
    return max(((one + other) / 2 for one, other in pairwise(lately)), default=0.0)


def _hottest(s: Situation) -> Hottest | None:
    """The hottest partition, once it has a consumer for itself: then only less work a record helps it."""
    loads = s.memory.loads
    if not loads.hot or s.arrival is None or loads.partitions != s.memory.history.partitions or s.ready < loads.alone:
        return None
    place = max(loads.hot, key=loads.shares.__getitem__)
    return Hottest(loads.partitions[place], loads.shares[place] * s.arrival.rate, loads.shares[place])


def _hot_danger(s: Situation, p: Prospect) -> Words | None:
    """The same for the hottest partition, which does not count where replicas are sized."""
    hottest, rate = _hottest(s), s.rate_at(s.level)
    if hottest is None or s.counted is None or s.counted.frozen or s.counted.age is None:
        return None
    does = rate / s.terms.consumers if rate else hottest.gets
    ages = 1 - does / hottest.gets if hottest.gets > 0 else -1.0
    reach = s.counted.age - s.unseen + ages * (p.horizon if ages > 0 else p.shows)
    if reach <= s.terms.max_age:
        return None
    (topic, number), gets, able = hottest.partition, words.rate(hottest.gets), words.rate(does)
    return f"{topic}/{number} gets {gets}, its consumer does {able}: the oldest there would reach {_age(reach)}"


def _age(seconds: float) -> str:
    return "any age" if seconds == float("inf") else words.seconds(seconds)
