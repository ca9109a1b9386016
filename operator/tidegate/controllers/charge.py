"""What this process knows of one LagPolicy from cycle to cycle. The lasting part is in the policy's status."""

from dataclasses import dataclass, field, replace

from tidegate.api import (
    PAUSED_ANNOTATION,
    ExecutionStep,
    LagPolicy,
    LagPolicySpec,
    LagPolicyStatus,
    Mode,
    PartitionProposal,
    Reason,
)
from tidegate.cluster.conflicts import objection
from tidegate.cluster.contention import Contention
from tidegate.cluster.workloads import Workload, target_of
from tidegate.controllers.tally import Tally
from tidegate.controllers.world import World, name_of
from tidegate.engine import Memory
from tidegate.engine.observation import Flags, GroupState, Objection, Observation, Pod, Reading, ReadingError

REFUSED_FOR = 60.0
"""Seconds for which a forbidden write is not tried again: a missing right does not come back within a cycle."""

DESCRIBED_FOR = 60.0
"""Seconds after a change of the ready pods for which the group's members are asked for, too."""


Answer = Reading | ReadingError


@dataclass(slots=True)
class Charge:
    """One policy in our care. Times are seconds since the epoch.

    `refused` is the right that the last write to the target lacked, until `refused_until`. `acted` is whether it was
    scaled since this process began. `state` is the group's at the last reading. `executing` is the
    proposal whose increase is under way, while nothing else may scale the target. `flags_version` is that of the
    ladder's flags when it was certain that nobody else has recorded anything of them.
    """

    uid: str
    spec: LagPolicySpec
    memory: Memory
    status: LagPolicyStatus
    contention: Contention = field(default_factory=Contention)
    refused: Objection | None = None
    refused_until: float = 0.0
    ready: frozenset[str] = frozenset()
    ready_changed: float = 0.0
    state: GroupState | None = None
    acted: bool = False
    said: Reason | None = None
    failed: str | None = None
    executing: PartitionProposal | None = None
    flags_version: str | None = None
    tally: Tally = field(default_factory=Tally)
    busy: bool = field(default=False, repr=False)

    @classmethod
    def taken_over(cls, policy: LagPolicy) -> "Charge":
        """Go on where the status says that the last process stopped."""
        memory = Memory.load(policy.status.memory) if policy.status.memory else Memory()
        return cls(policy.metadata.uid, policy.spec, memory, policy.status)

    def follow(self, policy: LagPolicy) -> None:
        """While another process acts: learned is what that one has learned, seen is what this one has seen."""
        status = policy.status
        if status.memory and status.memory != self.status.memory:
            self.memory = self.memory.taught(Memory.load(status.memory))
        self.status = status

    def remembered(self) -> str:
        """What the engine has learned by now, to be kept in the status."""
        return self.memory.dump()

    def obey(self, spec: LagPolicySpec) -> None:
        """Follow an edit: of another group's readings only what was learned is of use, and a refusal may be over."""
        before, self.spec = self.spec, spec
        if spec == before:
            return
        if spec.source != before.source:
            self.memory, self.state = Memory.load(self.memory.dump()), None
        self.refused = None

    def describe(self, now: float) -> bool:
        """Whether the next reading should ask for the group's members: they settle something now."""
        return not self.acted or self.state is not GroupState.STABLE or now - self.ready_changed < DESCRIBED_FOR

    def saw_target(self, workload: Workload, pods: tuple[Pod, ...], now: float) -> None:
        """Follow the target between the cycles: who writes its replicas, which pods are ready."""
        self.contention = self.contention.let_go() if self.executing else self.contention.saw(workload, now)
        ready = frozenset(pod.name for pod in pods if pod.ready_since is not None)
        if ready != self.ready:
            self.ready, self.ready_changed = ready, now

    def wrote(self, workload: Workload) -> None:
        """We have scaled the target."""
        self.contention = self.contention.wrote(workload)
        self.acted, self.refused = True, None

    def refuse(self, why: Objection, now: float) -> None:
        """The target could not be written. Whatever is not a missing right is tried again in the next cycle."""
        if why.reason is Reason.FORBIDDEN:
            self.refused, self.refused_until = why, now + REFUSED_FOR


def in_care(charges: dict[str, Charge], world: World, policy: LagPolicy, leads: bool) -> Charge:
    """The charge of a policy as `world` shows it: taken over from its status, also while another process writes that.

    From the moment this process leads the status is its own writing.
    """
    uid = policy.metadata.uid
    charge = charges.get(uid)
    if charge is None:
        charge = charges[uid] = Charge.taken_over(policy)
    elif not world.is_adopted(policy):
        charge.follow(policy)
    if leads and not world.is_adopted(policy):
        world.adopt(policy)
    return charge


def newest(workload: Workload, charge: Charge) -> Workload:
    """The target as we left it where the watch has not shown our own write yet, else as the watch shows it."""
    written = charge.contention.written
    if written is None or written.uid != workload.uid or written.resource_version <= workload.resource_version:
        return workload
    return replace(workload, replicas=written.replicas, resource_version=written.resource_version)


def observe(
    world: World,
    charge: Charge,
    policy: LagPolicy,
    reading: Answer,
    found: Workload | Objection,
    now: float,
    flags: Flags | None = None,
) -> Observation:
    """Everything the engine may know of a policy at this moment; `found` is its target, `flags` are its ladder's."""
    charge.state = reading.state if isinstance(reading, Reading) else charge.state
    if isinstance(found, Objection):
        return Observation(reading, None, _paused(policy) or found, flags)
    workload = newest(found, charge)
    pods = world.pods(policy.metadata.namespace or "", workload.selector)
    charge.saw_target(found, pods, now)
    return Observation(reading, target_of(workload, pods), object_to(world, charge, policy, now), flags)


def object_to(world: World, charge: Charge, policy: LagPolicy, now: float) -> Objection | None:
    """Why the target must not be scaled although it is there: a person first, then other owners, then refusals."""
    claim = world.claim(name_of(policy))
    return (
        _paused(policy)
        or _repartitioning(charge.executing)
        or (objection(claim, world.claims) if claim else None)
        or charge.contention.objection(now)
        or (charge.refused if now < charge.refused_until else None)
    )


def _repartitioning(proposal: PartitionProposal | None) -> Objection | None:
    if proposal is None:
        return None
    step = proposal.status.execution.step if proposal.status.execution else ExecutionStep.STARTED
    said = f"PartitionProposal {proposal.metadata.name} is being carried out (step {step}): scaling goes on after it"
    return Objection(Reason.REPARTITIONING, said)


def _paused(policy: LagPolicy) -> Objection | None:
    if policy.mode is Mode.PAUSED and policy.spec.mode is not Mode.PAUSED:
        return Objection(Reason.PAUSED, f"paused by the annotation {PAUSED_ANNOTATION}: measured, not scaled")
    return None
