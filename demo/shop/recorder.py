"""What the demo sees once a second, put together: broker, ledger and cluster."""

import time
from collections import deque
from typing import NamedTuple

from demo.shop.broker import Broker, Look
from demo.shop.cluster import Cluster
from demo.shop.features import work
from demo.shop.ledger import Ledger
from demo.shop.producer import Orders
from demo.shop.summary import Load, Scale

WINDOW = 5
"""Seconds over which rates are taken, the operator's own period."""


class Sample(NamedTuple):
    """One look at everything: seconds since the epoch, records/s, records, seconds, replicas, partitions.

    `each` is what one consumer can serve (records/s) with the features that are on, `level` that of the ladder.
    """

    at: float
    arriving: float
    served: float
    lag: int
    age: float
    replicas: int
    ready: int
    partitions: int
    level: int
    each: float


class Waiting:
    """The messages that were acknowledged and are not in the ledger yet; the truth, from producer and ledger alone."""

    def __init__(self, orders: Orders, ledger: Ledger) -> None:
        self._orders, self._ledger = orders, ledger
        self._read_orders = self._read_postings = 0
        self._waiting: dict[str, float] = {}
        self._early: set[str] = set()

    def oldest(self, now: float) -> float:
        """Age of the oldest in seconds; 0 with none waiting."""
        for posting in self._ledger.postings(self._read_postings):
            self._read_postings += 1
            if self._waiting.pop(posting.id, None) is None:
                self._early.add(posting.id)  # applied before its acknowledgement was read here
        for deduction, at in self._orders.acknowledged[self._read_orders :]:
            self._read_orders += 1
            if deduction.id in self._early:
                self._early.remove(deduction.id)
            else:
                self._waiting[deduction.id] = at
        return max(0.0, now - min(self._waiting.values(), default=now))


class Recorder:
    """Takes samples; keeps them."""

    def __init__(self, broker: Broker, cluster: Cluster, waiting: Waiting, service_rate: float) -> None:
        self.samples: list[Sample] = []
        self._broker, self._cluster, self._waiting, self._service_rate = broker, cluster, waiting, service_rate
        self._looks: deque[Look] = deque([broker.look()], maxlen=WINDOW + 1)

    def take(self) -> Sample:
        """Look at everything now."""
        self._looks.append(self._broker.look())
        first, last = self._looks[0], self._looks[-1]
        seconds = max(last.at - first.at, 1e-3)
        sample = Sample(
            at=last.at,
            arriving=(last.produced - first.produced) / seconds,
            served=(last.committed - first.committed) / seconds,
            lag=last.produced - last.committed,
            age=self._waiting.oldest(time.time()),
            replicas=self._cluster.replicas,
            ready=self._cluster.ready,
            partitions=self._broker.partitions,
            level=self._cluster.level,
            each=self._service_rate / work(self._cluster.documents[-1].on),
        )
        self.samples.append(sample)
        return sample

    def loads(self) -> list[Load]:
        """Arrivals against what the ready replicas can serve."""
        return [Load(s.at, s.arriving, s.ready * s.each) for s in self.samples]


def since(scales: list[Scale], start: float) -> list[Scale]:
    """The changes after `start`, headed by what held then."""
    before = [scale.replicas for scale in scales if scale.at <= start]
    return [Scale(start, before[-1] if before else scales[0].replicas), *(s for s in scales if s.at > start)]
