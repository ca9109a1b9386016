"""What tests of the Kafka source do to a broker: topics, records, groups, rights; and the source that then reads."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from demo.stack.kafka import Kafka
from tests.waiting import eventually
from tidegate.api import BrokerConnectionSpec
from tidegate.engine.observation import Offsets, PartitionId, Reading, ReadingError
from tidegate.sources import Source, WantedGroup, open_source

Json = dict[str, Any]


class KafkaWorld:
    """A broker, and everything done to it through its PLAINTEXT listener (a super user)."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})

    def create(self, topic: str, partitions: int = 1, **config: str | int) -> str:
        """A topic; `config` with '_' for '.'. Waits until the broker shows it."""
        settings = {name.replace("_", "."): str(value) for name, value in config.items()}
        self.admin.create_topics([NewTopic(topic, partitions, config=settings)])[topic].result(20)
        eventually(lambda: self.partitions(topic) == partitions)
        return topic

    def delete(self, topic: str) -> None:
        self.admin.delete_topics([topic])[topic].result(20)
        eventually(lambda: self.partitions(topic) == 0)

    def grow(self, topic: str, partitions: int) -> None:
        self.admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(20)
        eventually(lambda: self.partitions(topic) == partitions)

    def partitions(self, topic: str) -> int:
        known = self.admin.list_topics(timeout=10).topics
        return len(known[topic].partitions) if topic in known else 0

    def produce(self, topic: str, records: int, partition: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for number in range(records):
            producer.produce(topic, str(number).encode(), partition=partition)
        assert producer.flush(20) == 0

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Commit as a consumer that has no member in the group."""
        with self.consumer(group) as consumer:
            positions = [TopicPartition(topic, partition, at) for (topic, partition), at in offsets.items()]
            done = consumer.commit(offsets=positions, asynchronous=False)
            assert all(position.error is None for position in done)

    @contextmanager
    def member(self, group: str, topics: Sequence[str], protocol: str = "classic") -> Iterator[Consumer]:
        """A consumer of the group that has its partitions."""
        with self.consumer(group, {"group.protocol": protocol}) as consumer:
            consumer.subscribe(list(topics))
            eventually(lambda: consumer.poll(0.1) is None and consumer.assignment())
            yield consumer

    def deny(self, user: str, kind: ResourceType, name: str, operation: str = "ALL") -> None:
        """Take every right on one thing, or one operation, from one user; all others keep theirs."""
        thing = (kind, name, ResourcePatternType.LITERAL)
        denied = AclBinding(*thing, f"User:{user}", "*", AclOperation[operation], AclPermissionType.DENY)
        allowed = AclBinding(*thing, "User:*", "*", AclOperation.ALL, AclPermissionType.ALLOW)
        for future in self.admin.create_acls([denied, allowed]).values():
            future.result(20)

    @contextmanager
    def consumer(self, group: str, settings: Json | None = None) -> Iterator[Consumer]:
        base = {"bootstrap.servers": self.bootstrap, "group.id": group, "enable.auto.commit": False}
        consumer = Consumer(base | {"auto.offset.reset": "latest"} | (settings or {}))
        try:
            yield consumer
        finally:
            consumer.close()


def secret(key: str) -> Json:
    return {"secretKeyRef": {"name": "secret", "key": key}}


def connection(kafka: Kafka, listener: str, values: dict[str, str], **parts: Json) -> Source:
    """A source by one of the stack's listeners; `parts` are those of spec.kafka, `values` what the Secret holds."""
    spec = {"kafka": {"bootstrapServers": kafka.listeners[listener].split(","), **parts}}
    return opened(spec, values)


def opened(spec: Json, values: Mapping[str, str]) -> Source:
    model = BrokerConnectionSpec.model_validate(spec)
    return open_source(model, {ref: values[ref.key] for ref in model.secret_refs()})


@contextmanager
def source_of(bootstrap: str) -> Iterator[Source]:
    source = opened({"kafka": {"bootstrapServers": bootstrap.split(",")}}, {})
    try:
        yield source
    finally:
        source.close()


def pem(path: Path) -> str:
    return path.read_text()


def read_one(source: Source, wanted: WantedGroup) -> Reading:
    """The Reading; AssertionError with the error's words where there is none (so that `eventually` waits for it).

    What a busy machine did not answer in time is asked again.
    """
    for _ in range(5):
        reading = source.read([wanted])[wanted]
        if isinstance(reading, Reading) or "no answer in time" not in reading.message:
            break
    assert isinstance(reading, Reading), reading
    return reading


def error_of(source: Source, wanted: WantedGroup) -> ReadingError:
    error = source.read([wanted])[wanted]
    assert isinstance(error, ReadingError), error
    return error


def offsets(reading: Reading, topic: str, partition: int = 0) -> Offsets:
    return reading.partitions[PartitionId(topic, partition)]
