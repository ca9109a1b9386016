"""What will become of the queue, for any plan of replicas: the one question that sizing asks."""

from dataclasses import dataclass, replace
from math import inf

from tidegate.engine.capacity import Fleet
from tidegate.engine.plan import Deadline, Path, Queue, path, queue_of
from tidegate.engine.rates import Level
from tidegate.engine.situation import Situation

MARGIN_OF_AGE = 0.25
MARGIN_OF_LEAD = 0.25
LEAST_MARGIN = 6.0
"""The part of maxAge kept free for what is not known exactly: a quarter of the lead (start-up, pause, reading) and up
to three quarters more of that with caution, at least 6 s (a reading and its jitter), at most a quarter of maxAge."""
MARGIN_OF_CAUTION = 0.5
GROWTH = 0.05  # head room over the measured arrival rate: an undershoot costs a second stop at a high age
UNSURE = 0.5  # standard deviations of the arrival rate, added to that
MOST_UNSURE = 0.5
GROWTH_OF_CAUTION = 0.1  # of the arrivals, where the promise is hard to keep


@dataclass(frozen=True, slots=True)
class Outlook:
    """The queue, the replicas that are there or on their way, and the times that changes take."""

    queue: Queue
    fleet: Fleet
    rate: float  # records/s of one replica
    most: int  # replicas that may be ordered and could own a partition
    ready: int
    coming: int
    within: float  # seconds until the last of those is ready
    stop: float  # seconds that the present pause will go on
    startup: float
    pause: float
    tick: float
    max_age: float
    caution: float
    growth: float

    @property
    def lead(self) -> float:
        """Seconds from an order at the next reading until it serves."""
        return self.tick + self.startup + self.pause

    @property
    def bearable(self) -> float:
        """The age at which a plan may peak: maxAge less its margin."""
        of_lead = MARGIN_OF_LEAD * (1 + MARGIN_OF_CAUTION * self.caution) * self.lead
        return self.max_age - min(MARGIN_OF_AGE * self.max_age, max(LEAST_MARGIN, of_lead))

    @property
    def hard(self) -> bool:
        """Whether the promise is too short to wait until new replicas are due: they come later than what is due."""
        return self.bearable < max(self.startup + self.pause + 5, 2 * self.pause + 10)

    @property
    def served(self) -> int:
        """Replicas that are ready or will be."""
        return self.ready + self.coming

    @property
    def load(self) -> float:
        """Replicas' worth of work that arrives."""
        return self.queue.rate / self.rate

    def does(self, replicas: int) -> float:
        """Records/s of that many replicas."""
        return self.rate * self.fleet.units(replicas)

    def guarded(self) -> "Outlook":
        """The same, but where the promise is hard to keep what will arrive counts too, and no longer only what did."""
        return self.growing(self.growth + GROWTH_OF_CAUTION * self.caution) if self.hard else self

    def growing(self, share: float) -> "Outlook":
        """The same if more arrives by a share."""
        return replace(self, queue=replace(self.queue, rate=self.queue.rate * (1 + share)))

    def path(self, order: float | None = None, after: float = 0.0) -> Path:
        """The capacity from now on, with an order placed `after` seconds from now that makes it `order` records/s."""
        joins: list[tuple[float, float]] = []
        if self.coming:
            joins.append((self.within, self.does(self.served)))
        if order is not None:
            joins.append((after + self.startup, order))
        return path(self.does(self.ready), self.stop, tuple(joins), self.pause)

    def shrunk(self, replicas: int, again: int | None = None) -> Path:
        """The capacity if the fleet shrinks now; `again`: and as many are ordered as soon as the group works again."""
        joins = [(0.0, self.does(replicas))]
        if again is not None:
            joins.append((self.pause + self.startup, self.does(again)))
        return path(self.does(self.ready), 0.0, tuple(joins), self.pause)

    def overdue(self, legs: Path, age: float, horizon: float = inf) -> float:
        """The most seconds by which a record due within `horizon` will be older than `age`."""
        longest = self.max_age + 2 * self.lead
        return self.queue.overdue(legs, Deadline(age), min(horizon, longest))

    def peak(self, order: int | None = None) -> float:
        """The highest age at which a record will be done, of those that arrive until an order would serve."""
        legs = self.path(None if order is None else self.does(order))
        return self.queue.peak_age(legs, self.startup + self.pause)


def outlook(s: Situation, per_replica: float | None) -> Outlook | None:
    """The outlook of a situation for a capacity of a replica; None where that or the backlog is not known."""
    if not per_replica or s.fleet is None or s.count is None or not len(s.memory.history):
        return None
    arrival = s.arrival.rate if s.arrival else 0.0
    done = s.staleness.work * min(arrival, per_replica * s.fleet.units(s.ready))
    age = max(0.0, (s.count.pace_age or 0.0) - s.staleness.age)
    paused = s.memory.crew.paused
    return Outlook(
        queue=queue_of(s.memory.history, age, done, arrival),
        fleet=s.fleet,
        rate=per_replica,
        most=s.fleet.largest(s.terms.most),
        ready=s.ready,
        coming=s.on_their_way.coming,
        within=max(s.on_their_way.within, s.tick / 2) if s.on_their_way.coming else 0.0,
        stop=max(0.0, paused + s.pause - s.now) if paused is not None else 0.0,
        startup=s.startup,
        pause=s.pause,
        tick=s.tick,
        max_age=s.terms.max_age,
        caution=s.memory.caution.value,
        growth=growth(s.arrival),
    )


def growth(arrival: Level | None) -> float:
    """The share by which an order is larger than the measured arrivals: a part fixed, a part for their uncertainty."""
    noise = arrival.sd / arrival.rate if arrival and arrival.rate > 0 else 0.0
    return GROWTH + min(MOST_UNSURE, UNSURE * noise)
