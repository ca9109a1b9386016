"""How an execution stands in its proposal and in Events, act by act; and that one under way is not cut in two."""

import asyncio
from datetime import timedelta

import pytest

from tests.unit.execution_world import NOW, REF
from tidegate.api import (
    Condition,
    Evidence,
    ExecutionStep,
    Metadata,
    Method,
    PartitionProposal,
    PartitionProposalSpec,
    PartitionProposalStatus,
    Reason,
    Truth,
)
from tidegate.cluster.conditions import find
from tidegate.cluster.events import About, EventType
from tidegate.cluster.fence import Alone
from tidegate.cluster.times import moment
from tidegate.controllers.execution.acts import Begin, Finish, GiveUp, Move
from tidegate.controllers.execution.record import Told, events, failing, status_after
from tidegate.controllers.execution.runner import _to_its_end
from tidegate.controllers.filed import is_settled, is_under_way

ABOUTS = (About("LagPolicy", "shop", "points", "l"), About("PartitionProposal", "shop", "more", "p"))


def proposal() -> PartitionProposal:
    evidence = Evidence(
        time=moment(NOW),
        cluster="cluster",
        topic_id="id",
        group="points",
        arrival_rate=40.0,
        looked_back=timedelta(hours=1),
        per_replica=20.0,
        bound_for=timedelta(minutes=5),
        need=4,
        ceiling=2,
        ceiling_after=4,
        pause=timedelta(seconds=10),
        message="",
    )
    spec = PartitionProposalSpec(
        policy="points",
        topic="orders",
        **{"from": 2},
        to=4,
        evidence=evidence,
        expires=moment(NOW),
        method=Method.PAUSED_GROUP,
    )
    status = PartitionProposalStatus(conditions=(_approved(),))
    return PartitionProposal(
        metadata=Metadata(name="more", namespace="shop", uid="p", generation=2), spec=spec, status=status
    )


def _approved() -> Condition:
    return Condition(
        type="Approved", status=Truth.TRUE, last_transition_time=moment(NOW), reason=Reason.APPROVED, message="by ann"
    )


def after(*acts: Told, pause: float | None = None) -> PartitionProposal:
    told = proposal()
    for number, act in enumerate(acts, 1):
        told = told.model_copy(update={"status": status_after(told, act, REF, pause, NOW + number)})
    return told


def state(told: PartitionProposal, kind: str) -> tuple[str, str]:
    found = find(told.status.conditions, kind)
    assert found
    return found.status, found.reason


BEGUN = (Begin(3), Move(ExecutionStep.PAUSED, replicas=4), Move(ExecutionStep.INCREASED))


def test_what_another_process_needs_is_kept_from_step_to_step():
    told = after(*BEGUN)
    execution = told.status.execution
    assert execution
    assert (execution.step, execution.replicas, execution.target_ref) == (ExecutionStep.INCREASED, 4, REF)
    assert (execution.since, execution.step_since) == (moment(NOW + 1), moment(NOW + 3))
    assert state(told, "Applied") == ("False", Reason.EXECUTING)
    assert state(told, "Approved") == ("True", Reason.APPROVED)
    assert is_under_way(told)
    assert PartitionProposal.parse(told.wire()) == told


def test_an_end_as_wanted_settles_it_with_the_pause_as_measured():
    told = after(*BEGUN, Move(ExecutionStep.RESUMED), Finish(True, "it has 4 partitions"), pause=7.4)
    assert state(told, "Applied") == ("True", Reason.APPLIED)
    assert find(told.status.conditions, "Failed") is None
    assert told.status.execution
    assert told.status.execution.pause == timedelta(seconds=7)
    assert is_settled(told)
    assert not is_under_way(told)


def test_what_was_given_up_is_under_way_until_the_target_is_back():
    told = after(*BEGUN, GiveUp("the broker refuses"))
    assert failing(told.status) == "the broker refuses"
    assert is_under_way(told)
    assert not is_settled(told)
    told = after(*BEGUN, GiveUp("the broker refuses"), Finish(False, "the broker refuses"))
    assert state(told, "Failed") == ("True", Reason.FAILED)
    assert state(told, "Applied") == ("False", Reason.FAILED)
    assert is_settled(told)


@pytest.mark.parametrize(
    ("act", "kind", "reason"),
    [
        (Begin(3), EventType.NORMAL, Reason.EXECUTING),
        (Move(ExecutionStep.RESUMED, message="offsets to mend"), EventType.WARNING, Reason.EXECUTING),
        (GiveUp("refused"), EventType.WARNING, Reason.FAILED),
        (Finish(True, "grown"), EventType.NORMAL, Reason.APPLIED),
        (Finish(True, "grown, nobody reads it", warn=True), EventType.WARNING, Reason.APPLIED),
        (Finish(False, "refused"), EventType.WARNING, Reason.FAILED),
    ],
)
def test_policy_and_proposal_are_told_alike(act: Told, kind: EventType, reason: Reason):
    told = events(ABOUTS, act, "more", "enlarging orders")
    assert [(event.about, event.type, event.reason) for event in told] == [(about, kind, reason) for about in ABOUTS]
    assert all(event.message.startswith("more: ") for event in told)


def test_a_failure_is_told_once_though_it_is_persisted_twice():
    given_up, finished = (events(ABOUTS, act, "more", "")[0] for act in (GiveUp("no"), Finish(False, "no")))
    assert given_up.identity == finished.identity


def test_steps_are_no_news():
    assert events(ABOUTS, Move(ExecutionStep.PAUSED), "more", "") == ()


async def test_an_act_under_way_is_finished_before_the_process_ends():
    begun, go_on, done = asyncio.Event(), asyncio.Event(), []

    async def commit() -> None:
        begun.set()
        await go_on.wait()
        done.append("committed")

    task = asyncio.create_task(_to_its_end(commit(), Alone()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["committed"]
