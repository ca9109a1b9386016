"""Down: as soon as the queue runs empty, if a smaller fleet is cheaper with all that the changes cost.

A fleet may even do less than arrives: the queue then fills the promise slowly, and the next order empties it again. Two
sizes in turn cost less than idle replicas, where the promise leaves room for both pauses.
"""

from collections.abc import Iterable
from math import inf

from tidegate.engine.growing import surges
from tidegate.engine.outlook import GROWTH, Outlook
from tidegate.engine.plan import Deadline

PERSISTS = 300.0
"""Seconds for which a load is taken to last: about what a change down and up again costs, divided by what one replica
less saves (two pauses and a start), so that betting on it costs at most twice the best choice in hindsight."""
CHEAPER = 0.7  # of what staying costs: below it a change is worth its events
BAND = 0.7  # of the age between two pauses and the margin, used by a fleet that does less than arrives
LEAST_BAND = 5.0  # seconds: with less room two sizes in turn would be one pause after the other
LEADS = 2.0
"""A cycle of two sizes must last so many leads, and maxAge: being changed all the time is not worth its savings."""
SPARE = 5.0  # seconds
NEARLY_GONE = 0.5  # seconds of arrivals, over what two readings will drain


def drained(o: Outlook) -> bool:
    """Whether the backlog is gone, or will be within two readings."""
    return o.queue.total <= 2 * o.tick * max(0.0, o.does(o.ready) - o.queue.rate) + NEARLY_GONE * o.queue.rate


def cheaper(o: Outlook, asked: int, least: int) -> list[int]:
    """The smaller fleets that are worth the change, the cheapest first."""
    o = _likely(o)
    worth = CHEAPER * (asked - o.load)
    sizes = {least, *(n for n in o.fleet.sizes if least < n < asked)}
    costs = sorted((cost, n) for n in sizes if (cost := _cost(o, n)) < worth)
    return [n for _, n in costs]


def size_down(o: Outlook, sizes: Iterable[int]) -> int | None:
    """The first of the smaller fleets that keeps the promise; None where there is none."""
    o = _likely(o).guarded()
    return next((n for n in sizes if keeps_promise(o, n)), None)


def _likely(o: Outlook) -> Outlook:
    return o.growing(o.growth - GROWTH)  # as much as half the uncertainty may be hidden


def _cost(o: Outlook, replicas: int) -> float:
    """Replicas paid for and not needed, on average, with the stops and starts that the size brings."""
    does = o.does(replicas)
    spare = does - o.queue.rate
    if spare >= 0:
        return replicas - o.load + o.leaving * replicas / PERSISTS
    if surges(o, o.queue.rate, does):
        return inf  # no waiting
    band = BAND * (o.bearable - o.leaving - o.pause - SPARE)
    if band < LEAST_BAND:
        return inf  # no room for it
    more = o.fleet.size_for(o.load * (1 + o.growth))
    over = o.does(more) - o.queue.rate
    cycle = band * o.queue.rate / -spare + (band * o.queue.rate / over if over > 0 else PERSISTS)
    if cycle < max(LEADS * o.lead, o.max_age):
        return inf
    return (o.leaving * replicas + o.pause * more + o.startup * (more - replicas)) / min(cycle, PERSISTS)


def keeps_promise(o: Outlook, replicas: int) -> bool:
    """Whether the largest fleet, ordered as soon as the smaller one works, would still be in time, or the smaller one
    drains by itself what its pause leaves.

    Where `spec.behavior` allows less than the largest in one step, that step must at least do what arrives.
    """
    again = int(min(o.most, o.reach(replicas)))
    saves = again == o.most or o.does(again) > o.queue.rate
    if saves and not o.late(o.shrunk(replicas, again), o.bearable, o.leaving + o.pause + o.startup + o.tick):
        return True
    deadline = Deadline(o.bearable, o.leaving, o.bearable - o.pause - SPARE)
    drains = o.does(replicas) > o.queue.rate
    return drains and o.queue.overdue(o.shrunk(replicas), deadline, o.max_age + o.lead) <= 0
