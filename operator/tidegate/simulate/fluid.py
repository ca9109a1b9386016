"""The fluid world: arrivals and service are flows, all partitions are alike, all pods are alike.

New pods serve after their start-up time and the stop that their joining causes; each change of the members stops the
whole group; pods are paid for from creation. Nothing is rounded to ticks: stops and starts fall where they fall.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import inf

import numpy as np

from tidegate.engine.observation import GroupState, Observation, Offsets, PartitionId, Reading
from tidegate.simulate.ages import pieces
from tidegate.simulate.fleet import EPOCH, Fleet
from tidegate.simulate.regime import Regime, steady
from tidegate.simulate.trace import Curve
from tidegate.simulate.world import Run, View

TOPIC = "records"
TOPIC_IDS = {TOPIC: "topic-of-the-trace"}


class FluidWorld:
    """One consumer group under recorded load.

    `arrivals` are records per tick; `drift(time)` multiplies what a replica can do; `commit_every` is the auto-commit
    interval (0: commits are always current), `join_spread` the seconds over which the pods of one order become ready,
    one after another.
    """

    def __init__(
        self,
        arrivals: Curve,
        regime: Regime,
        *,
        replicas: int | None = None,
        drift: Callable[[float], float] = steady,
        commit_every: float = 0.0,
        join_spread: float = 0.0,
    ) -> None:
        self.regime = regime
        self.now = 0.0
        self._total: list[float] = [0.0, *np.cumsum(arrivals).tolist()]
        self._drift = drift
        self._commit_every = commit_every
        self._stopped_until = 0.0
        self._rebalances = 0
        self._work = self._could = 0.0
        self._times, self._arrived, self._served = [0.0], [0.0], [0.0]
        self._forced_commit = 0.0
        self._ids = [PartitionId(TOPIC, p) for p in range(regime.partitions)]
        first = replicas or first_replicas(arrivals, regime)
        self._fleet = Fleet.running(first, _one_by_one(regime.startup, join_spread))
        self._working = first
        self._log: list[tuple[float, int, int, float, float]] = []

    def advance(self, now: float) -> None:
        """Let time pass, stopping at whatever happens in between."""
        while self.now < now:
            tick_end = (int(self.now / self.regime.tick + 1e-9) + 1) * self.regime.tick
            resume = self._stopped_until if self._stopped_until > self.now else inf
            self._flow(min(now, tick_end, resume, max(self._fleet.next_ready(), self.now)))
            if self._fleet.mature(self.now):
                self._rebalance()

    def _flow(self, until: float) -> None:
        """Arrivals and service up to a moment; nothing changes in between but the queue running empty."""
        length = until - self.now
        if length <= 0:
            return
        arrived, served = self._arrived[-1], self._served[-1]
        inflow = self._arrivals_by(until) - arrived
        stopped = self._stopped_until > self.now
        capacity = 0.0 if stopped else self.regime.capacity(self._working) * self._drift(self.now)
        able = capacity * length
        work = min(able, arrived - served + inflow)
        emptied = arrived + inflow - served <= able
        if emptied and arrived > served and able > inflow:
            empty_after = (arrived - served) * length / (able - inflow)
            if empty_after < length:
                at_empty = arrived + inflow * empty_after / length
                self._mark(self.now + empty_after, at_empty, at_empty)
        self._work += work
        self._could += able
        self.now = until
        self._mark(until, arrived + inflow, arrived + inflow if emptied else served + work)

    def _mark(self, time: float, arrived: float, served: float) -> None:
        self._times.append(time)
        self._arrived.append(arrived)
        self._served.append(served)

    def _arrivals_by(self, time: float) -> float:
        place = time / self.regime.tick
        tick = min(int(place + 1e-9), len(self._total) - 1)
        rest = place - tick
        if rest <= 1e-9 or tick + 1 >= len(self._total):
            return self._total[tick]
        return self._total[tick] + rest * (self._total[tick + 1] - self._total[tick])

    def _rebalance(self) -> None:
        """The members changed: everything stops for a while; a change during a stop makes it last longer."""
        self._working = len(self._fleet.ready)
        self._stopped_until = max(self._stopped_until, self.now + self.regime.rebalance)
        self._rebalances += 1
        self._forced_commit = self._served[-1]

    def scale(self, replicas: int) -> None:
        """Order a number of replicas, now."""
        if self._fleet.scale(replicas, self.now):
            self._rebalance()

    def view(self) -> View:
        """Whole offsets, spread evenly over the partitions."""
        busy = self._work / self._could if self._could else 1.0
        self._work = self._could = 0.0
        lag = self._arrived[-1] - self._served[-1]
        self._log.append((self.now, self._fleet.replicas, self._working, lag, self._served[-1]))
        at, ended, committed = EPOCH + self.now, int(self._arrived[-1]), self._commits()
        stopped, target = self._stopped_until > self.now, self._fleet.target()
        members = self._working * self.regime.consumers

        def look() -> Observation:
            return Observation(reading_of(_spread(self._ids, ended, committed), at, members, stopped, "range"), target)

        return View(at, look, busy)

    def _commits(self) -> int:
        """Records committed by now. Each consumer commits at its own phase; all commit when a rebalance stops them."""
        if self._commit_every <= 0:
            return int(self._served[-1])
        phases = self._working or 1
        stale = sum(
            self._served_by(self.now - (self.now + (phase + 0.5) / phases * self._commit_every) % self._commit_every)
            for phase in range(phases)
        )
        return int(max(self._forced_commit, stale / phases))

    def _served_by(self, time: float) -> float:
        after = min(bisect_right(self._times, time), len(self._times) - 1)
        if after == 0:
            return 0.0
        before = after - 1
        length = self._times[after] - self._times[before]
        share = min(1.0, (time - self._times[before]) / length) if length > 0 else 1.0
        return self._served[before] + max(0.0, share) * (self._served[after] - self._served[before])

    def end(self, controller: str) -> Run:
        """Close the books."""
        columns = [list(column) for column in zip(*self._log, strict=True)]
        return Run(
            controller,
            self.regime,
            pieces(self._times, self._arrived, self._served),
            self._fleet.bill(self.now),
            self._fleet.orders,
            self._rebalances,
            *columns,
        )


def _spread(ids: Sequence[PartitionId], ended: int, committed: int) -> dict[PartitionId, Offsets]:
    count, committed = len(ids), min(committed, ended)
    return {name: Offsets(0, (committed + p) // count, end := (ended + p) // count, end) for p, name in enumerate(ids)}


def reading_of(
    partitions: Mapping[PartitionId, Offsets], at: float, members: int, stopped: bool, assignor: str
) -> Reading:
    """What a broker tells at a moment of a group of so many members, some of which may be stopped by a rebalance."""
    state = GroupState.EMPTY if not members else GroupState.REBALANCING if stopped else GroupState.STABLE
    return Reading(
        partitions=partitions,
        topic_ids=TOPIC_IDS,
        committed_at=at,
        ended_at=at,
        state=state,
        members=members,
        assignor=assignor,
    )


def first_replicas(arrivals: Curve, regime: Regime) -> int:
    """What runs when a trace begins: enough for the first minute."""
    minute = arrivals[: max(1, round(60 / regime.tick))]
    return max(1, regime.replicas_for(float(minute.mean()) / regime.tick))


def _one_by_one(startup: float, spread: float) -> Callable[[float, float], float]:
    """Pods of one order become ready at even distances over `spread` seconds."""

    def of(now: float, share: float) -> float:
        return startup + share * spread

    return of
