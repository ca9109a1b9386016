"""Groups of a real broker, read: every case that a group and its topics can be in."""

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import OffsetSpec, ResourceType

from demo.stack import Stack
from demo.stack.kafka import Kafka
from tests.stack.kafka_world import KafkaWorld, connection, error_of, offsets, read_one, secret, source_of
from tests.waiting import eventually
from tidegate.api import Reason
from tidegate.api.lagpolicy import Isolation, OffsetReset
from tidegate.engine.observation import GroupState, Offsets, PartitionId, Reading, ReadingError
from tidegate.sources import ConnectionInfo, Source, WantedGroup

NEW_PARTITIONS_SEEN_WITHIN = 30


def test_a_connection_says_what_it_leads_to(source: Source):
    info = source.describe()
    assert isinstance(info, ConnectionInfo), info
    assert info.brokers == 1
    assert info.cluster_id
    assert info.kafka_version.startswith("4.")
    assert {"BatchedOffsetFetch", "ConsumerGroupProtocol", "TopicIds"} <= set(info.features)


def test_several_topics_of_one_group_are_one_reading(world: KafkaWorld, source: Source, topic: str):
    orders, payments = world.create(f"{topic}-orders", 2), world.create(f"{topic}-payments", 1)
    world.produce(orders, 10, partition=1)
    world.produce(payments, 5)
    world.commit(topic, {(orders, 1): 4, (payments, 0): 5})

    reading = read_one(source, WantedGroup(topic, (orders, payments)))

    assert reading.partitions == {
        PartitionId(orders, 0): Offsets(0, None, 0, 0),
        PartitionId(orders, 1): Offsets(0, 4, 10, 10),
        PartitionId(payments, 0): Offsets(0, 5, 5, 5),
    }
    assert set(reading.topic_ids) == {orders, payments}
    assert all(len(identity) == 36 for identity in reading.topic_ids.values())
    assert reading.committed_at <= reading.ended_at
    assert reading.state is GroupState.EMPTY


def test_policies_of_one_group_get_the_topics_that_each_names(world: KafkaWorld, source: Source, topic: str):
    orders, payments = world.create(f"{topic}-orders"), world.create(f"{topic}-payments")
    world.commit(topic, {(orders, 0): 0, (payments, 0): 0})
    wanted = [WantedGroup(topic, (orders,)), WantedGroup(topic, (payments,)), WantedGroup(topic)]
    readings = source.read(wanted)
    seen = [{partition.topic for partition in readings[one].partitions} for one in wanted]
    assert seen == [{orders}, {payments}, {orders, payments}]


def test_a_pattern_finds_topics_also_those_made_later(world: KafkaWorld, source: Source, topic: str):
    first = world.create(f"{topic}.a")
    world.create(f"{topic}-other")
    wanted = WantedGroup(topic, topic_pattern=f"{topic}[.].+")
    assert set(read_one(source, wanted).topic_ids) == {first}

    second = world.create(f"{topic}.b")
    eventually(lambda: set(read_one(source, wanted).topic_ids) == {first, second}, NEW_PARTITIONS_SEEN_WITHIN)


def test_a_pattern_that_matches_nothing_is_an_error(source: Source, topic: str):
    error = error_of(source, WantedGroup(topic, topic_pattern=f"{topic}[.]none"))
    assert error.reason is Reason.READING_FAILED
    assert "no topic matches" in error.message


@pytest.mark.parametrize(("protocol", "assignor"), [("classic", "range"), ("consumer", "uniform")])
def test_a_group_is_described_when_asked(world: KafkaWorld, source: Source, topic: str, protocol: str, assignor: str):
    world.create(topic, 2)
    wanted = WantedGroup(topic, (topic,), describe=True)
    with world.member(topic, [topic], protocol):

        def stable() -> Reading | None:
            reading = read_one(source, wanted)
            return reading if reading.state is GroupState.STABLE else None

        reading = eventually(stable)
        assert (reading.members, reading.assignor) == (1, assignor)
        assert read_one(source, WantedGroup(topic, (topic,))).members is None
    eventually(lambda: read_one(source, wanted).state is GroupState.EMPTY)
    assert read_one(source, wanted).members == 0


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_group_without_commits_shows_the_topics_assigned_to_it(
    world: KafkaWorld, source: Source, topic: str, protocol: str
):
    world.create(topic, 3)
    wanted = WantedGroup(topic)
    with world.member(topic, [topic], protocol):
        reading = eventually(lambda: read_one(source, wanted))
        assert set(reading.partitions) == {PartitionId(topic, number) for number in range(3)}
        assert {of.committed for of in reading.partitions.values()} == {None}


def test_a_member_that_joins_makes_the_group_rebalance(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 2)
    wanted = WantedGroup(topic, (topic,))
    with world.member(topic, [topic]):
        eventually(lambda: read_one(source, wanted).state is GroupState.STABLE)
        with world.consumer(topic, {}) as second:  # joins, and then waits for the first, which does not poll
            second.subscribe([topic])
            second.poll(0.1)
            eventually(lambda: read_one(source, wanted).state is GroupState.REBALANCING)


@pytest.mark.parametrize("reset", list(OffsetReset))
def test_no_commit_is_told_as_such(world: KafkaWorld, source: Source, topic: str, reset: OffsetReset):
    world.create(topic, 2)
    world.produce(topic, 7)
    world.commit(topic, {(topic, 1): 0})
    reading = read_one(source, WantedGroup(topic, (topic,), offset_reset=reset))
    assert offsets(reading, topic, 0) == Offsets(0, None, 7, 7)
    assert offsets(reading, topic, 1).committed == 0


def test_an_open_transaction_pins_the_end_for_read_committed_groups(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    world.produce(topic, 2)
    producer = Producer({"bootstrap.servers": world.bootstrap, "transactional.id": topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    for _ in range(3):
        producer.produce(topic, b"open", partition=0)
    assert producer.flush(20) == 0
    world.produce(topic, 4)
    committed = WantedGroup(topic, (topic,), isolation=Isolation.READ_COMMITTED)
    uncommitted = WantedGroup(topic, (topic,))

    readings = source.read([committed, uncommitted])
    assert offsets(readings[committed], topic) == Offsets(0, None, 2, 9)
    assert offsets(readings[uncommitted], topic) == Offsets(0, None, 9, 9)

    producer.commit_transaction(20)
    eventually(lambda: offsets(read_one(source, committed), topic) == Offsets(0, None, 10, 10))


def test_partitions_added_are_seen(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 1)
    wanted = WantedGroup(topic, (topic,))
    before = read_one(source, wanted)
    world.grow(topic, 3)
    eventually(lambda: len(read_one(source, wanted).partitions) == 3, NEW_PARTITIONS_SEEN_WITHIN)
    assert read_one(source, wanted).topic_ids == before.topic_ids


def test_a_deleted_topic_fails_who_names_it_and_is_dropped_by_who_does_not(
    world: KafkaWorld, source: Source, topic: str
):
    kept, gone = world.create(f"{topic}.kept"), world.create(f"{topic}.gone")
    world.commit(topic, {(kept, 0): 0, (gone, 0): 0})
    names, pattern, neither = (
        WantedGroup(topic, (kept, gone)),
        WantedGroup(topic, topic_pattern=f"{topic}[.].+"),
        WantedGroup(topic),
    )
    assert all(isinstance(reading, Reading) for reading in source.read([names, pattern, neither]).values())

    world.delete(gone)

    def told() -> bool:
        readings = source.read([names, pattern, neither])
        assert isinstance(readings[names], ReadingError)
        assert gone in readings[names].message
        assert "does not exist" in readings[names].message
        return all(set(readings[one].topic_ids) == {kept} for one in (pattern, neither))

    eventually(told, NEW_PARTITIONS_SEEN_WITHIN)


def test_a_recreated_topic_has_another_id(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    world.produce(topic, 5)
    wanted = WantedGroup(topic, (topic,))
    before = read_one(source, wanted)
    world.delete(topic)
    world.create(topic)
    after = eventually(lambda: read_one(source, wanted))
    assert offsets(after, topic) == Offsets(0, None, 0, 0)
    assert after.topic_ids != before.topic_ids


def test_a_commit_beyond_the_end_is_told_as_it_is(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    world.produce(topic, 3)
    world.commit(topic, {(topic, 0): 100})
    assert offsets(read_one(source, WantedGroup(topic, (topic,))), topic) == Offsets(0, 100, 3, 3)


def test_retention_that_passes_the_commit_shows_in_the_start(world: KafkaWorld, stack: Stack, topic: str):
    world.create(topic, segment_ms=500, retention_ms=1000)
    world.produce(topic, 6)
    world.commit(topic, {(topic, 0): 2})

    def start() -> int:
        world.produce(topic, 1)  # closes the segment that is old enough
        asked = TopicPartition(topic, 0)
        return int(world.admin.list_offsets({asked: OffsetSpec.earliest()})[asked].result(10).offset)

    eventually(lambda: start() >= 6, 60, every=0.5)
    with source_of(stack.kafka.bootstrap) as source:
        seen = offsets(read_one(source, WantedGroup(topic, (topic,))), topic)
    assert seen.committed == 2
    assert 6 <= seen.start <= seen.end


def test_a_backlog_counted_from_the_start_follows_the_start_at_once(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    world.produce(topic, 10)
    wanted = WantedGroup(topic, (topic,), offset_reset=OffsetReset.EARLIEST)
    assert offsets(read_one(source, wanted), topic) == Offsets(0, None, 10, 10)
    for deleted in world.admin.delete_records([TopicPartition(topic, 0, 7)]).values():
        deleted.result(10)
    assert offsets(read_one(source, wanted), topic) == Offsets(7, None, 10, 10)


def test_how_topics_delete_records_is_known_after_a_while(world: KafkaWorld, source: Source, topic: str):
    timed = world.create(f"{topic}.timed", retention_ms=3_600_000)
    forever = world.create(f"{topic}.forever", retention_ms=-1)
    compacted = world.create(f"{topic}.compacted", cleanup_policy="compact")
    wanted = WantedGroup(topic, (timed, forever, compacted))
    reading = eventually(lambda: r if (r := read_one(source, wanted)).retention else None)
    assert reading.retention == {timed: 3600.0}
    assert reading.compacted == {compacted}


def test_an_unknown_group_is_absent_and_nothing_else(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    world.produce(topic, 2)
    reading = read_one(source, WantedGroup(topic, (topic,)))
    assert reading.state is GroupState.ABSENT
    assert offsets(reading, topic) == Offsets(0, None, 2, 2)

    error = error_of(source, WantedGroup(topic))
    assert error.reason is Reason.READING_FAILED
    assert f"group {topic} does not exist" in error.message


def test_what_fails_fails_alone(world: KafkaWorld, stack: Stack, topic: str):
    """One unauthorised group, one unauthorised topic, one missing topic and one unknown group among a good one."""
    kafka = stack.kafka
    if not isinstance(kafka, Kafka):
        pytest.skip("the broker is not the stack's own")
    good, closed = world.create(f"{topic}-good"), world.create(f"{topic}-closed")
    hidden_group = f"{topic}-hidden"
    for group in (topic, hidden_group):
        world.commit(group, {(good, 0): 0})
    world.deny("bob", ResourceType.GROUP, hidden_group)
    world.deny("bob", ResourceType.TOPIC, closed)
    sasl = {"mechanism": "PLAIN", "credentials": {"username": secret("user"), "password": secret("password")}}
    source = connection(kafka, "SASL_PLAINTEXT", {"user": "bob", "password": kafka.users["bob"]}, sasl=sasl)
    fine, hidden, unseen, missing, unknown = wanted = (
        WantedGroup(topic, (good,)),
        WantedGroup(hidden_group, (good,)),
        WantedGroup(topic, (closed,)),
        WantedGroup(topic, (good, f"{topic}-missing")),
        WantedGroup(f"{topic}-unknown"),
    )

    def rights_have_arrived() -> dict[WantedGroup, Reading | ReadingError] | None:
        seen = source.read(wanted)
        return seen if all(getattr(seen[one], "reason", "") is Reason.FORBIDDEN for one in (hidden, unseen)) else None

    readings = eventually(rights_have_arrived)
    source.close()
    assert isinstance(readings[fine], Reading), readings[fine]
    words = {one: answer.message for one, answer in readings.items() if isinstance(answer, ReadingError)}
    assert f"Describe on Group {hidden_group}" in words[hidden]
    assert f"Describe on Topic {closed}" in words[unseen]
    assert f"topic {topic}-missing does not exist" in words[missing]
    assert f"group {topic}-unknown does not exist" in words[unknown]
    assert readings[missing].reason is readings[unknown].reason is Reason.READING_FAILED
