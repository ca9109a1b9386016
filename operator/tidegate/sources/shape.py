"""The shape every source has: groups wanted in, one Reading or ReadingError for each out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from tidegate.api.lagpolicy import Isolation, OffsetReset
from tidegate.engine.facts import TopicFacts
from tidegate.engine.observation import Objection, Reading, ReadingError


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


@dataclass(frozen=True, slots=True)
class Increased:
    """A topic has its new partitions.

    `doubts` has, for each group that was to read them from their first record, why that is not certain; empty: it is.
    """

    doubts: Mapping[str, str]


class Actor(Protocol):
    """A broker of which a topic can be enlarged. Calls block, for half a minute at most, and never raise.

    Objection.reason: FORBIDDEN (a right is missing, the message names the ACL), REFUSED_BY_BROKER (it would not, in its
    own words), CONNECTION_FAILED (it does not answer; what was asked for may have been done all the same) or
    READING_FAILED (how things stand cannot be read).
    """

    def validate_increase(self, topic: str, to: int, groups: Collection[str] = ()) -> Objection | None:
        """The broker's dry run of an increase to `to` partitions (CreatePartitions with validate_only).

        It also shows, without effect, whether offsets may be committed for these groups.
        """
        ...

    def increase(self, topic: str, since: int, to: int, starts: Collection[str] = ()) -> Increased | Objection:
        """Enlarge a topic from `since` to `to` partitions, and have groups read the new ones from their first record.

        Offset 0 is committed for each group of `starts`, which may have members: by a transaction that is prepared, its
        rights proven, before the increase, and that lands some milliseconds after it. Where the topic has `to`
        partitions already only commits that are missing are made. An Objection: nothing was done, unless it says so.
        """
        ...

    def commit_start(self, group: str, topic: str, partitions: Collection[int]) -> Objection | None:
        """Commit offset 0 wherever a group has no commit, and read it back; refused while the group has members."""
        ...


class Source(Actor, Protocol):
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

    def inspect(self, topic: str, groups: Collection[str] | None = None) -> TopicFacts | ReadingError:
        """A topic and every group that reads it, of all the cluster's groups or of these; blocks for 15 s at most."""
        ...

    def close(self) -> None:
        """End every connection."""
        ...
