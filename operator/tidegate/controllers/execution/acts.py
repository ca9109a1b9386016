"""What an execution knows at one moment, and what it can do next: values only."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tidegate.api import Execution, ExecutionStep, Method, OffsetReset
from tidegate.cluster.workloads import Workload
from tidegate.engine.facts import GroupFacts, TopicFacts
from tidegate.engine.observation import GroupState, Objection, ReadingError
from tidegate.sources import Increased


class Plan(NamedTuple):
    """What was approved. `resets` has what a group's consumers do without a commit, for the groups that policies name.

    `floor` are the replicas to come back with at least, `ceiling` those that the topic can use afterwards.
    """

    cluster: str
    topic: str
    topic_id: str
    from_: int
    to: int
    method: Method
    group: str
    resets: Mapping[str, OffsetReset]
    floor: int
    ceiling: int

    @property
    def pauses(self) -> bool:
        """Whether the target is scaled to zero for it."""
        return self.method is Method.PAUSED_GROUP


@dataclass(frozen=True, slots=True)
class Seen:
    """The cluster and the broker as they are at `now` (epoch seconds).

    `execution` is what was persisted, `failing` why it was given up ("": it was not), `held` whether the finalizer is
    there, `stop` why it should not go on ("": it should), `there` whether the proposal still is. `target` is None where
    none is known.
    """

    now: float
    execution: Execution | None
    failing: str
    held: bool
    stop: str
    topic: TopicFacts | ReadingError
    target: Workload | Objection | None
    there: bool = True

    @property
    def step(self) -> ExecutionStep | None:
        """How far it had got; ValueError for a step of a newer version."""
        return ExecutionStep(self.execution.step) if self.execution else None

    @property
    def since_step(self) -> float:
        """Seconds since that step was persisted: also across processes."""
        if self.execution is None:
            return 0.0
        return self.now - (self.execution.step_since or self.execution.since).timestamp()

    @property
    def replicas(self) -> int | None:
        """What the target asks for; None where that is not known."""
        return self.target.replicas if isinstance(self.target, Workload) else None

    @property
    def count(self) -> int | None:
        """Partitions of the topic; None where that is not known."""
        return len(self.topic.partitions) if isinstance(self.topic, TopicFacts) else None

    @property
    def groups(self) -> tuple[GroupFacts, ...]:
        """All groups on the topic, as far as known."""
        return self.topic.groups if isinstance(self.topic, TopicFacts) else ()

    def group(self, name: str) -> GroupFacts:
        """One group; one that is not on the topic has neither members nor commits."""
        none = GroupFacts(name, "Classic", GroupState.ABSENT)
        return next((group for group in self.groups if group.name == name), none)


@dataclass(slots=True)
class Tried:
    """What this process has done since `began`. A crash forgets it, so no record and no replica may depend on it.

    `ours`: this process began it, or was told to take it up. `lost`: somebody else changed the proposal before it could
    be begun. `valid`: the broker would do it. `refused` is its no and `refused_at` when that came, `unscalable` why the
    target cannot be scaled. `pauses` counts how often the target was scaled to zero, `commits` the attempts by group.
    """

    began: float
    ours: bool
    lost: bool = False
    valid: bool = False
    refused: str = ""
    refused_at: float = 0.0
    unscalable: str = ""
    pauses: int = 0
    grown: Increased | None = None
    commits: Counter[str] = field(default_factory=Counter)
    uncommitted: str = ""
    """Why the last commit failed."""


class Wait(NamedTuple):
    """Look again after so many seconds."""

    seconds: float
    why: str


class Leave(NamedTuple):
    """Nothing is left to do, or nothing may be done."""

    why: str


@dataclass(frozen=True, slots=True)
class Validate:
    """Ask the broker whether it would do it."""


class Begin(NamedTuple):
    """Persist that it is under way, if nobody has changed the proposal since it was judged."""

    replicas: int | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Add the finalizer: the proposal outlives its policy until the target is back."""


@dataclass(frozen=True, slots=True)
class Release:
    """Remove the finalizer."""


class Move(NamedTuple):
    """Persist the next step, before anything of it is done; `message` is what a person should know."""

    step: ExecutionStep
    replicas: int | None = None
    message: str = ""


class Scale(NamedTuple):
    """Ask for so many replicas of the target."""

    replicas: int


class Grow(NamedTuple):
    """Increase the partitions, with offset 0 for these groups that have members."""

    live: frozenset[str]


class Commit(NamedTuple):
    """Commit offset 0 for a group without members."""

    group: str
    partitions: frozenset[int]


class GiveUp(NamedTuple):
    """Persist that it failed; the target comes back next."""

    why: str


class Finish(NamedTuple):
    """Persist the end. Not `applied`: it failed. `warn`: somebody should look at the message."""

    applied: bool
    message: str
    warn: bool = False


Act = Wait | Leave | Validate | Begin | Hold | Release | Move | Scale | Grow | Commit | GiveUp | Finish
