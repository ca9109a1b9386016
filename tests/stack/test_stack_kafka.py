"""Kafka of the stack: what its listeners, users and brokers are like."""

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from demo.stack import Stack
from tests.waiting import eventually


def test_kafka_serves_every_kind_of_client(stack: Stack):
    kafka = stack.kafka
    assert kafka
    tls = {"ssl.ca.location": str(kafka.ca)}
    password = {"sasl.username": "alice", "sasl.password": kafka.users["alice"]}
    token = {
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": kafka.token_endpoint,
        "sasl.oauthbearer.client.id": "alice",
        "sasl.oauthbearer.client.secret": kafka.users["alice"],
    }
    ways = {
        "PLAINTEXT": [{}],
        "SSL": [
            tls,
            tls | {"ssl.certificate.location": str(kafka.client_cert), "ssl.key.location": str(kafka.client_key)},
        ],
        "SASL_PLAINTEXT": [
            *({"sasl.mechanism": name, **password} for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")),
            token,
        ],
        "SASL_SSL": [tls | {"sasl.mechanism": "PLAIN", **password}, tls | token],
    }
    for listener, settings in ways.items():
        for given in settings:
            client = AdminClient(
                {"bootstrap.servers": kafka.listeners[listener], "security.protocol": listener, **given}
            )
            assert len(client.list_topics(timeout=10).brokers) == 1, (listener, given)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_kafka_refuses_a_wrong_password(stack: Stack, mechanism: str):
    assert stack.kafka
    settings = {
        "bootstrap.servers": stack.kafka.listeners["SASL_PLAINTEXT"],
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.username": "alice",
        "sasl.password": "wrong",
    }
    errors: list[KafkaError] = []
    client = AdminClient(settings | {"error_cb": errors.append})
    with pytest.raises(KafkaException):
        client.list_topics(timeout=3)
    client.poll(0)  # hands over what the client has met
    assert any(error.code() == KafkaError._AUTHENTICATION for error in errors)


def test_an_acl_denies_one_user_one_thing(stack: Stack, topic: str):
    kafka = stack.kafka
    assert kafka
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(10)
    anyone = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL)
    deny = AclBinding(*anyone, "User:bob", "*", AclOperation.ALL, AclPermissionType.DENY)
    allow = AclBinding(*anyone, "User:*", "*", AclOperation.ALL, AclPermissionType.ALLOW)
    for future in admin.create_acls([deny, allow]).values():
        future.result(10)

    def seen_by(user: str) -> KafkaError | None:
        settings = {"bootstrap.servers": kafka.listeners["SASL_PLAINTEXT"], "security.protocol": "SASL_PLAINTEXT"}
        login = {"sasl.mechanism": "PLAIN", "sasl.username": user, "sasl.password": kafka.users[user]}
        return AdminClient(settings | login).list_topics(topic, timeout=10).topics[topic].error

    assert seen_by("alice") is None
    error = seen_by("bob")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_broker_comes_back_with_its_data(stack: Stack, topic: str):
    kafka = stack.kafka
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(10)
    produce(kafka.bootstrap, topic, "before")
    kafka.stop()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0}).list_topics(timeout=1)
    kafka.start()
    produce(kafka.bootstrap, topic, "after")
    assert records(kafka.bootstrap, topic, 2) == [b"before", b"after"]


def test_three_brokers_go_on_without_one(topic: str):
    with Stack.start(kubernetes=False, brokers=3) as stack:
        kafka = stack.kafka
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.create_topics([NewTopic(topic, 3)])[topic].result(10)

        def in_sync() -> list[int]:
            return [len(found.isrs) for found in admin.list_topics(topic, timeout=10).topics[topic].partitions.values()]

        eventually(lambda: in_sync() == [3, 3, 3])  # a broker may hear of a topic after the one that made it
        kafka.kill(1)
        produce(kafka.bootstrap, topic, "while one is down")
        assert records(kafka.bootstrap, topic, 1) == [b"while one is down"]
        kafka.start(1)
        eventually(lambda: in_sync() == [3, 3, 3])


def test_settings_of_the_brokers_can_be_replaced(topic: str):
    with Stack.start(
        kubernetes=False, kafka_config={"auto.create.topics.enable": "true", "num.partitions": 7}
    ) as stack:
        produce(stack.kafka.bootstrap, topic, "nobody made this topic")
        admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap})
        assert len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 7


def produce(bootstrap: str, topic: str, value: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    errors: list[KafkaError | None] = []
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(60) == 0
    assert errors == [None]


def records(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": f"{topic}-reader", "auto.offset.reset": "earliest", "log_level": 0}
    )
    consumer.subscribe([topic])
    try:
        return [message.value() for message in consumer.consume(count, timeout=60) if not message.error()]
    finally:
        consumer.close()
