"""The stack itself: real parts that come up together and leave nothing behind."""

import pytest
from confluent_kafka import KafkaError, KafkaException
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


def test_a_deployment_gets_its_pods(stack: Stack, namespace: str):
    stack.kubectl("create", "deployment", "web", "--image=web", "--replicas=2", "-n", namespace)
    stack.kubectl("wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "-n", namespace, "--timeout=30s")


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
