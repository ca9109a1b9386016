"""From arithmetic to a verdict: wake, grow, shrink, probe or keep, within the limits, and said in one line."""

from itertools import pairwise

from tidegate.api.reasons import Reason
from tidegate.engine import words
from tidegate.engine.guards import Verdict, first_brake
from tidegate.engine.history import HOLE
from tidegate.engine.rates import usual_age
from tidegate.engine.saturation import STALENESS
from tidegate.engine.situation import Situation
from tidegate.engine.sizing import (
    CLEARLY,
    MUCH_LARGER,
    Outlook,
    drained,
    falling,
    fits,
    growth,
    outlook,
    proof_time,
    short,
    size_up,
)

PROBE = 2  # times as many replicas where the group falls behind and nobody knows what one can do
NOTICED = 1 / 24  # of maxAge
IDLE_FOR = 60.0  # seconds without a record before the last replica goes


def within_limits(s: Situation) -> Verdict | None:
    """An edit of spec.replicas takes effect at once, whatever the backlog."""
    least, most = s.terms.least, s.terms.most
    if s.asked < least:
        message = f"{s.asked} → {least} replicas: spec.replicas.min is {least}"
        return Verdict(Reason.MIN_REPLICAS, message, least, desired=least)
    if s.asked > most:
        message = f"{s.asked} → {most} replicas: spec.replicas.max is {most}"
        return Verdict(Reason.MAX_REPLICAS, message, most, desired=most)
    return None


def size(s: Situation) -> Verdict:
    """The verdict on a situation no guard objects to."""
    if s.asked == 0:
        return _woken(s)
    if _idle(s):
        return _asleep(s)
    o = outlook(s, s.per_replica)
    if o is None:
        return _probed(s)
    if short(o, s.asked, _surely(s)):
        return _grown(s, o)
    return _shrunk(s, o) or _kept(s, o)


def _woken(s: Situation) -> Verdict:
    """From zero: any record that was not there when the group went to sleep."""
    lag = s.backlog.lag if s.backlog.lag is not None else s.memory.residue + (s.count.arrived if s.count else 0)
    if lag <= s.memory.residue:
        return Verdict(Reason.ON_TIME, "0 replicas: nothing waits", need=0, desired=0)
    o = outlook(s, s.per_replica)
    need = max(1, size_up(o, growth(s.arrival))) if o else 1
    return _ordered(s, need, f"{words.some(lag, 'record')} came while it slept")


def _idle(s: Situation) -> bool:
    """Whether the last replica may go: no record came or was done for a while, and what is left cannot be consumed.

    A transaction marker takes an offset that nobody can commit past, so up to one record a partition may stay for ever.
    To call it a marker, consumers must have been there all that time: for one that still starts it is its first record.
    """
    history, count, while_ = s.memory.history, s.count, _idle_for(s)
    if s.terms.least > 0 or count is None or not s.ready or s.on_their_way.coming or first_brake(s):
        return False
    row = history.since(history.ended[-1] - while_)
    quiet = history.arrived[-1] == history.arrived[row] and history.served[-1] == history.served[row]
    manned = s.now - (s.memory.crew.changed or 0.0) >= while_ and s.since_change >= while_
    left = all(share.lag <= 1 and not share.blocked for share in count.shares)
    return history.span >= while_ and quiet and manned and left


def _idle_for(s: Situation) -> float:
    return max(IDLE_FOR, s.terms.max_age, 2 * s.lead)


def _asleep(s: Situation) -> Verdict:
    message = f"{s.asked} → 0 replicas: no record came for {words.seconds(_idle_for(s))} and nothing waits"
    return Verdict(Reason.DRAINED, message, 0, need=0, desired=0)


def _grown(s: Situation, o: Outlook) -> Verdict:
    """More replicas, unless they are on their way, do not start, or did not help the last time."""
    need = max(size_up(o, growth(s.arrival)), 1)
    if s.on_their_way.stuck:
        stuck = words.some(s.on_their_way.stuck, "replica")
        return _stay(s, need, Reason.PODS_NOT_STARTING, f"{need} needed, but {stuck} asked for did not start", True)
    if need <= s.asked or (o.coming and need < MUCH_LARGER * s.asked):
        reason = Reason.STARTING if o.coming else Reason.DRAINING
        return _stay(s, need, reason, _outcome(o, s.asked), o.peak() > o.max_age)
    if s.memory.skill.trial and s.memory.skill.trial.failed(s.now):
        return _stay(s, need, Reason.NOT_EFFECTIVE, "more replicas did no more work: look at what they wait for", True)
    late = o.peak(min(need, o.fleet.ceiling)) > o.max_age
    return _ordered(s, need, f"with {s.asked} the oldest would reach {_age(o.peak())}", late)


def _shrunk(s: Situation, o: Outlook) -> Verdict | None:
    """The smallest fleet that is proven to do, once the backlog is gone.

    While the arrivals fall and ask for even less than is proven, it waits: one larger step later spares a pause.
    """
    least, floor = max(1, s.terms.least), _floor(s, o)
    if o.coming or max(least, floor) >= s.asked or not drained(o) or first_brake(s):
        return None
    for fewer in sorted({max(least, floor), *(n for n in o.fleet.sizes if max(least, floor) < n < s.asked)}):
        window = proof_time(o, s.asked, fewer)
        if s.since_change >= window and fits(o, s.memory.history, window, fewer):
            if fewer > max(least, floor) and falling(o, s.memory.history, window):
                return None
            tail = f"{fewer} would have carried the peak of the last {words.seconds(window)}"
            limit = Reason.MIN_REPLICAS if floor < least else None
            return Verdict(Reason.DRAINED, _said(s, fewer, tail), fewer, floor, fewer, limit)
    return None


def _kept(s: Situation, o: Outlook) -> Verdict:
    late = s.count is not None and (s.count.pace_age or 0.0) > o.bearable
    reason = Reason.STARTING if o.coming else Reason.DRAINING if late else Reason.ON_TIME
    need = min(_floor(s, o), s.asked)
    return _stay(s, need, reason, _outcome(o, s.asked), o.peak() > o.max_age)


def _floor(s: Situation, o: Outlook) -> int:
    """The smallest fleet that does the arrivals, however long it may take to prove that."""
    floor = o.fleet.size_for(o.queue.rate * (1 + growth(s.arrival)) / o.rate)
    return floor if s.terms.least == 0 else max(1, floor)


def _probed(s: Situation) -> Verdict:
    """Nobody knows what a replica can do: doubling where the group falls behind, a step down where it idles, shows."""
    if s.fleet is None or s.count is None:
        return _stay(s, None, Reason.ON_TIME, "the capacity of a replica is not known yet")
    if _falls_behind(s):
        if s.on_their_way.stuck:
            return _stay(s, None, Reason.PODS_NOT_STARTING, "replicas asked for did not start", True)
        if s.on_their_way.coming or s.since_change < s.lead:
            return _stay(s, None, Reason.STARTING, "waiting for what the last change shows")
        more = s.fleet.size_for(_probe_units(s))
        if more > s.asked:
            return _ordered(s, more, "it falls behind, and what a replica can do shows only now", s.half_gone)
    elif (bounded := outlook(s, s.learned.rate if s.learned else None)) and (verdict := _shrunk(s, bounded)):
        return verdict  # what a replica was seen to do at least is enough of a proof
    elif (fewer := _probe_down(s)) is not None:
        tail = f"{s.asked} have little to do, and what one can do shows only with fewer"
        return Verdict(Reason.DRAINED, _said(s, fewer, tail), fewer, desired=fewer)
    return _stay(s, None, Reason.ON_TIME, "what a replica can do shows when it has to work")


def _falls_behind(s: Situation) -> bool:
    """Whether the oldest record gets older than commits in jumps ever made it look, by a real part of the promise."""
    arriving = s.arrival.rate if s.arrival else 0.0
    few = max(1.0, 0.5 * NOTICED * s.terms.max_age * arriving)  # an age between two looks is uncertain, a queue is not
    if s.count is None or s.count.pace_age is None or s.count.behind <= few:
        return False
    ages, usual = s.memory.history.age[-3:], usual_age(s.memory.history)
    rises = sum(a < b for a, b in pairwise(ages))
    noticed = NOTICED * s.terms.max_age * (1 if rises == 2 else 2)  # one rise must be twice as high as two in a row
    unusual = s.count.pace_age > (STALENESS if usual is None else usual) + noticed
    return s.half_gone or (unusual and len(ages) == 3 and ages[1] < ages[2])


def _surely(s: Situation) -> float:
    """The least the arrivals can be, but for chance; what ages the queue is no chance."""
    if s.arrival is None:
        return 0.0
    return s.arrival.latest if _falls_behind(s) else max(0.0, s.arrival.rate - CLEARLY * s.arrival.sd)


def _probe_units(s: Situation) -> float:
    """Twice what is there, or what the arrivals ask for at the rate a replica was seen to do, whichever is less."""
    seen = s.learned.rate if s.learned else 0.0
    wanted = s.arrival.rate * (1 + growth(s.arrival)) / seen if seen and s.arrival else float("inf")
    return max(min(PROBE * s.asked, wanted), s.asked + 1)


def _probe_down(s: Situation) -> int | None:
    if s.count is None or s.fleet is None or s.on_their_way.coming or first_brake(s):
        return None
    least = max(1, s.terms.least)
    fewer = max((n for n in (least, *s.fleet.sizes) if least <= n < s.asked), default=None)
    patient = 2 * max(s.terms.max_age, 2 * s.lead)
    calm = s.count.pace_age is not None and s.count.pace_age <= s.staleness + s.tick
    return fewer if calm and s.since_change >= patient and s.memory.history.watched(HOLE * s.tick) >= patient else None


def _ordered(s: Situation, need: int, tail: str, at_risk: bool = False) -> Verdict:
    desired, limit = _limited(s, need)
    if limit is not None:
        tail = f"{tail}; {need} needed, {_limit_in_words(s, limit)}"
    if desired == s.asked:
        return _stay(s, need, limit or Reason.ON_TIME, tail, at_risk)
    return Verdict(Reason.SURGE, _said(s, desired, tail), desired, need, desired, limit, at_risk)


def _stay(s: Situation, need: int | None, reason: Reason, tail: str, at_risk: bool = False) -> Verdict:
    limit = _limited(s, need)[1] if need is not None else None
    return Verdict(reason, _said(s, s.asked, tail), None, need, s.asked, limit, at_risk)


def _limited(s: Situation, need: int) -> tuple[int, Reason | None]:
    """The need within the limits, and the limit that bound it: the largest useful size that it allows."""
    least, most = s.terms.least, s.terms.most
    if need < least:
        return least, Reason.MIN_REPLICAS
    ceiling = s.fleet.ceiling if s.fleet else need
    bound = min(most, ceiling)
    if need <= bound:
        return need, None
    sizes = s.fleet.sizes if s.fleet else ()
    useful = max((n for n in sizes if n <= bound), default=bound)
    limit = Reason.MAX_REPLICAS if most < ceiling else Reason.PARTITIONS
    return max(least, useful, min(s.asked, bound)), limit


def _limit_in_words(s: Situation, limit: Reason) -> str:
    if limit is Reason.MIN_REPLICAS:
        return f"spec.replicas.min is {s.terms.least}"
    if limit is Reason.MAX_REPLICAS or s.fleet is None:
        return f"spec.replicas.max is {s.terms.most}"
    return f"{words.some(s.fleet.partitions, 'partition')} feed at most {words.some(s.fleet.ceiling, 'replica')}"


def _said(s: Situation, desired: int, tail: str) -> str:
    """One line a person understands at three in the morning, and can do the arithmetic of."""
    fleet = words.some(desired, "replica") if desired == s.asked else f"{s.asked} → {words.some(desired, 'replica')}"
    return f"{fleet}: {'; '.join([*s.numbers(), tail, *s.troubles()])}"


def _outcome(o: Outlook, asked: int) -> str:
    peak = o.peak()
    if peak == float("inf"):
        return f"{words.some(o.coming, 'replica')} to come"
    return f"with {asked} none gets older than {_age(peak)}" if peak >= 1 else "nothing has to wait"


def _age(seconds: float) -> str:
    return "any age" if seconds == float("inf") else words.seconds(seconds)
