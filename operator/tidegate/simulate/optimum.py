"""The clairvoyant optimum: the cheapest plan that keeps the promise, by someone who knows every arrival beforehand.

Dynamic programming over ticks in the fluid world. Cost is counted in whole replica-ticks, so for every (time, replicas,
cost) only the shortest queue matters, and nothing is interpolated: the plan is the best of all whose orders fall on
ticks. A plan may order replicas ahead of time (they are paid for from creation, start-up included) and pays the stop of
each change like everybody else. Where even all replicas, always on, would be late, it may be as late as they are.

Times that are no multiple of a tick are rounded down, which only helps the optimum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isqrt

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tidegate.simulate.ages import NEGLIGIBLE
from tidegate.simulate.regime import Regime, steady
from tidegate.simulate.trace import Curve

HOUR = 3600.0
SAME = 1e-6
"""Records: queues that differ by less are the same, added up in another order."""


@dataclass(frozen=True)
class Optimum:
    """The cheapest plan: replicas that serve (or stop for a change) in each tick, and its cost with start-ups."""

    replica_hours: float
    replicas: list[int]

    @property
    def scale_events(self) -> int:
        """How often the number of replicas changes."""
        return int(np.count_nonzero(np.diff(self.replicas)))


def optimum(
    arrivals: Curve,
    regime: Regime,
    drift: Callable[[float], float] = steady,
    progress: Callable[[int], None] = lambda done: None,
) -> Optimum:
    """The cheapest plan for a trace (records per tick). Its first replicas are free to choose and start for nothing.

    `drift(time)` multiplies what a replica can do, as in the world; `progress` is told each tick of the search.
    """
    pace = np.array([drift(tick * regime.tick) for tick in range(len(arrivals))])
    width = _useful_width(regime)
    while True:
        plan = _Search(arrivals, pace, regime, width).best(progress)
        if plan is not None:
            return plan
        width *= 2


def memory_needed(ticks: int, regime: Regime) -> int:
    """Bytes, about, that a search over so many ticks holds at once: marks of the way forward, and a stretch of it."""
    kept = 2 * isqrt(ticks) * (1 + int(regime.rebalance / regime.tick))
    return 8 * kept * regime.ceiling * _useful_width(regime)


def _useful_width(regime: Regime) -> int:
    """Costs further above the cheapest than this buy nothing.

    By then everything could have been started anew, stopped twice, and half a promise's backlog drained by all. (Half
    of this range still gives the same plans on the benchmark's traces.)
    """
    seconds = regime.max_age / 2 + regime.startup + 2 * regime.rebalance
    return int(regime.ceiling * seconds / regime.tick) + 1


@dataclass(frozen=True)
class _Frontier:
    """Shortest queue for each (replicas, cost): row n - 1, column cost - base; infinity where it cannot be."""

    base: int
    queues: Curve

    def queue(self, replicas: int, cost: int) -> float:
        """The shortest queue with that many replicas at that cost."""
        column = cost - self.base
        return float(self.queues[replicas - 1, column]) if 0 <= column < self.queues.shape[1] else inf


class _Search:
    """One search over a given range of costs."""

    def __init__(self, arrivals: Curve, pace: Curve, regime: Regime, width: int) -> None:
        self.regime, self.width, self.rows = regime, width, regime.ceiling
        self.arrivals, self.pace = arrivals, pace
        self.ticks = len(arrivals)
        self.stop = int(regime.rebalance / regime.tick + 1e-9)
        self.start = int(regime.startup / regime.tick + 1e-9)
        self.work = np.array([[regime.capacity(n) * regime.tick] for n in range(1, self.rows + 1)])
        self.forbidden = np.arange(1, self.rows + 1) < regime.least
        self.total: Curve = np.concatenate([[0.0], np.cumsum(arrivals)])
        self.longest = self._longest_queues()
        self.stopped: dict[int, _Frontier] = {}
        self.block = max(1, isqrt(self.ticks))
        self.marks: dict[int, tuple[_Frontier, dict[int, _Frontier]]] = {}
        self.recent: dict[int, list[_Frontier]] = {}

    def _longest_queues(self) -> Curve:
        """The longest queue that the promise allows at each tick, or that all replicas would have, if longer."""
        times = np.arange(self.ticks + 1)
        due = np.interp(times - self.regime.max_age / self.regime.tick, times, self.total)
        queue, unavoidable = 0.0, np.zeros(self.ticks + 1)
        for tick, come in enumerate(self.arrivals):
            queue = max(0.0, queue + come - self.work[-1, 0] * self.pace[tick])
            unavoidable[tick + 1] = queue
        longest: Curve = np.maximum(self.total - due, unavoidable) + NEGLIGIBLE
        return longest

    def best(self, progress: Callable[[int], None]) -> Optimum | None:
        """The cheapest plan, or None where the range of costs proved too narrow."""
        queues = np.full((self.rows, self.width), inf)
        queues[~self.forbidden, 0] = 0.0
        frontier = _Frontier(0, queues)
        for tick in range(self.ticks):
            if tick % self.block == 0:
                self.marks[tick] = (frontier, dict(self.stopped))
            frontier = self._step(tick, frontier)
            progress(tick)
        cheapest = np.isfinite(frontier.queues).any(axis=0)
        if not cheapest.any():
            return None
        cost = frontier.base + int(cheapest.argmax())
        return Optimum(cost * self.regime.tick / HOUR, self._plan(frontier, cost))

    def _step(self, tick: int, frontier: _Frontier) -> _Frontier:
        """From one tick to the next: begin stops, serve, and let the stops end that end there."""
        if self.stop:
            self._begin_stops(tick, frontier)
        else:
            frontier = self._merged(frontier, self._changed(frontier.queues, frontier.base))
        after = self._served(tick, frontier)
        ended = self.stopped.pop(tick + 1, None)
        return self._trimmed(self._merged(after, ended) if ended else after)

    def _begin_stops(self, tick: int, frontier: _Frontier) -> None:
        """Every change of replicas at this tick; nothing is served until its stop ends."""
        end = tick + self.stop
        if end > self.ticks:
            return
        come = self.total[tick : end + 1] - self.total[tick]
        bound = float((self.longest[tick : end + 1] - come).min())
        changed = self._changed(np.where(frontier.queues <= bound, frontier.queues, inf), frontier.base)
        self.stopped[end] = _Frontier(changed.base + self.stop, _paid(changed.queues, self.stop) + come[-1])

    def _changed(self, queues: Curve, base: int) -> _Frontier:
        """Other numbers of replicas: fewer cost nothing, each more costs its start-up."""
        fewer = np.minimum.accumulate(queues[::-1])[::-1]
        best = np.minimum(fewer, _cheapest_up(queues, self.start))
        best[self.forbidden] = inf
        return _Frontier(base, best)

    def _served(self, tick: int, frontier: _Frontier) -> _Frontier:
        """One tick of arrivals and service, paid for by the replicas that run."""
        queues = _paid(frontier.queues, 1)
        queues += self.arrivals[tick] - self.work * self.pace[tick]
        np.maximum(queues, 0.0, out=queues)
        queues[queues > self.longest[tick + 1]] = inf
        return _Frontier(frontier.base + 1, queues)

    def _merged(self, one: _Frontier, other: _Frontier) -> _Frontier:
        base = min(one.base, other.base)
        end = max(one.base + one.queues.shape[1], other.base + other.queues.shape[1])
        queues = np.full((self.rows, end - base), inf)
        for frontier in (one, other):
            part = queues[:, frontier.base - base :][:, : frontier.queues.shape[1]]
            np.minimum(part, frontier.queues, out=part)
        return _Frontier(base, queues)

    def _trimmed(self, frontier: _Frontier) -> _Frontier:
        """Costs from the cheapest possible one on, over the useful range."""
        possible = np.isfinite(frontier.queues).any(axis=0)
        skip = int(possible.argmax())
        return _Frontier(frontier.base + skip, frontier.queues[:, skip : skip + self.width])

    def _frontier_at(self, tick: int) -> _Frontier:
        """A frontier of the way forward, computed again from the mark before it (all would not fit in memory)."""
        mark = tick // self.block * self.block
        if mark not in self.recent:
            self.recent = {kept: value for kept, value in self.recent.items() if kept == mark + self.block}
            frontier, stopped = self.marks[mark]
            self.stopped = dict(stopped)
            self.recent[mark] = [frontier]
            for step in range(mark, min(mark + self.block, self.ticks) - 1):
                self.recent[mark].append(self._step(step, self.recent[mark][-1]))
        return self.recent[mark][tick - mark]

    def _plan(self, last: _Frontier, cost: int) -> list[int]:
        """The replicas in each tick of the cheapest plan, found backwards."""
        replicas = int(last.queues[:, cost - last.base].argmin()) + 1
        queue = last.queue(replicas, cost)
        plan: list[int] = []
        while len(plan) < self.ticks:
            tick = self.ticks - len(plan)
            since, cost, before, queue = self._before(tick, replicas, cost, queue)
            plan += [replicas] * (tick - since)
            replicas = before
        return plan[::-1]

    def _before(self, tick: int, replicas: int, cost: int, queue: float) -> tuple[int, int, int, float]:
        """A state (tick, cost, replicas, queue) that leads to this one: the same replicas, or a change of them."""
        come, work = float(self.arrivals[tick - 1]), float(self.work[replicas - 1, 0] * self.pace[tick - 1])
        shortest = self._frontier_at(tick - 1).queue(replicas, cost - replicas)
        if max(0.0, shortest + come - work) <= queue + SAME:
            return tick - 1, cost - replicas, replicas, shortest
        since = tick - max(1, self.stop)
        come = float(self.total[tick] - self.total[since])
        for other in range(1, self.rows + 1):
            earlier = cost - replicas * (tick - since) - self.start * max(0, replicas - other)
            shortest = self._frontier_at(since).queue(other, earlier)
            if shortest + come - (0.0 if self.stop else work) <= max(queue, 0.0) + SAME:
                return since, earlier, other, shortest
        raise AssertionError(f"no way leads to {replicas} replicas at tick {tick}")


def _paid(queues: Curve, ticks: int) -> Curve:
    """Each row moved by its replicas' cost for some ticks, above the cost of one replica."""
    rows, width = queues.shape
    wide = width + (rows - 1) * ticks
    moved = np.full((rows, wide), inf)
    step = moved.itemsize
    as_strided(moved, (rows, width), ((wide + ticks) * step, step))[:] = queues
    return moved


def _cheapest_up(queues: Curve, start: int) -> Curve:
    """The shortest queue after starting more replicas, `start` of cost each.

    All ways to start some replicas lie on a slant through (replicas, cost). Rows moved against each other by `start`
    turn the slants into columns, and a running minimum down the columns is all it takes.
    """
    rows, width = queues.shape
    wide = width + (rows - 1) * start
    upright = np.full((rows, wide), inf)
    step = upright.itemsize
    slanted = as_strided(upright.reshape(-1)[(rows - 1) * start :], (rows, width), ((wide - start) * step, step))
    slanted[:] = queues
    np.minimum.accumulate(upright, axis=0, out=upright)
    return slanted
