"""The arithmetic of sizing: up when waiting longer would break the promise, down when a smaller fleet is proven to do.

The deadline is the resource: a queue within `maxAge` is no reason to scale. What breaks the promise is arithmetic on
records that have already arrived, on the capacity of a replica, and on the time that new ones take.
"""

from dataclasses import dataclass

from tidegate.engine.capacity import Fleet
from tidegate.engine.history import HOLE, History
from tidegate.engine.plan import Path, Queue, path, queue_of, served_by
from tidegate.engine.rates import Level, peak_rate
from tidegate.engine.situation import Situation

MARGIN_OF_AGE = 0.25
MARGIN_OF_LEAD = 0.25
LEAST_MARGIN = 6.0
"""The part of maxAge kept free for what is not known exactly: a quarter of the lead (start-up, pause, reading), at
least 6 s (a reading and its jitter), at most a quarter of maxAge."""
GROWTH = 0.05  # head room over the measured arrival rate: an undershoot costs a second stop at a high age
RECOVER_TO = 0.5  # of maxAge: where a new fleet must have brought the age within one maxAge after it began to work
TOLERANCE, MOST_TOLERATED = 0.05, 3.0
"""Of maxAge, and seconds: where even the largest fleet is late, one that is late by so little more is not enlarged."""
WORTH = 0.9  # an order must lower the highest age to this share of what it would be without
MUCH_LARGER = 1.5  # while pods start, only a need this much larger than what was asked for is worth another stop
HEADROOM_IN = 0.1  # of the smaller fleet's capacity, kept free over the peak that was seen
FALLING = 0.9  # of the peak: what lies below it is no noise
LONGEST_PROOF = 300.0  # seconds: a low that lasts longer repays any change
SURGE = 1.25
"""Times what the fleet does: arrivals that exceed it by a quarter, beyond their noise, fill the promise in a few of its
lengths. Waiting for that would save little, and whoever watches expects an answer."""
CLEARLY = 2.0  # standard deviations of the arrival rate
NEARLY_GONE = 0.5  # seconds of arrivals, over what two readings will drain


@dataclass(frozen=True, slots=True)
class Outlook:
    """What will become of the queue, with the replicas that are there, on their way, or ordered."""

    queue: Queue
    fleet: Fleet
    rate: float  # records/s of one replica
    ready: int
    coming: int
    within: float
    stop: float
    startup: float
    pause: float
    tick: float
    max_age: float

    @property
    def lead(self) -> float:
        """Seconds from an order at the next reading until it serves."""
        return self.tick + self.startup + self.pause

    @property
    def bearable(self) -> float:
        """The age at which a plan may peak: maxAge less its margin."""
        margin = min(MARGIN_OF_AGE * self.max_age, max(LEAST_MARGIN, MARGIN_OF_LEAD * self.lead))
        return self.max_age - margin

    @property
    def served(self) -> int:
        """Replicas that are ready or will be."""
        return self.ready + self.coming

    def does(self, replicas: int) -> float:
        """Records/s of that many replicas."""
        return self.rate * self.fleet.units(replicas)

    def path(self, order: int | None = None, after: float = 0.0) -> Path:
        """The capacity from now on, with an order of `order` replicas in all placed `after` seconds from now."""
        joins: list[tuple[float, float]] = []
        if self.coming:
            joins.append((self.within, self.does(self.served)))
        if order is not None:
            joins.append((after + self.startup, self.does(order)))
        return path(self.does(self.ready), self.stop, tuple(joins), self.pause)

    def peak(self, order: int | None = None, after: float = 0.0) -> float:
        """The highest age at which a record will be done, of those that arrive until an order would serve."""
        return self.queue.peak_age(self.path(order, after), after + self.startup + self.pause)

    def peak_after_shrinking(self, replicas: int) -> float:
        """The same when the fleet shrinks now: it stops for one pause, then goes on smaller."""
        return self.queue.peak_age(
            path(self.does(self.ready), 0.0, ((0.0, self.does(replicas)),), self.pause), self.lead
        )


def outlook(s: Situation, per_replica: float | None) -> Outlook | None:
    """The outlook of a situation for a capacity of a replica; None where that or the backlog is not known."""
    if not per_replica or s.fleet is None or s.count is None or not len(s.memory.history):
        return None
    arrival = s.arrival.rate if s.arrival else 0.0
    rate = min(arrival, per_replica * s.fleet.units(s.ready))
    queue = queue_of(s.memory.history, max(0.0, (s.count.pace_age or 0.0) - s.staleness), s.staleness * rate, arrival)
    paused = s.memory.crew.paused
    return Outlook(
        queue=queue,
        fleet=s.fleet,
        rate=per_replica,
        ready=s.ready,
        coming=s.on_their_way.coming,
        within=max(s.on_their_way.within, s.tick / 2) if s.on_their_way.coming else 0.0,
        stop=max(0.0, paused + s.pause - s.now) if paused is not None else 0.0,
        startup=s.startup,
        pause=s.pause,
        tick=s.tick,
        max_age=s.terms.max_age,
    )


def short(o: Outlook, asked: int, sure: float) -> bool:
    """Whether what is asked for breaks the promise and an order now is due; `sure` is the least the arrivals can be.

    A fleet that cannot do the arrivals is short in a surge, or as soon as an order at the next reading would come too
    late; one that can, only if its backlog will be late and more replicas would make that better.
    """
    if o.does(o.served) >= o.queue.rate:
        keep = o.peak()
        return keep > o.max_age and o.peak(max(o.fleet.ceiling, asked)) < WORTH * keep
    if sure > SURGE * o.does(o.served):
        return True
    modest = max(asked + 1, o.fleet.size_for(o.queue.rate / o.rate))
    return o.peak(modest, after=o.tick) > o.bearable


def size_up(o: Outlook, growth: float) -> int:
    """The smallest useful fleet that covers the arrivals, brings the age back, and is late no longer than it must be.

    Above the partition ceiling it is the number that more partitions would ask for.
    """
    arrivals = o.queue.rate * (1 + growth)
    resumes = o.startup + o.pause
    left = max(0.0, o.queue.total + o.queue.rate * resumes - served_by(o.path(o.fleet.ceiling), resumes))
    debt = max(0.0, left - arrivals * RECOVER_TO * o.max_age) / o.max_age
    least = o.fleet.size_for((arrivals + debt) / o.rate)
    best = max(o.bearable, o.peak(o.fleet.ceiling) + min(MOST_TOLERATED, TOLERANCE * o.max_age))
    return next((n for n in o.fleet.sizes if n >= least and o.peak(n) <= best), max(least, o.fleet.ceiling))


def growth(arrival: Level | None) -> float:
    """The share by which an order is larger than the measured arrivals: a part fixed, a part for their uncertainty."""
    noise = arrival.sd / arrival.rate if arrival and arrival.rate > 0 else 0.0
    return GROWTH + min(0.5, 0.5 * noise)


def proof_time(o: Outlook, replicas: int, fewer: int) -> float:
    """Seconds for which the arrivals must have fitted the smaller fleet before a change to it repays itself.

    Going down and up again costs two pauses and a start; saving `replicas - fewer` repays that after this time, so
    waiting for it costs at most twice the best choice in hindsight (the ski-rental bound). At least a promise and two
    leads: a load that comes back sooner must find the fleet.
    """
    saved = replicas - fewer
    repaid = (o.pause * (replicas + fewer) + o.startup * saved) / saved
    return min(LONGEST_PROOF, max(o.max_age, 2 * o.lead, repaid))


def drained(o: Outlook) -> bool:
    """Whether the backlog is gone, or will be within two readings."""
    return o.queue.total <= 2 * o.tick * max(0.0, o.does(o.ready) - o.queue.rate) + NEARLY_GONE * o.queue.rate


def fits(o: Outlook, history: History, window: float, fewer: int) -> bool:
    """Whether the smaller fleet would have carried the peak of that time, and stays on time through its pause."""
    return (
        history.watched(HOLE * o.tick) >= window
        and peak_rate(history, window, o.tick) <= o.does(fewer) * (1 - HEADROOM_IN)
        and o.peak_after_shrinking(fewer) <= o.bearable
    )


def falling(o: Outlook, history: History, window: float) -> bool:
    """Whether the peak of that time lies in its first half: it will soon be out of sight."""
    return peak_rate(history, window / 2, o.tick) < FALLING * peak_rate(history, window, o.tick)
