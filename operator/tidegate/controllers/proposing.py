"""What to do next about a PartitionProposal, and what to say of it: the case in, the step out. Pure.

The rules are asked in order, as the engine's guards are; the first that has a say decides.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from tidegate.api import (
    Choice,
    Condition,
    Hazard,
    LagPolicy,
    Mode,
    PartitionProposal,
    PartitionProposalStatus,
    PartitionsMode,
    Reason,
    Truth,
)
from tidegate.cluster.conditions import condition, find, set_condition
from tidegate.controllers.filed import is_alive, is_open, is_settled, is_under_way, owned_by
from tidegate.engine.decision import Increase
from tidegate.engine.facts import TopicFacts
from tidegate.engine.hazards import blocks
from tidegate.engine.observation import Objection, ReadingError
from tidegate.engine.words import some

LOOK_EVERY = 60.0
"""Seconds between looks at the cluster for a proposal that is open."""

SOON = 15.0
"""Seconds until the next look where the last one failed although somebody waits for it."""

FRESH = 10.0
"""Seconds for which a look is good enough to begin an increase on."""

APART = 10.0
"""Seconds that two looks must lie apart to see whose commits move: consumers commit every 5 s by default."""


class Look(NamedTuple):
    """What was found in the real cluster at `at`, for one `generation` of the proposal.

    `earlier` is what was found at least APART seconds before; None until then. `refusal` is the broker's answer to the
    increase as a dry run, None where it would do it.
    """

    at: float
    generation: int
    facts: TopicFacts | ReadingError
    refusal: Objection | None = None
    hazards: tuple[Hazard, ...] = ()
    earlier: TopicFacts | None = None


class Case(NamedTuple):
    """All that counts: the proposal, its policy (None: gone), what that wants now, and the last look.

    `rival` is an older open proposal of the same topic.
    """

    proposal: PartitionProposal
    policy: LagPolicy | None
    increase: Increase | None
    look: Look | None
    rival: PartitionProposal | None
    now: float

    @property
    def approved(self) -> Reason | None:
        """Whether it may be carried out: by a person's word, or by the policy's."""
        if self.proposal.spec.decision is Choice.APPROVE:
            return Reason.APPROVED
        apply = self.policy is not None and self.policy.spec.partitions.mode is PartitionsMode.APPLY
        return Reason.APPROVED_BY_POLICY if apply and self.proposal.spec.decision is Choice.PENDING else None

    @property
    def blocking(self) -> tuple[Hazard, ...]:
        """The hazards that forbid it."""
        spec = self.proposal.spec
        return blocks(self.look.hazards, spec.method, spec.acknowledge) if self.look else ()


class Act(StrEnum):
    """What can be done next."""

    WAIT = "Wait"
    LOOK = "Look"
    CLOSE = "Close"
    EXECUTE = "Execute"


class Step(NamedTuple):
    """What to do next; of a closing also why."""

    act: Act
    reason: Reason = Reason.PENDING
    message: str = ""


WAIT, LOOK, EXECUTE = Step(Act.WAIT), Step(Act.LOOK), Step(Act.EXECUTE)


def next_step(case: Case) -> Step:
    """What the first rule says that has a say."""
    return next(step for rule in RULES if (step := rule(case)) is not None)


# the rules


def goes_on(case: Case) -> Step | None:
    """What has begun is finished, whatever was edited meanwhile."""
    return EXECUTE if is_under_way(case.proposal) else None


def is_over(case: Case) -> Step | None:
    """Of what is closed nothing more is said; what goes with its policy is left to the garbage collector."""
    meta = case.proposal.metadata
    orphaned = case.policy is None or not owned_by(case.proposal, case.policy)
    return WAIT if is_settled(case.proposal) or meta.deletion_timestamp or orphaned else None


def rejected(case: Case) -> Step | None:
    """A person has said no."""
    if case.proposal.spec.decision is not Choice.REJECT:
        return None
    until = f"{case.proposal.spec.expires:%Y-%m-%d %H:%M} UTC"
    return _close(Reason.REJECTED, f"rejected; until {until} none to as many partitions is proposed again")


def expired(case: Case) -> Step | None:
    """Its figures are a day old: who still wants it gets a new one."""
    if case.now < case.proposal.spec.expires.timestamp():
        return None
    waited = _waits_for(case) if case.proposal.spec.decision is Choice.APPROVE else None
    return _close(Reason.EXPIRED, f"approved, but not carried out: {waited}" if waited else "nobody decided it in time")


def outlived(case: Case) -> Step | None:
    """One open proposal a topic: the older one, should two processes have made one each."""
    if case.rival is None:
        return None
    meta = case.rival.metadata
    return _supersede(f"{meta.namespace}/{meta.name} is about the same topic and older")


def unwanted(case: Case) -> Step | None:
    """The policy says something else now than it was made by."""
    policy, spec = case.policy, case.proposal.spec
    assert policy is not None  # see is_over
    partitions, kafka = policy.spec.partitions, policy.spec.source.kafka
    if partitions.mode is PartitionsMode.OFF:
        return _supersede("the policy says spec.partitions.mode: Off")
    if partitions.max is not None and partitions.max < spec.to:
        return _supersede(f"the policy says spec.partitions.max: {partitions.max}, below the {spec.to} proposed")
    if kafka.group != spec.evidence.group or (kafka.topics and spec.topic not in kafka.topics):
        return _supersede("the policy reads another group or other topics now")
    return None


def changed(case: Case) -> Step | None:
    """The topic is not what it was, by the last reading or the last look: its evidence is about another one."""
    spec, found = case.proposal.spec, case.look.facts if case.look else None
    increase = case.increase
    if increase and increase.topic == spec.topic and increase.from_ != spec.from_:
        return _recounted(spec.topic, increase.from_, spec.from_)
    if not isinstance(found, TopicFacts):
        return None
    if spec.evidence.cluster not in ("", found.cluster):
        return _supersede(f"the connection leads to cluster {found.cluster} now, not to {spec.evidence.cluster}")
    if spec.evidence.topic_id not in ("", found.id):
        return _supersede(f"topic {spec.topic} was deleted and made anew")
    if len(found.partitions) != spec.from_:
        return _recounted(spec.topic, len(found.partitions), spec.from_)
    return None


def outgrown(case: Case) -> Step | None:
    """The need has grown while nobody decided; what a person has approved stays as it was approved."""
    increase, spec = case.increase, case.proposal.spec
    if spec.decision is not Choice.PENDING or increase is None:
        return None
    if increase.topic != spec.topic or increase.to <= spec.to:
        return None
    return _supersede(f"the need has grown: {some(increase.to, 'partition')} are wanted now")


def due(case: Case) -> Step | None:
    """Whether it is time to look at the cluster: now and then, after an edit, and right before it is carried out."""
    look = case.look
    if look is None or look.generation != case.proposal.metadata.generation:
        return LOOK
    lasts = LOOK_EVERY
    if _shows_no_movement(look):
        lasts = APART
    elif case.approved and _troubles(look):
        lasts = SOON
    elif case.approved and _waits_for(case) is None:
        lasts = FRESH
    return LOOK if case.now - look.at >= lasts else None


def carried_out(case: Case) -> Step | None:
    """Approved, and nothing in the way."""
    return EXECUTE if case.approved and _waits_for(case) is None else None


def waits(_: Case) -> Step:
    """For a person, for a hazard to pass, or for the next look."""
    return WAIT


RULES: tuple[Callable[[Case], Step | None], ...] = (
    goes_on,
    is_over,
    rejected,
    expired,
    outlived,
    unwanted,
    changed,
    outgrown,
    due,
    carried_out,
    waits,
)


def _close(reason: Reason, message: str) -> Step:
    return Step(Act.CLOSE, reason, message)


def _supersede(message: str) -> Step:
    return _close(Reason.SUPERSEDED, message)


def _recounted(topic: str, now: int, before: int) -> Step:
    return _supersede(f"topic {topic} has {some(now, 'partition')} now, not {before}")


def _waits_for(case: Case) -> str | None:
    """What an approved proposal still waits for, in words; None: nothing is in the way."""
    policy, look = case.policy, case.look
    if policy is not None and policy.mode is Mode.PAUSED:
        return "the policy is paused"
    if policy is not None and policy.mode is Mode.DRY_RUN and case.approved is Reason.APPROVED_BY_POLICY:
        return "the policy is in DryRun, where only a person's approval is carried out"
    if look is None:
        return "the cluster has not been looked at yet"
    if troubles := _troubles(look):
        return troubles.message
    if case.blocking:
        return f"{_names(case.blocking)} blocks and is not acknowledged"
    if _shows_no_movement(look):
        return f"a second look in {APART:.0f} s tells whether consumers outside of any group read the topic"
    return None


def _troubles(look: Look) -> Objection | ReadingError | None:
    """Why the broker could not be asked, or would not do it."""
    return look.facts if isinstance(look.facts, ReadingError) else look.refusal


def _shows_no_movement(look: Look) -> bool:
    """Whether only a second look can tell if the commits of a group without members move."""
    idle = isinstance(look.facts, TopicFacts) and any(g.commits and not g.members for g in look.facts.groups)
    return idle and look.earlier is None


def _names(hazards: Iterable[Hazard]) -> str:
    return ", ".join(dict.fromkeys(h.name for h in hazards))


# what is said


def told(case: Case, step: Step) -> PartitionProposalStatus:
    """The status to show after this step. An increase under way is told by whoever carries it out."""
    status, look = case.proposal.status, case.look
    if is_under_way(case.proposal):
        return status
    conditions = [_closing(case, step)] if step.act is Act.CLOSE else [_validated(case), _approved(case)]
    for new in filter(None, conditions):
        status = status.model_copy(update={"conditions": set_condition(status.conditions, new)})
    hazards = look.hazards if look and isinstance(look.facts, TopicFacts) else status.hazards
    generation = case.proposal.metadata.generation
    return status.model_copy(update={"hazards": hazards, "observed_generation": generation})


def _closing(case: Case, step: Step) -> Condition:
    kind, truth = ("Approved", False) if step.reason is Reason.REJECTED else ("Expired", True)
    return _condition(case, kind, truth, step.reason, step.message)


def _validated(case: Case) -> Condition | None:
    """Whether the broker would carry it out, and Tidegate may let it."""
    look, spec = case.look, case.proposal.spec
    if look is None:
        return None
    if troubles := _troubles(look):
        return _condition(case, "Validated", False, troubles.reason, troubles.message)
    if case.approved is Reason.APPROVED and case.blocking:
        message = f"{_names(case.blocking)} blocks and is not acknowledged: {case.blocking[0].message}"
        return _condition(case, "Validated", False, Reason.HAZARD_BLOCKS, message)
    message = f"the broker would enlarge {spec.topic} from {spec.from_} to {spec.to} partitions (validate_only)"
    return _condition(case, "Validated", True, Reason.WOULD_SUCCEED, message)


def _approved(case: Case) -> Condition:
    """Who has decided, and what it still waits for."""
    waiting = _waits_for(case)
    if case.approved is Reason.APPROVED:
        message = f"approved; waits: {waiting}" if waiting else "approved"
        return _condition(case, "Approved", True, Reason.APPROVED, message)
    if case.approved is Reason.APPROVED_BY_POLICY and not case.blocking:
        message = "spec.partitions.mode of the policy is Apply" + (f"; waits: {waiting}" if waiting else "")
        return _condition(case, "Approved", True, Reason.APPROVED_BY_POLICY, message)
    return _condition(case, "Approved", Truth.UNKNOWN, Reason.AWAITING_DECISION, _asks(case))


def _asks(case: Case) -> str:
    """What whoever decides has to write."""
    meta, names = case.proposal.metadata, dict.fromkeys(h.name for h in case.blocking)
    acknowledge = f', "acknowledge": [{", ".join(chr(34) + name + chr(34) for name in names)}]' if names else ""
    why = f"{_names(case.blocking)} blocks what spec.partitions.mode: Apply allows; " if case.approved else ""
    return (
        f"{why}approve it by: kubectl patch pprop {meta.name} -n {meta.namespace} --type=merge -p "
        f'\'{{"spec": {{"decision": "Approve"{acknowledge}}}}}\''
    )


def _condition(case: Case, kind: str, truth: Truth | bool, reason: str, message: str) -> Condition:
    proposal = case.proposal
    before = find(proposal.status.conditions, kind)
    return condition(kind, truth, reason, message, proposal.metadata.generation, case.now, before)


# whether to propose


def stands_in_the_way(
    increase: Increase, topic_id: str, filed: Iterable[PartitionProposal], now: float
) -> PartitionProposal | None:
    """The proposal of this topic, whatever its policy, that keeps a new one away: open, or turned down not long ago."""
    return next((p for p in filed if is_open(p) or _stands(p, increase, topic_id, now)), None)


def _stands(proposal: PartitionProposal, increase: Increase, topic_id: str, now: float) -> bool:
    """Rejected or failed, to as many partitions or more, and not out of date. Applied or superseded ones are no no."""
    spec = proposal.spec
    of_another = topic_id and spec.evidence.topic_id not in ("", topic_id)
    if of_another or now >= spec.expires.timestamp() or increase.to > spec.to:
        return False
    failed = find(proposal.status.conditions, "Failed")
    return spec.decision is Choice.REJECT or (failed is not None and failed.status is Truth.TRUE)


def proposes(policy: LagPolicy, increase: Increase | None) -> bool:
    """Whether the policy wants increases to be proposed. DryRun does: it is advice. Paused only measures."""
    partitions = policy.spec.partitions
    if increase is None or partitions.mode is PartitionsMode.OFF or policy.mode is Mode.PAUSED:
        return False
    return partitions.max is None or increase.to <= partitions.max


def superfluous(filed: Iterable[PartitionProposal], keep: int) -> list[PartitionProposal]:
    """Of a policy's proposals, oldest first, the closed ones beyond the newest `keep`."""
    closed = [p for p in filed if not is_alive(p)]
    return closed[: max(0, len(closed) - keep)]
