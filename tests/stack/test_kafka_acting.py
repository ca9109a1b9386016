"""A real topic enlarged while it is written to and read: nothing is skipped, or it is said what may have been."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import ResourceType

from demo.stack import Stack
from demo.stack.kafka import Kafka
from tests.stack.kafka_world import KafkaWorld, connection, source_of
from tests.stack.test_kafka_inspection import group_of, group_when, inspected
from tests.stack.test_kafka_source_security import password, secrets
from tests.waiting import eventually
from tidegate.api import Reason
from tidegate.engine.observation import GroupState, Objection, ReadingError
from tidegate.sources import Increased, Source

KINDS = {
    "range": {"partition.assignment.strategy": "range"},
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
    "KIP-848": {"group.protocol": "consumer"},
}
"""Consumers of each kind look for new partitions every second, those of KIP-848 are told."""

Record = tuple[int, int]
"""Partition and offset."""


class Reader:
    """A consumer that starts at the latest record where its group has no commit, on a thread of its own."""

    def __init__(self, consumer: Consumer, topic: str) -> None:
        self.seen: set[Record] = set()
        self.owned: frozenset[int] = frozenset()
        self._stop = threading.Event()
        consumer.subscribe([topic])
        self._consumer = consumer
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            message = self._consumer.poll(0.05)
            if message is not None and not message.error():
                self.seen.add((message.partition() or 0, message.offset() or 0))
            self.owned = frozenset(one.partition for one in self._consumer.assignment())


class Writer:
    """Writes to some partitions as soon as they exist, until it is stopped; knows what the broker has taken."""

    def __init__(self, bootstrap: str, topic: str, partitions: range) -> None:
        self.written: set[Record] = set()
        self._producer = Producer({"bootstrap.servers": bootstrap, "topic.metadata.refresh.interval.ms": 50})
        self._topic, self._partitions, self._stop = topic, partitions, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        assert self._producer.flush(20) == 0

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            for partition in self._partitions:
                self._write(partition)
            self._producer.poll(0)

    def _write(self, partition: int) -> None:
        try:
            self._producer.produce(self._topic, b"x", partition=partition, on_delivery=self._taken)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                raise

    def _taken(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.written.add((message.partition() or 0, message.offset() or 0))


@contextmanager
def reading(world: KafkaWorld, group: str, topic: str, kind: str = "range") -> Iterator[Reader]:
    with world.consumer(group, KINDS[kind] | {"topic.metadata.refresh.interval.ms": 1000}) as consumer:
        reader = Reader(consumer, topic)
        try:
            eventually(lambda: reader.owned)
            yield reader
        finally:
            reader.stop()


@contextmanager
def writing(world: KafkaWorld, topic: str, partitions: range) -> Iterator[Writer]:
    writer = Writer(world.bootstrap, topic, partitions)
    try:
        yield writer
    finally:
        writer.stop()


def grown(source: Source, topic: str, since: int, to: int, *starts: str) -> Increased:
    done = source.increase(topic, since, to, starts)
    assert isinstance(done, Increased), done
    return done


def refused(answer: object) -> Objection:
    assert isinstance(answer, Objection), answer
    return answer


@pytest.mark.parametrize("kind", KINDS)
def test_live_members_read_new_partitions_from_their_first_record(
    world: KafkaWorld, source: Source, topic: str, kind: str
):
    assert any(undoubted(world, source, f"{topic}-{attempt}", kind) for attempt in range(5))


def undoubted(world: KafkaWorld, source: Source, topic: str, kind: str) -> bool:
    """Whether the starts stood before the first record, which is all that is promised: then none is skipped.

    On a slow machine a record may be there first; that is doubted, as it should be.
    """
    world.create(topic, 2)
    with reading(world, topic, topic, kind) as reader:
        with writing(world, topic, range(2, 4)) as writer:
            if grown(source, topic, 2, 4, topic).doubts:
                return False
            assert group_of(source, topic, topic).commits.keys() >= {2, 3}
            eventually(lambda: reader.owned == frozenset(range(4)))
        assert {partition for partition, _ in writer.written} == {2, 3}
        eventually(lambda: writer.written <= reader.seen)
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_that_is_paused_reads_new_partitions_from_their_first_record(
    world: KafkaWorld, source: Source, topic: str, kind: str
):
    world.create(topic, 2)
    with reading(world, topic, topic, kind):
        there = refused(source.commit_start(topic, topic, [0, 1]))
        assert there.reason is Reason.REFUSED_BY_BROKER
        assert f"group {topic} has members" in there.message

    with writing(world, topic, range(2, 4)) as writer:
        assert grown(source, topic, 2, 4).doubts == {}
        eventually(lambda: {partition for partition, _ in writer.written} == {2, 3})
        assert source.commit_start(topic, topic, [2, 3]) is None
        assert group_of(source, topic, topic).commits == {2: 0, 3: 0}

        with reading(world, topic, topic, kind) as reader:
            eventually(lambda: reader.owned == frozenset(range(4)))
            writer.stop()
            eventually(lambda: writer.written <= reader.seen)


def test_several_groups_start_at_once(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 1)
    groups = [f"{topic}-{number}" for number in range(3)]
    with reading(world, groups[0], topic), reading(world, groups[1], topic, "KIP-848"):
        assert grown(source, topic, 1, 2, *groups).doubts == {}
    assert [group_of(source, topic, name).commits for name in groups] == [{1: 0}] * 3


def test_a_commit_that_stands_is_kept(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 2)
    world.commit(topic, {(topic, 0): 7})
    assert source.commit_start(topic, topic, [0, 1]) is None
    assert source.commit_start(topic, topic, [0, 1]) is None
    assert group_of(source, topic, topic).commits == {0: 7, 1: 0}


def test_an_increase_is_taken_up_where_another_process_left_it(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 1)
    with reading(world, topic, topic) as reader:
        world.grow(topic, 3)
        eventually(lambda: reader.owned == frozenset(range(3)))
        world.produce(topic, 5, partition=2)

        late = grown(source, topic, 1, 3, topic)

        assert set(late.doubts) == {topic}
        assert "5 records had been written" in late.doubts[topic]
        assert group_of(source, topic, topic).commits == {1: 0, 2: 0}
        assert len(inspected(source, topic).partitions) == 3

    world.commit(topic, {(topic, 2): 4})
    assert grown(source, topic, 1, 3, topic).doubts == {}, "a group without members has skipped nothing"
    assert group_of(source, topic, topic).commits == {1: 0, 2: 4}, "only what is missing is committed"


def test_records_before_the_commit_are_no_doubt_while_nobody_has_their_partition(
    world: KafkaWorld, source: Source, topic: str
):
    world.create(topic, 1)
    with world.member(topic, [topic]):  # it looks for new partitions every 5 minutes
        world.grow(topic, 2)
        world.produce(topic, 5, partition=1)
        group_when(source, topic, topic, lambda one: one.state is GroupState.STABLE)
        assert grown(source, topic, 1, 2, topic).doubts == {}


def test_a_topic_that_is_not_as_it_was_is_left_alone(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 3)
    for since, to in ((2, 4), (4, 6)):
        objection = refused(source.increase(topic, since, to))
        assert objection.reason is Reason.REFUSED_BY_BROKER
        assert f"has 3 partitions now, not {since}" in objection.message
    assert world.partitions(topic) == 3


def test_a_dry_run_changes_nothing_and_says_what_the_broker_would(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 3)
    with world.member(topic, [topic]):
        assert source.validate_increase(topic, 4, [topic, f"{topic}-unknown"]) is None
        assert [(one.name, one.commits) for one in inspected(source, topic).groups] == [(topic, {})]
    for to in (2, 3):
        objection = refused(source.validate_increase(topic, to))
        assert objection.reason is Reason.REFUSED_BY_BROKER
        assert "INVALID_PARTITIONS, 37" in objection.message
    assert "UNKNOWN_TOPIC_OR_PART" in refused(source.validate_increase(f"{topic}-none", 4)).message
    assert world.partitions(topic) == 3


@pytest.fixture
def alice(stack: Stack) -> Iterator[Source]:
    """A source whose user may be denied things."""
    if not isinstance(stack.kafka, Kafka):
        pytest.skip("the broker is not the stack's own")
    opened = connection(stack.kafka, "SASL_PLAINTEXT", secrets(stack.kafka), sasl=password("SCRAM-SHA-512"))
    yield opened
    opened.close()


def missing(alice: Source, act: str, *arguments: object) -> str:
    """The message about a missing right, once the broker knows that it is missing."""

    def answer() -> str:
        found = getattr(alice, act)(*arguments)
        return found.message if isinstance(found, Objection) and found.reason is Reason.FORBIDDEN else ""

    return eventually(answer)


def test_the_right_to_enlarge_a_topic(world: KafkaWorld, alice: Source, topic: str):
    world.create(topic, 2)
    assert alice.validate_increase(topic, 3) is None
    world.deny("alice", ResourceType.TOPIC, topic, "ALTER")
    assert f"operation Alter on Topic {topic}" in missing(alice, "validate_increase", topic, 3)
    assert f"operation Alter on Topic {topic}" in missing(alice, "increase", topic, 2, 3)
    assert world.partitions(topic) == 2


def test_the_right_to_commit_for_a_group(world: KafkaWorld, alice: Source, topic: str):
    world.create(topic, 2)
    assert alice.validate_increase(topic, 3, [topic]) is None
    world.deny("alice", ResourceType.GROUP, topic, "READ")
    assert f"operation Read on Group {topic}" in missing(alice, "validate_increase", topic, 3, [topic])
    assert f"operation Read on Group {topic}" in missing(alice, "increase", topic, 2, 3, [topic])
    assert f"operation Read on Group {topic}" in missing(alice, "commit_start", topic, topic, [0])
    assert world.partitions(topic) == 2, "rights are asked for before anything is done"


def test_the_right_to_a_transaction(world: KafkaWorld, alice: Source, topic: str):
    world.create(topic, 2)
    own = f"tidegate-{topic}"
    world.deny("alice", ResourceType.TRANSACTIONAL_ID, own, "WRITE")
    assert f"operation Write on TransactionalId {own}" in missing(alice, "increase", topic, 2, 3, [topic])
    assert world.partitions(topic) == 2


def test_where_nobody_answers(topic: str):
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    with source_of(f"127.0.0.1:{port}") as source:
        for answer in (source.inspect(topic), source.increase(topic, 1, 2)):
            assert isinstance(answer, ReadingError | Objection), answer
            assert answer.reason is Reason.CONNECTION_FAILED
            assert "refused" in answer.message
