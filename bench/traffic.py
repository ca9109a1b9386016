"""Records and commits that move as in life: every topic's rate goes up and down, every group is some seconds behind.

A group of this bench has no members: whoever commits decides how far it has come. Groups share topics, so that one
broker of a test holds them; their commits are their own. One group in forty falls behind by more than the promise
allows, and catches up again.
"""

import math
import threading
import time
from collections import deque

from confluent_kafka import Producer

from bench.watch import PARTITIONS, RECORDS, TOPICS, commit_all, spec_of, topic_name
from tidegate.sources.kafka.settings import reading_settings
from tidegate.sources.kafka.wire import Wire

COMMIT_EVERY = 5
"""Seconds from one commit of a group to the next, as Kafka's consumers do by default."""
RATES = 20.0, 100.0
"""Records/s of the slowest topic and of the busiest, on an average."""
SWINGS = 300.0, 900.0
"""Seconds of the shortest period in which a rate goes up and down by a half, and of the longest."""
BEHIND, FAR_BEHIND = (1.0, 12.0), (1.0, 120.0)
"""Seconds that the groups are behind, at least and at most: most of them, and one in FEW."""
FEW = 40


class Traffic:
    """Produces and commits in a thread of its own while the block runs."""

    def __init__(self, bootstrap: str, groups: int) -> None:
        self._bootstrap = bootstrap
        self._groups = groups
        self._over = threading.Event()
        self._written = [0.0] * TOPICS  # records of each partition of a topic, since the beginning
        self._past: deque[list[int]] = deque(maxlen=round(FAR_BEHIND[1]) + 2)  # the same, second by second
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._broken: Exception | None = None
        self.slowest = 0.0
        """Seconds that the slowest of the rounds took, which should take one."""

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._broken:
            raise SystemExit(f"the traffic broke: {self._broken!r}")

    def _run(self) -> None:
        try:
            self._flow()
        except Exception as error:
            self._broken = error

    def _flow(self) -> None:
        producer = Producer({"bootstrap.servers": self._bootstrap, "queue.buffering.max.messages": 1_000_000})
        settings = reading_settings(spec_of(self._bootstrap).kafka, {})
        wire, began, turn = Wire(settings), time.monotonic(), 0
        while not self._over.is_set():
            now = time.monotonic()
            self._produce(producer, now - began)
            self._past.append([int(written) for written in self._written])
            mine = range(turn % COMMIT_EVERY, self._groups, COMMIT_EVERY)
            offsets = {group: [self._position(group, now - began)] * PARTITIONS for group in mine}
            wire.run(commit_all(wire, settings.bootstrap[0], offsets))
            self.slowest, turn = max(self.slowest, time.monotonic() - now), turn + 1
            self._over.wait(max(0.0, now + 1 - time.monotonic()))
        wire.close()

    def _produce(self, producer: Producer, now: float) -> None:
        """A second's records. Where the machine is late there are fewer: nothing is made up for."""
        for topic in range(TOPICS):
            before = int(self._written[topic])
            self._written[topic] += rate(topic, now) / PARTITIONS
            for _ in range(int(self._written[topic]) - before):
                for partition in range(PARTITIONS):
                    producer.produce(topic_name(topic), b"x" * 100, partition=partition)
            producer.poll(0)
        if producer.flush(60):  # nothing is committed that is not there
            raise TimeoutError("the broker does not take the records")

    def _position(self, group: int, now: float) -> int:
        """The offset that a group has come to in each partition."""
        seconds = min(round(behind(group, now)), len(self._past) - 1)
        return RECORDS + self._past[-1 - seconds][group % TOPICS]


def rate(topic: int, now: float) -> float:
    """Records/s that arrive in a topic."""
    return _between(*RATES, topic / (TOPICS - 1)) * (1 + 0.5 * _swing(topic, now))


def behind(group: int, now: float) -> float:
    """Seconds that a group is behind."""
    return _between(*(BEHIND if group % FEW else FAR_BEHIND), (1 + _swing(group, now)) / 2)


def _swing(number: int, now: float) -> float:
    """From -1 to 1 and back, each in its own time."""
    period = _between(*SWINGS, number * 0.618 % 1)
    return math.sin(2 * math.pi * (now / period + number * 0.382 % 1))


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
