"""The world of records: keys, partitions, and the consumers that own them.

A consumer shares its capacity among its partitions in proportion to what waits in each. Records are counted whole where
they arrive; service is fractional inside and shown in whole offsets. Within a tick both are even, so a partition that
runs empty there shows ages that are off by less than a tick. The same seed gives the same world.
"""

from math import inf

import numpy as np
from numpy.typing import NDArray

from tidegate.api.reasons import Reason
from tidegate.engine.observation import Observation, Offsets, PartitionId, Reading, ReadingError
from tidegate.simulate.ages import Pieces, pieces
from tidegate.simulate.assignors import NOBODY
from tidegate.simulate.conditions import ASSIGNORS, Conditions, Protocol
from tidegate.simulate.fleet import EPOCH, Fleet
from tidegate.simulate.fluid import TOPIC, first_replicas, reading_of
from tidegate.simulate.regime import Regime
from tidegate.simulate.trace import Curve
from tidegate.simulate.world import Run, View

NEVER = inf


def popularity(partitions: int, keys: int, skew: float, draw: np.random.Generator) -> Curve:
    """Each partition's share of the records."""
    if keys <= 0:
        return np.full(partitions, 1 / partitions)
    weights = 1 / np.arange(1, keys + 1) ** skew
    shares = np.bincount(draw.integers(0, partitions, keys), weights=weights, minlength=partitions)
    return np.asarray(shares / shares.sum(), dtype=np.float64)


class RecordWorld:
    """One consumer group under recorded load (`arrivals` per tick), with partitions of its own pace."""

    def __init__(
        self, arrivals: Curve, regime: Regime, conditions: Conditions, *, seed: int = 0, replicas: int | None = None
    ) -> None:
        self.regime, self.conditions = regime, conditions
        self.now = 0.0
        self._draw = np.random.default_rng(seed)
        count = regime.partitions
        shares = popularity(count, conditions.keys, conditions.skew, self._draw)
        whole = np.diff(np.floor(np.concatenate([[0.0], np.cumsum(arrivals)]) + 1e-9)).astype(np.int64)
        inflow = self._draw.multinomial(whole, shares) / regime.tick
        self._inflow: Curve = np.vstack([inflow, np.zeros(count)])  # nothing comes after the end
        self._ids = [PartitionId(TOPIC, p) for p in range(count)]
        self._arrived, self._served = np.zeros(count), np.zeros(count)
        self._committed = np.zeros(count, dtype=np.int64)
        self._stopped_until = np.zeros(count)
        self._times, self._arrived_log, self._served_log = [0.0], [self._arrived], [self._served]
        self._rebalances = 0
        self._work = self._could = 0.0
        self._before: Reading | None = None
        self._log: list[tuple[float, int, int, float, float]] = []
        self._fleet = Fleet.running(replicas or first_replicas(arrivals, regime), self._startup)
        self._owners = [NOBODY] * count
        self._speeds: dict[str, float] = {}
        self._assign()
        self._sort_out_stops()

    def _startup(self, now: float, share: float) -> float:
        """Seconds from order to ready of one pod; never, where the cluster is full."""
        limit = self.conditions.schedulable
        if now >= 0 and limit is not None and len(self._fleet.pods) >= limit:
            return NEVER
        varied = self.regime.startup + self._draw.normal(0.0, self.conditions.startup_sd)
        return max(1.0, varied + share * self.conditions.join_spread)

    def _assign(self) -> list[int]:
        """Give every partition an owner among the ready pods; returns the partitions that changed hands."""
        pods = self._fleet.ready
        members = [int(pod.name.removeprefix("pod-")) for pod in pods]
        after = ASSIGNORS[self.conditions.assignor](self._owners, members)
        moved = [p for p, (old, new) in enumerate(zip(self._owners, after, strict=True)) if old != new]
        self._owners = after
        places = {member: place for place, member in enumerate(members)}
        self._seats: NDArray[np.int64] = np.array([places.get(owner, len(members)) for owner in after])
        speeds = [self._speeds.setdefault(pod.name, self._speed()) for pod in pods]
        self._capacity = np.array([*speeds, 0.0]) * self.regime.service_rate
        self._phases = np.array([member * 0.618 % 1.0 for member in members] + [0.0]) * self.conditions.commit_every
        return moved

    def _speed(self) -> float:
        return max(0.1, 1 + self._draw.normal(0.0, self.conditions.pod_sd)) if self.conditions.pod_sd else 1.0

    def advance(self, now: float) -> None:
        """Let time pass, up to a reading that may come late."""
        late = self._draw.uniform(0, self.conditions.jitter) if self.conditions.jitter else 0.0
        while self.now < now + late:
            tick_end = (int(self.now / self.regime.tick + 1e-9) + 1) * self.regime.tick
            self._flow(min(now + late, tick_end, self._resume, max(self._fleet.next_ready(), self.now)))
            if self._fleet.mature(self.now):
                self._rebalance()

    def _flow(self, until: float) -> None:
        """Arrivals and service up to a moment, while every partition keeps its owner."""
        length = until - self.now
        if length <= 0:
            return
        tick = min(int((self.now + 1e-9) / self.regime.tick), len(self._inflow) - 1)
        self._arrived = self._arrived + self._inflow[tick] * length
        waiting = (self._arrived - self._served) * self._running
        load = np.bincount(self._seats, weights=waiting, minlength=len(self._capacity))
        able = self._capacity * (self.conditions.drift(self.now) * length)
        part = np.minimum(1.0, able / np.maximum(load, 1e-9))[self._seats]
        before, self._served = self._served, self._served + waiting * part
        self._work += float(np.minimum(load, able).sum())
        self._could += float((able * self._busy_seats).sum())
        self._commit(before, until, length)
        self.now = until
        self._times.append(until)
        self._arrived_log.append(self._arrived)
        self._served_log.append(self._served)
        if until >= self._resume:
            self._sort_out_stops()

    def _sort_out_stops(self) -> None:
        """Which partitions are served now, whose consumers can work, and when that changes next."""
        self._running = (self._stopped_until <= self.now).astype(np.float64)
        self._busy_seats = np.bincount(self._seats, weights=self._running, minlength=len(self._capacity)) > 0
        ahead = self._stopped_until[self._stopped_until > self.now]
        self._resume = float(ahead.min()) if len(ahead) else inf

    def _commit(self, served_before: Curve, until: float, length: float) -> None:
        """Each consumer commits what it has processed at its own phase of the interval."""
        every = self.conditions.commit_every
        if every <= 0:
            self._committed = self._served.astype(np.int64)
            return
        since = ((until - self._phases) % every)[self._seats]
        due = since < length
        if due.any():
            then = self._served - (self._served - served_before) * (since / length)
            self._committed = np.where(due, then.astype(np.int64), self._committed)

    def _rebalance(self) -> None:
        """The members changed. Who gives a partition up commits it first."""
        moved = self._assign()
        self._rebalances += 1
        until, protocol = self.now + self.regime.rebalance, self.conditions.protocol
        stopping = np.zeros(len(self._owners), dtype=bool)
        stopping[moved if protocol != Protocol.EAGER else slice(None)] = True
        if protocol == Protocol.COOPERATIVE:
            stopping |= self._stopped_until > self.now
        self._stopped_until = np.where(stopping, np.maximum(self._stopped_until, until), self._stopped_until)
        self._committed = np.where(stopping, self._served.astype(np.int64), self._committed)
        self._sort_out_stops()

    def scale(self, replicas: int) -> None:
        """Order a number of replicas, now."""
        if self._fleet.scale(replicas, self.now):
            self._rebalance()

    def view(self) -> View:
        """What the broker and the API server show; sometimes an error, or the reading before."""
        busy = self._work / self._could if self._could else 1.0
        self._work = self._could = 0.0
        lag = float((self._arrived - self._served).sum())
        self._log.append((self.now, self._fleet.replicas, len(self._fleet.ready), lag, float(self._served.sum())))
        observation = Observation(self._reading(), self._fleet.target())  # at once: luck must not depend on who looks
        return View(EPOCH + self.now, lambda: observation, busy)

    def _reading(self) -> Reading | ReadingError:
        luck = self._draw.random() if self.conditions.failed or self.conditions.lost else 1.0
        if luck < self.conditions.failed:
            return ReadingError(Reason.READING_FAILED, "the coordinator did not answer in time", EPOCH + self.now)
        if luck < self.conditions.failed + self.conditions.lost and self._before is not None:
            return self._before
        self._before = self._whole_reading()
        return self._before

    def _whole_reading(self) -> Reading:
        ends = self._arrived.astype(np.int64)
        offsets = zip(self._ids, np.minimum(self._committed, ends).tolist(), ends.tolist(), strict=True)
        partitions = {name: Offsets(0, committed, end, end) for name, committed, end in offsets}
        stopped = bool((self._stopped_until > self.now).any())
        return reading_of(partitions, EPOCH + self.now, len(self._fleet.ready), stopped, self.conditions.assignor)

    def end(self, controller: str) -> Run:
        """Close the books."""
        columns = [list(column) for column in zip(*self._log, strict=True)]
        bill, orders = self._fleet.bill(self.now), self._fleet.orders
        return Run(controller, self.regime, self._ages(), bill, orders, self._rebalances, *columns)

    def _ages(self) -> Pieces:
        arrived, served = np.array(self._arrived_log), np.array(self._served_log)
        return Pieces.joined([pieces(self._times, arrived[:, p], served[:, p]) for p in range(arrived.shape[1])])
