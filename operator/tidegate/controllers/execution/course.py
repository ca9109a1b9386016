"""What comes next in an execution: a pure function of what was persisted and what is there.

Each step has its rules; the first that has something to say decides. Every act can be done again, so it does not
matter where a process dies: the next one sees what is persisted and what is there, and goes on. What is persisted is
always one step ahead of what was done:

    Started     the proposal is ours
    Paused      the target may be at zero from here on (and the finalizer is there)
    Increased   the topic may have its partitions from here on
    Resumed     nothing is left but to bring the target back (PausedGroup only)
    Done

Before the topic has grown, giving up costs nothing: the target comes back and all is as it was. Afterwards, scaling
back before offset 0 is committed could lose records (auto.offset.reset=latest starts behind them), so the target stays
at zero until the commits stand, but for COMMIT_FOR at most: then an outage without an end is the worse harm, and the
message says what to do by hand. A broker that does not answer at all is waited for longer (AWAY_FOR): consumers cannot
do without it either.
"""

from collections.abc import Mapping

from tidegate.api import ExecutionStep
from tidegate.controllers.execution import after, before
from tidegate.controllers.execution.acts import Act, Leave, Plan, Scale, Seen, Tried, Wait
from tidegate.controllers.execution.case import LOOK, RELEASED_AFTER, Case, Rule


def next_act(plan: Plan, seen: Seen, tried: Tried) -> Act:
    """What to do now. ValueError where a newer version has persisted a step that this one does not know."""
    case = Case(plan, seen, tried)
    if not seen.there:
        return _forced_away(case)
    answers = (rule(case) for rule in COURSE[seen.step])
    return next((act for act in answers if act is not None), Wait(LOOK, "nothing to do yet"))


def released(plan: Plan, seen: Seen, tried: Tried) -> bool:
    """Whether the target may be scaled as usual again."""
    case = Case(plan, seen, tried)
    if seen.step is ExecutionStep.DONE:
        return not seen.held
    if seen.step is not _last_step(plan) or seen.held or (not plan.pauses and not case.grown):
        return False
    return bool(seen.failing) or case.owned or seen.since_step > RELEASED_AFTER


def _last_step(plan: Plan) -> ExecutionStep:
    """The step in which members take over the new partitions."""
    return ExecutionStep.RESUMED if plan.pauses else ExecutionStep.INCREASED


def _forced_away(c: Case) -> Act:
    """Somebody has removed finalizer and proposal: nothing can be persisted, but the target has to come back."""
    before = c.seen.execution and c.seen.execution.replicas
    if c.plan.pauses and c.seen.replicas == 0 and before and c.seen.step not in (None, ExecutionStep.STARTED):
        return Scale(before)
    return Leave("the proposal is gone")


COURSE: Mapping[ExecutionStep | None, tuple[Rule, ...]] = {
    None: (
        *(before.somebody_elses, before.stopped_before, before.not_as_judged),
        *(before.no_target_before, before.no_commit_before, before.dry_run, before.begin),
    ),
    ExecutionStep.STARTED: (
        *(before.somebody_elses, before.stopped, before.another_topic, before.goes_on_if_grown),
        *(before.silent, before.shrunk, before.no_target, before.hold, before.after_started),
    ),
    ExecutionStep.PAUSED: (
        *(before.somebody_elses, before.stopped, before.another_topic, before.goes_on_if_grown),
        *(before.no_target, before.hold, before.zero),
        *(before.silent, before.shrunk, before.not_empty, before.increase_next),
    ),
    ExecutionStep.INCREASED: (
        *(before.somebody_elses, after.silent_after, before.another_topic, before.hold),
        *(before.grow_again, after.own_commits, after.others_commits, after.end),
        *(before.stopped, before.refused, before.shrunk, before.no_target, before.zero, before.not_empty, before.grow),
    ),
    ExecutionStep.RESUMED: (before.somebody_elses, after.bring_back, after.release, after.finish_failed, after.finish),
    ExecutionStep.DONE: (after.leave,),
}
"""The rules of each step, in order."""
