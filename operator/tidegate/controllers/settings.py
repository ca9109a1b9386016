"""How one operator process is set up: flags first, then `TIDEGATE_*` in the environment, then defaults."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tidegate.cluster.lease import LeaseName

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
"""A name as DNS has them (RFC 1123)."""


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severe lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Address(NamedTuple):
    """Where to listen; an empty host is every interface, port 0 a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_address(value: object) -> object:
    """Read `host:port` or `:port` (an IPv6 host in brackets); ValueError says what would be right."""
    if not isinstance(value, str):
        return value
    host, colon, port = value.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not an address: write host:port or :port, such as 127.0.0.1:8080 or :8080")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def parse_lease(value: object) -> object:
    """Read `namespace/name`; ValueError says what would be right."""
    if not isinstance(value, str):
        return value
    namespace, slash, name = value.partition("/")
    if not slash or not _is_label(namespace) or not all(map(_is_label, name.split("."))) or len(name) > 253:
        raise ValueError(f"{value!r} is not a Lease: write NAMESPACE/NAME, such as tidegate-system/tidegate")
    return LeaseName(namespace, name)


def _is_label(text: str) -> bool:
    return re.fullmatch(LABEL, text) is not None and len(text) <= 63


def _split(value: object) -> object:
    """Namespaces come as a list from flags and as one comma-separated word from the environment."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


NamespaceName = Annotated[str, Field(max_length=63, pattern=f"^{LABEL}$")]


class Settings(BaseSettings):
    """Settings of `tidegate run`; the names of the environment are `TIDEGATE_` and the field in capitals."""

    model_config = SettingsConfigDict(env_prefix="TIDEGATE_", frozen=True, extra="forbid")

    namespaces: Annotated[tuple[NamespaceName, ...], NoDecode, BeforeValidator(_split)] = ()
    """Namespaces to serve; none: all of them."""
    lease: Annotated[LeaseName | None, NoDecode, BeforeValidator(parse_lease)] = None
    """The Lease that several processes compete for; None: this one is alone."""
    period: Annotated[float, Field(ge=1, le=60)] = 5.0
    """Seconds from one reading of a connection to the next."""
    listen: Annotated[Address, NoDecode, BeforeValidator(parse_address)] = Address("", 8080)
    """Where /healthz and /readyz are served."""
    ofrep_listen: Annotated[Address | None, NoDecode, BeforeValidator(parse_address)] = None
    """Where flags are served by OFREP; None: nowhere."""
    ofrep_token_file: Path | None = None
    """A file with the bearer tokens, one a line, of those who may ask for flags; None: everybody may."""
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.TEXT
    kubeconfig: Path | None = None
    """None: $KUBECONFIG or ~/.kube/config where there is one, else the pod's ServiceAccount."""
    context: str | None = None
    """Context of the kubeconfig; None: its current one."""
