"""Rules of an execution after the topic has grown, when no record may be lost, and of bringing the target back."""

from tidegate.api import ExecutionStep
from tidegate.cluster.workloads import Workload
from tidegate.controllers.execution import sentences
from tidegate.controllers.execution.acts import Act, Commit, Finish, Leave, Move, Plan, Release, Scale, Wait
from tidegate.controllers.execution.case import (
    AWAY_FOR,
    COMMIT_FOR,
    COMMITS,
    LOOK,
    LOOK_AT_OWNERS,
    OWNED_FOR,
    PAUSES,
    Case,
    committable,
    empty,
    fail,
    nobody,
    unproven,
)
from tidegate.engine.observation import ReadingError

# after it: no record may be lost


def silent_after(c: Case) -> Act | None:
    """The broker does not answer, and the topic may have grown: consumers cannot do without it either, so wait."""
    if not isinstance(c.seen.topic, ReadingError):
        return None
    away = min(c.seen.since_step, c.seen.now - c.tried.began)
    if away <= AWAY_FOR and not (c.seen.stop and nobody(c) and c.seen.replicas is None):
        return Wait(LOOK_AT_OWNERS, c.seen.topic.message)
    return fail(c, sentences.unknown(c.plan, c.seen.topic))


def own_commits(c: Case) -> Act | None:
    """Offset 0 for the group that needs the increase, while it has no members: they would start at the end."""
    missing = c.missing(c.own)
    if not missing:
        return None
    late = c.seen.since_step > COMMIT_FOR
    if empty(c.own):
        if not late or not c.tried.commits[c.plan.group]:  # a process that finds it late still tries
            return Commit(c.plan.group, missing)
        return fail(c, sentences.uncommitted(c.plan, missing, c.tried.uncommitted))
    if not c.plan.pauses:
        return None  # it has members, and was given what can be had with them by `grow`
    if not late and c.seen.replicas and c.tried.pauses < PAUSES and not c.seen.stop:
        return Scale(0)
    if not late and c.seen.replicas == 0:
        return Wait(LOOK, "members leave")
    return fail(c, sentences.uncommitted(c.plan, missing, sentences.members(c.own)))


def others_commits(c: Case) -> Act | None:
    """The same for groups that have no members now, so that they start at the beginning whenever they come back."""
    for group in c.seen.groups:
        behind = committable(group) and group.name != c.plan.group and empty(group)
        if behind and (missing := c.missing(group)) and c.tried.commits[group.name] < COMMITS:
            return Commit(group.name, missing)
    return None


def resume(c: Case) -> Act | None:
    """All is done that needed the group to be empty."""
    if not c.plan.pauses:
        return None
    return grown_by_others(c) or Move(ExecutionStep.RESUMED, message=doubts(c))


def grown_by_others(c: Case) -> Act | None:
    """Somebody else has enlarged it to another number; the commits stand, but it is not what was approved."""
    if not c.grown or c.seen.count == c.plan.to:
        return None
    return fail(c, f"somebody else has enlarged {c.plan.topic} to {c.seen.count} partitions meanwhile")


def doubts(c: Case) -> str:
    """What a person must know about records that may be skipped; "" where it is certain that none are."""
    found = [sentences.skipped(c.plan, c.new, sorted(groups), c.tried.grown) if (groups := unproven(c)) else ""]
    if c.plan.pauses and c.may_skip(c.plan.group):
        found.append(sentences.started(c.plan, {p: at for p in c.new if (at := c.own.commits.get(p, 0)) > 0}))
    behind = {g.name: c.missing(g) for g in c.seen.groups if empty(g) and committable(g) and c.missing(g)}
    found += [sentences.behind(name, c.plan, missing, c.tried.uncommitted) for name, missing in behind.items()]
    return "; ".join(filter(None, found))


# bringing it back


def bring_back(c: Case) -> Act | None:
    """Whatever happened before and however long it takes: the target gets its replicas back."""
    execution, target = c.seen.execution, c.seen.target
    if not c.seen.held or execution is None or execution.replicas is None:
        return None
    if not isinstance(target, Workload):
        return None if nobody(c) else Wait(LOOK_AT_OWNERS, sentences.no_target(target))
    if target.replicas == 0 and (back := replicas_after(c.plan, execution.replicas)):
        return Scale(back)
    return None


def replicas_after(plan: Plan, before: int) -> int:
    """What it was before, within the policy's minimum and what the topic can use."""
    return max(before, min(plan.floor, plan.ceiling))


def release(c: Case) -> Act | None:
    """The target is back: nothing of it hangs on the proposal any more."""
    return Release() if c.seen.held else None


def finish_failed(c: Case) -> Act | None:
    """The end of what was given up."""
    return Finish(False, c.seen.failing) if c.seen.failing else None


def finish(c: Case) -> Act:
    """The end: members own the new partitions, or nobody is there to, or it has taken too long."""
    execution = c.seen.execution
    said = (execution.message if execution and c.plan.pauses else doubts(c)) or ""
    if nobody(c):
        return Finish(True, sentences.applied(c.plan, "the target has no replicas", said), bool(said))
    if c.owned:
        return Finish(True, sentences.applied(c.plan, "members own all of them", said), bool(said))
    if c.seen.since_step <= OWNED_FOR:
        return Wait(LOOK_AT_OWNERS, "members do not own the new partitions yet")
    unowned = sorted(frozenset(range(c.plan.from_, c.plan.to)) - c.own.owned)
    return Finish(True, sentences.applied(c.plan, sentences.unowned(unowned, OWNED_FOR), said), True)


def end(c: Case) -> Act | None:
    """What is left once the topic has grown and all commits stand."""
    return (resume(c) or grown_by_others(c) or finish(c)) if c.grown else None


def leave(c: Case) -> Act:
    """It is over."""
    return release(c) or Leave("it is done")
