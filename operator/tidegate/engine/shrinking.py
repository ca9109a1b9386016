"""Down: as soon as the queue runs empty, if a smaller fleet is cheaper with all that the changes cost.

A fleet may even do less than arrives: the queue then fills the promise slowly, and the next order empties it again. Two
sizes in turn cost less than idle replicas, where the promise leaves room for both pauses.
"""

from math import inf

from tidegate.engine.growing import SURGE
from tidegate.engine.outlook import GROWTH, Outlook
from tidegate.engine.plan import Deadline

PERSISTS = 300.0
"""Seconds for which a load is taken to last: about what a change down and up again costs, divided by what one replica
less saves (two pauses and a start), so that betting on it costs at most twice the best choice in hindsight."""
CHEAPER = 0.7  # of what staying costs: below it a change is worth its events
BAND = 0.7  # of the age between two pauses and the margin, used by a fleet that does less than arrives
LEAST_BAND = 5.0  # seconds: with less room two sizes in turn would be one pause after the other
LEADS = 2.0  # a cycle of two sizes must last so many leads: a group that is always changing is not worth its savings
SPARE = 5.0  # seconds
NEARLY_GONE = 0.5  # seconds of arrivals, over what two readings will drain


def drained(o: Outlook) -> bool:
    """Whether the backlog is gone, or will be within two readings."""
    return o.queue.total <= 2 * o.tick * max(0.0, o.does(o.ready) - o.queue.rate) + NEARLY_GONE * o.queue.rate


def size_down(o: Outlook, asked: int, least: int) -> int | None:
    """The cheapest smaller fleet that is worth the change and keeps the promise; None where there is none."""
    o = o.growing(o.growth - GROWTH)  # as much as half the uncertainty may be hidden
    worth = CHEAPER * (asked - o.load)
    sizes = {least, *(n for n in o.fleet.sizes if least < n < asked)}
    costs = sorted((cost, n) for n in sizes if (cost := _cost(o, n)) < worth)
    return next((n for _, n in costs if keeps_promise(o.guarded(), n)), None)


def _cost(o: Outlook, replicas: int) -> float:
    """Replicas paid for and not needed, on average, with the stops and starts that the size brings."""
    spare = o.does(replicas) - o.queue.rate
    if spare >= 0:
        return replicas - o.load + o.pause * replicas / PERSISTS
    more = o.fleet.size_for(o.load * (1 + o.growth))
    band = BAND * (o.bearable - 2 * o.pause - SPARE)
    if band < LEAST_BAND or o.queue.rate > SURGE * o.does(replicas):
        return inf  # no room to wait, or no waiting
    over = o.does(more) - o.queue.rate
    cycle = band * o.queue.rate / -spare + (band * o.queue.rate / over if over > 0 else PERSISTS)
    if cycle < LEADS * o.lead:
        return inf
    return (o.pause * (replicas + more) + o.startup * (more - replicas)) / min(cycle, PERSISTS)


def keeps_promise(o: Outlook, replicas: int) -> bool:
    """Whether the largest fleet, ordered as soon as the smaller one works, would still be in time, or the smaller one
    drains by itself what its pause leaves.
    """
    again = o.shrunk(replicas, again=o.most)
    if o.overdue(again, o.bearable, 2 * o.pause + o.startup + o.tick) <= 0:
        return True
    deadline = Deadline(o.bearable, o.pause, o.bearable - o.pause - SPARE)
    drains = o.does(replicas) > o.queue.rate
    return drains and o.queue.overdue(o.shrunk(replicas), deadline, o.max_age + o.lead) <= 0
