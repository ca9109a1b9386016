"""What a broker's server.properties says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

CLIENT_LISTENERS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MODULES = "org.apache.kafka.common.security"
Properties = dict[str, str | int]


@dataclass(frozen=True)
class Node:
    """A broker (and controller) and its ports, in the order of CLIENT_LISTENERS, then the controller's."""

    number: int
    folder: Path
    ports: tuple[int, ...]

    def listeners(self) -> dict[str, str]:
        """Address by listener name."""
        return {
            name: f"127.0.0.1:{port}" for name, port in zip((*CLIENT_LISTENERS, "CONTROLLER"), self.ports, strict=True)
        }


def bootstrap(nodes: Iterable[Node]) -> dict[str, str]:
    """Bootstrap servers by listener name."""
    return {name: ",".join(node.listeners()[name] for node in nodes) for name in CLIENT_LISTENERS}


def cluster(nodes: list[Node]) -> Properties:
    """What all brokers of a cluster have in common: replication over three where there are three."""
    copies = min(len(nodes), 3)
    in_sync = min(len(nodes), 2)
    internal = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    return {
        "process.roles": "broker,controller",
        "controller.quorum.voters": ",".join(f"{node.number}@{node.listeners()['CONTROLLER']}" for node in nodes),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        **{f"{topic}.num.partitions": 5 for topic in internal},
        **{f"{topic}.replication.factor": copies for topic in internal},
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.min.isr": in_sync,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:admin",
        "allow.everyone.if.no.acl.found": "true",
    }


def pace() -> Properties:
    """Shorter waits than production's, fewer threads, and no topic that nobody created."""
    return {
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 500,
        "group.min.session.timeout.ms": 1000,
        "log.initial.task.delay.ms": 1000,
        "log.retention.check.interval.ms": 2000,
        "log.segment.delete.delay.ms": 1000,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }


def own(node: Node) -> Properties:
    """What only this broker has: its number, folder and addresses."""
    listeners = node.listeners()
    protocols = {"CONTROLLER": "PLAINTEXT", **{name: name for name in CLIENT_LISTENERS}}
    return {
        "node.id": node.number,
        "log.dirs": str(node.folder / "data"),
        "listeners": ",".join(f"{name}://{address}" for name, address in listeners.items()),
        "advertised.listeners": ",".join(f"{name}://{listeners[name]}" for name in CLIENT_LISTENERS),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
    }


def tls(keystore: Path, truststore: Path) -> Properties:
    """One certificate for both TLS listeners; a client's own is asked for, and its common name is the user."""
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(truststore),
        "listener.name.ssl.ssl.client.auth": "requested",
        "ssl.principal.mapping.rules": r"RULE:^CN=([^,]+).*$/$1/,DEFAULT",
    }


def sasl(users: Mapping[str, str], jwks: str, issuer: str, audience: str) -> Properties:
    """PLAIN with these users, SCRAM with those of the cluster's metadata, OAUTHBEARER by the issuer's signature."""
    passwords = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    shared: Properties = {
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "sasl.oauthbearer.jwks.endpoint.url": jwks,
        "sasl.oauthbearer.expected.issuer": issuer,
        "sasl.oauthbearer.expected.audience": audience,
    }
    for listener in ("listener.name.sasl_plaintext", "listener.name.sasl_ssl"):
        bearer = f"{listener}.oauthbearer.sasl"
        scram = f"{MODULES}.scram.ScramLoginModule required;"
        shared |= {
            f"{listener}.plain.sasl.jaas.config": f"{MODULES}.plain.PlainLoginModule required {passwords};",
            f"{listener}.scram-sha-256.sasl.jaas.config": scram,
            f"{listener}.scram-sha-512.sasl.jaas.config": scram,
            f"{bearer}.jaas.config": f"{MODULES}.oauthbearer.OAuthBearerLoginModule required;",
            f"{bearer}.server.callback.handler.class": f"{MODULES}.oauthbearer.OAuthBearerValidatorCallbackHandler",
        }
    return shared


def text(properties: Mapping[str, str | int]) -> str:
    """The file, one property a line; a backslash is doubled as Java reads it."""
    return "".join(f"{name}={str(value).replace(chr(92), chr(92) * 2)}\n" for name, value in properties.items())
