"""From arithmetic to a verdict: wake, grow, shrink, probe or keep, within the limits, and said in one line."""

from tidegate.api.reasons import Reason
from tidegate.engine import words
from tidegate.engine.behavior import Allowed, allowed
from tidegate.engine.growing import short, size_up
from tidegate.engine.guards import Verdict, first_brake
from tidegate.engine.history import HOLE
from tidegate.engine.outlook import Outlook, growth, outlook
from tidegate.engine.rates import usual_age
from tidegate.engine.shrinking import cheaper, drained, size_down
from tidegate.engine.situation import Situation
from tidegate.engine.staleness import STALENESS
from tidegate.engine.words import Said

PROBE = 2  # times as many replicas where the group falls behind and nobody knows what one can do
NOTICED = 1 / 24  # of maxAge
CLEARLY, UNLIKELY = 2.0, 1.5  # standard deviations of the arrival rate, and of what came since the last reading
IDLE_FOR = 60.0  # seconds without a record before the last replica goes
LATELY = 1200.0
"""Seconds for which a size counts as needed where it cannot be ordered again in one step. On a day of a web server's
load, with one more a minute allowed, that took lateness from 4 % of the records to 0.1 %, at the same cost."""


def within_limits(s: Situation) -> Verdict | None:
    """An edit of spec.replicas takes effect at once, whatever the backlog (but orders nothing that cannot work)."""
    least, most = s.terms.least, s.terms.most
    if s.asked < least:
        message = f"{s.asked} → {words.some(least, 'replica')}: spec.replicas.min is {least}"
        return Verdict(Reason.MIN_REPLICAS, message, least, desired=least)
    if s.asked > most:
        fewer, limit = _limited(s, s.asked)
        also = f", {_limit_in_words(s, limit)}" if limit is Reason.PARTITIONS else ""
        message = f"{s.asked} → {words.some(fewer, 'replica')}: spec.replicas.max is {most}{also}"
        return Verdict(Reason.MAX_REPLICAS, message, fewer, desired=fewer)
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
    grows = short(o, s.asked, _surely(s), s.since_change) or _lives_off_features(s, o)
    verdict = _grown(s, o) if grows else _shrunk(s, o) or _kept(s, o)
    return verdict._replace(copes_with=o.copes_with())


def _lives_off_features(s: Situation, o: Outlook) -> bool:
    """Whether only features that are off keep the queue short: they come back once replicas can do the arrivals."""
    return s.level > 0 and _floor(s, o) > s.asked


def _woken(s: Situation) -> Verdict:
    """From zero: any record that was not there when the group went to sleep."""
    lag = s.backlog.lag if s.backlog.lag is not None else s.memory.residue + (s.counted.arrived if s.counted else 0)
    if lag <= s.memory.residue:
        return Verdict(Reason.ON_TIME, "0 replicas: nothing waits", need=0, desired=0, wanted=0)
    o = outlook(s, s.per_replica)
    need = max(1, size_up(o)) if o else 1
    woken = _ordered(s, need, f"{words.some(lag, 'record')} came while it slept", o)
    return woken if o or woken.replicas else woken._replace(at_risk=True)  # nobody works


def _idle(s: Situation) -> bool:
    """Whether the last replica may go: no record came or was done for a while, and what is left cannot be consumed.

    A transaction marker takes an offset that nobody can commit past, so up to one record a partition may stay for ever.
    To call it a marker, consumers must have been there all that time: for one that still starts it is its first record.
    """
    history, count, while_ = s.memory.history, s.counted, _idle_for(s)
    if s.terms.least > 0 or count is None or not s.ready or s.on_their_way.coming or first_brake(s):
        return False
    row = history.since(history.ended[-1] - while_)
    quiet = history.arrived[-1] == history.arrived[row] and history.served[-1] == history.served[row]
    manned = s.now - (s.memory.crew.changed or 0.0) >= while_ and s.since_change >= while_
    left = max(count.shares.lag) <= 1 and not any(count.shares.blocked)
    return history.looked >= while_ and quiet and manned and left


def _idle_for(s: Situation) -> float:
    return max(IDLE_FOR, s.terms.max_age, 2 * s.lead)


def _asleep(s: Situation) -> Verdict:
    return _lowered(s, 0, f"no record came for {words.seconds(_idle_for(s))} and nothing waits", need=0)


def _grown(s: Situation, o: Outlook) -> Verdict:
    """More replicas, unless they are on their way, do not start, or did not help the last time."""
    need = max(size_up(o), 1)
    missing = max(0, s.asked - s.ready - o.coming)
    if s.on_their_way.stuck or (missing and need <= s.asked):
        stuck = words.some(s.on_their_way.stuck or missing, "replica")
        return _stay(s, need, Reason.PODS_NOT_STARTING, f"{need} needed, but {stuck} asked for did not start", True)
    if need <= s.asked:
        reason = Reason.STARTING if o.coming else Reason.DRAINING
        return _awaited(s, o, need, reason)
    trial = s.memory.skill.trial
    if trial and (trial.failed(s.now) or trial.doubtful(o.fleet.units(s.ready), o.does(s.ready))):
        return _stay(s, need, Reason.NOT_EFFECTIVE, "more replicas did no more work: look at what they wait for", True)
    return _ordered(s, need, _without(s, o), o)


def _without(s: Situation, o: Outlook) -> str:
    """Why more are ordered: the age without them, a surge that leads there, or that a later order would be late."""
    worst = o.max_age + o.overdue(o.path(), o.max_age)
    if worst <= o.max_age and s.arrival and s.arrival.latest > o.does(o.ready):
        return f"{words.rate(s.arrival.latest)} came last, more than {s.asked} can do"
    if worst <= o.max_age and _lives_off_features(s, o):
        return f"{s.asked} do what arrives only without the features that are off"
    later = "" if worst > o.max_age else ", and later ones would come too late"
    return f"with {s.asked} the oldest would reach {_age(worst)}{later}"


def _shrunk(s: Situation, o: Outlook) -> Verdict | None:
    """A smaller fleet, once the backlog is gone, if it is cheaper with the stops and starts that it brings."""
    least = _least(s, o)
    if o.coming or least >= s.asked or not drained(o) or s.memory.history.overhangs(s.tick):
        return None
    sizes = cheaper(o, s.asked, max(least, min(s.asked, s.memory.loads.alone)))
    if not sizes or first_brake(s):
        return None
    fewer = size_down(o, sizes)
    if fewer is None:
        return None
    floor = _floor(s, o)
    tail = f"nothing is left to catch up with, and {_enough(o, fewer)}"
    limit = Reason.MIN_REPLICAS if floor < least == fewer else None
    return _lowered(s, fewer, tail, floor, limit)


def _least(s: Situation, o: Outlook) -> int:
    """The smallest size that may be looked at: where `spec.behavior` limits the way up, one step must lead back to the
    largest size that was recommended lately.
    """
    least = max(1, s.terms.least)
    if o.scale_up is None:
        return least
    lately = min(o.most, s.memory.recommended.largest(s.now - LATELY))
    return next((n for n in range(least, s.asked) if o.reach(n) >= lately), s.asked)


def _enough(o: Outlook, fewer: int) -> str:
    if o.does(fewer) >= o.queue.rate:
        return f"{fewer} {'is' if fewer == 1 else 'are'} enough"
    return f"{fewer} keep{'s' if fewer == 1 else ''} the promise for a while, which is cheaper than idle ones"


def _kept(s: Situation, o: Outlook) -> Verdict:
    late = s.counted is not None and (s.counted.pace_age or 0.0) > o.bearable
    reason = Reason.STARTING if o.coming else Reason.DRAINING if late else Reason.ON_TIME
    floor = _floor(s, o)
    need = min(floor, s.asked)
    stay = _awaited(s, o, floor if _outgrown(s, o) else need, reason)
    return stay._replace(wanted=need) if reason is Reason.ON_TIME else stay


def _outgrown(s: Situation, o: Outlook) -> bool:
    """Whether all that can be of use is asked for and more arrives than it does: the queue hides that for a while."""
    return s.asked >= o.fleet.ceiling and _surely(s) > o.does(o.fleet.ceiling)


def _floor(s: Situation, o: Outlook) -> int:
    """The smallest fleet that does the arrivals, however long it may take to prove that."""
    floor = o.fleet.size_for(o.load * (1 + o.growth))
    return floor if s.terms.least == 0 else max(1, floor)


def _probed(s: Situation) -> Verdict:
    """Nobody knows what a replica can do: doubling where the group falls behind, a step down where it idles, shows."""
    if s.fleet is None or s.counted is None:
        return _stay(s, None, Reason.ON_TIME, "the capacity of a replica is not known yet")
    if _falls_behind(s):
        if s.on_their_way.stuck:
            return _stay(s, None, Reason.PODS_NOT_STARTING, "replicas asked for did not start", True)
        if s.on_their_way.coming or s.since_change < s.lead:
            return _stay(s, None, Reason.STARTING, "waiting for what the last change shows")
        more = s.fleet.size_for(_probe_units(s))
        if more > s.asked:
            tail = "it falls behind, and what a replica can do shows only now"
            return _ordered(s, more, tail, None)._replace(at_risk=s.half_gone)
    elif (bounded := outlook(s, s.learned.rate if s.learned else None)) and (verdict := _shrunk(s, bounded)):
        return verdict  # what a replica was seen to do at least is enough of a proof
    elif (fewer := _probe_down(s)) is not None:
        tail = f"{s.asked} have little to do, and what one can do shows only with fewer"
        return _lowered(s, fewer, tail, need=None)
    return _stay(s, None, Reason.ON_TIME, "what a replica can do shows when it has to work")


def _falls_behind(s: Situation) -> bool:
    """Whether the oldest record gets older than commits in jumps ever made it look, by a real part of the promise."""
    arriving = s.arrival.rate if s.arrival else 0.0
    few = max(1.0, 0.5 * NOTICED * s.terms.max_age * arriving)  # an age between two looks is uncertain, a queue is not
    if s.counted is None or s.counted.pace_age is None or s.counted.behind <= few:
        return False
    ages = s.memory.history.age[-3:]
    if s.half_gone or len(ages) < 3 or ages[1] >= ages[2]:
        return s.half_gone
    usual = usual_age(s.memory.history)
    noticed = NOTICED * s.terms.max_age * (1 if ages[0] < ages[1] else 2)  # one rise must be twice as high as two
    return s.counted.pace_age > (STALENESS if usual is None else usual) + noticed


def _surely(s: Situation) -> float:
    """The least the arrivals can be, but for chance; where the queue ages, the newest ones count."""
    if s.arrival is None:
        return 0.0
    usual = s.arrival.rate - CLEARLY * s.arrival.sd
    return max(usual, s.arrival.latest - UNLIKELY * s.arrival.latest_sd) if _falls_behind(s) else usual


def _probe_units(s: Situation) -> float:
    """Twice what is there, or what the arrivals ask for at the rate a replica was seen to do, whichever is less."""
    seen = s.learned.rate if s.learned else 0.0
    wanted = s.arrival.rate * (1 + growth(s.arrival)) / seen if seen and s.arrival else float("inf")
    return max(min(PROBE * s.asked, wanted), s.asked + 1)


def _probe_down(s: Situation) -> int | None:
    if s.counted is None or s.fleet is None or s.on_their_way.coming or first_brake(s):
        return None
    least = max(1, s.terms.least)
    fewer = max((n for n in (least, *s.fleet.sizes) if least <= n < s.asked), default=None)
    patient = 2 * max(s.terms.max_age, 2 * s.lead)
    calm = s.counted.pace_age is not None and s.counted.pace_age <= s.staleness.age + s.tick
    return fewer if calm and s.since_change >= patient and s.memory.history.watched(HOLE * s.tick) >= patient else None


def _ordered(s: Situation, need: int, tail: str, o: Outlook | None) -> Verdict:
    """More replicas, as far as the limits and then `spec.behavior` allow."""
    wanted, limit = _limited(s, need)
    if limit is not None:
        tail = f"{tail}; {need} needed, {_limit_in_words(s, limit)}"
    may = _allowed(s, wanted)
    if may.why is not None:
        limit, tail = Reason.BEHAVIOR, f"{tail}; {wanted} needed, {may.why}"
    late = o is not None and _late(s, o, wanted, may)
    if may.replicas <= s.asked:  # a person may have asked for more than can own a partition: no time to take them away
        return _held(s, limit or Reason.ON_TIME, tail, need, wanted, limit, late)
    return Verdict(Reason.SURGE, _said(s, may.replicas, tail), may.replicas, need, may.replicas, limit, late, wanted)


def _lowered(s: Situation, fewer: int, tail: str, need: int | None, limit: Reason | None = None) -> Verdict:
    """Fewer replicas, as far as `spec.behavior` allows."""
    may = _allowed(s, fewer)
    if may.why is not None:
        limit, tail = Reason.BEHAVIOR, f"{tail}; {may.why}"
    if may.replicas == s.asked:
        return _held(s, Reason.ON_TIME, tail, need, fewer, limit)
    return Verdict(Reason.DRAINED, _said(s, may.replicas, tail), may.replicas, need, may.replicas, limit, wanted=fewer)


def _held(
    s: Situation,
    reason: Reason,
    tail: str | Said,
    need: int | None,
    wanted: int,
    limit: Reason | None,
    late: bool = False,
) -> Verdict:
    return Verdict(reason, _said(s, s.asked, tail), None, need, s.asked, limit, late, wanted)


def _stay(s: Situation, need: int | None, reason: Reason, tail: str | Said, at_risk: bool = False) -> Verdict:
    limit = _limited(s, need)[1] if need is not None else None
    return _held(s, reason, tail, need, s.asked, limit, at_risk)


def _allowed(s: Situation, wanted: int) -> Allowed:
    """What `spec.behavior` allows of a change. A step on the way need not be a useful size: fewer stops get there."""
    if s.terms.behavior is None or wanted == s.asked:
        return Allowed(wanted)
    return allowed(s.terms.behavior, s.asked, wanted, s.memory.recommended, s.memory.past, s.now)


def _late(s: Situation, o: Outlook, wanted: int, may: Allowed) -> bool:
    """Whether a record will be late with what may be ordered now, or as soon as a window no longer holds it back."""
    order = may.replicas if may.waits is None else wanted
    prompt = o._replace(startup=s.startup + (may.waits or 0.0))
    return prompt.breaks_promise(order if order > s.asked else None)


def _awaited(s: Situation, o: Outlook, need: int, reason: Reason) -> Verdict:
    """What is asked for stays, as the outlook is with it."""
    return _stay(s, need, reason, Said(lambda: _outlook_in_words(s, o)), o.breaks_promise())


def _outlook_in_words(s: Situation, o: Outlook) -> str:
    peak = o.peak()
    if peak == float("inf"):
        return f"{words.some(o.coming, 'replica')} to come"
    return f"with {s.asked} none gets older than {_age(peak)}" if peak >= 1 else "nothing has to wait"


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
    limit = Reason.MAX_REPLICAS if most <= ceiling else Reason.PARTITIONS
    return max(least, useful, min(s.asked, bound)), limit


def _limit_in_words(s: Situation, limit: Reason) -> str:
    if limit is Reason.MIN_REPLICAS:
        return f"spec.replicas.min is {s.terms.least}"
    if limit is Reason.MAX_REPLICAS or s.fleet is None:
        return f"spec.replicas.max is {s.terms.most}"
    if s.fleet.ceiling < s.fleet.owners:
        return f"more than {s.fleet.ceiling} do no more for the fullest partitions"
    return f"{words.some(s.fleet.partitions, 'partition')} feed at most {words.some(s.fleet.ceiling, 'replica')}"


def _said(s: Situation, desired: int, tail: str | Said) -> Said:
    """One line a person understands at three in the morning, and can do the arithmetic of."""

    def line() -> str:
        fleet = words.some(desired, "replica")
        fleet = fleet if desired == s.asked else f"{s.asked} → {fleet}"
        return f"{fleet}: {'; '.join([*s.numbers(), str(tail), *s.troubles()])}"

    return Said(line)


def _age(seconds: float) -> str:
    return "any age" if seconds == float("inf") else words.seconds(seconds)
