"""When more partitions are the answer, of which topic, and how many: an increase that the need asks for.

Partitions cannot be taken away again, and an increase moves keys: so a surge alone asks for none. The need must stand
above the ceiling now, and have been there for a real part of the last hours.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from math import ceil, inf, isqrt
from operator import itemgetter
from statistics import median_low
from typing import NamedTuple

from tidegate.api.partitions import PartitionsMode
from tidegate.api.reasons import Reason
from tidegate.engine import words
from tidegate.engine.bound import BOUND_FOR, Bound
from tidegate.engine.capacity import Fleet
from tidegate.engine.decision import Increase
from tidegate.engine.guards import Verdict
from tidegate.engine.hours import EVERY
from tidegate.engine.learning import by_range, fleet_of
from tidegate.engine.loads import HOTTER
from tidegate.engine.situation import Situation

OFTEN = 1 / 20
"""Of the last hours: a rate that was reached in so much of them comes back. Twelve minutes of four hours; a surge of a
few minutes is what a queue is for."""
HEAD_ROOM = 0.25
"""Over that rate: in a twentieth of the time more came, fleets work at nearly what they can do, and each further
increase would move keys again."""
INCREASE_TAKES = 2.0  # seconds, of the pause of a group without members: the increase, and offsets for what is new
LOOKED_AT = 100  # counts above the least that will do: of so many neighbours some divide well
FLOW_OVER = 300.0  # seconds in which topics and partitions are compared: longer than a burst, within any history
ELSEWHERE = (Reason.NOT_EFFECTIVE, Reason.PODS_NOT_STARTING)
"""What limits the group then is not its partitions."""


class Case(NamedTuple):
    """What speaks for an increase: a rate that came often enough (without what keys bring, and with it), and the
    replicas for it, with head room.
    """

    fleet: Fleet
    per_replica: float
    rate: float
    reached: float
    need: int
    bound_for: float


def wanted_increase(s: Situation, verdict: Verdict, bound: Bound) -> Increase | None:
    """The increase that the need asks for; None where there is none, or it is not partitions that limit."""
    case = _case(s, verdict, bound.lasted(s.now))
    if case is None:
        return None
    counts, spec = Counter(map(itemgetter(0), s.memory.history.partitions)), s.terms.partitions
    topic = _topic(s, counts)
    least = _least(s, counts, topic, min(case.need, s.terms.most) * s.terms.consumers)
    limit = min(spec.max or inf, counts[topic] * spec.max_factor)
    to = rounded(counts[topic], least, int(limit))
    if to <= counts[topic]:
        return None
    after = fleet_of({**counts, topic: to}, s.memory.assignor, s.terms.consumers)
    return Increase(
        topic=topic,
        from_=counts[topic],
        to=to,
        rate=case.rate,
        looked_back=s.memory.hours.seconds,
        per_replica=case.per_replica,
        bound_for=case.bound_for,
        need=case.need,
        ceiling=case.fleet.ceiling,
        ceiling_after=after.ceiling,
        pause=s.leaving + INCREASE_TAKES + s.startup + s.pause,
        message="; ".join(
            [
                *_why(s, case),
                f"{counts[topic]} → {to} partitions employ up to {after.ceiling}",
                *_but(s, case, to >= least),
            ]
        ),
    )


def _case(s: Situation, verdict: Verdict, bound_for: float) -> Case | None:
    """What speaks for an increase; None where something speaks against it.

    Where keys matter, what a key brings stays in one partition, however many there are: the rest counts, among
    partitions that are alike.
    """
    if bound_for < BOUND_FOR or s.terms.partitions.mode is PartitionsMode.OFF or verdict.reason in ELSEWHERE:
        return None
    if s.fleet is None or not s.per_replica or s.memory.history.alike < BOUND_FOR:
        return None
    of_keys = _share_of_keys(s, bound_for) if s.terms.partitions.keyed else 0.0
    reached, fleet = s.memory.hours.reached(OFTEN), s.fleet.even if of_keys else s.fleet
    rate = reached * (1 - of_keys)
    if s.terms.most <= fleet.ceiling or rate <= s.per_replica * fleet.units(fleet.ceiling):
        return None
    need = ceil(rate * (1 + HEAD_ROOM) / s.per_replica - 1e-9)
    return Case(s.fleet, s.per_replica, rate, reached, need, bound_for)


def _share_of_keys(s: Situation, bound_for: float) -> float:
    """The share of what came since the need is above the ceiling that partitions got beyond what is usual in their
    topic. Partitions are not known to be hot for some minutes; an increase must not be faster than that.
    """
    flow: dict[str, list[int]] = {}
    history = s.memory.history
    since = min(FLOW_OVER, bound_for, history.alike)
    for (topic, _), records in zip(history.partitions, history.flow(since), strict=True):
        flow.setdefault(topic, []).append(records)
    usual = {topic: median_low(parts) for topic, parts in flow.items()}
    beyond = sum(part - usual[topic] for topic, parts in flow.items() for part in parts if part > HOTTER * usual[topic])
    return beyond / max(1, sum(map(sum, flow.values())))


def _topic(s: Situation, counts: Mapping[str, int]) -> str:
    """The topic whose partitions get most, each, over the last minutes."""
    arrived: dict[str, int] = {}
    history = s.memory.history
    flow = history.flow(min(FLOW_OVER, history.alike))
    for (topic, _), records in zip(history.partitions, flow, strict=True):
        arrived[topic] = arrived.get(topic, 0) + records
    return min(counts, key=lambda topic: (-arrived[topic] / counts[topic], topic))


def _least(s: Situation, counts: Mapping[str, int], topic: str, consumers: int) -> int:
    """The partitions of the topic that employ so many consumers.

    The range assignor divides each topic by itself; for all others it is the sum that counts.
    """
    if by_range(s.memory.assignor):
        return consumers
    return counts[topic] + max(0, consumers - sum(counts.values()))


@lru_cache(maxsize=1024)
def rounded(now: int, least: int, limit: int) -> int:
    """The next multiple of `now`: a key's partition splits in equal parts, and the useful sizes of before stay useful.

    Where none is within the limit, the count with the most divisors (the most useful sizes), the smallest of these;
    where even the least is not, the largest multiple, or else all that may be.
    """
    multiple = now * ceil(least / now)
    if multiple <= limit:
        return multiple
    if least > limit:
        return limit // now * now if limit >= 2 * now else limit
    return max(range(least, min(limit, least + LOOKED_AT) + 1), key=lambda count: (_divisors(count), -count))


def _divisors(number: int) -> int:
    root = isqrt(number)
    return 2 * sum(number % divisor == 0 for divisor in range(1, root + 1)) - (root * root == number)


def _why(s: Situation, case: Case) -> list[str]:
    """The arithmetic, so that a person can do it again."""
    hours = s.memory.hours
    often, back = words.seconds(hours.often(OFTEN) * EVERY), words.seconds(hours.seconds)
    came = f"for {often} of the last {back} {words.rate(case.reached)} or more came"
    if case.rate < case.reached:
        came += f", {words.rate(case.rate)} of it beside what single keys seem to bring"
    partitions, replicas = words.some(case.fleet.partitions, "partition"), words.some(case.fleet.ceiling, "replica")
    return [
        came,
        f"{partitions} employ at most {replicas} of {words.rate(case.per_replica)} each",
        f"with {HEAD_ROOM:.0%} head room that rate needs {case.need}",
    ]


def _but(s: Situation, case: Case, enough: bool) -> list[str]:
    """What else must be known to decide it."""
    short = [] if enough else ["not enough, but all that spec.partitions allows at once"]
    return [*short, f"spec.replicas.max is {s.terms.most}"] if case.need > s.terms.most else short
