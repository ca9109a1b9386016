"""What goes wrong with a broker, in sentences: what is wrong, and what would be right.

Codes are those of Kafka's protocol (org.apache.kafka.common.protocol.Errors).
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from kafka import errors

from tidegate.api.reasons import Reason
from tidegate.sources.kafka.tokens import TokenError

COORDINATOR_MOVED = frozenset({14, 15, 16})  # loading, not available, not coordinator: ask again where it is now
LEADER_MOVED = frozenset({3, 5, 6, 9, 72, 74, 75, 76, 78, 100, 103})  # metadata is out of date, or will be in a moment
UNKNOWN_TOPIC = 3
MOVED = COORDINATOR_MOVED | {UNKNOWN_TOPIC}  # of a commit: the coordinator moved, or has not heard of a partition yet
TOPIC_FORBIDDEN, GROUP_FORBIDDEN, CLUSTER_FORBIDDEN, TRANSACTION_FORBIDDEN = 29, 30, 31, 53
GROUP_NOT_FOUND = 69


class Trouble(Exception):  # noqa: N818 — a value as much as an exception
    """Why something could not be read. `again`: worth asking once more after looking where it is now."""

    def __init__(self, words: str, reason: Reason = Reason.READING_FAILED, again: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.reason = reason
        self.again = again


class Unreachable(Trouble):
    """A broker that could not be asked. `refused`: it answered, and does not let us in."""

    def __init__(self, words: str, refused: bool = False) -> None:
        super().__init__(words, again=not refused)
        self.refused = refused


def of_group(code: int, group: str) -> Trouble:
    """A code that came with a group."""
    if code == GROUP_FORBIDDEN:
        return forbidden(f"read group {group}", "Describe", f"Group {group}")
    return Trouble(f"group {group}: {name_of(code)}", again=code in COORDINATOR_MOVED)


def of_topic(code: int, topic: str) -> Trouble:
    """A code that came with a topic."""
    if code == TOPIC_FORBIDDEN:
        return forbidden(f"read topic {topic}", "Describe", f"Topic {topic}")
    if code == UNKNOWN_TOPIC:
        return Trouble(f"topic {topic} does not exist; create it, or correct spec.source.kafka.topics", again=True)
    return Trouble(f"topic {topic}: {name_of(code)}", again=code in LEADER_MOVED)


def of_partition(code: int, topic: str, partition: int) -> Trouble:
    """A code that came with a partition."""
    if code in (TOPIC_FORBIDDEN, UNKNOWN_TOPIC):
        return of_topic(code, topic)
    return Trouble(f"partition {partition} of topic {topic}: {name_of(code)}", again=code in LEADER_MOVED)


def of_request(code: int, what: str) -> Trouble:
    """A code that came with a whole answer."""
    if code == CLUSTER_FORBIDDEN:
        return forbidden(f"read {what}", "Describe", "Cluster")
    return Trouble(f"{what}: {name_of(code)}", again=code in COORDINATOR_MOVED)


def forbidden(doing: str, operation: str, resource: str) -> Trouble:
    """A missing right: what it kept us from, and the ACL that gives it."""
    return Trouble(
        f"the broker does not let this connection's user {doing}: allow it the ACL operation {operation} on {resource}",
        Reason.FORBIDDEN,
    )


def of_act(error: Any, doing: str, rights: Mapping[int, tuple[str, str]]) -> Trouble:
    """confluent-kafka's KafkaError of something that was asked to be done.

    `doing` says what, `rights` has the ACL (operation, resource) for each code that means that it is missing.
    """
    code = error.code()
    if code in rights:
        return forbidden(doing, *rights[code])
    if code < 0:  # librdkafka's own: the broker was not reached, or did not answer in time
        return Trouble(f"cannot {doing}: {error.str()}", Reason.CONNECTION_FAILED)
    return Trouble(f"{error.str().rstrip('.')} ({error.name()}, {code})", Reason.REFUSED_BY_BROKER, again=code in MOVED)


def name_of(code: int) -> str:
    """Kafka's name for a code, and its description."""
    kind = errors.for_code(code)
    description = getattr(kind, "description", "")
    return f"{getattr(kind, 'message', kind.__name__)} ({code})" + (f": {description}" if description else "")


def unreachable(error: BaseException, where: str) -> Unreachable:
    """An exception met on the way to a broker, or while it was asked. `where` names the broker."""
    if isinstance(error, Unreachable):
        return error
    if error.args and isinstance(error.args[0], Exception):
        error = error.args[0]  # kafka-python wraps what the socket said
    words, refused = next((words for kind, words in _KINDS if isinstance(error, kind)), _other)(error)
    return Unreachable(f"broker {where}: {words}", refused)


def _unknown_host(error: BaseException) -> tuple[str, bool]:
    return "its host name cannot be resolved; correct spec.kafka.bootstrapServers, or what the brokers advertise", False


def _untrusted(error: BaseException) -> tuple[str, bool]:
    said = getattr(error, "verify_message", "") or str(error)
    if "match" in said or "mismatch" in said.lower():
        right = "ask it by a name in its certificate, or set spec.kafka.tls.hostnameVerification to Disabled"
    else:
        right = "spec.kafka.tls.ca must hold the authority that signed it"
    return f"its certificate is not accepted ({said}); {right}", True


def _tls(error: BaseException) -> tuple[str, bool]:
    said = (getattr(error, "reason", None) or str(error)).replace("_", " ").lower()
    if "alert" in said:
        right = "it wants a client certificate that it trusts: set spec.kafka.tls.certificate"
    elif "wrong version" in said or "record layer" in said:
        right = "this listener does not speak TLS: use one that does, or remove spec.kafka.tls"
    else:
        right = "check spec.kafka.tls"
    return f"TLS failed ({said}); {right}", True


def _credentials(error: BaseException) -> tuple[str, bool]:
    said = str(error).partition("SaslAuthenticationFailedError: ")[2].split("SaslAuthenticationFailedError: ")[-1]
    return f"authentication failed ({said or error}); check spec.kafka.sasl and the Secret it names", True


def _mechanism(error: BaseException) -> tuple[str, bool]:
    return "it does not offer this SASL mechanism; correct spec.kafka.sasl.mechanism", True


def _no_sasl(error: BaseException) -> tuple[str, bool]:
    return "this listener does not authenticate by SASL: use one that does, or remove spec.kafka.sasl", True


def _token(error: BaseException) -> tuple[str, bool]:
    return f"no token for OAUTHBEARER: {error}; check spec.kafka.sasl.oauth", True


def _slow(error: BaseException) -> tuple[str, bool]:
    return "no answer in time", False


def _throttled(error: BaseException) -> tuple[str, bool]:
    return (
        "it throttles us for a while: raise the request quota of this connection's user or of client id tidegate",
        False,
    )


def _version(error: BaseException) -> tuple[str, bool]:
    return f"it is too old or no Kafka broker: {error}", True


def _refused(error: BaseException) -> tuple[str, bool]:
    return "connection refused; nothing listens there, or not for us", False


def _other(error: BaseException) -> tuple[str, bool]:
    if "disconnected" in str(error):
        return "it closed the connection; if it always does, spec.kafka.tls or sasl may not fit this listener", False
    return f"{type(error).__name__}: {error}", False


def _cut(error: BaseException) -> tuple[str, bool]:
    return "it cut the connection off; if it always does, spec.kafka.tls or sasl may not fit this listener", False


_KINDS: tuple[tuple[type[BaseException], Callable[[BaseException], tuple[str, bool]]], ...] = (
    (ssl.SSLCertVerificationError, _untrusted),
    (ssl.SSLEOFError, _cut),
    (ConnectionResetError, _cut),
    (TokenError, _token),
    (ssl.SSLError, _tls),
    (socket.gaierror, _unknown_host),
    (ConnectionRefusedError, _refused),
    (errors.SaslAuthenticationFailedError, _credentials),
    (errors.UnsupportedSaslMechanismError, _mechanism),
    (errors.IllegalSaslStateError, _no_sasl),
    (errors.IncompatibleBrokerVersion, _version),
    (errors.UnsupportedVersionError, _version),
    (errors.NodeNotReadyError, _throttled),
    (errors.KafkaTimeoutError, _slow),
    (errors.RequestTimedOutError, _slow),
    (TimeoutError, _slow),
)
