"""Three brokers, of which one goes down: what it leads or coordinates fails or moves, the rest goes on."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import NewTopic

from demo.stack import Stack
from tests.stack.kafka_world import KafkaWorld, connection, read_one, source_of
from tests.stack.test_kafka_source_security import password, secrets, token
from tests.waiting import eventually
from tidegate.api import Reason
from tidegate.engine.observation import Reading, ReadingError
from tidegate.sources import ConnectionInfo, Source, WantedGroup

SESSION_SECONDS = 1.0  # how long a broker believes who we are, before it wants to be told again (KIP-368)
GROUPS = 12  # over the 5 partitions of the offsets topic, led by 3 brokers


@pytest.fixture(scope="module")
def three() -> Iterator[Stack]:
    config = {"connections.max.reauth.ms": int(SESSION_SECONDS * 1000)}
    with Stack.start(kubernetes=False, kafka=True, pods=False, brokers=3, kafka_config=config) as stack:
        yield stack


@pytest.fixture
def source(three: Stack) -> Iterator[Source]:
    with source_of(three.kafka.bootstrap) as opened:
        yield opened


@pytest.mark.parametrize("sasl", ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_a_session_that_ends_is_renewed_without_a_reading_lost(three: Stack, topic: str, sasl: str):
    kafka, world = three.kafka, KafkaWorld(three.kafka.bootstrap)
    wanted = WantedGroup(topic, (world.create(topic, 3),))
    way = token(kafka) if sasl == "OAUTHBEARER" else password(sasl)
    source = connection(kafka, "SASL_PLAINTEXT", secrets(kafka), sasl=way)
    eventually(lambda: read_one(source, wanted))  # a fresh cluster has no coordinators at first
    over = time.monotonic() + 3 * SESSION_SECONDS
    while time.monotonic() < over:
        read_one(source, wanted)
    source.close()


def lone_topics(world: KafkaWorld) -> dict[int, str]:
    """For each broker a topic that only it has."""
    topics = {broker: f"only-{broker}" for broker in range(3)}
    placed = [NewTopic(name, 1, replica_assignment=[[broker]]) for broker, name in topics.items()]
    for future in world.admin.create_topics(placed).values():
        future.result(20)
    for name in topics.values():
        eventually(lambda name=name: world.partitions(name) == 1)
    return topics


def test_a_broker_down_fails_only_who_needs_it(three: Stack, source: Source):
    world = KafkaWorld(three.kafka.bootstrap)
    shared, lone = world.create("shared", 6), lone_topics(world)
    for number in range(GROUPS):
        world.commit(f"group-{number}", {(shared, 0): 0})
    everywhere = [WantedGroup(f"group-{number}", (shared,)) for number in range(GROUPS)]
    on_one = {broker: WantedGroup("group-0", (name,)) for broker, name in lone.items()}
    wanted = [*everywhere, *on_one.values()]
    info = source.describe()
    assert isinstance(info, ConnectionInfo)
    assert info.brokers == 3
    assert all(isinstance(reading, Reading) for reading in source.read(wanted).values())

    three.kafka.kill(broker=1)

    def only_its_own_topic_fails() -> bool:
        readings = source.read(wanted)
        failed = {one: answer.message for one, answer in readings.items() if isinstance(answer, ReadingError)}
        assert set(failed) == {on_one[1]}, failed
        return "no leader" in failed[on_one[1]]

    eventually(only_its_own_topic_fails, 60)

    three.kafka.start(broker=1)
    eventually(lambda: all(isinstance(reading, Reading) for reading in source.read(wanted).values()), 60)


def test_no_broker_at_all_is_an_error_of_the_connection(three: Stack, source: Source):
    world = KafkaWorld(three.kafka.bootstrap)
    wanted = WantedGroup("group", (world.create("alone"),))
    assert isinstance(source.read([wanted])[wanted], Reading)

    for broker in range(3):
        three.kafka.kill(broker)
    error = source.read([wanted])[wanted]
    assert isinstance(error, ReadingError)
    assert error.reason is Reason.CONNECTION_FAILED
    assert "refused" in error.message
