"""What the Kafka source makes of errors that a healthy broker will not give on demand (see wire_fake)."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.unit.wire_fake import OLD, FakeGroup, FakeKafka, FakeTopic, fake_kafka
from tests.waiting import eventually
from tidegate.api import Reason
from tidegate.engine.observation import GroupState, Offsets, PartitionId, Reading, ReadingError
from tidegate.sources import WantedGroup
from tidegate.sources.kafka.configs import Configs
from tidegate.sources.kafka.cycle import Cluster
from tidegate.sources.kafka.past import SECONDS_BEFORE, TRIES
from tidegate.sources.kafka.settings import Address, Settings
from tidegate.sources.kafka.source import KafkaSource

LOADING, NOT_AVAILABLE, NOT_COORDINATOR, FORBIDDEN, UNSTABLE = 14, 15, 16, 30, 88
NO_LEADER, NOT_LEADER = 5, 6
A, B = WantedGroup("a", ("orders",)), WantedGroup("b", ("orders",))


class NoConfigs(Configs):
    """Nothing but the wire is under test."""

    def __init__(self) -> None:
        super().__init__({})

    def refresh(self, topics: object) -> None:
        pass


def source_of(kafka: FakeKafka, budget: float = 4.0) -> KafkaSource:
    settings = Settings(tuple(map(Address.parse, kafka.bootstrap.split(","))))
    return KafkaSource(Cluster(settings, NoConfigs()), {}, budget)


def orders(kafka: FakeKafka, *leaders: int) -> None:
    """The topic `orders`, ten records in each partition, and two groups that read it."""
    kafka.topics["orders"] = FakeTopic(list(leaders), [10] * len(leaders))
    kafka.groups = {name: FakeGroup(commits={("orders", 0): 4}) for name in ("a", "b")}


@pytest.fixture
def kafka() -> Iterator[FakeKafka]:
    """One broker."""
    with fake_kafka() as kafka:
        orders(kafka, 0, 0)
        yield kafka


@pytest.fixture
def two() -> Iterator[FakeKafka]:
    """Two brokers: one coordinates and leads, the other coordinates group b only."""
    with fake_kafka(brokers=2) as kafka:
        orders(kafka, 0, 0)
        kafka.groups["b"].coordinator = 1
        yield kafka


WHOLE = {PartitionId("orders", 0): Offsets(0, 4, 10, 10), PartitionId("orders", 1): Offsets(0, None, 10, 10)}


def whole(answer: Reading | ReadingError) -> bool:
    return isinstance(answer, Reading) and answer.partitions == WHOLE


def words(answer: Reading | ReadingError) -> str:
    assert isinstance(answer, ReadingError), answer
    return answer.message


def test_a_cycle_costs_the_same_for_two_groups_and_for_two_hundred(kafka: FakeKafka):
    source = source_of(kafka)
    wanted = [replace(A, group=f"group-{number}") for number in range(200)]
    for _ in range(1 + TRIES):
        source.read(wanted)
    before = len(kafka.asked)
    source.read(wanted)
    assert [name for _, name in kafka.asked[before:]] == ["OffsetFetch", "ListGroups", "ListOffsets"]
    assert kafka.connections == 1


def test_the_past_is_asked_for_once_for_all_groups_of_a_topic(kafka: FakeKafka):
    source = source_of(kafka)
    wanted = [replace(A, group=f"group-{number}") for number in range(200)]
    source.read(wanted)
    kafka.topics["orders"].ends = [11, 12]
    before = kafka.count("ListOffsets")
    readings = source.read(wanted)
    assert all(isinstance(reading, Reading) and reading.past for reading in readings.values())
    assert kafka.count("ListOffsets") - before == 1 + 2 + len(SECONDS_BEFORE)


@pytest.mark.parametrize("code", [NOT_LEADER, 29, 35, 43])
def test_a_past_that_cannot_be_had_is_no_error_of_the_reading(kafka: FakeKafka, code: int):
    kafka.past_error = code
    source = source_of(kafka)
    for _ in range(1 + TRIES):
        readings = source.read([A, B])
        assert whole(readings[A])
        assert whole(readings[B])
    before = kafka.count("ListOffsets")
    source.read([A, B])
    assert kafka.count("ListOffsets") == before + 1
    assert kafka.connections == 1


def test_a_past_that_takes_long_is_given_up_and_the_reading_is_whole(kafka: FakeKafka):
    kafka.past_delay = 30.0
    source = source_of(kafka, budget=1.0)
    for _ in range(2 + TRIES):
        assert whole(source.read([A])[A])
    assert kafka.connections <= 1 + TRIES


@pytest.mark.parametrize("code", [LOADING, NOT_AVAILABLE, NOT_COORDINATOR])
def test_a_coordinator_that_moved_is_looked_for_once_and_the_reading_is_whole(kafka: FakeKafka, code: int):
    source = source_of(kafka)
    source.read([A, B])
    kafka.groups["a"].fetch_errors.append(code)
    found = kafka.count("FindCoordinator")
    readings = source.read([A, B])
    assert whole(readings[A])
    assert whole(readings[B])
    assert kafka.count("FindCoordinator") == found + 1


@pytest.mark.parametrize("code", [LOADING, NOT_AVAILABLE, NOT_COORDINATOR])
def test_a_coordinator_that_stays_away_fails_its_group_alone(kafka: FakeKafka, code: int):
    kafka.groups["a"].fetch_errors.extend([code] * 2)
    source = source_of(kafka)
    readings = source.read([A, B])
    assert f"({code})" in words(readings[A])
    assert readings[A].reason is Reason.READING_FAILED
    assert whole(readings[B])
    assert whole(source.read([A])[A])


def test_a_group_without_coordinator_fails_alone(kafka: FakeKafka):
    kafka.groups["a"].find_errors.extend([NOT_AVAILABLE] * 2)
    readings = source_of(kafka).read([A, B])
    assert "COORDINATOR_NOT_AVAILABLE (15)" in words(readings[A])
    assert whole(readings[B])


@pytest.mark.parametrize("where", ["fetch_errors", "find_errors"])
def test_a_group_that_may_not_be_read_fails_alone_and_names_the_right(kafka: FakeKafka, where: str):
    setattr(kafka.groups["a"], where, deque([FORBIDDEN]))
    readings = source_of(kafka).read([A, B])
    assert "Describe on Group a" in words(readings[A])
    assert readings[A].reason is Reason.FORBIDDEN
    assert whole(readings[B])
    assert kafka.count("OffsetFetch") == 1


def test_an_unstable_commit_is_an_error_and_not_a_missing_commit(kafka: FakeKafka):
    kafka.groups["a"].commit_errors["orders", 1] = UNSTABLE
    readings = source_of(kafka).read([A, B])
    assert "partition 1 of topic orders" in words(readings[A])
    assert whole(readings[B])


@pytest.mark.parametrize("request_name", ["OffsetFetch", "ListOffsets", "Metadata"])
def test_a_partition_that_is_left_out_is_not_zero_lag(kafka: FakeKafka, request_name: str):
    kafka.left_out.add((request_name, "orders", 0))
    assert "left partitions out" in words(source_of(kafka).read([A])[A])


def test_a_leader_that_moved_is_looked_for_once(two: FakeKafka):
    source = source_of(two)
    source.read([A])
    two.topics["orders"].leaders = [1, 0]
    assert whole(source.read([A])[A])
    assert (1, "ListOffsets") in two.asked


def test_an_election_under_way_fails_who_needs_the_topic(kafka: FakeKafka):
    kafka.topics["other"] = FakeTopic([0], [7])
    other = WantedGroup("a", ("other",))
    kafka.offset_errors["orders", 1].extend([NO_LEADER] * 9)
    readings = source_of(kafka).read([A, other])
    assert "partition 1 of topic orders" in words(readings[A])
    assert isinstance(readings[other], Reading)


def test_a_partition_without_leader_fails_who_needs_the_topic(kafka: FakeKafka):
    kafka.topics["orders"].leaders[1] = -1
    assert "partition 1 of topic orders has no leader" in words(source_of(kafka).read([A])[A])


def test_a_connection_that_ended_between_two_readings_is_opened_anew(kafka: FakeKafka):
    source = source_of(kafka)
    assert whole(source.read([A])[A])
    for connection in kafka.brokers[0]._open:
        connection.shutdown(2)
    assert whole(source.read([A])[A])
    assert kafka.connections == 2


def test_a_connection_dropped_in_mid_request_is_opened_anew(kafka: FakeKafka):
    source = source_of(kafka)
    source.read([A])
    kafka.drops.append("OffsetFetch")
    assert whole(source.read([A])[A])


def test_a_broker_that_keeps_hanging_up_fails_in_words(kafka: FakeKafka):
    source = source_of(kafka)
    source.read([A])
    kafka.drops.extend(["OffsetFetch"] * 5)
    assert "closed the connection" in words(source.read([A])[A])


def test_a_slow_broker_fails_its_groups_alone_and_within_the_budget(two: FakeKafka):
    source = source_of(two, budget=1.0)
    source.read([A, B])
    two.delays[1] = 30.0
    readings = source.read([A, B])
    assert whole(readings[A])
    assert "no answer in time" in words(readings[B])
    assert readings[B].reason is Reason.READING_FAILED


def test_a_broker_that_is_down_fails_its_groups_until_they_have_moved(two: FakeKafka):
    source = source_of(two)
    assert all(map(whole, source.read([A, B]).values()))
    two.brokers[1].close()
    readings = source.read([A, B])
    assert whole(readings[A])
    assert isinstance(readings[B], ReadingError)
    two.groups["b"].coordinator = 0
    assert whole(source.read([B])[B])


def test_a_broker_that_throttles_is_left_alone_until_its_time_is_over(kafka: FakeKafka):
    source = source_of(kafka)
    source.read([A])
    kafka.throttle = 200
    assert "throttles" in words(source.read([A])[A])
    kafka.throttle = 0
    eventually(lambda: whole(source.read([A])[A]), every=0.05)
    assert kafka.connections == 1


def test_a_list_that_fails_fails_the_groups_of_that_broker_alone(two: FakeKafka):
    two.list_errors[1] = 31
    readings = source_of(two).read([A, B])
    assert whole(readings[A])
    assert "Describe on Cluster" in words(readings[B])
    assert readings[B].reason is Reason.FORBIDDEN


def test_no_broker_at_all_is_an_error_of_the_connection(kafka: FakeKafka):
    source = source_of(kafka)
    source.read([A])
    kafka.brokers[0].close()
    answer = source.read([A])[A]
    assert "connection refused" in words(answer)
    assert answer.reason is Reason.CONNECTION_FAILED


def test_a_topic_whose_end_went_back_is_looked_at_anew(kafka: FakeKafka):
    source = source_of(kafka)
    before = source.read([A])[A]
    kafka.topics["orders"] = FakeTopic([0, 0], [1, 1])
    after = source.read([A])[A]
    assert isinstance(before, Reading)
    assert isinstance(after, Reading)
    assert after.topic_ids != before.topic_ids
    assert after.partitions[PartitionId("orders", 0)] == Offsets(0, 4, 1, 1)


def test_a_topic_that_grows_while_it_is_read_counts_as_it_was_and_whole_in_the_next_reading(kafka: FakeKafka):
    def grow() -> None:
        kafka.topics["orders"].leaders.append(0)
        kafka.topics["orders"].ends.append(10)
        kafka.offset_errors["orders", 0].append(NOT_LEADER)  # so that it is looked at anew in the same cycle

    source = source_of(kafka)
    kafka.then["OffsetFetch"] = grow
    assert whole(source.read([A])[A])
    after = source.read([A])[A]
    assert isinstance(after, Reading)
    assert after.partitions == WHOLE | {PartitionId("orders", 2): Offsets(0, None, 10, 10)}


def test_a_group_with_commits_that_is_not_listed_is_empty_and_not_absent(kafka: FakeKafka):
    for group in kafka.groups.values():
        group.state = ""
    kafka.groups["b"].commits.clear()
    readings = source_of(kafka).read([A, B])
    assert [readings[one].state for one in (A, B)] == [GroupState.EMPTY, GroupState.ABSENT]


def test_an_old_broker_is_asked_group_by_group():
    with fake_kafka(versions=OLD) as kafka:
        orders(kafka, 0, 0)
        kafka.groups["a"].fetch_errors.append(FORBIDDEN)
        readings = source_of(kafka).read([A, B])
        assert "Describe on Group a" in words(readings[A])
        assert whole(readings[B])
        assert readings[B].state is GroupState.STABLE  # by describing: such a broker lists no states
        assert readings[B].topic_ids == {"orders": ""}
        assert kafka.count("OffsetFetch") == kafka.count("FindCoordinator") == 2
        assert kafka.connections == 1
