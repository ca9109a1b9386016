"""What the engine is told: one reading of the broker, one look at the target, and who else has a say.

Times are seconds since the epoch as the measuring side saw them; offsets are record offsets; nothing here is derived.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from tidegate.api.reasons import Reason


class PartitionId(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Offsets(NamedTuple):
    """The offsets of one partition as one group sees it (all are the next record's offset).

    `end` is the last stable offset for a read_committed group, else the high watermark; `high` is always the high
    watermark. `committed` is None where the group has no commit.
    """

    start: int
    committed: int | None
    end: int
    high: int


class GroupState(StrEnum):
    """What a consumer group is doing (classic and KIP-848 states folded into what matters here)."""

    STABLE = "Stable"
    REBALANCING = "Rebalancing"
    EMPTY = "Empty"  # no member; commits may exist
    ABSENT = "Absent"  # the broker does not know the group


@dataclass(frozen=True, slots=True)
class Reading:
    """One whole reading of one group: every partition it owes work on, or it would be a ReadingError.

    `committed_at` and `ended_at` are when the commits and the end offsets were answered (commits are asked first).
    `members` and `assignor` are None where the group was not described in this cycle. `retention` holds, for each topic
    that deletes by time, its retention in seconds; `compacted` names topics whose offsets overstate records.
    """

    partitions: Mapping[PartitionId, Offsets]
    topic_ids: Mapping[str, str]
    committed_at: float
    ended_at: float
    state: GroupState
    members: int | None = None
    assignor: str | None = None
    retention: Mapping[str, float] = field(default_factory=dict)
    compacted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ReadingError:
    """A group that could not be read whole, and why, in the broker's words."""

    reason: Reason
    message: str
    at: float


class Pod(NamedTuple):
    """A pod of the target that is not being deleted; `ready_since` is None until it is ready."""

    name: str
    created: float
    ready_since: float | None
    template: str  # identity of the pod template it was made from: capacity is learned per template


@dataclass(frozen=True, slots=True)
class Target:
    """The scaled workload: `replicas` is what its /scale asks for, `template` the pod template it would start now."""

    replicas: int
    pods: tuple[Pod, ...]
    template: str = ""

    @property
    def ready(self) -> int:
        """Replicas that are ready."""
        return sum(pod.ready_since is not None for pod in self.pods)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why Tidegate may not scale this target although it could: a person, another controller, a missing right."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything the engine may know at one moment."""

    reading: Reading | ReadingError
    target: Target | None  # None: not found or not readable; `objection` then says why
    objection: Objection | None = None
