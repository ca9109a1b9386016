"""BrokerConnection and ClusterBrokerConnection: how to reach a broker, with every secret by reference."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, ClassVar, Generic

from pydantic import BaseModel, ConfigDict, Field, WrapValidator
from typing_extensions import TypeVar

from tidegate.api.model import (
    Column,
    Condition,
    Count,
    Model,
    Resource,
    ResourceNames,
    Word,
    forgetful,
    object_name,
    rules,
    text,
)


class SecretKeyRef(Model):
    """One key of a Secret in the namespace of the BrokerConnection."""

    name: Annotated[str, object_name("secretKeyRef.name", "a Secret")] = Field(
        description="Name of the Secret. Example: shop-kafka-client."
    )
    key: Annotated[
        str,
        text(
            "secretKeyRef.key",
            "a key of a Secret: letters, digits, '-', '_' and '.'",
            r"^[-._a-zA-Z0-9]+$",
            longest=253,
        ),
    ] = Field(description="Key in that Secret. Example: password.")

    def namespace_or(self, own: str) -> str:
        """The namespace of the Secret: `own`, that of the object which refers to it."""
        return own


class NamespacedSecretKeyRef(SecretKeyRef):
    """One key of a Secret in the namespace it names (a ClusterBrokerConnection has no namespace of its own)."""

    namespace: Annotated[
        str,
        text(
            "secretKeyRef.namespace",
            "the name of a namespace: lower-case letters, digits and '-'",
            r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            longest=63,
        ),
    ] = Field(description="Namespace of the Secret. Example: kafka.")

    def namespace_or(self, own: str) -> str:
        """The namespace of the Secret, as written."""
        return self.namespace


Ref = TypeVar("Ref", bound=SecretKeyRef, default=SecretKeyRef, covariant=True)


class SecretValue(Model, Generic[Ref]):
    """A value that is kept in a Secret."""

    secret_key_ref: Ref = Field(description="The key of the Secret that holds the value; re-read when it changes.")


class ClientCertificate(Model, Generic[Ref]):
    """The client's own certificate (mutual TLS)."""

    certificate: SecretValue[Ref] = Field(description="The certificate chain, PEM. Usually key tls.crt.")
    key: SecretValue[Ref] = Field(description="Its private key, PEM, not encrypted. Usually key tls.key.")


class HostnameVerification(StrEnum):
    """Whether the broker's certificate must be for the host that was asked."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class Tls(Model, Generic[Ref]):
    """TLS to the broker; `tls: {}` trusts the system's certificate authorities."""

    ca: SecretValue[Ref] | None = Field(
        default=None,
        description="Certificate authorities to trust, PEM. Usually key ca.crt. Absent: those of the system.",
    )
    certificate: ClientCertificate[Ref] | None = Field(
        default=None, description="The client's certificate and key, where the broker asks for one (mutual TLS)."
    )
    hostname_verification: HostnameVerification = Field(
        default=HostnameVerification.ENABLED,
        description="Enabled checks that the broker's certificate is for the host that was asked; Disabled does not.",
    )


class Mechanism(StrEnum):
    """SASL mechanisms, spelled as Kafka does."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"
    OAUTHBEARER = "OAUTHBEARER"


class Credentials(Model, Generic[Ref]):
    """A user and its password."""

    username: SecretValue[Ref] = Field(description="The user's name.")
    password: SecretValue[Ref] = Field(description="The user's password.")


class OAuth(Model, Generic[Ref]):
    """OAuth 2.0 client credentials (RFC 6749 section 4.4), refreshed before they expire."""

    token_endpoint: Annotated[
        str,
        text(
            "spec.kafka.sasl.oauth.tokenEndpoint",
            "a URL, such as https://login.example.com/oauth2/token",
            r"^https?://[^\s/?#@]+(/[^\s]*)?$",
            longest=2048,
        ),
    ] = Field(description="URL that gives the token. Example: https://login.example.com/oauth2/token.")
    client_id: SecretValue[Ref] = Field(description="The client's id.")
    client_secret: SecretValue[Ref] = Field(description="The client's secret.")
    scope: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Scopes to ask for, separated by blanks. Example: kafka."
    )
    ca: SecretValue[Ref] | None = Field(
        default=None,
        description="Certificate authorities to trust at the token endpoint, PEM. Absent: those of the system.",
    )


class Sasl(Model, Generic[Ref]):
    """How the client proves who it is."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.mechanism == 'OAUTHBEARER' || has(self.credentials)",
                "spec.kafka.sasl.credentials is required for the mechanisms PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512",
            ),
            (
                "self.mechanism != 'OAUTHBEARER' || has(self.oauth)",
                "spec.kafka.sasl.oauth is required for the mechanism OAUTHBEARER",
            ),
            (
                "self.mechanism != 'OAUTHBEARER' || !has(self.credentials)",
                "spec.kafka.sasl.credentials is not for the mechanism OAUTHBEARER: use spec.kafka.sasl.oauth",
            ),
            (
                "self.mechanism == 'OAUTHBEARER' || !has(self.oauth)",
                "spec.kafka.sasl.oauth is for the mechanism OAUTHBEARER only",
            ),
        )
    )

    mechanism: Mechanism = Field(description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.")
    credentials: Credentials[Ref] | None = Field(
        default=None, description="User and password, for PLAIN and both SCRAM mechanisms."
    )
    oauth: OAuth[Ref] | None = Field(default=None, description="Client credentials, for OAUTHBEARER.")


BootstrapServer = Annotated[
    str,
    text(
        "each of spec.kafka.bootstrapServers",
        "host:port, such as kafka.shop.svc:9092",
        r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]):[1-9][0-9]{0,4}$",
        longest=261,
        also="int(self.substring(self.lastIndexOf(':') + 1)) <= 65535",
    ),
]
"""`host:port`, IPv6 addresses in brackets."""


class KafkaConnection(Model, Generic[Ref]):
    """How to reach an Apache Kafka cluster. Neither tls nor sasl: PLAINTEXT."""

    bootstrap_servers: Annotated[tuple[BootstrapServer, ...], Field(min_length=1, max_length=32)] = Field(
        description="host:port of some brokers; the others are found through them. Example: [kafka.shop.svc:9092].",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    tls: Tls[Ref] | None = Field(default=None, description="Present: the connection is encrypted. Absent: it is not.")
    sasl: Sasl[Ref] | None = Field(default=None, description="Present: the client authenticates by SASL.")


class BrokerConnectionSpec(Model, Generic[Ref]):
    """Which broker, and how to reach it."""

    kafka: KafkaConnection[Ref] = Field(description="An Apache Kafka cluster.")

    def secret_refs(self) -> Iterator[SecretKeyRef]:
        """Every key of a Secret that this connection needs."""
        return _secret_refs(self)


def _secret_refs(part: BaseModel) -> Iterator[SecretKeyRef]:
    if isinstance(part, SecretKeyRef):
        yield part
        return
    for _, value in part:
        if isinstance(value, BaseModel):
            yield from _secret_refs(value)


ClusterBrokerConnectionSpec = BrokerConnectionSpec[NamespacedSecretKeyRef]
"""The same, with the namespace of each Secret."""


class BrokerConnectionStatus(Model):
    """What Tidegate found there."""

    observed_generation: Count = Field(
        default=0, description="The metadata.generation that this status was computed from."
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = Field(
        default=(),
        description="Connected: whether the broker answers; its message has the broker's own error in words.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    cluster_id: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="The id of the cluster.")
    brokers: Count | None = Field(default=None, description="Brokers the cluster has.")
    kafka_version: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="The version of Kafka, as far as its answers tell. Example: 4.0 or later."
    )
    features: Annotated[tuple[Word, ...], Field(max_length=32)] = Field(
        default=(),
        description="What the brokers can do that Tidegate makes use of, one CamelCase word each.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


_COLUMNS = (
    Column("Connected", '.status.conditions[?(@.type=="Connected")].status', "Whether the broker answers."),
    Column("Reason", '.status.conditions[?(@.type=="Connected")].reason', "Why, in one word."),
    Column("Brokers", ".status.brokers", "Brokers the cluster has.", type="integer"),
    Column("Version", ".status.kafkaVersion", "The version of Kafka."),
    Column("Cluster-ID", ".status.clusterId", "The id of the cluster.", wide=True),
    Column("Bootstrap", ".spec.kafka.bootstrapServers[0]", "The first address.", wide=True),
)


class BrokerConnection(Resource):
    """A connection to a broker for the LagPolicies of its namespace; its Secrets are in the same namespace."""

    names: ClassVar[ResourceNames] = ResourceNames("brokerconnections", "bconn", True, _COLUMNS)

    kind: str = "BrokerConnection"
    spec: BrokerConnectionSpec = Field(description="Which broker, and how to reach it.")
    status: Annotated[BrokerConnectionStatus, WrapValidator(forgetful)] = Field(
        default=BrokerConnectionStatus(), description="What Tidegate found there."
    )


class ClusterBrokerConnection(Resource):
    """A connection to a broker for the LagPolicies of all namespaces; each Secret is named with its namespace."""

    names: ClassVar[ResourceNames] = ResourceNames("clusterbrokerconnections", "cbconn", False, _COLUMNS)

    kind: str = "ClusterBrokerConnection"
    spec: ClusterBrokerConnectionSpec = Field(description="Which broker, and how to reach it.")
    status: Annotated[BrokerConnectionStatus, WrapValidator(forgetful)] = Field(
        default=BrokerConnectionStatus(), description="What Tidegate found there."
    )
