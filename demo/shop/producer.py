"""The orders: they produce "deduct points" messages at the times a trace says.

`python -m demo.shop.producer --rate 100 --seconds 60` produces at a steady rate, `--trace` plays the flash crowd; both
need KAFKA_BOOTSTRAP and TOPIC in the environment. In Python:
`Orders(bootstrap, topic).play(steady(100, 60).arrivals(seed=1))`.
"""

import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Iterable
from typing import Annotated, NamedTuple

import typer
from confluent_kafka import KafkaError, Message, Producer

from demo.shop.message import Deduction
from demo.shop.trace import load, steady

TICK = 0.02
"""Seconds between two looks at what is due."""


class Produced(NamedTuple):
    """A message the broker acknowledged; `at` is when the order wanted it sent (seconds since the epoch)."""

    deduction: Deduction
    at: float


class Orders:
    """A producer that remembers what the broker acknowledged.

    acks=all and idempotence: an acknowledged message is in the topic, and once. `acknowledged` only grows; it may be
    read from any thread, and `partitions` are those they are in. `failed` counts what was never acknowledged (such a
    message may be in the topic or not).
    A message's key is its user: the partition follows from it, and from how many there are. `refresh` is after how many
    seconds at most the producer sees new partitions and writes into them.
    """

    def __init__(
        self, bootstrap: str, topic: str, *, users: int = 2_000, seed: int = 1, refresh: float = 300.0
    ) -> None:
        self.acknowledged: list[Produced] = []
        self.partitions: set[int] = set()
        self.failed = 0
        self._topic = topic
        self._users = users
        self._dice = random.Random(seed)
        self._run = uuid.uuid4().hex[:8]
        self._sent = 0
        self._stopping = threading.Event()
        self._client = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 20,
                "topic.metadata.refresh.interval.ms": round(1000 * refresh),
                "log_level": 2,
            }
        )

    def play(self, arrivals: Iterable[float]) -> None:
        """Produce at these times (seconds from now, ascending); returns when all is answered or after `stop`."""
        start, epoch = time.monotonic(), time.time()
        for due in arrivals:
            while (ahead := start + due - time.monotonic()) > 0 and not self._stopping.is_set():
                self._client.poll(min(ahead, TICK))
            if self._stopping.is_set():
                break
            self._produce(epoch + due)
        self._client.flush(60)
        self.failed += len(self._client)

    def stop(self) -> None:
        """Produce nothing more; what was sent is still waited for."""
        self._stopping.set()

    def _produce(self, at: float) -> None:
        self._sent += 1
        user = f"user-{self._dice.randrange(self._users):05d}"
        deduction = Deduction(f"{self._run}-{self._sent:07d}", user, self._dice.randrange(1, 500))

        def answered(error: KafkaError | None, message: Message) -> None:
            if error:
                self.failed += 1
            else:
                self.acknowledged.append(Produced(deduction, at))
                self.partitions.add(message.partition() or 0)

        self._client.produce(
            self._topic, deduction.encode(), key=user, timestamp=round(at * 1000), on_delivery=answered
        )


def main(
    rate: Annotated[float, typer.Option(help="Records a second.")] = 50,
    seconds: Annotated[int, typer.Option(help="How long.")] = 60,
    trace: Annotated[bool, typer.Option(help="Play the flash crowd instead; its peak is RATE.")] = False,
) -> None:
    """Produce orders to $TOPIC on $KAFKA_BOOTSTRAP."""
    missing = [name for name in ("KAFKA_BOOTSTRAP", "TOPIC") if not os.environ.get(name)]
    if missing:
        sys.exit(f"producer: set {', '.join(missing)} in the environment")
    orders = Orders(os.environ["KAFKA_BOOTSTRAP"], os.environ["TOPIC"])
    load_to_play = load().scaled(rate) if trace else steady(rate, seconds)
    orders.play(load_to_play.arrivals(seed=1))
    print(f"{len(orders.acknowledged)} acknowledged, {orders.failed} failed")
    sys.exit(1 if orders.failed else 0)


if __name__ == "__main__":
    typer.run(main)
