"""Commits that come in batches: how long committed offsets stand still, and what is done meanwhile and not yet seen.

A consumer that commits once a batch shows a sawtooth: nothing for half a minute, then all of it. Taken at its word it
would look late and saturated, and its capacity would seem to fall with every replica more. But a commit moves when it
moves, and until then a consumer that has work goes on with it.
"""

from collections.abc import Collection, Sequence
from math import inf
from operator import add, lt
from typing import NamedTuple

from tidegate.engine.backlog import FROZEN_AFTER, Count, oldest
from tidegate.engine.history import MOVING, History
from tidegate.engine.lately import Least
from tidegate.engine.observation import Reading
from tidegate.engine.rates import SERVICE_WINDOW

LONGEST = 60.0
"""Seconds a commit may take that is still told from a consumer that does nothing (a session timeout is 45 s)."""
REMEMBERED = 180.0  # seconds: six commits of 30 s, so that the mean is off by a twelfth where all come at once
KNOWN = 60.0  # seconds of watching that make an interval known
FLOW_OVER = 60.0  # seconds whose arrivals say how a consumer divides its time among partitions
IN_BATCHES = 1.5  # readings between two commits: what comes more often shows at every reading


class Rhythm(NamedTuple):
    """How long commits of partitions with waiting records stood still, and how often they moved, of late.

    The `shortest` interval lately counts as the commits' own. With a backlog a consumer goes through its partitions one
    by one, and each stands still although commits are frequent: that must not pass for work.
    """

    stood: float = 0.0  # seconds, of all partitions together
    moved: float = 0.0
    watched: float = 0.0
    shortest: Least = Least()
    template: str = ""

    @property
    def interval(self) -> float:
        """Seconds between commits at present; the longest that can be while none was seen to move what waits."""
        return _interval(self.stood, self.moved)

    @property
    def own(self) -> float:
        """Seconds between commits for no other reason than that they come so seldom."""
        return min(self.interval, self.shortest.value)

    def after(self, waiting: int, moved: int, seconds: float, at: float, template: str) -> "Rhythm":
        """After `seconds` in which `moved` of the `waiting` partitions committed."""
        old = self if template == self.template else Rhythm(shortest=Least(since=at), template=template)
        fade = max(0.0, 1 - seconds / REMEMBERED)
        watched = old.watched * fade + seconds
        stood, moves = old.stood * fade + waiting * seconds, old.moved * fade + moved
        known = watched >= KNOWN
        shortest = old.shortest.after(_interval(stood, moves), at) if known else old.shortest
        return Rhythm(stood, moves, watched, shortest, template)

    @property
    def known(self) -> bool:
        """Whether it was watched long enough to name a number."""
        return self.shortest.value < inf

    @property
    def frozen_after(self) -> float:
        """Seconds without a commit after which a partition is held up: more than commits take."""
        return max(FROZEN_AFTER, 1.5 * self.own) if self.known else FROZEN_AFTER

    @property
    def window(self) -> float:
        """Seconds over which what was committed is a rate."""
        return max(SERVICE_WINDOW, 2 * self.interval)

    def in_batches(self, tick: float) -> bool:
        """Whether commits come more seldom than readings."""
        return self.interval > IN_BATCHES * tick


def _interval(stood: float, moved: float) -> float:
    if moved <= 0:
        return LONGEST if stood > 0 else 0.0
    return min(LONGEST, stood / moved)


def moves(before: Sequence[float], counted: Count) -> tuple[int, int]:
    """(Partitions that held records at the last reading, those of them whose commit moved), without frozen ones."""
    held = len(before) - before.count(MOVING) - len(counted.frozen)
    return held, sum(map(lt, before, counted.standing))


class Unseen(NamedTuple):
    """What is believed to be done and not committed: records by place, none where commits show all.

    `seconds` is how long ago commits moved, on average over the work.
    """

    done: Sequence[int] = ()
    seconds: float = 0.0

    @property
    def records(self) -> int:
        """Of all partitions together."""
        return sum(self.done)


NOTHING = Unseen()


def unseen(counted: Count, at: float, flow: Sequence[int], rhythm: Rhythm, rate: float, resumed: float) -> Unseen:
    """What a group that can do `rate` records/s has done since its commits moved, or since it `resumed` work.

    A consumer is taken to divide its time by `flow`, what arrived lately, and nobody does more than waits.
    """
    total = sum(flow) or 1
    stood = [0.0 if since == MOVING else max(0.0, at - max(since, resumed)) for since in counted.standing]
    done = [
        min(lag, int(rate * part / total * min(time, rhythm.own)))
        for lag, part, time in zip(counted.shares.lag, flow, stood, strict=True)
    ]
    seconds = sum(part * min(time, rhythm.interval) for part, time in zip(flow, stood, strict=True)) / total
    return Unseen(done, seconds)


def workable(reading: Reading, history: History, counted: Count, hidden: Unseen, helpless: Collection[int]) -> Count:
    """The count with only what replicas can work on in `behind` and `pace_age`: less what is done, and without the
    places that more replicas would not help.
    """
    if counted.pace_age is None or not (hidden.done or helpless):
        return counted
    shares, frozen = counted.shares, counted.frozen
    done = hidden.done or [0] * len(shares.lag)
    left = [
        place
        for place, (lag, gone) in enumerate(zip(shares.lag, done, strict=True))
        if lag > gone and place not in helpless and not (frozen and shares.partitions[place] in frozen)
    ]
    moved_on = shares._replace(position=list(map(add, shares.position, done)))
    age = min(counted.pace_age, oldest(reading, history, moved_on, left) or 0.0)
    behind = sum(shares.lag[place] - done[place] for place in left) + sum(shares.blocked)
    waits = min(counted.behind, behind)
    return counted._replace(behind=waits, pace_age=age, unseen=counted.pace_age - age if not helpless else 0.0)
