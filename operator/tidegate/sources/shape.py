"""The shape every source has: groups wanted in, one Reading or ReadingError for each out."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from tidegate.api.lagpolicy import Isolation, OffsetReset
from tidegate.engine.observation import Reading, ReadingError


@dataclass(frozen=True, slots=True)
class WantedGroup:
    """One group as a policy wants it read.

    `topics` empty and no `topic_pattern` (RE2): every topic the group has commits for or is assigned. `describe` asks
    for members and assignor as well, which costs a request more.
    """

    group: str
    topics: tuple[str, ...] = ()
    topic_pattern: str | None = None
    offset_reset: OffsetReset = OffsetReset.LATEST
    isolation: Isolation = Isolation.READ_UNCOMMITTED
    describe: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What a connection leads to. `features` are CamelCase words: what it can do that Tidegate makes use of."""

    cluster_id: str
    brokers: int
    kafka_version: str
    features: tuple[str, ...] = ()


class Source(Protocol):
    """A broker that can be read. One thread at a time calls it."""

    def read(self, wanted: Collection[WantedGroup]) -> dict[WantedGroup, Reading | ReadingError]:
        """Read all groups; blocks for some seconds at most, and never raises for the broker's troubles.

        Every wanted group is in the answer. ReadingError.reason: CONNECTION_FAILED (no broker answers),
        FORBIDDEN (a right is missing, the message names the ACL) or READING_FAILED (everything else).
        """
        ...

    def describe(self) -> ConnectionInfo | ReadingError:
        """What is at the other end, or why that cannot be said, in the broker's words."""
        ...

    def close(self) -> None:
        """End every connection."""
        ...
