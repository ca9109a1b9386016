"""One BrokerConnection, translated once for each client: kafka-python (reading) and confluent-kafka (describing)."""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

from tidegate.api import SecretKeyRef
from tidegate.api.connection import HostnameVerification, KafkaConnection, Mechanism, OAuth, Sasl, SecretValue, Tls
from tidegate.sources.kafka.tokens import TokenProvider

Connection = KafkaConnection[Any]
Secrets = Mapping[SecretKeyRef, str]
CLIENT_ID = "tidegate"


class SettingsError(ValueError):
    """A value of a Secret that cannot be used; the message names the field."""


class Address(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """From host:port, an IPv6 address in brackets."""
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class Settings:
    """What kafka-python's connections are made with. `sasl` are keyword arguments of its KafkaConnection."""

    bootstrap: tuple[Address, ...]
    tls: ssl.SSLContext | None = None
    sasl: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def security_protocol(self) -> str:
        """Kafka's word for the combination."""
        return protocol_of(tls=self.tls is not None, sasl=bool(self.sasl))


def protocol_of(tls: bool, sasl: bool) -> str:
    """Kafka's `security.protocol`."""
    return ("SASL_" if sasl else "") + ("SSL" if tls else "PLAINTEXT")


def reading_settings(connection: Connection, secrets: Secrets) -> Settings:
    """For kafka-python. SettingsError where a certificate or key cannot be used."""
    return Settings(
        bootstrap=tuple(map(Address.parse, connection.bootstrap_servers)),
        tls=_context(connection.tls, secrets) if connection.tls else None,
        sasl=_sasl(connection.sasl, secrets) if connection.sasl else {},
    )


def admin_settings(connection: Connection, secrets: Secrets) -> dict[str, str | int]:
    """For confluent-kafka (librdkafka's CONFIGURATION.md); every certificate is handed over in memory."""
    settings: dict[str, str | int] = {
        "bootstrap.servers": ",".join(connection.bootstrap_servers),
        "security.protocol": protocol_of(connection.tls is not None, connection.sasl is not None),
        "client.id": CLIENT_ID,
        "log_level": 0,
    }
    if connection.tls:
        settings |= _admin_tls(connection.tls, secrets)
    if connection.sasl:
        settings |= _admin_sasl(connection.sasl, secrets)
    return settings


def _secret(value: SecretValue[Any], secrets: Secrets) -> str:
    """The value without the line end that files put into Secrets."""
    return secrets[value.secret_key_ref].rstrip("\r\n")


def _context(tls: Tls[Any], secrets: Secrets) -> ssl.SSLContext:
    context = trusting(_secret(tls.ca, secrets) if tls.ca else None, "spec.kafka.tls.ca")
    context.check_hostname = tls.hostname_verification is HostnameVerification.ENABLED
    if tls.certificate:
        chain = f"{_secret(tls.certificate.key, secrets)}\n{_secret(tls.certificate.certificate, secrets)}\n"
        try:
            with _as_file(chain) as path:
                context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError, OSError) as error:
            raise SettingsError(
                "spec.kafka.tls.certificate must be a certificate chain and the key that belongs to it, both in PEM, "
                "the key not encrypted"
            ) from error
    return context


def trusting(authorities: str | None, field_name: str) -> ssl.SSLContext:
    """A client context that trusts these authorities (PEM), or the system's where there are none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"{field_name} must be certificates in PEM") from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A file for OpenSSL, which reads a key from nothing else: in memory where the system can, else a private one."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create(CLIENT_ID), "w") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            yield file.name


def _sasl(sasl: Sasl[Any], secrets: Secrets) -> dict[str, Any]:
    settings: dict[str, Any] = {"sasl_mechanism": sasl.mechanism.value}
    if sasl.mechanism is Mechanism.OAUTHBEARER:
        return settings | {"sasl_oauth_token_provider": _token_provider(_required(sasl.oauth, "oauth"), secrets)}
    credentials = _required(sasl.credentials, "credentials")
    return settings | {
        "sasl_plain_username": _secret(credentials.username, secrets),
        "sasl_plain_password": _secret(credentials.password, secrets),
    }


def _token_provider(oauth: OAuth[Any], secrets: Secrets) -> TokenProvider:
    return TokenProvider(
        endpoint=oauth.token_endpoint,
        client_id=_secret(oauth.client_id, secrets),
        client_secret=_secret(oauth.client_secret, secrets),
        scope=oauth.scope,
        context=trusting(_secret(oauth.ca, secrets) if oauth.ca else None, "spec.kafka.sasl.oauth.ca"),
    )


def _required(value: Any, name: str) -> Any:
    if value is None:
        raise SettingsError(f"spec.kafka.sasl.{name} is required for this mechanism")
    return value


def _admin_tls(tls: Tls[Any], secrets: Secrets) -> dict[str, str | int]:
    verify = tls.hostname_verification is HostnameVerification.ENABLED
    settings: dict[str, str | int] = {"ssl.endpoint.identification.algorithm": "https" if verify else "none"}
    if tls.ca:
        settings["ssl.ca.pem"] = _secret(tls.ca, secrets)
    if tls.certificate:
        settings["ssl.certificate.pem"] = _secret(tls.certificate.certificate, secrets)
        settings["ssl.key.pem"] = _secret(tls.certificate.key, secrets)
    return settings


def _admin_sasl(sasl: Sasl[Any], secrets: Secrets) -> dict[str, str | int]:
    settings: dict[str, str | int] = {"sasl.mechanism": sasl.mechanism.value}
    if sasl.mechanism is Mechanism.OAUTHBEARER:
        return settings | _admin_oauth(_required(sasl.oauth, "oauth"), secrets)
    credentials = _required(sasl.credentials, "credentials")
    return settings | {
        "sasl.username": _secret(credentials.username, secrets),
        "sasl.password": _secret(credentials.password, secrets),
    }


def _admin_oauth(oauth: OAuth[Any], secrets: Secrets) -> dict[str, str | int]:
    prefix = "sasl.oauthbearer"
    settings: dict[str, str | int] = {
        f"{prefix}.method": "oidc",
        f"{prefix}.token.endpoint.url": oauth.token_endpoint,
        f"{prefix}.client.id": _secret(oauth.client_id, secrets),
        f"{prefix}.client.secret": _secret(oauth.client_secret, secrets),
    }
    if oauth.scope:
        settings[f"{prefix}.scope"] = oauth.scope
    if oauth.ca:
        settings["https.ca.pem"] = _secret(oauth.ca, secrets)
    return settings
