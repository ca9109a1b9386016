"""One connection, translated for both clients; that real listeners take it is shown in tests/stack."""

from typing import Any

import pytest

from tidegate.api import BrokerConnectionSpec, ClusterBrokerConnectionSpec
from tidegate.sources.kafka.settings import Address, SettingsError, admin_settings, reading_settings
from tidegate.sources.kafka.tokens import TokenProvider

Json = dict[str, Any]


def secret(key: str) -> Json:
    return {"secretKeyRef": {"name": "secret", "key": key}}


PASSWORD: Json = {
    "mechanism": "SCRAM-SHA-512",
    "credentials": {"username": secret("user"), "password": secret("password")},
}
TOKEN: Json = {
    "mechanism": "OAUTHBEARER",
    "oauth": {
        "tokenEndpoint": "https://login.example.com/token",
        "clientId": secret("user"),
        "clientSecret": secret("password"),
        "scope": "kafka",
        "ca": secret("ca"),
    },
}
VALUES = {"user": "tidegate\n", "password": "p w\r\n", "ca": "no certificate"}


def translated(given: Any, **parts: Json) -> tuple[Any, dict[Any, str]]:
    spec = given.model_validate({"kafka": {"bootstrapServers": ["a.example.com:9092", "[::1]:9093"], **parts}})
    return spec.kafka, {ref: VALUES[ref.key] for ref in spec.secret_refs()}


def both(**parts: Json) -> tuple[Any, dict[str, str | int]]:
    connection, secrets = translated(BrokerConnectionSpec, **parts)
    return reading_settings(connection, secrets), admin_settings(connection, secrets)


def test_plaintext_needs_addresses_only():
    reading, admin = both()
    assert reading.bootstrap == (Address("a.example.com", 9092), Address("::1", 9093))
    assert str(reading.bootstrap[1]) == "[::1]:9093"
    assert reading.security_protocol == admin["security.protocol"] == "PLAINTEXT"
    assert admin["bootstrap.servers"] == "a.example.com:9092,[::1]:9093"


@pytest.mark.parametrize(
    ("parts", "protocol"),
    [
        ({"tls": {}}, "SSL"),
        ({"sasl": PASSWORD}, "SASL_PLAINTEXT"),
        ({"tls": {}, "sasl": PASSWORD}, "SASL_SSL"),
    ],
)
def test_both_clients_speak_the_same_protocol(parts: Json, protocol: str):
    reading, admin = both(**parts)
    assert reading.security_protocol == admin["security.protocol"] == protocol


def test_a_password_loses_the_line_end_that_a_file_gave_it_and_nothing_else():
    reading, admin = both(sasl=PASSWORD)
    assert reading.sasl == {
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "tidegate",
        "sasl_plain_password": "p w",
    }
    assert (admin["sasl.mechanism"], admin["sasl.username"], admin["sasl.password"]) == (
        "SCRAM-SHA-512",
        "tidegate",
        "p w",
    )


def test_no_setting_shows_a_secret_in_its_text():
    reading, _ = both(sasl=PASSWORD)
    assert "p w" not in repr(reading)


def test_tokens_are_fetched_by_client_credentials():
    without_ca = TOKEN | {"oauth": {key: value for key, value in TOKEN["oauth"].items() if key != "ca"}}
    reading, admin = both(sasl=without_ca)
    assert isinstance(reading.sasl["sasl_oauth_token_provider"], TokenProvider)
    assert {key: value for key, value in admin.items() if "oauth" in key} == {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": "https://login.example.com/token",
        "sasl.oauthbearer.client.id": "tidegate",
        "sasl.oauthbearer.client.secret": "p w",
        "sasl.oauthbearer.scope": "kafka",
    }


def test_authorities_of_the_token_endpoint_are_its_own():
    connection, secrets = translated(BrokerConnectionSpec, sasl=TOKEN)
    assert admin_settings(connection, secrets)["https.ca.pem"] == "no certificate"
    with pytest.raises(SettingsError, match=r"spec\.kafka\.sasl\.oauth\.ca must be certificates in PEM"):
        reading_settings(connection, secrets)


@pytest.mark.parametrize(("word", "checked"), [("Enabled", True), ("Disabled", False)])
def test_the_host_name_is_checked_unless_switched_off(word: str, checked: bool):
    reading, admin = both(tls={"hostnameVerification": word})
    assert reading.tls.check_hostname is checked
    assert admin["ssl.endpoint.identification.algorithm"] == ("https" if checked else "none")


def test_secrets_of_a_cluster_wide_connection_have_a_namespace():
    where = {"secretKeyRef": {"name": "secret", "key": "user", "namespace": "kafka"}}
    sasl = {"mechanism": "PLAIN", "credentials": {"username": where, "password": where}}
    connection, secrets = translated(ClusterBrokerConnectionSpec, sasl=sasl)
    assert reading_settings(connection, secrets).sasl["sasl_plain_username"] == "tidegate"
