"""Answers of a broker, folded: states of groups, configs of topics, errors in sentences."""

import socket
import ssl
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaException
from kafka import errors

from tidegate.api import Reason
from tidegate.engine.observation import GroupState
from tidegate.sources.kafka import configs, trouble
from tidegate.sources.kafka.configs import Cleanup, Configs, cleanup_of
from tidegate.sources.kafka.groups import state_of
from tidegate.sources.kafka.tokens import TokenError


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Stable", GroupState.STABLE),
        ("Empty", GroupState.EMPTY),
        ("Dead", GroupState.ABSENT),
        ("PreparingRebalance", GroupState.REBALANCING),
        ("CompletingRebalance", GroupState.REBALANCING),
        ("Assigning", GroupState.REBALANCING),  # KIP-848
        ("Reconciling", GroupState.REBALANCING),
        ("NotReady", GroupState.REBALANCING),  # KIP-1071
        ("Unknown", GroupState.REBALANCING),
        ("SomethingNew", GroupState.REBALANCING),  # never taken for stable
    ],
)
def test_states_are_folded(word: str, state: GroupState):
    assert state_of(word) is state


@pytest.mark.parametrize(
    ("config", "cleanup"),
    [
        ({"cleanup.policy": "delete", "retention.ms": "60000"}, Cleanup(60.0, False)),
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, Cleanup(None, False)),
        ({"cleanup.policy": "compact", "retention.ms": "60000"}, Cleanup(None, True)),
        ({"cleanup.policy": "compact,delete", "retention.ms": "60000"}, Cleanup(60.0, True)),
        ({"cleanup.policy": "", "retention.ms": "60000"}, Cleanup(None, False)),  # nothing is deleted (Kafka 4.1)
        ({}, Cleanup(None, False)),
    ],
)
def test_configs_are_folded(config: dict[str, str], cleanup: Cleanup):
    assert cleanup_of(config) == cleanup


class Entry:
    def __init__(self, value: str) -> None:
        self.value = value


class FakeAdmin:
    """Answers when it is told to."""

    def __init__(self, _: object = None) -> None:
        self.asked: list[list[str]] = []
        self.futures: dict[str, Future[dict[str, Entry]]] = {}

    def describe_configs(self, resources: list[Any], request_timeout: float) -> dict[Any, Future[Any]]:
        assert request_timeout <= 10
        self.asked.append([resource.name for resource in resources])
        answers: dict[Any, Future[Any]] = {resource: Future() for resource in resources}
        self.futures = {resource.name: future for resource, future in answers.items()}
        return answers

    def answer(self, **failing: Exception) -> None:
        for name, future in self.futures.items():
            if name in failing:
                future.set_exception(failing[name])
            else:
                future.set_result({"cleanup.policy": Entry("delete"), "retention.ms": Entry("1000")})


def test_configs_are_asked_for_in_chunks_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(configs, "CHUNK", 2)
    admin = FakeAdmin()
    known = Configs({}, lambda _: admin)
    topics = ["a", "b", "c"]
    known.refresh(topics)
    known.refresh(topics)
    assert admin.asked == [["a", "b"]]
    assert known.of("a") is None
    admin.answer()
    known.refresh(topics)
    assert admin.asked == [["a", "b"], ["c"]]
    assert known.of("a") == Cleanup(1.0, False)
    admin.answer()
    known.refresh(topics)
    known.refresh(topics)
    assert len(admin.asked) == 2


def test_configs_are_asked_for_again_after_a_while(monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr(configs.time, "monotonic", lambda: now)
    admin = FakeAdmin()
    known = Configs({}, lambda _: admin)
    known.refresh(["a"])
    admin.answer()
    known.refresh(["a"])
    assert len(admin.asked) == 1
    now += configs.REFRESH_SECONDS + 1
    known.refresh(["a"])
    assert len(admin.asked) == 2


def test_what_cannot_be_had_is_done_without():
    admin = FakeAdmin()
    known = Configs({}, lambda _: admin)
    known.refresh(["a", "b"])
    admin.answer(a=KafkaException("not allowed"))
    known.refresh(["a", "b"])
    assert known.of("a") is None
    assert known.of("b") == Cleanup(1.0, False)
    assert len(admin.asked) == 1


def test_a_client_that_cannot_be_made_is_no_failure():
    def refuses(_: object) -> FakeAdmin:
        raise KafkaException("no such setting")

    known = Configs({}, refuses)
    known.refresh(["a"])
    assert known.of("a") is None


@pytest.mark.parametrize(
    ("error", "words", "refused"),
    [
        (ConnectionRefusedError(111, "refused"), "connection refused", False),
        (socket.gaierror(-2, "unknown"), "cannot be resolved", False),
        (TimeoutError(), "no answer in time", False),
        (errors.KafkaTimeoutError(), "no answer in time", False),
        (errors.KafkaConnectionError("socket disconnected"), "closed the connection", False),
        (errors.KafkaConnectionError(ssl.SSLError(1, "tlsv13 alert certificate required")), "client certificate", True),
        (ssl.SSLError(1, "wrong version number"), "does not speak TLS", True),
        (errors.UnsupportedSaslMechanismError(), "spec.kafka.sasl.mechanism", True),
        (
            errors.SaslAuthenticationFailedError("SaslAuthenticationFailedError: bad"),
            "authentication failed (bad)",
            True,
        ),
        (TokenError("token endpoint X answers 401"), "token endpoint X answers 401", True),
        (errors.IncompatibleBrokerVersion("no Metadata"), "too old", True),
        (RuntimeError("surprise"), "RuntimeError: surprise", False),
    ],
)
def test_a_broker_that_cannot_be_asked_is_named_with_what_is_wrong(error: Exception, words: str, refused: bool):
    told = trouble.unreachable(error, "kafka:9092")
    assert told.words.startswith("broker kafka:9092: ")
    assert words in told.words
    assert told.refused is refused


@pytest.mark.parametrize(
    ("told", "words", "reason", "again"),
    [
        (trouble.of_group(30, "g"), "Describe on Group g", Reason.FORBIDDEN, False),
        (trouble.of_topic(29, "t"), "Describe on Topic t", Reason.FORBIDDEN, False),
        (trouble.of_partition(29, "t", 1), "Describe on Topic t", Reason.FORBIDDEN, False),
        (trouble.of_request(31, "the list"), "Describe on Cluster", Reason.FORBIDDEN, False),
        (trouble.of_group(16, "g"), "group g: NOT_COORDINATOR (16)", Reason.READING_FAILED, True),
        (trouble.of_group(-1, "g"), "group g: UNKNOWN (-1)", Reason.READING_FAILED, False),
        (trouble.of_topic(3, "t"), "topic t does not exist", Reason.READING_FAILED, True),
        (trouble.of_partition(6, "t", 1), "partition 1 of topic t: NOT_LEADER", Reason.READING_FAILED, True),
        (trouble.of_partition(9999, "t", 1), "(9999)", Reason.READING_FAILED, False),
    ],
)
def test_a_code_becomes_a_sentence(told: trouble.Trouble, words: str, reason: Reason, again: bool):
    assert words in told.words
    assert told.reason is reason
    assert told.again is again
