"""Every way to reach a broker, and the words when it does not work."""

from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from demo.stack import Stack
from demo.stack.kafka import Kafka
from tests.stack.kafka_world import KafkaWorld, connection, error_of, opened, pem, read_one, secret
from tests.waiting import eventually
from tidegate.api import BrokerConnectionSpec, Reason
from tidegate.engine.observation import ReadingError
from tidegate.sources import WantedGroup
from tidegate.sources.kafka.settings import admin_settings

Json = dict[str, Any]

TLS: Json = {"ca": secret("ca")}
MUTUAL: Json = TLS | {"certificate": {"certificate": secret("certificate"), "key": secret("key")}}


@pytest.fixture(scope="module")
def kafka(stack: Stack) -> Kafka:
    if not isinstance(stack.kafka, Kafka):
        pytest.skip("the broker is not the stack's own")
    return stack.kafka


def password(mechanism: str) -> Json:
    return {"mechanism": mechanism, "credentials": {"username": secret("user"), "password": secret("password")}}


def token(kafka: Kafka) -> Json:
    oauth = {"tokenEndpoint": kafka.token_endpoint, "clientId": secret("user"), "clientSecret": secret("password")}
    return {"mechanism": "OAUTHBEARER", "oauth": oauth | {"scope": "kafka"}}


def secrets(kafka: Kafka) -> dict[str, str]:
    return {
        "ca": pem(kafka.ca),
        "certificate": pem(kafka.client_cert),
        "key": pem(kafka.client_key),
        "user": "alice",
        "password": kafka.users["alice"] + "\n",  # as a Secret made from a file has it
        "wrong": "wrong",
    }


def ways(kafka: Kafka) -> dict[str, tuple[str, Json]]:
    return {
        "plaintext": ("PLAINTEXT", {}),
        "TLS": ("SSL", {"tls": TLS}),
        "mutual TLS": ("SSL", {"tls": MUTUAL}),
        "TLS for any host": ("SSL", {"tls": TLS | {"hostnameVerification": "Disabled"}}),
        "PLAIN": ("SASL_PLAINTEXT", {"sasl": password("PLAIN")}),
        "SCRAM-SHA-256": ("SASL_PLAINTEXT", {"sasl": password("SCRAM-SHA-256")}),
        "SCRAM-SHA-512": ("SASL_PLAINTEXT", {"sasl": password("SCRAM-SHA-512")}),
        "OAUTHBEARER": ("SASL_PLAINTEXT", {"sasl": token(kafka)}),
        "SCRAM over TLS": ("SASL_SSL", {"tls": TLS, "sasl": password("SCRAM-SHA-512")}),
        "OAUTHBEARER over TLS": ("SASL_SSL", {"tls": TLS, "sasl": token(kafka)}),
    }


WAYS = (
    "plaintext",
    "TLS",
    "mutual TLS",
    "TLS for any host",
    "PLAIN",
    "SCRAM-SHA-256",
    "SCRAM-SHA-512",
    "OAUTHBEARER",
    "SCRAM over TLS",
    "OAUTHBEARER over TLS",
)


@pytest.mark.parametrize("way", WAYS)
def test_both_clients_get_in_by(kafka: Kafka, topic: str, way: str):
    KafkaWorld(kafka.bootstrap).create(topic)
    listener, parts = ways(kafka)[way]
    source = connection(kafka, listener, secrets(kafka), **parts)
    wanted = WantedGroup(topic, (topic,))
    reading = read_one(source, wanted)
    assert len(reading.partitions) == 1
    eventually(lambda: read_one(source, wanted).retention)  # which the other client has asked for
    source.close()


def test_a_client_certificate_is_who_we_are(kafka: Kafka):
    """The broker takes the certificate's name for the user: it may do what this user may."""
    spec = BrokerConnectionSpec.model_validate({"kafka": {"bootstrapServers": [kafka.listeners["SSL"]], "tls": MUTUAL}})
    values = {ref: secrets(kafka)[ref.key] for ref in spec.secret_refs()}
    client = AdminClient(admin_settings(spec.kafka, values))
    assert len(client.list_topics(timeout=10).brokers) == 1


def wrong_ways(kafka: Kafka) -> dict[str, tuple[str, Json, tuple[str, ...]]]:
    wrong = {"username": secret("user"), "password": secret("wrong")}
    bearer = token(kafka)
    return {
        "a wrong password, PLAIN": (
            kafka.listeners["SASL_PLAINTEXT"],
            {"sasl": {"mechanism": "PLAIN", "credentials": wrong}},
            ("authentication failed", "Invalid username or password", "check spec.kafka.sasl"),
        ),
        "a wrong password, SCRAM": (
            kafka.listeners["SASL_PLAINTEXT"],
            {"sasl": {"mechanism": "SCRAM-SHA-256", "credentials": wrong}},
            ("authentication failed", "invalid credentials", "check spec.kafka.sasl"),
        ),
        "a wrong client secret": (
            kafka.listeners["SASL_PLAINTEXT"],
            {"sasl": bearer | {"oauth": bearer["oauth"] | {"clientSecret": secret("wrong")}}},
            ("no token for OAUTHBEARER", "401", "check spec.kafka.sasl.oauth"),
        ),
        "no token endpoint": (
            kafka.listeners["SASL_PLAINTEXT"],
            {"sasl": bearer | {"oauth": bearer["oauth"] | {"tokenEndpoint": "http://127.0.0.1:1/token"}}},
            ("http://127.0.0.1:1/token", "refused"),
        ),
        "an authority that is not trusted": (
            kafka.listeners["SSL"],
            {"tls": {}},
            ("certificate is not accepted", "spec.kafka.tls.ca"),
        ),
        "a name that the certificate does not have": (
            kafka.listeners["SSL"].replace("127.0.0.1", "[::ffff:127.0.0.1]"),
            {"tls": TLS},
            ("certificate is not accepted", "hostnameVerification"),
        ),
        "TLS to a listener without": (kafka.listeners["PLAINTEXT"], {"tls": TLS}, ("spec.kafka.tls",)),
        "no TLS to a listener with": (kafka.listeners["SSL"], {}, ("closed the connection", "spec.kafka.tls")),
        "SASL to a listener without": (
            kafka.listeners["PLAINTEXT"],
            {"sasl": password("PLAIN")},
            ("does not authenticate by SASL",),
        ),
        "no SASL to a listener with": (kafka.listeners["SASL_PLAINTEXT"], {}, ("closed the connection", "sasl")),
        "nobody there": ("127.0.0.1:1", {}, ("127.0.0.1:1", "connection refused")),
        "no such host": ("kafka.invalid:9092", {}, ("kafka.invalid", "cannot be resolved", "bootstrapServers")),
        "a certificate that is none": (kafka.listeners["SSL"], {"tls": {"ca": secret("user")}}, ("tls.ca", "PEM")),
        "a key that is none": (
            kafka.listeners["SSL"],
            {"tls": TLS | {"certificate": {"certificate": secret("certificate"), "key": secret("user")}}},
            ("spec.kafka.tls.certificate", "PEM"),
        ),
    }


WRONG_WAYS = (
    "a wrong password, PLAIN",
    "a wrong password, SCRAM",
    "a wrong client secret",
    "no token endpoint",
    "an authority that is not trusted",
    "a name that the certificate does not have",
    "TLS to a listener without",
    "no TLS to a listener with",
    "SASL to a listener without",
    "no SASL to a listener with",
    "nobody there",
    "no such host",
    "a certificate that is none",
    "a key that is none",
)


@pytest.mark.parametrize("way", WRONG_WAYS)
def test_the_error_says_what_is_wrong_with(kafka: Kafka, way: str):
    address, parts, words = wrong_ways(kafka)[way]
    source = opened({"kafka": {"bootstrapServers": [address], **parts}}, secrets(kafka))
    error = error_of(source, WantedGroup("group", ("topic",)))
    described = source.describe()
    source.close()
    assert error.reason is Reason.CONNECTION_FAILED
    for word in words:
        assert word in error.message
    assert isinstance(described, ReadingError)
    assert described.message == error.message


def test_every_way_is_tried(kafka: Kafka):
    assert set(WAYS) == set(ways(kafka))
    assert set(WRONG_WAYS) == set(wrong_ways(kafka))
