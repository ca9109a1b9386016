"""How an execution stands in the proposal's status and in Events: pure, from the status before and the act."""

from datetime import timedelta

from tidegate.api import (
    Condition,
    Execution,
    ExecutionStep,
    PartitionProposal,
    PartitionProposalStatus,
    Reason,
    TargetRef,
    cut,
    readable,
)
from tidegate.cluster.conditions import condition, find, set_condition
from tidegate.cluster.events import About, Event, EventType
from tidegate.cluster.times import moment
from tidegate.controllers.execution.acts import Begin, Finish, GiveUp, Move

APPLIED, FAILED = "Applied", "Failed"
REPEATED_AFTER = timedelta(minutes=15)

Told = Begin | Move | GiveUp | Finish
"""The acts that are persisted."""


def failing(status: PartitionProposalStatus) -> str:
    """Why an execution was given up whose target is not back yet; "" where it was not."""
    applied = find(status.conditions, APPLIED)
    return applied.message if applied and applied.reason == Reason.FAILED else ""


def status_after(
    proposal: PartitionProposal, act: Told, target: TargetRef | None, pause: float | None, now: float
) -> PartitionProposalStatus:
    """The status that announces an act. `target` is the workload that is paused for it, `pause` as measured."""
    before = proposal.status
    execution = _execution(before.execution, act, target, now)
    if isinstance(act, Finish) and pause is not None:
        execution = execution.model_copy(update={"pause": readable(pause)})
    conditions = before.conditions
    for new in _conditions(act, proposal.metadata.generation, now):
        conditions = set_condition(conditions, new)
    return before.model_copy(update={"execution": execution, "conditions": conditions})


def _execution(before: Execution | None, act: Told, target: TargetRef | None, now: float) -> Execution:
    old = before or Execution(step=ExecutionStep.STARTED, since=moment(now), target_ref=target)
    changes: dict[str, object] = {"step_since": moment(now)}
    match act:
        case Begin(replicas):
            changes |= {"replicas": replicas if target else None}
        case Move(step, replicas, message):
            changes |= {"step": step, "message": cut(message) if message else old.message}
            changes |= {} if replicas is None else {"replicas": replicas}
        case GiveUp(why):
            changes |= {"step": ExecutionStep.RESUMED, "message": cut(why)}
        case Finish(_, message):
            changes |= {"step": ExecutionStep.DONE, "message": cut(message)}
    return old.model_copy(update=changes)


def _conditions(act: Told, generation: int, now: float) -> tuple[Condition, ...]:
    match act:
        case Begin() | Move():
            return (condition(APPLIED, False, Reason.EXECUTING, "the increase is under way", generation, now),)
        case GiveUp(why):
            return (condition(APPLIED, False, Reason.FAILED, why, generation, now),)
        case Finish(True, message):
            return (condition(APPLIED, True, Reason.APPLIED, message, generation, now),)
        case Finish(_, message):
            kinds = ((APPLIED, False), (FAILED, True))
            return tuple(condition(kind, truth, Reason.FAILED, message, generation, now) for kind, truth in kinds)


def events(abouts: tuple[About, ...], act: Told, name: str, what: str) -> tuple[Event, ...]:
    """What is told about the policy and the proposal alike; `what` says what is done and how, `name` of which one."""
    news = _news(act, what)
    if news is None:
        return ()
    kind, reason, message = news
    return tuple(
        Event(
            about,
            kind,
            reason,
            f"{name}: {message}",
            dedupe_key=(name, message),
            action="Repartition",
        )
        for about in abouts
    )


def _news(act: Told, what: str) -> tuple[EventType, Reason, str] | None:
    match act:
        case Begin():
            return EventType.NORMAL, Reason.EXECUTING, what
        case GiveUp(why) | Finish(False, why):
            return EventType.WARNING, Reason.FAILED, why
        case Move(message=message) if message:
            return EventType.WARNING, Reason.EXECUTING, message
        case Finish(True, message, warn):
            return EventType.WARNING if warn else EventType.NORMAL, Reason.APPLIED, message
    return None
