"""Three brokers, of which one goes down: what it leads or coordinates fails or moves, the rest goes on."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import NewTopic

from demo.stack import Stack
from tests.stack.kafka_world import KafkaWorld, connection, read_one, source_of
from tests.stack.test_kafka_inspection import inspected
from tests.stack.test_kafka_source_security import password, secrets, token
from tests.waiting import eventually
from tidegate.api import Reason
from tidegate.engine.facts import PartitionFacts
from tidegate.engine.observation import GroupState, Reading, ReadingError
from tidegate.sources import ConnectionInfo, Increased, Source, WantedGroup

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
        reading = source.read([wanted])[wanted]
        assert isinstance(reading, Reading), reading
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


def test_a_topic_is_inspected_and_enlarged_whatever_broker_has_it(three: Stack, source: Source, topic: str):
    world = KafkaWorld(three.kafka.bootstrap)
    world.create(topic, 3, min_insync_replicas=2)
    names = {f"{topic}-{number}" for number in range(GROUPS)}  # more than coordinators
    for name in names:
        world.commit(name, {(topic, 0): 0})

    facts = inspected(source, topic)
    assert {one.name for one in facts.groups} == names
    assert [sorted(one.in_sync) for one in facts.partitions] == [[0, 1, 2]] * 3
    assert facts.min_in_sync == 2
    assert facts.load.keys() == {0, 1, 2}
    assert min(facts.load.values()) > 0

    for name in sorted(names)[:3]:
        with world.member(name, [topic]):
            since = world.partitions(topic)
            assert source.increase(topic, since, since + 2, [name]) == Increased({})
        eventually(lambda name=name: inspected(source, topic, (name,)).groups[0].state is GroupState.EMPTY)
        assert source.commit_start(name, topic, range(since + 2)) is None
        assert inspected(source, topic, (name,)).groups[0].commits == dict.fromkeys(range(since + 2), 0)


def test_a_broker_down_shows_in_what_an_inspection_finds(three: Stack, source: Source, topic: str):
    world = KafkaWorld(three.kafka.bootstrap)
    lone = f"{topic}-lone"
    placed = [NewTopic(topic, 1, replica_assignment=[[1, 2]]), NewTopic(lone, 1, replica_assignment=[[1]])]
    for future in world.admin.create_topics(placed).values():
        future.result(20)
    world.commit(topic, {(topic, 0): 0})
    whole = PartitionFacts(leader=1, replicas=(1, 2), in_sync=(1, 2))
    eventually(lambda: inspected(source, topic).partitions == (whole,))
    eventually(lambda: inspected(source, lone).partitions[0].leader == 1)

    three.kafka.stop(broker=1)

    eventually(lambda: inspected(source, topic).partitions == (PartitionFacts(2, (1, 2), (2,)),))
    eventually(lambda: inspected(source, lone).partitions[0].leader is None)
    facts = inspected(source, topic)
    assert facts.load[1] > 0, "what a broker that is down holds still counts"
    assert [one.name for one in facts.groups] == [topic], "its groups are coordinated by others now"
    three.kafka.start(broker=1)
    eventually(lambda: sorted(inspected(source, topic).partitions[0].in_sync) == [1, 2])


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
