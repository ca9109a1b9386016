"""The consumer of the shop: `python -m demo.shop.consumer`, one process a pod.

It takes records in small batches, serves each at a declared pace, applies them to the ledger (if it has one) and only
then commits their offsets, synchronously. Told to stop (SIGTERM), it finishes its batch, commits and leaves the group
at once. A commit that the group refuses (it is rebalancing, or a member died: REBALANCE_IN_PROGRESS,
ILLEGAL_GENERATION) is tried again with the next batch; records whose commit never came are delivered again, which the
ledger's log makes harmless.

Environment:
    KAFKA_BOOTSTRAP   host:port,…                          required
    GROUP             consumer group                       required
    TOPIC             topic, or several with commas        required
    SERVICE_RATE      records/s this process can serve     50
    LEDGER            SQLite file of the ledger            none: records are only served and committed
    READY_FILE        made when the group has taken it in  none
    OFFSET_RESET      earliest | latest                    earliest
    GROUP_PROTOCOL    classic | consumer (KIP-848)         classic
    ASSIGNOR          range | cooperative-sticky (classic) cooperative-sticky
    METADATA_REFRESH  s until the client sees changes of   10
                      topics by itself, at the latest
    FLAGS_FILE        flagd document that says which       none: all of them, and nothing is asked
                      features are on (demo.shop.features)
    SIGHTINGS         file for the changes of flags seen   none: they are only logged

Why classic with cooperative-sticky is the default: only partitions that move pause, as with KIP-848, but heartbeat and
session timeout are the client's (0.5 s and 6 s here), with KIP-848 the broker's (5 s and 45 s). Seen with 1 → 6
consumers on 12 partitions: the new ones consume after 1-2 s instead of 10 s, and partitions of a killed one are taken
over after 6 s instead of 45 s, which no promise of 30 s survives.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from demo.shop.environment import one_of, optional_path, positive
from demo.shop.features import Features, projected, work
from demo.shop.ledger import Ledger
from demo.shop.message import Deduction

log = logging.getLogger("consumer")

BATCH_SECONDS = 0.2
"""Work in one batch: short, so that a stop and a rebalance are answered soon."""


@dataclass(frozen=True)
class Settings:
    """What the environment says; see the module."""

    bootstrap: str
    group: str
    topics: tuple[str, ...]
    service_rate: float
    ledger: Path | None
    ready_file: Path | None
    offset_reset: str
    group_protocol: str
    assignor: str
    metadata_refresh: float
    flags_file: Path | None
    sightings: Path | None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the environment; ValueError names the variable that is missing or wrong."""
        missing = [name for name in ("KAFKA_BOOTSTRAP", "GROUP", "TOPIC") if not env.get(name)]
        if missing:
            raise ValueError(f"set {', '.join(missing)} in the environment (python -m pydoc demo.shop.consumer)")
        return cls(
            bootstrap=env["KAFKA_BOOTSTRAP"],
            group=env["GROUP"],
            topics=tuple(env["TOPIC"].split(",")),
            service_rate=positive(env, "SERVICE_RATE", "50"),
            ledger=optional_path(env, "LEDGER"),
            ready_file=optional_path(env, "READY_FILE"),
            offset_reset=one_of(env, "OFFSET_RESET", "earliest", "latest"),
            group_protocol=one_of(env, "GROUP_PROTOCOL", "classic", "consumer"),
            assignor=one_of(env, "ASSIGNOR", "cooperative-sticky", "range"),
            metadata_refresh=positive(env, "METADATA_REFRESH", "10"),
            flags_file=optional_path(env, "FLAGS_FILE"),
            sightings=optional_path(env, "SIGHTINGS"),
        )

    def for_client(self) -> dict[str, str | int | bool]:
        """The same for librdkafka. Fetches are small so that a backlog is served evenly over the partitions."""
        classic: dict[str, str | int | bool] = {
            "partition.assignment.strategy": self.assignor,
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 500,
        }
        return {
            "bootstrap.servers": self.bootstrap,
            "group.id": self.group,
            "group.protocol": self.group_protocol,
            "auto.offset.reset": self.offset_reset,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "max.partition.fetch.bytes": 4_096,
            "queued.min.messages": 1,
            "fetch.queue.backoff.ms": 20,
            "fetch.wait.max.ms": 100,
            "topic.metadata.refresh.interval.ms": round(1000 * self.metadata_refresh),
            **(classic if self.group_protocol == "classic" else {}),
        }


class Pace:
    """Serving takes its time: sleeps so that no more than `rate` records/s are served.

    What the rest of the loop costs (commit, ledger) is taken from the sleep, up to `SLACK` seconds.
    """

    SLACK = 0.1

    def __init__(self, rate: float) -> None:
        self._seconds = 1 / rate
        self._free_at = time.monotonic()

    def serve(self, records: float) -> None:
        """Return when this many more records can be done; a part of one is a record with a feature off."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now - self.SLACK) + records * self._seconds
        time.sleep(max(0, self._free_at - now))


class PointsConsumer:
    """A member of the group until `stop` is called."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = f"{os.environ.get('HOSTNAME', 'consumer')}/{os.getpid()}"
        self._ledger = Ledger(settings.ledger) if settings.ledger else None
        self._features = _features(settings, self._name)
        self._pace = Pace(settings.service_rate)
        self._batch = max(1, round(settings.service_rate * BATCH_SECONDS))
        self._uncommitted: dict[tuple[str, int], int] = {}
        self._stopping = False
        self._client = Consumer(settings.for_client())

    def stop(self) -> None:
        """Finish the batch, commit, leave."""
        self._stopping = True

    def run(self) -> None:
        """Serve until stopped; a fatal error of the client is raised."""
        self._client.subscribe(
            list(self._settings.topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        try:
            while not self._stopping:
                self._serve([message for message in self._client.consume(self._batch, 0.1) if _is_record(message)])
                self._commit()
        finally:
            self._client.close()  # calls _revoked, then leaves the group
            if self._ledger:
                self._ledger.close()

    def _serve(self, messages: list[Message]) -> None:
        if not messages:
            return
        self._pace.serve(sum(self._work() for _ in messages))
        if self._ledger:
            self._ledger.apply([Deduction.decode(message.value() or b"") for message in messages], self._name)
        for message in messages:
            self._uncommitted[_place(message)] = (message.offset() or 0) + 1

    def _work(self) -> float:
        """How much there is to do for one record now."""
        return work(self._features.on) if self._features else 1

    def _commit(self) -> None:
        """Commit what was applied; what the group refuses stays for the next time."""
        if not self._uncommitted:
            return
        offsets = [TopicPartition(topic, partition, at) for (topic, partition), at in self._uncommitted.items()]
        try:
            answers = self._client.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("commit refused, to be tried again: %s", error.args[0])
            return
        for answer in answers:
            if answer.error:
                log.warning("commit of %s[%d] refused: %s", answer.topic, answer.partition, answer.error)
            elif answer.offset != OFFSET_INVALID:
                self._uncommitted.pop((answer.topic, answer.partition), None)

    def _assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        log.info("assigned %s", _numbers(partitions))
        if self._settings.ready_file:
            self._settings.ready_file.touch()

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        log.info("giving up %s", _numbers(partitions))
        self._commit()
        self._forget(partitions)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """The group went on without us: others have these partitions and their offsets now."""
        log.warning("lost %s", _numbers(partitions))
        self._forget(partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        for gone in partitions:
            self._uncommitted.pop((gone.topic, gone.partition), None)


def _features(settings: Settings, process: str) -> Features | None:
    if settings.flags_file is None:
        return None
    return Features(settings.group, process, projected(settings.flags_file), settings.sightings)


def _numbers(partitions: list[TopicPartition]) -> str:
    return ", ".join(f"{each.topic}[{each.partition}]" for each in partitions) or "no partitions"


def _place(message: Message) -> tuple[str, int]:
    return message.topic() or "", message.partition() or 0


def _is_record(message: Message) -> bool:
    error: KafkaError | None = message.error()
    if error is None:
        return True
    if error.fatal():
        raise KafkaException(error)
    log.warning("%s", error)
    return False


def main() -> int:
    """Run until SIGTERM or SIGINT; 2 for a wrong environment."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stdout)
    try:
        settings = Settings.from_env(os.environ)
    except ValueError as error:
        print(f"consumer: {error}", file=sys.stderr)
        return 2
    if settings.ready_file:
        settings.ready_file.unlink(missing_ok=True)  # of a run before this one
    consumer = PointsConsumer(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: consumer.stop())
    consumer.run()
    log.info("left the group")
    return 0


if __name__ == "__main__":
    sys.exit(main())
