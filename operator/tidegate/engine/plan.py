"""What would happen: a queue of records with their arrival times, served by a capacity that changes in steps."""

from bisect import bisect_right
from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from tidegate.engine.history import History

A_TRIFLE = 1e-6  # of a record: rounding must not put a record before the stop that it waits through
EASING = 0.5  # seconds of age a second by which a deadline comes down: a fleet a good deal larger can follow that


class Leg(NamedTuple):
    """Until `until` seconds from now the group serves `rate` records a second."""

    until: float
    rate: float


Path = tuple[Leg, ...]
"""Legs in order of time; the last one goes on for ever."""


class Change(NamedTuple):
    """At `time` seconds from now the members change: the group stops for `pause` seconds and then serves `rate`."""

    time: float
    pause: float
    rate: float


def path(present: float, stop: float, changes: Iterable[Change]) -> Path:
    """The capacity over time: after the rest of the present stop `present`, then what the changes make of it.

    They come in order of time; one inside a stop only prolongs it.
    """
    legs: list[Leg] = [Leg(stop, 0.0)] if stop > 0 else []
    time, rate = max(0.0, stop), present
    for at, pause, after in changes:
        if at > time:
            legs.append(Leg(at, rate))
        resumes = max(time, at + pause)
        if resumes > max(time, at):
            legs.append(Leg(resumes, 0.0))
        time, rate = resumes, after
    return (*legs, Leg(inf, rate))


def done_after(legs: Path, work: float) -> float:
    """Seconds until more than `work` records have been served (so a stop counts for the record behind it)."""
    start = 0.0
    for until, rate in legs:
        if rate > 0 and work < rate * (until - start) - A_TRIFLE:
            return start + max(0.0, work) / rate
        if until == inf:
            break
        work -= rate * (until - start)
        start = until
    return inf


def served_by(legs: Path, time: float) -> float:
    """Records that can be served until `time`."""
    served = start = 0.0
    for until, rate in legs:
        served += rate * (min(until, time) - start) if rate else 0.0
        start = until
        if until >= time:
            break
    return served


class Deadline(NamedTuple):
    """The age at which records must be done: `age` at first, from `eases` seconds from now on less and less, to `to`.

    What eases brings an old queue back to where the next change can be afforded.
    """

    age: float
    eases: float = inf
    to: float = 0.0

    def at(self, time: float) -> float:
        """The age allowed to a record that is done `time` seconds from now."""
        return self.age if time <= self.eases else max(self.to, self.age - EASING * (time - self.eases))

    @property
    def bends(self) -> tuple[float, ...]:
        """The times at which it begins and ends to ease."""
        return () if self.eases == inf else (self.eases, self.eases + (self.age - self.to) / EASING)


class Queue(NamedTuple):
    """The waiting records in order of arrival, and the arrivals expected.

    `work` and `ago` are two ascending/descending columns: the record with `work[i]` records before it arrived `ago[i]`
    seconds ago. The last one is the newest. `rate` is what keeps arriving.
    """

    work: tuple[float, ...]
    ago: tuple[float, ...]
    rate: float

    @property
    def total(self) -> float:
        """Records that wait."""
        return self.work[-1]

    def arrived(self, work: float) -> float:
        """How long ago the record with `work` records before it arrived; negative for one still to come."""
        if work >= self.total:
            return self.ago[-1] - (work - self.total) / self.rate if self.rate > 0 else 0.0
        row = bisect_right(self.work, work)
        if row == 0:
            return self.ago[0]
        low, high = self.work[row - 1], self.work[row]
        share = (work - low) / (high - low) if high > low else 0.0
        return self.ago[row - 1] + share * (self.ago[row] - self.ago[row - 1])

    def arrived_by(self, time: float) -> float:
        """The waiting records that will have arrived `time` seconds from now (negative: had arrived); -1 for none."""
        if time >= 0:
            return self.total + self.rate * time
        if -time > self.ago[0]:
            return -1.0
        row = next(row for row in range(len(self.ago) - 1, -1, -1) if self.ago[row] >= -time)
        if row == len(self.ago) - 1:
            return self.total
        old, new = self.ago[row], self.ago[row + 1]
        share = (old + time) / (old - new) if old > new else 1.0
        return self.work[row] + share * (self.work[row + 1] - self.work[row])

    def overdue(self, legs: Path, deadline: Deadline, horizon: float) -> float:
        """The most seconds by which a record will miss its deadline, of those due within `horizon` seconds.

        Negative: the least that one has to spare; -inf where none is due. Between the points looked at lateness is
        linear in the record, so it peaks at one of them: the rows of the arrival curve, the records that a bend of the
        capacity or of the deadline meets, and the last one.
        """
        last = self.arrived_by(horizon - deadline.at(horizon))
        if last < 0:
            return -inf
        bends = [served_by(legs, leg.until) for leg in legs[:-1]]
        bends += [served_by(legs, time) for time in deadline.bends]
        worst = -inf
        for work in (*self.work, *bends, last):
            if work > last:
                continue
            done = done_after(legs, work)
            if done == inf:
                return inf
            late = done + self.arrived(work) - deadline.at(done)
            if late > worst:
                worst = late
        return worst

    def bearable_rate(self, legs: Path, age: float) -> float:
        """The most records/s that may arrive from now on without one of these records getting older than `age`.

        A record with `work` before it comes (work - total) / rate from now: it is in time if the rate is at most
        (work - total) / (done - age). Over a path that is least just behind a stop or, for ever after, its last rate.
        """
        total, bearable = self.total, legs[-1].rate
        if done_after(legs, total) > age:
            return 0.0
        served = start = 0.0
        for until, rate in legs:
            if rate > 0 and served > total and start > age:
                bearable = min(bearable, (served - total) / (start - age))
            served, start = served + (rate * (until - start) if rate else 0.0), until
        return bearable

    def peak_age(self, legs: Path, horizon: float) -> float:
        """The highest age at which a record is done, of those that wait or arrive within `horizon` seconds."""
        if self.total + self.rate * horizon <= 0:
            return 0.0
        return self.overdue(legs, Deadline(0.0), horizon)

    def peak_age_after(self, legs: Path, after: float, horizon: float) -> float:
        """The same of those that are done `after` seconds from now or later; 0 where all are done by then."""
        first, last = served_by(legs, after), self.arrived_by(horizon)
        bends = (served_by(legs, leg.until) for leg in legs[:-1])
        inner = (work for work in (*self.work, *bends) if first < work < last)
        if last <= first:
            return 0.0
        return max(done_after(legs, work) + self.arrived(work) for work in (first, *inner, last))


def queue_of(history: History, age: float, done: float, rate: float) -> Queue:
    """The queue as the newest row of a history shows it; its head is `age` seconds old.

    `done` records at its head are done though not yet committed.
    """
    now, arrived, behind = history.ended[-1], history.arrived[-1], history.behind[-1]
    head = arrived - max(0.0, behind - done)
    first = bisect_right(history.arrived, head)
    later = [now - time for time in history.ended[first:]]
    ago = [max([age, *later]), *later]
    work = [0.0, *[total - head for total in history.arrived[first:]]]
    if work[-1] <= 0 or ago[-1] > 0:
        work, ago = [*work, max(0.0, arrived - head)], [*ago, 0.0]
    return Queue(tuple(work), tuple(ago), rate)
