"""What an inspection finds in a real cluster about one topic and all who read it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import ShareConsumer
from confluent_kafka.admin import ResourceType
from kafka import KafkaConsumer
from kafka.coordinator.assignors.range import RangePartitionAssignor

from demo.stack import Stack
from demo.stack.kafka import Kafka
from tests.stack.kafka_world import KafkaWorld, connection, error_of
from tests.stack.test_kafka_source_security import password, secrets
from tests.waiting import eventually
from tidegate.api import Reason
from tidegate.engine.facts import GroupFacts, TopicFacts
from tidegate.engine.observation import GroupState, ReadingError
from tidegate.sources import Source, WantedGroup


def inspected(source: Source, topic: str, groups: tuple[str, ...] | None = None) -> TopicFacts:
    """The facts; AssertionError with the error's words where there are none (so that `eventually` waits for them)."""
    facts = source.inspect(topic, groups)
    assert isinstance(facts, TopicFacts), facts
    return facts


def group_of(source: Source, topic: str, group: str) -> GroupFacts:
    """The group, found among all of the cluster's; AssertionError where it is not on the topic."""
    found = {one.name: one for one in inspected(source, topic).groups}
    assert group in found, found
    return found[group]


def group_when(source: Source, topic: str, group: str, right: Callable[[GroupFacts], bool]) -> GroupFacts:
    def seen() -> GroupFacts | None:
        found = group_of(source, topic, group)
        return found if right(found) else None

    found = eventually(seen)
    assert found
    return found


@contextmanager
def streams(bootstrap: str, group: str, topic: str) -> Iterator[None]:
    """A member as those of Kafka Streams' classic protocol show: by the name of its assignor."""

    class StreamsAssignor(RangePartitionAssignor):  # type: ignore[misc]
        name = "stream"

    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, partition_assignment_strategy=[StreamsAssignor]
    )
    try:
        eventually(lambda: consumer.poll(100) == {} and consumer.assignment())
        yield
    finally:
        consumer.close()


@contextmanager
def sharing(bootstrap: str, group: str, topic: str) -> Iterator[Any]:
    consumer = ShareConsumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    try:
        consumer.subscribe([topic])
        yield consumer
    finally:
        consumer.close()


def test_where_a_topic_lives_and_how_it_is_kept(world: KafkaWorld, source: Source, topic: str):
    world.create(
        topic, 3, min_insync_replicas=1, unclean_leader_election_enable="true", cleanup_policy="compact,delete"
    )

    facts = inspected(source, topic)

    assert facts.topic == topic
    assert len(facts.id) == 36
    assert [(p.leader, p.replicas, p.in_sync) for p in facts.partitions] == [(0, (0,), (0,))] * 3
    assert (facts.compacted, facts.min_in_sync, facts.unclean) == (True, 1, True)
    assert facts.groups == ()
    before = facts.load[0]
    world.grow(topic, 5)
    after = inspected(source, topic)
    assert (after.load[0], len(after.partitions)) == (before + 2, 5), "replicas are counted over all topics"
    assert (after.id, after.cluster) == (facts.id, facts.cluster)


def test_a_topic_that_only_deletes_is_not_compacted(world: KafkaWorld, source: Source, topic: str):
    facts = inspected(source, world.create(topic))
    assert (facts.compacted, facts.unclean) == (False, False)


@pytest.mark.parametrize(
    ("protocol", "kind", "assignor"), [("classic", "Classic", "range"), ("consumer", "Consumer", "uniform")]
)
def test_members_and_what_they_own(
    world: KafkaWorld, source: Source, topic: str, protocol: str, kind: str, assignor: str
):
    world.create(topic, 2)
    world.commit(topic, {(topic, 1): 0})
    with world.member(topic, [topic], protocol):
        settled = group_when(
            source, topic, topic, lambda one: one.state is GroupState.STABLE and one.owned != frozenset()
        )
        assert (settled.type, settled.protocol, settled.assignor) == (kind, "consumer", assignor)
        assert (settled.members, settled.static, settled.owned) == (1, 0, frozenset({0, 1}))
        assert settled.commits == {1: 0}

    left = group_when(source, topic, topic, lambda one: one.state is GroupState.EMPTY)
    assert (left.members, left.owned, left.commits) == (0, frozenset(), {1: 0})
    assert (left.type, left.protocol) == (kind, "consumer")


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_member_that_owns_nothing_and_has_committed_nothing_reads_the_topic_too(
    world: KafkaWorld, source: Source, topic: str, protocol: str
):
    other, only = world.create(f"{topic}-other"), world.create(topic)
    with world.member(topic, [topic, other], protocol), world.member(f"{topic}-b", [other], protocol):
        found = group_when(source, topic, topic, lambda one: one.members == 1)
        assert found.commits == {}
        assert [one.name for one in inspected(source, only).groups] == [topic], (
            "the group of another topic is not meant"
        )


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_members_that_subscribe_by_a_pattern(world: KafkaWorld, source: Source, topic: str, protocol: str):
    world.create(f"{topic}-one")
    with world.member(topic, [f"^{topic}-.*"], protocol):
        late = world.create(f"{topic}-two")
        # KIP-848 tells the broker the pattern itself: a topic counts before anybody owns it
        seen = late if protocol == "consumer" else f"{topic}-one"
        assert group_of(source, seen, topic).members == 1


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_static_members_are_counted(world: KafkaWorld, source: Source, topic: str, protocol: str):
    world.create(topic)
    settings = {"group.instance.id": "pod-0", "group.protocol": protocol}
    with world.consumer(topic, settings) as consumer:
        consumer.subscribe([topic])
        eventually(lambda: consumer.poll(0.1) is None and consumer.assignment())
        found = group_when(source, topic, topic, lambda one: one.owned == frozenset({0}))
        assert (found.members, found.static) == (1, 1)


def test_consumers_that_assign_to_themselves_show_by_commits_that_move(world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 2)
    world.commit(topic, {(topic, 0): 3})
    found = group_of(source, topic, topic)
    assert (found.state, found.protocol, found.members, found.commits) == (GroupState.EMPTY, "", 0, {0: 3})

    world.commit(topic, {(topic, 0): 7})
    assert group_of(source, topic, topic).commits == {0: 7}


def test_kafka_streams_shows_by_its_assignor(stack: Stack, world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 2)
    with streams(stack.kafka.bootstrap, topic, topic):
        found = group_when(source, topic, topic, lambda one: one.owned == frozenset({0, 1}))
        assert (found.type, found.assignor, found.members) == ("Classic", "stream", 1)


def test_a_share_group_is_found_and_has_no_reading(stack: Stack, world: KafkaWorld, source: Source, topic: str):
    world.create(topic, 2)
    with sharing(stack.kafka.bootstrap, topic, topic) as consumer:
        eventually(lambda: consumer.poll(0.1) is not None and group_of(source, topic, topic))
        found = group_of(source, topic, topic)
        assert (found.type, found.protocol, found.members, found.commits) == ("Share", "share", 1, {})

        error = error_of(source, WantedGroup(topic, (topic,), describe=True))
        assert error.reason is Reason.READING_FAILED
        assert "share group" in error.message


def test_only_some_groups_are_looked_at_where_only_they_matter(world: KafkaWorld, source: Source, topic: str):
    world.create(topic)
    for name in ("a", "b"):
        world.commit(f"{topic}-{name}", {(topic, 0): 0})
    assert [one.name for one in inspected(source, topic).groups] == [f"{topic}-a", f"{topic}-b"]
    assert [one.name for one in inspected(source, topic, (f"{topic}-b",)).groups] == [f"{topic}-b"]


def test_a_topic_that_is_not_there_cannot_be_inspected(source: Source, topic: str):
    error = source.inspect(topic)
    assert isinstance(error, ReadingError), error
    assert error.reason is Reason.READING_FAILED
    assert f"topic {topic} does not exist" in error.message


@pytest.fixture
def alice(stack: Stack) -> Iterator[Source]:
    """A source whose user may be denied things."""
    if not isinstance(stack.kafka, Kafka):
        pytest.skip("the broker is not the stack's own")
    opened = connection(stack.kafka, "SASL_PLAINTEXT", secrets(stack.kafka), sasl=password("SCRAM-SHA-512"))
    yield opened
    opened.close()


def test_configs_that_may_not_be_read_are_not_known(world: KafkaWorld, alice: Source, topic: str):
    world.create(topic, cleanup_policy="compact")
    world.deny("alice", ResourceType.TOPIC, topic, "DESCRIBE_CONFIGS")

    facts = eventually(lambda: (found := inspected(alice, topic, ())).min_in_sync is None and found)

    assert (facts.compacted, facts.min_in_sync, facts.unclean) == (False, None, None)
    assert len(facts.partitions) == 1


def test_a_group_that_may_not_be_seen_is_told_by_name(world: KafkaWorld, alice: Source, topic: str):
    world.create(topic)
    world.commit(topic, {(topic, 0): 0})
    assert len(inspected(alice, topic, (topic,)).groups) == 1
    world.deny("alice", ResourceType.GROUP, topic)

    error = eventually(lambda: isinstance(found := alice.inspect(topic, (topic,)), ReadingError) and found)

    assert error.reason is Reason.FORBIDDEN
    assert f"allow it the ACL operation Describe on Group {topic}" in error.message
