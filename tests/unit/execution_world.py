"""A cluster in which executions play: a topic, groups, a target and a proposal, and all that can go wrong with them.

`play` does what the runner does: looks, asks `next_act`, performs it. Time is a number that waiting moves.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tidegate.api import Execution, ExecutionStep, Method, OffsetReset, Reason, TargetRef
from tidegate.cluster.times import moment
from tidegate.cluster.workloads import Workload
from tidegate.controllers.execution import acts
from tidegate.controllers.execution.acts import Act, Plan, Seen, Tried
from tidegate.controllers.execution.course import next_act, released
from tidegate.engine.facts import GroupFacts, PartitionFacts, TopicFacts
from tidegate.engine.observation import GroupState, Objection, ReadingError
from tidegate.sources import Increased

NOW = 1_800_000_000.0
FROM, TO = 2, 4
NEW = frozenset(range(FROM, TO))
REPLICAS = 2
REF = TargetRef(name="consumer")
AWAY = ReadingError(Reason.CONNECTION_FAILED, "no broker answers", NOW)
LEAVES_AFTER, JOINS_AFTER = 2.0, 3.0


def plan(method: Method = Method.PAUSED_GROUP, reset: OffsetReset = OffsetReset.LATEST, **changes: object) -> Plan:
    made = Plan("cluster", "orders", "id", FROM, TO, method, "points", {"points": reset}, 1, 4)
    return made._replace(**changes)


@dataclass
class Other:
    """Another group on the topic."""

    members: int = 0
    commits: dict[int, int] = field(default_factory=lambda: {0: 7, 1: 7})


@dataclass
class Cluster:
    """What persists whatever happens to the process. `faults` has what is answered instead, by the kind of act."""

    plan: Plan = field(default_factory=plan)
    now: float = NOW
    count: int = FROM
    increases: int = 0
    topic_id: str = "id"
    target: Workload | Objection = field(default_factory=lambda: Workload("uid", 1, REPLICAS, ()))
    members: int = REPLICAS
    owned: frozenset[int] = frozenset(range(FROM))
    commits: dict[int, int] = field(default_factory=lambda: {0: 10, 1: 10})
    others: dict[str, Other] = field(default_factory=dict)
    execution: Execution | None = None
    failing: str = ""
    held: bool = False
    there: bool = True
    stop: str = ""
    away: bool = False
    stays: int = 0
    finds: bool = True
    finished: acts.Finish | None = None
    scaled: list[int] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    unsafe: list[str] = field(default_factory=list)
    skipped: bool = False
    faults: dict[type, Objection] = field(default_factory=dict)
    changed_at: float = -1e9

    # what is there

    @property
    def replicas(self) -> int:
        return self.target.replicas if isinstance(self.target, Workload) else 0

    def settle(self) -> None:
        """Members follow the replicas; those that start own all that is there, others find it only if they look."""
        since, before = self.now - self.changed_at, self.members
        if self.replicas < self.members and since >= LEAVES_AFTER:
            self.members = max(self.replicas, self.stays)
        elif self.replicas > self.members and since >= JOINS_AFTER:
            self.members = self.replicas
        if not self.members:
            self.owned = frozenset()
        elif self.finds or self.members > before:
            self.owned = frozenset(range(self.count))
            self._start_where_nobody_committed()

    def _start_where_nobody_committed(self) -> None:
        for partition in self.owned - self.commits.keys():
            late = self.plan.resets.get("points") is not OffsetReset.EARLIEST
            self.skipped = self.skipped or late
            self.commits[partition] = 5 if late else 0

    def facts(self) -> TopicFacts | ReadingError:
        if self.away:
            return AWAY
        state = GroupState.STABLE if self.members else GroupState.EMPTY
        own = GroupFacts(
            "points", "Classic", state, "consumer", "range", self.members, 0, self.owned, dict(self.commits)
        )
        others = (
            GroupFacts(
                name,
                "Classic",
                GroupState.STABLE if other.members else GroupState.EMPTY,
                "consumer",
                members=other.members,
                commits=dict(other.commits),
            )
            for name, other in self.others.items()
        )
        partitions = (PartitionFacts(1, (1,), (1,)),) * self.count
        return TopicFacts(self.now, "cluster", "orders", self.topic_id, partitions, {1: 9}, (own, *others))

    def look(self) -> Seen:
        self.settle()
        return Seen(self.now, self.execution, self.failing, self.held, self.stop, self.facts(), self.target, self.there)

    # what is done

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.settle()

    def scale(self, replicas: int) -> None:
        """By whomever."""
        assert isinstance(self.target, Workload)
        self.target = replace(self.target, replicas=replicas, resource_version=self.target.resource_version + 1)
        self.scaled.append(replicas)
        self.changed_at = self.now

    def perform(self, act: Act, tried: Tried) -> None:
        self.now += 0.05
        self.story.append(_name(act))
        fault = self.faults.get(type(act))
        match act:
            case acts.Begin() | acts.Move() | acts.GiveUp() | acts.Finish():
                self._tell(act, tried)
            case acts.Wait(seconds, _):
                self.wait(seconds)
            case acts.Validate():
                tried.valid = fault is None
                self._refuse(fault, tried)
            case acts.Hold() | acts.Release():
                self.held = isinstance(act, acts.Hold)
                assert not (self.held and self.stop), "no finalizer can be added to what is being deleted"
            case acts.Scale(replicas):
                self._scale(replicas, fault, tried)
            case acts.Grow(live):
                self._grow(live, fault, tried)
            case acts.Commit(group, partitions):
                self._commit(group, partitions, fault, tried)

    def _tell(self, act: acts.Begin | acts.Move | acts.GiveUp | acts.Finish, tried: Tried) -> None:
        match act:
            case acts.Begin(replicas):
                tried.ours = True
                target = REF if self.plan.pauses else None
                self._persist(ExecutionStep.STARTED, since=moment(self.now), target_ref=target, replicas=replicas)
            case acts.Move(step, replicas, message):
                changes = {} if replicas is None else {"replicas": replicas}
                self._persist(step, message=message or None, **changes)
            case acts.GiveUp(why):
                self.failing = why
                self._persist(ExecutionStep.RESUMED, message=why)
            case acts.Finish():
                self.finished = act
                self._persist(ExecutionStep.DONE, **({} if self.execution else {"since": moment(self.now)}))

    def _persist(self, step: ExecutionStep, **changes: object) -> None:
        if self.execution is None:
            self.execution = Execution(step=step, step_since=moment(self.now), **changes)
        else:
            self.execution = self.execution.model_copy(update={"step": step, "step_since": moment(self.now), **changes})

    def _refuse(self, fault: Objection | None, tried: Tried) -> None:
        if fault and fault.reason is not Reason.CONNECTION_FAILED:
            tried.refused, tried.refused_at = fault.message, self.now
        self.now += 0.5 if fault else 0.0

    def _scale(self, replicas: int, fault: Objection | None, tried: Tried) -> None:
        if replicas == 0 and not (self.execution and self.held):
            self.unsafe.append("scaled to zero without a persisted step and the finalizer")
        if fault:
            tried.unscalable = fault.message
            self.now += 1
            return
        tried.unscalable = ""
        self.scale(replicas)
        tried.pauses += replicas == 0

    def _grow(self, live: Iterable[str], fault: Objection | None, tried: Tried) -> None:
        if fault or self.away:
            self._refuse(fault, tried)
            return
        if self.count != TO:
            self.increases += 1
            self.count = TO
        for name in live:
            commits = self.commits if name == "points" else self.others[name].commits
            for partition in NEW - commits.keys():
                commits[partition] = 0
        late = "points" in live and self.skipped  # the broker's ends and the members' partitions tell
        tried.grown = Increased({"points": "members had them before"} if late else {})

    def _commit(self, group: str, partitions: frozenset[int], fault: Objection | None, tried: Tried) -> None:
        tried.commits[group] += 1
        own = group == "points"
        members = self.members if own else self.others[group].members
        if fault or self.away or members:
            tried.uncommitted = fault.message if fault else "the group has members"
            self.now += 1
            return
        (self.commits if own else self.others[group].commits).update(dict.fromkeys(partitions, 0))


def play(cluster: Cluster, acts_at_most: int = 20_000, tried: Tried | None = None) -> Tried:
    """One process, which dies after so many acts at the latest."""
    tried = tried or process(cluster)
    for _ in range(acts_at_most):
        act = next_act(cluster.plan, cluster.look(), tried)
        if isinstance(act, acts.Leave):
            cluster.story.append(_name(act))
            break
        cluster.perform(act, tried)
    return tried


def process(cluster: Cluster) -> Tried:
    """A process takes it up now."""
    return Tried(began=cluster.now, ours=cluster.execution is not None)


def until(cluster: Cluster, tried: Tried, kind: type) -> None:
    """Play until an act of this kind was done."""
    for _ in range(20_000):
        act = next_act(cluster.plan, cluster.look(), tried)
        cluster.perform(act, tried)
        if isinstance(act, kind):
            return
    raise AssertionError(f"no {kind.__name__}: {cluster.story[-20:]}")


def happened(cluster: Cluster) -> list[str]:
    """What was done, without the waiting."""
    return [name for name in cluster.story if name != "Wait"]


def is_released(cluster: Cluster, tried: Tried) -> bool:
    return released(cluster.plan, cluster.look(), tried)


def _name(act: Act) -> str:
    name = type(act).__name__
    match act:
        case acts.Move(step, _, _):
            return f"{name} {step}"
        case acts.Scale(replicas):
            return f"{name} {replicas}"
        case acts.Commit(group, _):
            return f"{name} {group}"
        case acts.Finish(applied, _, warn):
            return f"{name} {'applied' if applied else 'failed'}{' with a warning' if applied and warn else ''}"
    return name
