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


class Past(NamedTuple):
    """What arrived before the first reading, as the broker's log tells it.

    `ends` has for each partition its end at each of the ascending `times`: never falling, and not above the ends read
    since. Only arrivals have a past; of commits brokers keep none.
    """

    times: tuple[float, ...]
    ends: Mapping[PartitionId, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Reading:
    """One whole reading of one group: every partition it owes work on, or it would be a ReadingError.

    `committed_at` and `ended_at` are when the commits and the end offsets were answered (commits are asked first).
    `members` and `assignor` are None where the group was not described in this cycle. `retention` holds, for each topic
    that deletes by time, its retention in seconds; `compacted` names topics whose offsets overstate records. `past`
    comes once, with one of the first readings, where the source can tell it for all of the partitions.
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
    past: Past | None = None


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
    ready: int = field(init=False)  # pods that are

    def __post_init__(self) -> None:
        object.__setattr__(self, "ready", sum(pod.ready_since is not None for pod in self.pods))


@dataclass(frozen=True, slots=True)
class Objection:
    """Why Tidegate may not scale this target although it could: a person, another controller, a missing right."""

    reason: Reason
    message: str


class Force(NamedTuple):
    """A person holds the degradation ladder at `level` until `until`."""

    level: int
    until: float


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of the degradation ladder.

    `level` is the level they show, by what is recorded of them. `propagation` is the seconds until the application
    obeys a flag. `objection` says why none may be switched now, None where they may.
    """

    level: int
    propagation: float
    objection: Objection | None = None
    force: Force | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything the engine may know at one moment."""

    reading: Reading | ReadingError
    target: Target | None  # None: not found or not readable; `objection` then says why
    objection: Objection | None = None
    flags: Flags | None = None  # None: there is no ladder
