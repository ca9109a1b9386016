"""The arrivals before the first reading, asked of a real broker: when they are told, and when they are not believed."""

import time

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import OffsetSpec

from tests.stack.kafka_world import KafkaWorld, offsets, read_one
from tests.waiting import eventually
from tidegate.engine.observation import PartitionId, Past, Reading
from tidegate.sources import Source, WantedGroup
from tidegate.sources.kafka.past import SECONDS_BEFORE, TRIES

HOUR = 3600.0


def arrive(world: KafkaWorld, topic: str, *ago: float, partition: int = 0, **settings: str) -> None:
    """Records in this order, stamped by a producer whose clock says that it is so many seconds ago."""
    producer = Producer({"bootstrap.servers": world.bootstrap} | settings)
    now = time.time()
    for seconds in ago:
        producer.produce(topic, b"x", str(seconds), partition=partition, timestamp=round(1000 * (now - seconds)))
    assert producer.flush(20) == 0


def ends(past: Past, topic: str, partition: int = 0) -> dict[int, int]:
    """The ends of a partition by the seconds (before the first reading) that they were asked for."""
    column = past.ends[PartitionId(topic, partition)]
    assert len(column) == len(past.times)
    return dict(zip(SECONDS_BEFORE, reversed(column), strict=False))


def second(world: KafkaWorld, source: Source, wanted: WantedGroup, *ago: float) -> Reading:
    """The second reading of a group; between the two, records arrive that are stamped so many seconds ago."""
    first = read_one(source, wanted)
    assert first.past is None
    arrive(world, wanted.topics[0], *ago)
    reading = read_one(source, wanted)
    assert offsets(reading, wanted.topics[0]).end > offsets(first, wanted.topics[0]).end or not ago
    return reading


def test_the_second_reading_tells_the_arrivals_of_the_past_hours(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 2)
    world.commit(topic, {(topic, 0): 0})
    arrive(world, topic, *[3 * HOUR] * 10, *[700] * 20, *[100] * 5, *[12] * 3)
    arrive(world, topic, *[50] * 4, partition=1)
    wanted = WantedGroup(topic, (topic,))

    reading = second(world, source, wanted, 0, 0)

    first_at = reading.ended_at
    assert first_at - 10 < reading.past.times[-1] < first_at - 5
    assert reading.past.times == tuple(sorted(reading.past.times))
    seen = ends(reading.past, topic)
    assert list(seen) == list(SECONDS_BEFORE)
    assert [seen[s] for s in (14400, 7200, 900, 600, 120, 90, 20, 15, 10, 5)] == [0, 10, 10, 30, 30, 35, 35, 35, 38, 38]
    other = ends(reading.past, topic, 1)
    assert {other[s] for s in SECONDS_BEFORE if s >= 60} == {0}
    assert {other[s] for s in SECONDS_BEFORE if s <= 45} == {4}


def test_the_past_is_told_once(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    world.commit(topic, {(topic, 0): 0})
    arrive(world, topic, 100)
    wanted = WantedGroup(topic, (topic,))
    assert second(world, source, wanted, 0).past
    before = source.requests
    assert read_one(source, wanted).past is None
    assert source.requests - before <= 5


def test_a_policy_that_comes_later_is_told_as_well(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    groups = [f"{topic}-{number}" for number in (1, 2)]
    for group in groups:
        world.commit(group, {(topic, 0): 0})
    arrive(world, topic, 100)
    old, new = (WantedGroup(group, (topic,)) for group in groups)
    assert second(world, source, old, 0).past
    source.read([old, new])
    arrive(world, topic, 0)
    readings = source.read([old, new])
    assert readings[old].past is None
    assert ends(readings[new].past, topic)[60] == 1


def test_a_clock_that_is_behind_is_not_believed(world: KafkaWorld, source: Source, topic: str):
    """What arrives now is stamped an hour ago: by its timestamps nothing arrived since, and all that waits is late."""
    world.create(topic)
    world.commit(topic, {(topic, 0): 0})
    arrive(world, topic, HOUR + 30, HOUR + 20)
    wanted = WantedGroup(topic, (topic,))
    assert second(world, source, wanted, HOUR, HOUR).past is None


def test_a_clock_that_is_ahead_is_not_believed(world: KafkaWorld, source: Source, topic: str):
    """By its timestamps what is there already will arrive in half an hour."""
    world.create(topic)
    world.commit(topic, {(topic, 0): 0})
    arrive(world, topic, 100, -HOUR / 2, 50)
    wanted = WantedGroup(topic, (topic,))
    assert second(world, source, wanted, 0).past is None


def test_a_replay_is_not_believed_until_it_is_over(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    world.commit(topic, {(topic, 0): 0})
    arrive(world, topic, 100)
    wanted = WantedGroup(topic, (topic,))
    assert second(world, source, wanted, 40 * HOUR, 30 * HOUR).past is None
    arrive(world, topic, 0)
    assert ends(read_one(source, wanted).past, topic)[5] == 1 + 2


def test_what_is_never_right_is_not_asked_for_ever(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    world.commit(topic, {(topic, 0): 0})
    wanted = WantedGroup(topic, (topic,))
    read_one(source, wanted)
    for _ in range(TRIES):
        arrive(world, topic, HOUR)
        assert read_one(source, wanted).past is None
    before = source.requests
    arrive(world, topic, 0)
    assert read_one(source, wanted).past is None
    assert source.requests - before <= 5


def test_the_brokers_own_timestamps_are_right_whatever_the_producer_says(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, message_timestamp_type="LogAppendTime")
    world.commit(topic, {(topic, 0): 0})
    arrive(world, topic, HOUR, 2 * HOUR)
    since = time.time()
    eventually(lambda: time.time() - since > 8, 20)  # the records must be older than what may differ
    wanted = WantedGroup(topic, (topic,))
    seen = ends(second(world, source, wanted, HOUR).past, topic)
    assert seen[5] == 2
    assert seen[900] == 0


def test_where_nothing_arrives_and_nothing_waits_the_past_will_do(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    arrive(world, topic, 200, 100)
    wanted = WantedGroup(topic, (topic,))
    world.commit(topic, {(topic, 0): 2})
    assert ends(second(world, source, wanted).past, topic)[120] == 1


def test_where_nothing_arrives_but_records_wait_their_age_stays_unknown(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    arrive(world, topic, 200, 100)
    world.commit(topic, {(topic, 0): 1})
    wanted = WantedGroup(topic, (topic,))
    assert second(world, source, wanted).past is None
    arrive(world, topic, 0)
    assert ends(read_one(source, wanted).past, topic)[120] == 1


def test_a_topic_that_rests_is_told_beside_one_that_moves_unless_it_has_a_backlog(
    world: KafkaWorld, source: Source, topic: str
):
    busy, idle = world.create(f"{topic}-busy"), world.create(f"{topic}-idle")
    arrive(world, busy, 100)
    arrive(world, idle, 100)
    wanted = WantedGroup(topic, (busy, idle))
    world.commit(topic, {(busy, 0): 0, (idle, 0): 0})
    assert second(world, source, wanted, 0).past is None
    world.commit(topic, {(idle, 0): 1})
    arrive(world, busy, 0)
    past = read_one(source, wanted).past
    assert ends(past, busy)[60] == ends(past, idle)[60] == 1


def test_the_past_begins_where_the_log_does(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    arrive(world, topic, 3000, 2000, 500, 200, 70)
    for deleted in world.admin.delete_records([TopicPartition(topic, 0, 2)]).values():
        deleted.result(10)
    world.commit(topic, {(topic, 0): 2})
    wanted = WantedGroup(topic, (topic,))
    seen = ends(second(world, source, wanted, 0).past, topic)
    assert max(seen) == 400  # at 600 s the answer would be the first record left: what was deleted may be younger
    assert [seen[s] for s in (400, 270, 180, 90, 60)] == [3, 3, 4, 4, 5]


def test_an_empty_log_whose_records_are_gone_had_no_arrivals_since(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    arrive(world, topic, 3000, 2000)
    for deleted in world.admin.delete_records([TopicPartition(topic, 0, 2)]).values():
        deleted.result(10)
    world.commit(topic, {(topic, 0): 2})
    seen = ends(second(world, source, WantedGroup(topic, (topic,))).past, topic)
    assert set(seen.values()) == {2}
    assert len(seen) == len(SECONDS_BEFORE)


def test_markers_of_transactions_count_like_in_every_other_offset(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    world.commit(topic, {(topic, 0): 0})
    producer = Producer({"bootstrap.servers": world.bootstrap, "transactional.id": topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    for seconds in (500, 300, 50):
        producer.produce(topic, b"x", timestamp=round(1000 * (time.time() - seconds)), partition=0)
    producer.commit_transaction(20)
    wanted = WantedGroup(topic, (topic,))
    reading = second(world, source, wanted, 0)
    assert offsets(reading, topic).end == 5
    seen = ends(reading.past, topic)
    assert (seen[600], seen[400], seen[90]) == (0, 1, 2)
    assert seen[45] in (3, 4)


def test_compaction_moves_the_answers_so_they_are_not_believed(world: KafkaWorld, source: Source, topic: str):
    """Of five records of one key the last is left: by timestamps it was there first."""
    quickly = {"segment_ms": 100, "min_cleanable_dirty_ratio": 0.01, "max_compaction_lag_ms": 100}
    world.create(topic, cleanup_policy="compact", **quickly)
    producer = Producer({"bootstrap.servers": world.bootstrap})
    for seconds in (500, 450, 400, 350, 300, 0):  # each begins a segment, and the last one stays open
        producer.produce(topic, b"x", "key", partition=0, timestamp=round(1000 * (time.time() - seconds)))
        assert producer.flush(20) == 0
    asked = TopicPartition(topic, 0)

    def compacted() -> bool:
        since = OffsetSpec.for_timestamp(round(1000 * (time.time() - HOUR)))
        return int(world.admin.list_offsets({asked: since})[asked].result(10).offset) >= 4

    eventually(compacted, 90, every=0.5)
    other = WantedGroup(f"{topic}-other", (topic,))
    eventually(lambda: read_one(source, other).compacted == {topic})

    world.commit(topic, {(topic, 0): 0})
    assert second(world, source, WantedGroup(topic, (topic,)), 0).past is None


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_records_in_compressed_batches_are_found_one_by_one(world: KafkaWorld, source: Source, topic: str, codec: str):
    world.create(topic)
    world.commit(topic, {(topic, 0): 0})
    arrive(world, topic, *range(1000, 20, -1), **{"compression.type": codec, "linger.ms": "500"})
    seen = ends(second(world, source, WantedGroup(topic, (topic,)), 0).past, topic)
    for seconds in (30, 45, 60, 90, 120, 180, 270, 400, 600, 900):
        assert seen[seconds] == pytest.approx(1000 - seconds, abs=3)
