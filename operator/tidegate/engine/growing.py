"""Up: as late as the promise allows, and then by enough.

A queue within `maxAge` is no reason to scale. What breaks the promise is arithmetic on records that have already
arrived, on the capacity of a replica, and on the time that new ones take.
"""

from tidegate.engine.outlook import GROWTH_OF_CAUTION, Outlook
from tidegate.engine.plan import Deadline

RECOVER_TO = 0.5  # of maxAge: where a new fleet must bring the age, or the next change finds no room
SETTLES = 10.0  # seconds after new replicas begin to work until the age must come down
TOLERANCE, MOST_TOLERATED = 0.05, 3.0
TOLERANCE_OF_LEAD = 0.07
"""Of maxAge and of the lead, and seconds: a fleet that is late by so little (by its own pessimistic arithmetic) is not
made larger for it. Halved by caution, and nothing where the promise is hard to keep."""
HARD_GROWTH = 0.2
"""Head room of an order where the promise is hard to keep, over what it has anyway: a second order soon after the first
would be late."""
WORTH = 0.9  # an order must lower the highest age to this share of what it would be without
DRAINS = 1.03  # times the arrivals: a fleet that does so much gets rid of its backlog
FAR = 1.5  # times the arrivals: what a later order in a long queue would still bring
LATE_BY = 1.0  # second
STARTING_MARGIN = 0.1  # of the lead: while pods start, only what they cannot keep is worth another stop
SURGE, FILLS = 0.2, 300.0
"""Share of the arrivals that the fleet leaves, beyond their noise, and seconds in which they fill the promise: waiting
for that would save little, and whoever watches expects an answer."""


def short(o: Outlook, asked: int, sure: float, since_order: float) -> bool:
    """Whether what is asked for breaks the promise and an order now is due; `sure` is the least the arrivals can be."""
    if o.coming:
        return _starting_too_little(o, asked, since_order)
    does = o.does(o.ready)
    overwhelmed = o.queue.total > o.max_age * does and _helps(o, asked, o.max_age)
    return overwhelmed or surges(o, sure, does) or _due(o.guarded(), asked)


def surges(o: Outlook, arriving: float, does: float) -> bool:
    """Whether so much more arrives than a fleet does that it need not be waited for: the oldest record gets older by
    1 - does / arriving seconds a second.
    """
    return arriving * (1 - max(SURGE, o.max_age / FILLS)) > does


def _due(o: Outlook, asked: int) -> bool:
    """Whether an order at the next reading would come too late for what is due until it serves.

    The order looked at is a modest one: if only the largest fleet could save the promise, it would be put off until
    nothing less can. No larger than one order may be, so that steps begin early. A fleet that does more than arrives is
    enlarged only where that helps.
    """
    room = o.pause if o.hard else 0.0  # a queue that grows slowly must not leave the age at which a pause can be borne
    if not o.late(o.path(), o.bearable - room):
        return False
    modest = int(min(max(asked + 1, o.fleet.size_for(o.load)), o.reach(asked)))
    wait = o.late(o.path(o.does(modest), after=o.tick), o.bearable, o.lead + o.tick)
    enough = o.does(o.ready) >= o.queue.rate and not o.failing
    return (wait or _far(o)) and (not enough or _helps(o, asked, o.max_age - LATE_BY))


def _far(o: Outlook) -> bool:
    """In a promise much longer than the lead: whether a burst deep in the queue will be late even then."""
    later = o.path(FAR * o.queue.rate, after=o.tick)
    return o.max_age > 2 * o.lead and o.late(later, o.bearable, o.lead + o.max_age)


def _helps(o: Outlook, asked: int, age: float) -> bool:
    """Whether records will be older than that, and with the largest fleet a good deal less."""
    keep = o.overdue(o.path(), age)
    return keep > 0 and age + o.overdue(o.path(o.does(max(o.most, asked))), age) < WORTH * (age + keep)


def _starting_too_little(o: Outlook, asked: int, since_order: float) -> bool:
    """Whether another order is worth another stop, or costs none as its stop merges with the one to come."""
    age = o.max_age - STARTING_MARGIN * o.lead
    if not _helps(o, asked, age):
        return False
    later = o.path(o.does(max(o.most, asked)), after=o.tick)
    return since_order < o.pause or o.late(later, age)


def size_up(o: Outlook) -> int:
    """The smallest useful fleet that does the arrivals and brings the age back, or is late no longer than it must be.

    What is there already where it is too late for anything and the backlog drains. Above the partition ceiling it is
    the number that more partitions would ask for.
    """
    grown = o.growing(o.growth + (HARD_GROWTH + GROWTH_OF_CAUTION * o.caution if o.hard else 0.0))
    best = _outcome(grown, o.fleet.ceiling)
    least = max(o.fleet.size_for(grown.load), o.served + 1)
    if best > 0 and not o.failing and o.does(o.served) > DRAINS * o.queue.rate and _outcome(grown, None) <= best:
        return o.served
    bound = max(0.0, best) + _tolerance(o)
    return next((n for n in o.fleet.sizes if n >= least and _outcome(grown, n) <= bound), max(least, o.fleet.ceiling))


def _outcome(o: Outlook, order: int | None) -> float:
    """By how many seconds the promise is missed, when the age must come down once the order works."""
    works = o.startup + o.pause + SETTLES
    deadline = Deadline(o.max_age, works, RECOVER_TO * o.max_age)
    legs = o.path(None if order is None else o.does(order))
    return o.queue.overdue(legs, deadline, deadline.bends[1])


def _tolerance(o: Outlook) -> float:
    if o.hard:
        return 0.0
    least = min(MOST_TOLERATED, TOLERANCE * o.max_age, TOLERANCE_OF_LEAD * o.lead)
    return least / (1 + 2 * o.caution)
