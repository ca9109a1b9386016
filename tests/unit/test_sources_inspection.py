"""What an inspection makes of a cluster that does not tell all, and acts of what librdkafka says."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError
from kafka.protocol.admin import DescribeConfigsRequest, DescribeConfigsResponse

from tests.unit import wire_fake
from tests.unit.test_sources_wire import source_of
from tests.unit.wire_fake import MODERN, OLD, FakeGroup, FakeKafka, FakeTopic, fake_kafka
from tidegate.api import BrokerConnectionSpec, Reason, SecretKeyRef
from tidegate.engine.facts import GroupFacts, TopicFacts
from tidegate.engine.observation import GroupState, Objection, ReadingError
from tidegate.sources import open_source
from tidegate.sources.kafka import trouble

LOADING, NOT_COORDINATOR, FORBIDDEN, TIMED_OUT = 14, 16, 30, 7
KEY = DescribeConfigsRequest.API_KEY
CONFIGS = {"cleanup.policy": "delete", "min.insync.replicas": "2", "unclean.leader.election.enable": "false"}


def _describe_configs(kafka: FakeKafka, broker: int, request: Any, version: int) -> Any:
    kind = DescribeConfigsResponse.DescribeConfigsResult
    entry = kind.DescribeConfigsResourceResult
    configs = [
        entry(
            name=name, value=value, read_only=False, config_source=5, is_sensitive=False, synonyms=[], version=version
        )
        for name, value in CONFIGS.items()
    ]
    [asked] = request.resources
    result = kind(
        error_code=0,
        error_message=None,
        resource_type=asked.resource_type,
        resource_name=asked.resource_name,
        configs=configs,
        version=version,
    )
    return DescribeConfigsResponse(throttle_time_ms=0, results=[result], version=version)


@pytest.fixture(params=[MODERN, OLD], ids=["modern", "old"])
def kafka(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKafka]:
    """Two brokers, a topic of two partitions, and two groups, of which each broker coordinates one."""
    monkeypatch.setitem(wire_fake.REQUESTS, KEY, DescribeConfigsRequest)
    monkeypatch.setitem(wire_fake.ANSWERS, KEY, _describe_configs)
    with fake_kafka(2, request.param | {KEY: 2}) as started:
        started.topics["orders"] = FakeTopic([0, 1], [10, 10])
        for number, name in enumerate(("a", "b")):
            started.groups[name] = FakeGroup(coordinator=number, commits={("orders", 0): 4}, state="Empty")
        yield started


def error_of(kafka: FakeKafka, *groups: str) -> ReadingError:
    found = source_of(kafka).inspect("orders", groups or None)
    assert isinstance(found, ReadingError), found
    return found


def test_all_groups_of_all_brokers_are_found(kafka: FakeKafka):
    facts = source_of(kafka).inspect("orders")
    assert isinstance(facts, TopicFacts), facts
    told = "" if kafka.versions[16] >= 4 else "range"  # an old broker's groups are described for their state
    assert facts.groups == tuple(
        GroupFacts(name, "Classic", GroupState.EMPTY, "consumer", told, commits={0: 4}) for name in ("a", "b")
    )
    assert facts.load == {0: 1, 1: 1}
    assert (facts.compacted, facts.min_in_sync, facts.unclean) == (False, 2, False)


def test_a_broker_that_does_not_list_its_groups_hides_none(kafka: FakeKafka):
    kafka.list_errors[1] = LOADING
    assert "the list of groups of broker 127.0.0.1" in error_of(kafka).message


def test_a_broker_that_is_down_hides_no_groups(kafka: FakeKafka):
    kafka.topics["__consumer_offsets"] = FakeTopic([0, -1], [1, 1])
    message = error_of(kafka).message
    assert "groups of partition 1 of __consumer_offsets cannot be seen" in message


def test_a_group_whose_commits_are_not_told_is_no_group_without_commits(kafka: FakeKafka):
    kafka.groups["b"].fetch_errors = deque([NOT_COORDINATOR])
    assert "group b: NOT_COORDINATOR" in error_of(kafka).message


def test_a_commit_that_is_not_told_is_no_missing_commit(kafka: FakeKafka):
    kafka.groups["a"].commit_errors["orders", 1] = TIMED_OUT
    assert "partition 1 of topic orders" in error_of(kafka).message
    kafka.groups["a"].commit_errors.clear()
    kafka.left_out.add(("OffsetFetch", "orders", 1))
    assert "left partitions out of its answer about commits" in error_of(kafka).message


def test_groups_that_are_not_meant_are_not_asked_for(kafka: FakeKafka):
    kafka.groups["b"].fetch_errors = deque([FORBIDDEN] * 9)
    facts = source_of(kafka).inspect("orders", ("a",))
    assert isinstance(facts, TopicFacts), facts
    assert [group.name for group in facts.groups] == ["a"]
    error = error_of(kafka)
    assert error.reason is Reason.FORBIDDEN
    assert "Describe on Group b" in error.message


def test_partitions_that_are_not_told_are_not_missing(kafka: FakeKafka):
    kafka.left_out.add(("Metadata", "orders", 0))
    assert "topic orders: the broker left partitions out of its answer" in error_of(kafka).message


@pytest.mark.parametrize(
    ("code", "words", "reason", "again"),
    [
        (
            29,
            "does not let this connection's user enlarge topic t: allow it the ACL operation Alter",
            "Forbidden",
            False,
        ),
        (37, "No more than 9 partitions (INVALID_PARTITIONS, 37)", "RefusedByBroker", False),
        (44, "No more than 9 partitions (POLICY_VIOLATION, 44)", "RefusedByBroker", False),
        (16, "NOT_COORDINATOR", "RefusedByBroker", True),
        (3, "UNKNOWN_TOPIC_OR_PART", "RefusedByBroker", True),
        (KafkaError._TIMED_OUT, "cannot enlarge topic t: No more than 9 partitions", "ConnectionFailed", False),
    ],
)
def test_an_act_that_fails_says_so_in_the_brokers_words(code: int, words: str, reason: str, again: bool):
    error = KafkaError(code, "No more than 9 partitions.")
    told = trouble.of_act(error, "enlarge topic t", {29: ("Alter", "Topic t")})
    assert words in told.words
    assert told.reason is Reason(reason)
    assert told.again is again


def test_a_connection_that_cannot_be_tried_says_so_whatever_is_asked():
    reference = {"secretKeyRef": {"name": "secret", "key": "ca"}}
    spec = {"kafka": {"bootstrapServers": ["127.0.0.1:9092"], "tls": {"ca": reference}}}
    source = open_source(BrokerConnectionSpec.model_validate(spec), {SecretKeyRef(name="secret", key="ca"): "none"})
    answers = (
        source.inspect("t"),
        source.validate_increase("t", 4),
        source.increase("t", 2, 4),
        source.commit_start("g", "t", [2]),
    )
    for answer in answers:
        assert isinstance(answer, ReadingError | Objection), answer
        assert answer.reason is Reason.CONNECTION_FAILED
        assert "spec.kafka.tls.ca" in answer.message
