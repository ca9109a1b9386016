"""What will become of the queue, for any plan of replicas: the one question that sizing asks."""

from math import inf
from typing import NamedTuple

from tidegate.api.behavior import ScalingRules
from tidegate.engine.behavior import highest
from tidegate.engine.capacity import Fleet
from tidegate.engine.plan import Change, Deadline, Path, Queue, path, queue_of
from tidegate.engine.rates import Level
from tidegate.engine.situation import Situation
from tidegate.engine.timing import Pause

MARGIN_OF_AGE = 0.25
MARGIN_OF_LEAD = 0.25
LEAST_MARGIN = 6.0
"""The part of maxAge kept free for what is not known exactly: a quarter of the lead (start-up, pause, reading) and up
to three quarters more of that with caution, at least 6 s (a reading and its jitter), at most a quarter of maxAge."""
MARGIN_OF_CAUTION = 0.5
GROWTH = 0.05  # head room over the measured arrival rate: an undershoot costs a second stop at a high age
UNSURE = 0.5  # standard deviations of the arrival rate, added to that
MOST_UNSURE = 0.5
LARGEST_JUMP = 1000.0  # more is as good as any
GROWTH_OF_CAUTION = 0.1  # of the arrivals, where the promise is hard to keep


class Outlook(NamedTuple):
    """The queue, the replicas that are there or on their way, and the times that changes take."""

    queue: Queue
    fleet: Fleet
    rate: float  # records/s of one replica
    most: int  # replicas that may be ordered and could own a partition
    ready: int
    coming: int
    within: float  # seconds until the last of those is ready
    stop: float  # seconds that the present pause will go on
    startup: float  # with the time for which spec.behavior.scaleUp holds an order back
    pause: float  # when members join
    leaving: float  # and when they only leave
    tick: float
    max_age: float
    caution: float
    growth: float
    failing: bool = False  # late for a lead, with all settled, and no less late than then: the plan is wrong somewhere
    scale_up: ScalingRules | None = None

    @property
    def lead(self) -> float:
        """Seconds from an order at the next reading until it serves."""
        return self.tick + self.startup + self.pause

    @property
    def bearable(self) -> float:
        """The age at which a plan may peak: maxAge less its margin."""
        return self._less_margin(MARGIN_OF_CAUTION * self.caution)

    def _less_margin(self, more: float) -> float:
        of_lead = MARGIN_OF_LEAD * (1 + more) * self.lead
        return self.max_age - min(MARGIN_OF_AGE * self.max_age, max(LEAST_MARGIN, of_lead))

    @property
    def hard(self) -> bool:
        """Whether the promise is too short to wait until new replicas are due: they come later than what is due."""
        return self._less_margin(0.0) < max(self.startup + self.pause + 5, self.leaving + self.pause + 10)

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

    def reach(self, replicas: int) -> float:
        """The most that one order may make of so many replicas, where no change before it counts any more."""
        return highest(self.scale_up, replicas, lambda _: replicas).replicas if self.scale_up else inf

    def guarded(self) -> "Outlook":
        """The same, but where the promise is hard to keep what will arrive counts too, and no longer only what did."""
        return self.growing(self.growth + GROWTH_OF_CAUTION * self.caution) if self.hard else self

    def growing(self, share: float) -> "Outlook":
        """The same if more arrives by a share."""
        work, ago, rate = self.queue
        return self._replace(queue=Queue(work, ago, rate * (1 + share)))

    def path(self, order: float | None = None, after: float = 0.0) -> Path:
        """The capacity from now on, with an order placed `after` seconds from now that makes it `order` records/s."""
        joins: list[Change] = []
        if self.coming:
            joins.append(Change(self.within, self.pause, self.does(self.served)))
        if order is not None:
            joins.append(Change(after + self.startup, self.pause, order))
        return path(self.does(self.ready), self.stop, joins)

    def shrunk(self, replicas: int, again: int | None = None) -> Path:
        """The capacity if the fleet shrinks now; `again`: and as many are ordered as soon as the group works again."""
        changes = [Change(0.0, self.leaving, self.does(replicas))]
        if again is not None:
            changes.append(Change(self.leaving + self.startup, self.pause, self.does(again)))
        return path(self.does(self.ready), 0.0, changes)

    def late(self, legs: Path, age: float, horizon: float = inf) -> bool:
        """Whether a record due within `horizon` will be older than `age`."""
        return not self._keeps_up(legs, age) and self.overdue(legs, age, horizon) > 0

    def _keeps_up(self, legs: Path, age: float) -> bool:
        """Whether all that waits is done before its oldest is of that age, and no more comes than is done: the usual
        case, and all that has to be known of it.
        """
        rate = legs[0].rate if len(legs) == 1 else 0.0
        return rate > 0 and rate >= self.queue.rate and self.queue.ago[0] + self.queue.total / rate <= age

    def overdue(self, legs: Path, age: float, horizon: float = inf) -> float:
        """The most seconds by which a record due within `horizon` will be older than `age`."""
        longest = self.max_age + 2 * self.lead
        return self.queue.overdue(legs, Deadline(age), min(horizon, longest))

    def copes_with(self) -> float | None:
        """The factor by which the arrivals may jump at once: what is there, or the largest fleet that may be ordered at
        the next reading, just keeps every record from getting older than `maxAge`. None where nothing arrives.
        """
        reach = int(min(self.most, self.reach(self.served)))
        largest = self.path(self.does(max(reach, self.served)), after=self.tick)
        most = max(self.queue.bearable_rate(legs, self.max_age) for legs in (self.path(), largest))
        return min(LARGEST_JUMP, most / self.queue.rate) if self.queue.rate > 0 else None

    def peak(self, order: int | None = None) -> float:
        """The highest age at which a record will be done, of those that arrive until an order would serve."""
        return self.queue.peak_age(self._ordered(order), self.startup + self.pause)

    def peak_after(self, order: int | None, after: float, horizon: float) -> float:
        """The highest age at which a record will be done later than `after` seconds from now, of those within
        `horizon`.
        """
        return self.queue.peak_age_after(self._ordered(order), after, horizon)

    def breaks_promise(self, order: int | None = None) -> bool:
        """Whether that is above `maxAge`."""
        return not self._keeps_up(self._ordered(order), self.max_age) and self.peak(order) > self.max_age

    def _ordered(self, order: int | None) -> Path:
        return self.path(None if order is None else self.does(order))


def outlook(s: Situation, per_replica: float | None) -> Outlook | None:
    """The outlook of a situation for a capacity of a replica; None where that or the backlog is not known."""
    if not per_replica or s.fleet is None or s.counted is None or not len(s.memory.history):
        return None
    arrival = s.arrival.rate if s.arrival else 0.0
    scale_up = s.terms.behavior.scale_up if s.terms.behavior else None
    done = s.staleness.work * min(arrival, per_replica * s.fleet.units(s.ready))
    age = max(0.0, (s.counted.pace_age or 0.0) - s.staleness.age)
    under_way = s.memory.crew.paused
    return Outlook(
        queue=queue_of(s.memory.history, age, min(done, _as_late(s, age)), arrival),
        fleet=s.fleet,
        rate=per_replica,
        most=s.fleet.largest(s.terms.most),
        ready=s.ready,
        coming=s.on_their_way.coming,
        within=max(s.on_their_way.within, s.tick / 2) if s.on_their_way.coming else 0.0,
        stop=_rest(s, under_way) if under_way else 0.0,
        startup=s.startup + (scale_up.stabilization_window_seconds if scale_up else 0.0),
        pause=s.pause,
        leaving=s.leaving,
        tick=s.tick,
        max_age=s.terms.max_age,
        caution=s.memory.caution.value,
        growth=growth(s.arrival),
        failing=_failing(s),
        scale_up=scale_up,
    )


def _as_late(s: Situation, age: float) -> float:
    """Records that are done, as if all partitions were as late as the latest: where some get more, it sets the pace."""
    if s.fleet is None or not s.fleet.uneven[0]:
        return inf
    history = s.memory.history
    return history.behind[-1] - (history.arrived[-1] - history.arrived_by(history.ended[-1] - age))


def _failing(s: Situation) -> bool:
    """Whether the fleet is seen to do less than the plan says: records stay late that it should have caught up with.

    One consumer may own more than its share, or a partition get more than the others.
    """
    ages, changed = s.memory.history, max(s.memory.changed_at or 0.0, s.memory.crew.changed or 0.0)
    if s.counted is None or s.counted.pace_age is None or s.now - changed < 2 * s.lead:
        return False
    then = ages.age[ages.at(s.lead)] - s.staleness.age
    return s.terms.max_age < then <= s.counted.pace_age - s.staleness.age


def _rest(s: Situation, under_way: Pause) -> float:
    return max(0.0, under_way.began + (s.pause if under_way.joining else s.leaving) - s.now)


def growth(arrival: Level | None) -> float:
    """The share by which an order is larger than the measured arrivals: a part fixed, a part for their uncertainty."""
    noise = arrival.sd / arrival.rate if arrival and arrival.rate > 0 else 0.0
    return GROWTH + min(MOST_UNSURE, UNSURE * noise)
