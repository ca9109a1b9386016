"""Rules of an execution until the topic has grown: giving up costs nothing, all is as it was."""

from tidegate.api import ExecutionStep
from tidegate.cluster.workloads import Workload
from tidegate.controllers.execution import sentences
from tidegate.controllers.execution.acts import (
    Act,
    Begin,
    Finish,
    Grow,
    Hold,
    Leave,
    Move,
    Release,
    Scale,
    Validate,
    Wait,
)
from tidegate.controllers.execution.case import (
    BEGIN_FOR,
    COMMIT_FOR,
    EMPTY_FOR,
    LOOK,
    LOOK_AT_OWNERS,
    PAUSES,
    SETTLE,
    Case,
    empty,
    fail,
    for_good,
    is_another,
    live,
    overdue,
)
from tidegate.engine.facts import TopicFacts
from tidegate.engine.observation import ReadingError

# before anything is begun


def somebody_elses(c: Case) -> Act | None:
    """Two processes must not both begin it: the one whose write came second leaves it."""
    theirs = c.tried.lost or (c.seen.execution is not None and not c.tried.ours)
    return Leave("somebody else has changed or begun it meanwhile") if theirs else None


def stopped_before(c: Case) -> Act | None:
    """Nothing was done yet, so nothing is left behind."""
    if not c.seen.stop:
        return None
    return Release() if c.seen.held else Leave(c.seen.stop)


def not_as_judged(c: Case) -> Act | None:
    """The evidence, checked once more: the very topic, with the very count."""
    topic = c.seen.topic
    if isinstance(topic, ReadingError):
        soon = c.seen.now < c.tried.began + BEGIN_FOR
        return Wait(LOOK_AT_OWNERS, topic.message) if soon else Leave(topic.message)
    if is_another(c.plan, topic) or c.seen.count != c.plan.from_:
        return Leave(f"{topic.topic} is not what the proposal was made for any more")
    return None


def no_target_before(c: Case) -> Act | None:
    """What cannot be scaled cannot be paused."""
    if not c.plan.pauses or isinstance(c.seen.target, Workload):
        return None
    if c.seen.now < c.tried.began + BEGIN_FOR and not for_good(c.seen.target):
        return Wait(LOOK_AT_OWNERS, sentences.no_target(c.seen.target))
    return Finish(False, f"nothing was changed: {sentences.no_target(c.seen.target)}")


def dry_run(c: Case) -> Act | None:
    """The broker is asked before any consumer is stopped for it."""
    if c.tried.refused:
        return Finish(False, f"nothing was changed, the broker refuses: {c.tried.refused}")
    if not c.tried.valid:
        waited = c.seen.now > c.tried.began + BEGIN_FOR
        return Leave("the broker did not answer") if waited else Validate()
    return None


def no_commit_before(c: Case) -> Act | None:
    """Where there is no commit, consumers start at the end after the pause: what is written meanwhile would be lost."""
    if not c.plan.pauses or empty(c.own) or not c.may_skip(c.plan.group):
        return None
    missing = frozenset(range(c.plan.from_)) - c.own.commits.keys()
    if not missing:
        return None
    soon = c.seen.now < c.tried.began + BEGIN_FOR
    return Wait(LOOK_AT_OWNERS, "commits") if soon else Finish(False, sentences.no_commit(c.plan, missing))


def begin(c: Case) -> Act:
    """From here on it is carried through, by this process or the next one."""
    return Begin(c.seen.replicas)


# before the topic has grown: giving up costs nothing


def another_topic(c: Case) -> Act | None:
    """Deleted and made anew: neither the proposal nor the commits are for that one."""
    topic = c.seen.topic
    if not isinstance(topic, TopicFacts) or not is_another(c.plan, topic):
        return None
    return fail(c, f"{topic.topic} was deleted and made anew meanwhile: nothing was done to the new one")


def goes_on_if_grown(c: Case) -> Act | None:
    """The topic has more partitions already: by a request whose answer was lost, or by somebody else."""
    return Move(ExecutionStep.INCREASED) if c.grown else None


def shrunk(c: Case) -> Act | None:
    """A topic cannot lose partitions: what is seen is an old answer, or not the topic that was approved."""
    if c.seen.count is None or c.seen.count >= c.plan.from_:
        return None
    return overdue(c, EMPTY_FOR, f"{c.plan.topic} has fewer partitions than the proposal says") or Wait(LOOK, "count")


def stopped(c: Case) -> Act | None:
    """Its policy was deleted, or a person said no before it was done."""
    return fail(c, c.seen.stop) if c.seen.stop and not c.grown else None


def silent(c: Case) -> Act | None:
    """The broker does not answer."""
    if not isinstance(c.seen.topic, ReadingError):
        return None
    return overdue(c, EMPTY_FOR, c.seen.topic.message) or Wait(LOOK, c.seen.topic.message)


def no_target(c: Case) -> Act | None:
    """The target cannot be scaled."""
    if not c.plan.pauses:
        return None
    if c.tried.unscalable:
        return fail(c, c.tried.unscalable)
    if isinstance(c.seen.target, Workload):
        return None
    why = sentences.no_target(c.seen.target)
    return fail(c, why) if for_good(c.seen.target) else overdue(c, EMPTY_FOR, why) or Wait(LOOK, why)


def hold(c: Case) -> Act | None:
    """Before the target is scaled to zero; what is being deleted takes no finalizer any more."""
    return Hold() if c.plan.pauses and not c.seen.held and not c.seen.stop else None


def after_started(c: Case) -> Act:
    """Announce what is done next."""
    if not c.plan.pauses:
        return Move(ExecutionStep.INCREASED)
    return Move(ExecutionStep.PAUSED, replicas=c.seen.replicas or None)


def zero(c: Case) -> Act | None:
    """Scale the target to zero; where somebody scales it up meanwhile, once more, and then not again."""
    if not c.plan.pauses or c.seen.replicas == 0:
        return None
    if c.tried.pauses >= PAUSES:
        return fail(c, sentences.scaled_up(c.seen.replicas, c.seen.execution))
    return overdue(c, EMPTY_FOR, "the target could not be scaled to zero in time") or Scale(0)


def not_empty(c: Case) -> Act | None:
    """Members stay: they belong to something else than the target, or are static and leave by their session timeout."""
    if not c.plan.pauses or empty(c.own):
        return None
    return overdue(c, EMPTY_FOR, sentences.stayed(c.own, c.seen.execution)) or Wait(LOOK, "the group is not empty yet")


def increase_next(_: Case) -> Act:
    """Announce it: from here on the topic may have grown."""
    return Move(ExecutionStep.INCREASED)


def refused(c: Case) -> Act | None:
    """The broker's no counts once the count has had time to say otherwise."""
    if not c.tried.refused or c.grown:
        return None
    if c.seen.now < c.tried.refused_at + SETTLE:
        return Wait(LOOK, c.tried.refused)
    return fail(c, f"the broker refuses: {c.tried.refused}")


def grow(c: Case) -> Act | None:
    """The one act that cannot be undone. Asked twice it is still done once: the broker is given the total."""
    if c.grown:
        return None
    if c.tried.grown is not None:
        return overdue(c, COMMIT_FOR, "the topic does not show the new partitions") or Wait(LOOK, "the count")
    return overdue(c, COMMIT_FOR, "neither the broker nor Tidegate was there in time") or Grow(live(c))


def grow_again(c: Case) -> Act | None:
    """A process died or an answer was lost while the topic grew: what was not committed for live groups is now."""
    if not c.grown or c.tried.grown or c.tried.refused or c.seen.count != c.plan.to or c.seen.since_step > COMMIT_FOR:
        return None
    return Grow(groups) if (groups := live(c)) else None
