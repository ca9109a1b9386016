"""The runner of an execution: looks, asks what comes next, does it, and looks again, until nothing is left."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tidegate.api import (
    Choice,
    ExecutionStep,
    LagPolicy,
    OffsetReset,
    PartitionProposal,
    PartitionProposalStatus,
    Reason,
    TargetRef,
)
from tidegate.cluster.events import About, Event, EventType
from tidegate.cluster.fence import Tenure
from tidegate.cluster.finalizer import FINALIZER, hold, release
from tidegate.cluster.objects import read_now
from tidegate.cluster.proposals import write_proposal
from tidegate.cluster.scaling import Scaled, scale
from tidegate.cluster.server import FAILURES, refusal, status_of, words
from tidegate.cluster.workloads import Workload, read_workload
from tidegate.controllers.connections import Client
from tidegate.controllers.execution.acts import (
    Act,
    Begin,
    Commit,
    Finish,
    GiveUp,
    Grow,
    Hold,
    Leave,
    Move,
    Plan,
    Release,
    Scale,
    Seen,
    Tried,
    Validate,
    Wait,
)
from tidegate.controllers.execution.course import next_act, released
from tidegate.controllers.execution.record import Told, events, failing, status_after
from tidegate.controllers.services import Services
from tidegate.controllers.world import name_of
from tidegate.engine.facts import TopicFacts
from tidegate.engine.observation import GroupState, Objection, ReadingError
from tidegate.sources import Increased

logger = logging.getLogger(__name__)

T = TypeVar("T")

BACK_OFF, LONGEST_BACK_OFF = 0.5, 5.0
"""Seconds after an act that failed, twice as long after each one in a row."""

GRACE = 5.0
"""Seconds given to an act under way when the process is told to end: half a commit is worse than none."""


async def execute(
    services: Services,
    client: Client,
    proposal: PartitionProposal,
    policy: LagPolicy | None,
    others: Mapping[str, OffsetReset],
    *,
    stop: str = "",
) -> PartitionProposalStatus:
    """Carry out an approved proposal from its last persisted step to the end; its final status, which is written.

    `policy` is None where it is gone: then only what was begun is brought to an end. `others` has what the consumers of
    groups with a policy do without a commit. `stop` is why it should not go on: then a topic that has not grown stays
    as it is, and only what has is finished. Scaling is released before the end, as members may take minutes to own the
    new partitions. May be cancelled at any moment, also by the death of the process: called
    again with the proposal as it is then, it goes on. The status comes back as it is where another process has begun
    it, or where the topic is not what was approved any more.
    """
    return await _Run(services, client, proposal, policy, others, stop).to_the_end()


def plan_of(proposal: PartitionProposal, policy: LagPolicy | None, others: Mapping[str, OffsetReset]) -> Plan:
    """What was approved. Without its policy nothing is known of the group's offset reset, nor a minimum."""
    spec, evidence = proposal.spec, proposal.spec.evidence
    own = {evidence.group: policy.spec.source.kafka.offset_reset} if policy else {}
    return Plan(
        cluster=evidence.cluster,
        topic=spec.topic,
        topic_id=evidence.topic_id,
        from_=spec.from_,
        to=spec.to,
        method=spec.method,
        group=evidence.group,
        resets={**others, **own},
        floor=policy.spec.replicas.min if policy else 0,
        ceiling=evidence.ceiling_after,
    )


@dataclass(slots=True)
class _Run:
    """One execution in one process. `proposal` is as it was read last."""

    services: Services
    client: Client
    proposal: PartitionProposal
    policy: LagPolicy | None
    others: Mapping[str, OffsetReset]
    stop: str
    plan: Plan = field(init=False)
    tried: Tried = field(init=False)
    groups: frozenset[str] | None = None
    paused_at: float | None = None
    pause: float | None = None
    failures: int = 0

    def __post_init__(self) -> None:
        self.plan = plan_of(self.proposal, self.policy, self.others)
        begun = self.proposal.status.execution is not None
        self.tried = Tried(began=self.services.clock(), ours=begun)

    async def to_the_end(self) -> PartitionProposalStatus:
        while True:
            try:
                seen = await self._look()
                self._follow(seen)
                act = next_act(self.plan, seen, self.tried)
                if isinstance(act, Leave):
                    self._log(act.why)
                    return self.proposal.status
                await self._do(act, seen)
            except FAILURES as error:
                if status_of(error) == 403:
                    self._warn(refusal(error, self._namespace))
                await self._stumble(f"the API server says: {words(error)}")

    async def _do(self, act: Act, seen: Seen) -> None:
        if isinstance(act, Wait):
            await asyncio.sleep(act.seconds)
        elif not self.services.may_act():
            await asyncio.sleep(1)
        else:
            trouble = await _to_its_end(self._perform(act, seen), self.services.tenure)
            if trouble:
                await self._stumble(trouble)
            else:
                self.failures = 0

    async def _stumble(self, trouble: str) -> None:
        """Say what failed, once in a row of failures, and wait."""
        if not self.failures:
            self._log(trouble, logging.WARNING)
        self.failures += 1
        await asyncio.sleep(min(BACK_OFF * 2 ** (self.failures - 1), LONGEST_BACK_OFF))

    # what is there

    async def _look(self) -> Seen:
        proposal = await read_now(self.services.api, self.proposal)
        self.proposal = proposal or self.proposal
        topic, target = await asyncio.gather(self._inspect(), self._target())
        status = self.proposal.status
        return Seen(
            now=self.services.clock(),
            execution=status.execution,
            failing=failing(status),
            held=FINALIZER in self.proposal.metadata.finalizers,
            stop=self._stop(),
            topic=topic,
            target=target,
            there=proposal is not None,
        )

    def _stop(self) -> str:
        """Why it should not go on; "" where it should."""
        if self.stop:
            return self.stop
        meta = self.proposal.metadata
        policy = self.policy and self.services.world.policy(name_of(self.policy))
        same = policy and self.policy and policy.metadata.uid == self.policy.metadata.uid
        if policy is None or not same or policy.metadata.deletion_timestamp or meta.deletion_timestamp:
            return "its LagPolicy or the proposal itself was deleted meanwhile"
        if self.proposal.spec.decision == Choice.REJECT:
            return "it was rejected before it was carried out"
        return ""

    async def _inspect(self) -> TopicFacts | ReadingError:
        """The topic and its groups. The first look finds them all, later ones ask for these only."""
        found = await self.client.inspect(self.plan.topic, self.groups)
        if isinstance(found, TopicFacts):
            self.groups = frozenset(group.name for group in found.groups) | {self.plan.group}
        return found

    @property
    def _ref(self) -> TargetRef | None:
        execution = self.proposal.status.execution
        return (execution and execution.target_ref) or (self.policy.spec.target_ref if self.policy else None)

    async def _target(self) -> Workload | Objection | None:
        ref = self._ref
        if ref is None:
            return None
        return await read_workload(self.services.api, self.services.discovery, self._namespace, ref)

    @property
    def _namespace(self) -> str:
        return self.proposal.metadata.namespace or ""

    def _follow(self, seen: Seen) -> None:
        """Measure the pause, and let scaling go on when it may."""
        own = seen.group(self.plan.group)
        if seen.step is ExecutionStep.RESUMED and self.pause is None and own.owned and own.state is GroupState.STABLE:
            began = self.paused_at or (seen.execution and seen.execution.since.timestamp())
            self.pause = seen.now - began if began else None
        if released(self.plan, seen, self.tried):
            self.services.proposals.release(self.proposal)

    # what is done; each gives what went wrong in words, "" where nothing did

    async def _perform(self, act: Act, seen: Seen) -> str:
        match act:
            case Begin() | Move() | GiveUp() | Finish():
                return await self._tell(act, seen)
            case Hold() | Release():
                change = hold if isinstance(act, Hold) else release
                return "" if await change(self.services.api, self.proposal) else "the proposal has changed meanwhile"
            case Validate():
                return await self._validate()
            case Scale(replicas):
                return await self._scale(replicas, seen)
            case Grow(live):
                return await self._grow(live)
            case Commit(group, partitions):
                return await self._commit(group, partitions)
            case _:
                raise AssertionError(f"not an act to perform: {act}")

    async def _tell(self, act: Told, seen: Seen) -> str:
        ref = self._ref if self.plan.pauses else None
        pause = self.pause if seen.step is ExecutionStep.RESUMED else None
        status = status_after(self.proposal, act, ref, pause, seen.now)
        self.tried.ours = True  # also where the answer is lost: then the next look shows what has come through
        written = await write_proposal(self.services.api, self.proposal, status)
        if written is None:
            self.tried.lost = isinstance(act, Begin)
            return "" if self.tried.lost else "the proposal has changed meanwhile"
        self._announce(act)
        return ""

    def _announce(self, act: Told) -> None:
        abouts = [About.resource(self.proposal)] + ([About.resource(self.policy)] if self.policy else [])
        happened = events(tuple(abouts), act, self.proposal.metadata.name, self._what())
        self.services.recorder.tell(*happened)
        warned = any(event.type is EventType.WARNING for event in happened)
        step = act.step if isinstance(act, Move) else type(act).__name__
        said = happened[0].message if happened else f"step {step}"
        self._log(said, logging.WARNING if warned else logging.INFO)

    def _what(self) -> str:
        plan = self.plan
        how = "the group is paused for it" if plan.pauses else "the group goes on"
        return f"enlarging {plan.topic} from {plan.from_} to {plan.to} partitions ({plan.method}: {how})"

    async def _validate(self) -> str:
        """The broker's dry run; and where the group is to be stopped, whether its commits may be made at all."""
        plan = self.plan
        stopped = (plan.group,) if plan.pauses else ()
        answer = await self.client.act(lambda actor: actor.validate_increase(plan.topic, plan.to, stopped))
        self.tried.valid = answer is None
        return self._refused(answer) if answer else ""

    def _refused(self, answer: Objection) -> str:
        """Remember the broker's no; no answer is none."""
        if answer.reason is not Reason.CONNECTION_FAILED:
            self.tried.refused, self.tried.refused_at = answer.message, self.services.clock()
        return answer.message

    async def _scale(self, replicas: int, seen: Seen) -> str:
        ref = self._ref
        assert ref
        assert isinstance(seen.target, Workload)
        services = self.services
        scaled = await scale(services.api, services.discovery, self._namespace, ref, replicas, seen=seen.target)
        if isinstance(scaled, Objection):
            self.tried.unscalable = "" if scaled.reason is Reason.SCALE_FAILED else scaled.message
            self._warn(scaled)
            return scaled.message
        self._note_scale(scaled, replicas)
        return ""

    def _note_scale(self, scaled: Scaled, replicas: int) -> None:
        self.tried.unscalable = ""
        if replicas == 0:
            self.tried.pauses += 1
            self.paused_at = self.paused_at or self.services.clock()
        what = f"scaled to {replicas}" if scaled.written else f"somebody else has scaled to {scaled.workload.replicas}"
        self._log(f"{what} ({self._ref.kind} {self._ref.name})" if self._ref else what)

    def _warn(self, why: Objection) -> None:
        """What keeps a target from coming back is somebody's business at once."""
        about = About.resource(self.proposal)
        self.services.recorder.tell(Event(about, EventType.WARNING, why.reason, why.message, action="Repartition"))

    async def _grow(self, live: frozenset[str]) -> str:
        plan = self.plan
        self._log(f"enlarging {plan.topic} to {plan.to} partitions")
        answer = await self.client.act(lambda actor: actor.increase(plan.topic, plan.from_, plan.to, sorted(live)))
        if isinstance(answer, Increased):
            self.tried.grown = answer
            return ""
        return self._refused(answer)

    async def _commit(self, group: str, partitions: frozenset[int]) -> str:
        self.tried.commits[group] += 1
        answer = await self.client.act(lambda actor: actor.commit_start(group, self.plan.topic, sorted(partitions)))
        self.tried.uncommitted = answer.message if answer else ""
        if answer is None:
            self._log(f"offset 0 is committed for {group} in {len(partitions)} new partitions of {self.plan.topic}")
        return self.tried.uncommitted

    def _log(self, said: str, level: int = logging.INFO) -> None:
        """One line for each act: which proposal, how far, and what."""
        name, execution = str(name_of(self.proposal)), self.proposal.status.execution
        step = execution.step if execution else None
        about = {"proposal": name, "topic": self.plan.topic, "method": self.plan.method, "step": step}
        logger.log(level, "%s, %s: %s", name, step or "approved", said, extra={"about": about})


async def _to_its_end(work: Coroutine[Any, Any, T], tenure: Tenure) -> T:
    """Do one act whole: a cancellation waits for it, for GRACE seconds at most, and only while this process may act.

    One that takes longer goes on in its thread, so nobody else may act before this process is certainly gone.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        _, late = await asyncio.wait({task}, timeout=min(GRACE, tenure.left()))
        if late:
            tenure.keep()
        task.cancel()
        raise
