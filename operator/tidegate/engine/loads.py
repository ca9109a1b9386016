"""Partitions that get more than others: what n consumers can do then is what the fullest of them lets the rest do.

Noise must not pass for it. The arrivals of some minutes are cut into pieces: a partition that gets more does so in each
of them, by chance it does in some. That comparison is an analysis of variance, which need not be told how much noise
there is.
"""

from array import array
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate, pairwise
from math import cbrt, ceil, inf, sqrt
from operator import sub
from typing import NamedTuple

from tidegate.engine.capacity import Fleet
from tidegate.engine.history import History
from tidegate.engine.observation import PartitionId
from tidegate.engine.rates import arrived_of_late

EVERY = 30.0  # seconds between two looks: shares of keys change slowly, and a look passes over all partitions
PIECES = 8
LEAST_SPAN = 120.0  # seconds of history, or pieces would be bursts
BEYOND_CHANCE = 4.0  # standard deviations: once in a hundred years of looks
INERTIA = 0.85  # of what was believed before: the largest share of a noisy estimate is too large
MATTERS = 1.03  # times as many replicas' worth of work: smaller differences change no size
A_TRIFLE = 1e-9
HOTTER = 1.5  # times the mean share: where all partitions are beyond a consumer, there are too few of them
COOLER = 0.9  # of what a consumer does: below that a hot partition is one no more, once …
GONE = 10.0  # … less waits in it than came in so many seconds
ALONE = 0.8  # of the lag in one partition: the others drain
GREW = 0.05  # of what came to it
ISOLATED = 0.25  # of what is done of it: a consumer that does less beside could do but little more for it


class Loads(NamedTuple):
    """The share of the arrivals that each partition gets, and what each useful number of replicas can do with them.

    All are empty where partitions are alike but for chance. `work` is in replicas' worth. `hot` are the places of
    partitions that get more than one consumer does; `lag` was in each partition at the last look.
    """

    at: float = 0.0
    partitions: tuple[PartitionId, ...] = ()
    shares: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    work: tuple[float, ...] = ()
    hot: frozenset[int] = frozenset()
    alone: int = 0
    lag: Sequence[int] = ()

    def due(self, history: History) -> bool:
        """Whether it is time for one more look."""
        return not 0 <= history.ended[-1] - self.at < EVERY and history.alike >= LEAST_SPAN

    def after(self, history: History, lag: Sequence[int], group: "Group") -> "Loads":
        """With one more look at the history; `lag` is in each partition."""
        now = history.ended[-1]
        before = self if self.partitions == history.partitions else Loads()
        shares = uneven_shares(history)
        if not shares:
            return Loads(now, history.partitions, lag=array("q", lag))
        if before.shares:
            shares = tuple(new + INERTIA * (old - new) for new, old in zip(shares, before.shares, strict=True))
        hot = before.too_hot(shares, lag, arrived_of_late(history, EVERY), now, group)
        alone, sizes, work = _useful(shares, history.partitions, hot, group)
        return Loads(now, history.partitions, shares, sizes, work, hot, alone, array("q", lag))

    def too_hot(
        self, shares: Sequence[float], lag: Sequence[int], rate: float, now: float, group: "Group"
    ) -> frozenset[int]:
        """The places that get more than a consumer does, that still hold what came of it, or show it by their lag."""
        able = group.rate or inf
        least = max(able / rate if rate > 0 else inf, HOTTER / len(shares))
        hot = {place for place, share in enumerate(shares) if share > least}
        hot |= {p for p in self.hot if shares[p] * rate > COOLER * able or lag[p] > GONE * shares[p] * rate}
        return frozenset(hot | self._growing(shares, lag, rate, now, group))

    def _growing(
        self, shares: Sequence[float], lag: Sequence[int], rate: float, now: float, group: "Group"
    ) -> set[int]:
        """The one partition whose lag grows while the others have none: nobody keeps its consumer from it."""
        place = max(range(len(lag)), key=lag.__getitem__)
        total, share = sum(lag), shares[place]
        if not self.lag or not group.consumers or lag[place] < ALONE * total or lag[place] < GONE * share * rate:
            return set()
        done = share * rate - (lag[place] - self.lag[place]) / (now - self.at)
        beside = (ceil(len(lag) / group.consumers) - 1) * rate * (1 - share) / (len(lag) - 1)
        grew = lag[place] > self.lag[place] + GREW * (now - self.at) * share * rate
        return {place} if grew and beside < ISOLATED * done else set()

    def helpless(
        self, partitions: tuple[PartitionId, ...], lag: Sequence[int], replicas: int, consumers: int
    ) -> frozenset[int]:
        """The places of hot partitions, and of the latest of the others: as many as share a consumer with them."""
        if not self.hot or self.partitions != partitions or replicas < self.alone:
            return frozenset()
        count = len(self.hot) * ceil(len(lag) / max(1, replicas * consumers))
        latest = sorted(range(len(lag)), key=lambda place: -lag[place] / max(self.shares[place], A_TRIFLE))
        return self.hot | set(latest[:count])

    def holding(self, lag: Sequence[int], records: float) -> float:
        """The share of the partitions that hold their part of so many records, and something."""
        return [part > records * share for part, share in zip(lag, self.shares, strict=True)].count(True) / len(lag)

    def on(self, fleet: Fleet, partitions: tuple[PartitionId, ...]) -> Fleet:
        """The fleet under these loads."""
        here = self.shares and self.partitions == partitions
        return fleet._replace(uneven=(self.sizes, self.work)) if here else fleet


class Group(NamedTuple):
    """What the partitions are divided among: `rate` is what one of the `consumers` can do, 0 where not known."""

    fleet: Fleet
    by_range: bool
    consumers: int
    rate: float

    def consumers_of(self, replicas: int) -> int:
        """Consumers of so many replicas that can own a partition."""
        return min(replicas * self.fleet.consumers, self.fleet.partitions)


def uneven_shares(history: History) -> tuple[float, ...]:
    """Each partition's share of what arrived, drawn to the mean by as much as may be chance; () where all is."""
    pieces, width = _pieces(history), len(history.partitions)
    if width < 2 or len(pieces) < 2:
        return ()
    count, others = len(pieces), len(pieces) - 1
    means = [total / count for total in map(sum, zip(*pieces, strict=True))]
    squares = sum(map(_square, pieces))
    between = count * (_square(means) - width)  # the mean of means is 1
    arrived = history.arrived[-1] - history.arrived[history.at(history.alike)]
    counting = width * count / max(1.0, arrived)  # the least that chance does
    within = max(counting, (squares - width * count - between) / (width - 1) / others)
    ratio = max(0.0, between) / (width - 1) / within
    if not beyond_chance(ratio, width - 1, (width - 1) * others):
        return ()
    return tuple((1 + (1 - 1 / ratio) * (mean - 1)) / width for mean in means)


def _square(values: Sequence[float]) -> float:
    return sum(value * value for value in values)


def _pieces(history: History) -> list[list[float]]:
    """What each partition got in each piece of the history, as a multiple of what the mean one got."""
    rows = sorted({history.at(history.alike * piece / PIECES) for piece in range(PIECES + 1)})
    counts = [list(map(sub, history.ends(last), history.ends(first))) for first, last in pairwise(rows)]
    return [[part * len(count) / total for part in count] for count in counts if (total := sum(count)) > 0]


def beyond_chance(ratio: float, between: int, within: int) -> bool:
    """Whether a ratio of variances with so many degrees of freedom is no chance (Wilson and Hilferty's cube root)."""
    a, b, root = 2 / (9 * between), 2 / (9 * within), cbrt(ratio)
    return (1 - b) * root - (1 - a) > BEYOND_CHANCE * sqrt(b * root * root + a)


Owned = Callable[[int], list[float]]


def _useful(
    shares: Sequence[float], partitions: Sequence[PartitionId], hot: Collection[int], group: Group
) -> tuple[int, tuple[int, ...], tuple[float, ...]]:
    """The size that leaves hot partitions alone, those that do more than every smaller one, and how much: the fullest
    consumer sets the pace.

    One with a hot partition is late whatever the others do: once it does little else, only the others count.
    """
    owned = _owned(shares, partitions, group)
    burnt = _owned([float(place in hot) for place in range(len(shares))], partitions, group)
    alone = _alone(max((shares[place] for place in hot), default=0.0), owned, group)
    found: dict[int, float] = {}
    for size in group.fleet.sizes:
        consumers = group.consumers_of(size)
        helped = [load for load, bad in zip(owned(consumers), burnt(consumers), strict=True) if not bad or size < alone]
        fullest = max(helped, default=0.0)
        work = min(size, 1 / fullest / group.fleet.consumers) if fullest else float(size)
        if work > MATTERS * max(found.values(), default=0.0):
            found[size] = work
    return alone, tuple(found), tuple(found.values())


def _alone(hottest: float, owned: Owned, group: Group) -> int:
    """The useful size from which on a consumer of the hottest partition does little else; 0 where none is hot."""
    sizes = group.fleet.sizes
    enough = (size for size in sizes if max(owned(group.consumers_of(size))) <= (1 + ISOLATED) * hottest)
    return next(enough, sizes[-1]) if hottest else 0


def _owned(amounts: Sequence[float], partitions: Sequence[PartitionId], group: Group) -> Owned:
    return _by_range(amounts, partitions) if group.by_range else _dealt(amounts, partitions)


def _by_range(amounts: Sequence[float], partitions: Sequence[PartitionId]) -> Owned:
    """Each topic in blocks of neighbours, the first ones larger by one; a consumer has its block of every topic."""
    topics: dict[str, list[tuple[int, float]]] = {}
    for (topic, number), amount in zip(partitions, amounts, strict=True):
        topics.setdefault(topic, []).append((number, amount))
    sums = [[0.0, *accumulate(amount for _, amount in sorted(parts))] for parts in topics.values()]

    def owned(consumers: int) -> list[float]:
        loads = [0.0] * consumers
        for upto in sums:
            least, more = divmod(len(upto) - 1, consumers)
            ends = [place * least + min(place, more) for place in range(consumers + 1)]
            for place in range(consumers):
                loads[place] += upto[ends[place + 1]] - upto[ends[place]]
        return loads

    return owned


def _dealt(amounts: Sequence[float], partitions: Sequence[PartitionId]) -> Owned:
    """One after the other to each consumer. Sticky assignors only begin so, but by load it is as good a guess."""
    ordered = [amount for _, amount in sorted(zip(partitions, amounts, strict=True))]
    return lambda consumers: [sum(ordered[place::consumers]) for place in range(consumers)]
