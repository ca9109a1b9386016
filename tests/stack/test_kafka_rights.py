"""A broker that forbids what no ACL allows: the ACLs in docs/security.md are enough, and each is for something."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from demo.stack import Stack
from demo.stack.kafka import Kafka
from tests.stack.kafka_world import KafkaWorld, connection, read_one
from tests.stack.test_kafka_source_security import password, secrets
from tests.waiting import eventually
from tidegate.api import Reason
from tidegate.engine.facts import TopicFacts
from tidegate.engine.observation import Objection, Reading, ReadingError
from tidegate.sources import Increased, Source, WantedGroup

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
PREFIX = "shop."
ORDERS = WantedGroup("shop.orders", ("shop.orders",))


class Acl(NamedTuple):
    """One right of the user alice."""

    operation: str
    kind: str
    name: str = PREFIX

    def said(self, kind: type) -> Any:
        """As confluent-kafka has it, or a filter that finds it."""
        pattern = ResourcePatternType.LITERAL if self.kind == "BROKER" else ResourcePatternType.PREFIXED
        operation, allow = AclOperation[self.operation], AclPermissionType.ALLOW
        return kind(ResourceType[self.kind], self.name, pattern, "User:alice", "*", operation, allow)


DESCRIBE_GROUPS, DESCRIBE_TOPICS = Acl("DESCRIBE", "GROUP"), Acl("DESCRIBE", "TOPIC")
DESCRIBE_CONFIGS, DESCRIBE_CLUSTER = Acl("DESCRIBE_CONFIGS", "TOPIC"), Acl("DESCRIBE", "BROKER", "kafka-cluster")
MEASURING = (DESCRIBE_GROUPS, DESCRIBE_TOPICS, DESCRIBE_CONFIGS, DESCRIBE_CLUSTER)
ALTER, READ_TOPICS, READ_GROUPS = Acl("ALTER", "TOPIC"), Acl("READ", "TOPIC"), Acl("READ", "GROUP")
TRANSACTIONS = Acl("WRITE", "TRANSACTIONAL_ID", "tidegate-")
ACTING = (ALTER, READ_TOPICS, READ_GROUPS, TRANSACTIONS)

WORDS = {
    ("DESCRIBE", "the groups, by prefix or name"): (DESCRIBE_GROUPS,),
    ("DESCRIBE", "the topics"): (DESCRIBE_TOPICS,),
    ("DESCRIBE_CONFIGS", "the topics"): (DESCRIBE_CONFIGS,),
    ("DESCRIBE", "the cluster"): (DESCRIBE_CLUSTER,),
    ("ALTER", "the topics that may grow"): (ALTER,),
    ("READ", "those topics and their groups"): (READ_TOPICS, READ_GROUPS),
    ("WRITE", "TransactionalId, prefix `tidegate-`"): (TRANSACTIONS,),
}
"""The ACLs in the words of the page."""


class Broker(KafkaWorld):
    """A broker where alice may do what she was granted."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(kafka.bootstrap)
        self.kafka = kafka

    def grant(self, *acls: Acl) -> None:
        for future in self.admin.create_acls([acl.said(AclBinding) for acl in acls]).values():
            future.result(20)

    def revoke(self, *acls: Acl) -> None:
        for future in self.admin.delete_acls([acl.said(AclBindingFilter) for acl in acls]).values():
            future.result(20)


def started(broker: Broker) -> bool:
    """Commit for the group; the first commit to a fresh broker makes its coordinators start."""
    try:
        broker.commit(ORDERS.group, {("shop.orders", 0): 1, ("shop.orders", 1): 0})
    except KafkaException as error:
        raise AssertionError(error) from error
    return True


@pytest.fixture(scope="module")
def strict() -> Iterator[Broker]:
    settings = {"allow.everyone.if.no.acl.found": "false"}
    with Stack.start(kubernetes=False, pods=False, kafka_config=settings) as stack:
        assert isinstance(stack.kafka, Kafka)
        broker = Broker(stack.kafka)
        broker.create("shop.orders", 2)
        broker.produce("shop.orders", 3)
        eventually(lambda: started(broker))
        broker.grant(*MEASURING, *ACTING)
        yield broker


@pytest.fixture
def alice(strict: Broker) -> Iterator[Source]:
    source = connection(strict.kafka, "SASL_PLAINTEXT", secrets(strict.kafka), sasl=password("SCRAM-SHA-512"))
    yield source
    source.close()


@pytest.fixture
def lacking(strict: Broker, request: pytest.FixtureRequest) -> Iterator[None]:
    """All rights but some, which come back afterwards."""
    strict.revoke(*request.param)
    yield
    strict.grant(*request.param)


def without(*acls: Acl) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("lacking", [acls], indirect=True, ids=[""])


def missing(answer: object) -> str:
    """The right that it says to be missing; "" where it says something else."""
    if not isinstance(answer, Objection | ReadingError) or answer.reason is not Reason.FORBIDDEN:
        return ""
    return answer.message.rpartition("allow it the ACL operation ")[2]


def lacks(right: str, ask: Callable[[], object]) -> None:
    """Wait until the broker knows of the change, and the answer names the right."""

    def told() -> bool:
        answer = ask()
        assert missing(answer) == right, answer
        return True

    eventually(told)


def reading(alice: Source) -> Reading | ReadingError:
    return alice.read([ORDERS])[ORDERS]


def has_retention(alice: Source) -> bool:
    found = reading(alice)
    return isinstance(found, Reading) and bool(found.retention)


def test_the_page_lists_these_and_no_others():
    rows = re.findall(r"^\| ([A-Z_]{4,}) \| (.+?) \|", PAGE.read_text(), re.MULTILINE)
    assert [acl for row in rows for acl in WORDS[row]] == [*MEASURING, *ACTING]


@without(*ACTING)
def test_the_rights_to_measure(lacking: None, alice: Source):
    eventually(lambda: has_retention(alice))
    whole = read_one(alice, ORDERS)
    assert {offsets.committed for offsets in whole.partitions.values()} == {0, 1}
    assert isinstance(alice.inspect("shop.orders"), TopicFacts)
    lacks("Alter on Topic shop.orders", lambda: alice.validate_increase("shop.orders", 3))


@without(DESCRIBE_GROUPS, READ_GROUPS)
def test_no_right_to_the_groups(lacking: None, alice: Source):
    lacks(f"Describe on Group {ORDERS.group}", lambda: reading(alice))


@without(DESCRIBE_TOPICS, DESCRIBE_CONFIGS, ALTER, READ_TOPICS)
def test_no_right_to_the_topics(lacking: None, alice: Source):
    lacks("Describe on Topic shop.orders", lambda: reading(alice))


@without(DESCRIBE_CONFIGS)
def test_no_right_to_the_settings_of_topics(lacking: None, alice: Source):
    eventually(lambda: isinstance(reading(alice), Reading))
    facts = alice.inspect("shop.orders")
    assert isinstance(facts, TopicFacts)
    assert not has_retention(alice)


@without(DESCRIBE_CLUSTER)
def test_no_right_to_the_cluster(lacking: None, alice: Source):
    """Groups that were granted are read nevertheless."""
    eventually(lambda: isinstance(reading(alice), Reading))


@without(ALTER)
def test_no_right_to_enlarge(lacking: None, alice: Source):
    lacks("Alter on Topic shop.orders", lambda: alice.increase("shop.orders", 2, 3))


@without(READ_GROUPS)
def test_no_right_to_commit(lacking: None, alice: Source):
    lacks("Read on Group shop.orders", lambda: alice.increase("shop.orders", 2, 3, [ORDERS.group]))


@without(READ_TOPICS)
def test_no_right_to_commit_for_the_topic(lacking: None, alice: Source):
    lacks("Read on Topic shop.orders", lambda: alice.increase("shop.orders", 2, 3, [ORDERS.group]))


@without(TRANSACTIONS)
def test_no_right_to_transactions(lacking: None, alice: Source):
    own = "Write on TransactionalId tidegate-shop.orders"
    lacks(own, lambda: alice.increase("shop.orders", 2, 3, [ORDERS.group]))


def test_all_rights_to_act(alice: Source, strict: Broker):
    eventually(lambda: isinstance(reading(alice), Reading))
    assert isinstance(eventually(lambda: alice.increase("shop.orders", 2, 3, [ORDERS.group])), Increased)
    assert strict.partitions("shop.orders") == 3
