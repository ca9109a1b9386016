"""A ladder's flags on the real API server: switched, restored, and kept track of through crashes, edits and deletions.

The operator's part has exactly the rights that the chart gives it.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from demo.stack import Stack
from tests.stack.cluster import Space, install, install_rights
from tests.stack.featureflags import FEATURE_FLAGS, feature_flag
from tests.stack.ladder_world import (
    CAUSE,
    FLAGS,
    LADDER,
    LEVELS,
    Process,
    document,
    flags,
    laddered,
    process,
    variants,
)
from tests.waiting import eventually
from tidegate.api import LagPolicyStatus, Reason
from tidegate.cluster import recording
from tidegate.cluster.events import EventType
from tidegate.cluster.writing import Key, write_status
from tidegate.controllers.charge import Charge
from tidegate.controllers.degrading import departures, look
from tidegate.engine.observation import Objection


class CrashError(BaseException):
    """The process ends here. (No Exception: nothing may catch it.)"""


@pytest.fixture(scope="module", autouse=True)
def operator(stack: Stack) -> None:
    install_rights(stack)


@pytest.fixture
def space(stack: Stack, namespace: str) -> Space:
    found = Space(stack, namespace)
    found.apply(flags(), laddered())
    return found


@pytest.fixture
async def first(stack: Stack, space: Space) -> AsyncIterator[Process]:
    async with process(stack, space) as started:
        yield started


@pytest.fixture
async def second(stack: Stack, space: Space) -> AsyncIterator[Process]:
    async with process(stack, space) as started:
        yield started


# Up and down


async def test_r9_up_two_levels_and_down_again_the_document_is_as_before_byte_for_byte(first: Process):
    await first.cycle()
    assert (first.level, first.held) == (0, False)
    for level in (1, 2, 1, 0):
        await first.cycle(level, Reason.SCALING_EXHAUSTED if level else Reason.RESTORING)
        assert (first.level, first.held) == (level, level > 0)
        expected = {"recommendations": "off" if level >= 1 else "on", "email-receipts": "off" if level == 2 else "on"}
        assert variants(first.document) == {**expected, "not-ours": "on"}
    assert first.document == document()
    assert first.space.get("configmap", "points-flags")["data"]["other"] == "untouched"
    recorded = first.recorded
    assert recorded
    assert (recorded.flags, recorded.flags_ref, recorded.degraded_since, recorded.name) == ((), None, None, None)


async def test_r10_every_step_is_an_event_and_stands_in_the_history(first: Process):
    for level in (1, 2, 1):
        await first.cycle(level, Reason.SCALING_EXHAUSTED if level == 2 else Reason.RESTORING)
        first.now += 60
    told = [(event.type, event.action, event.message) for event in first.told.events]
    assert told == [
        (EventType.WARNING, "Degrade", f"from level 0 to level 1: {CAUSE}"),
        (EventType.WARNING, "Degrade", f"from level 1 to level 2: {CAUSE}"),
        (EventType.NORMAL, "Restore", f"from level 2 to level 1: {CAUSE}"),
    ]
    recorded = first.recorded
    assert recorded
    assert [(change.from_, change.to, change.message) for change in recorded.history] == [
        (0, 1, f"level 1: {CAUSE}"),
        (1, 2, f"level 2: {CAUSE}"),
        (2, 1, f"level 1: {CAUSE}"),
    ]
    assert (recorded.name, recorded.degraded_since) == ("NoRecommendations", recorded.history[0].time)
    assert recorded.since == recorded.history[-1].time


async def test_r9_a_feature_flag_is_switched_and_restored_with_the_operators_rights_too(stack: Stack, first: Process):
    install(stack, FEATURE_FLAGS)
    before = feature_flag("points-flags", {"flags": FLAGS})
    kind = {"kind": "FeatureFlag", "name": "points-flags"}
    first.space.apply(before, laddered(degradation={**LADDER, "flagsRef": kind}))
    for level, variant in ((1, "off"), (0, "on")):
        found = await first.cycle(level)
        assert found
        assert (found.problem, first.level, first.held) == (None, level, level > 0)
        there = first.space.get("featureflag", "points-flags")["spec"]["flagSpec"]["flags"]
        assert there == {**FLAGS, "recommendations": {**FLAGS["recommendations"], "defaultVariant": variant}}


async def test_a_cycle_without_a_step_writes_nothing(first: Process):
    await first.cycle(1)
    before = first.space.get("configmap", "points-flags")["metadata"]["resourceVersion"], first.recorded
    first.watch()
    await first.cycle()
    assert (first.space.get("configmap", "points-flags")["metadata"]["resourceVersion"], first.recorded) == before
    assert len(first.told.events) == 1


# Crashes


async def crash(monkeypatch: pytest.MonkeyPatch, first: Process, level: int, where: str) -> None:
    """A step that ends where it is told to: before the record, the flags, or the confirmation is written."""
    real, records = recording._write, 0

    async def dies(*arguments: Any) -> bool:
        nonlocal records
        records += 1
        if records == {"intent": 1, "confirmation": 2}.get(where):
            raise CrashError
        return await real(*arguments)

    async def dies_before_the_flags(*_: object) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(recording, "_write", dies)
        if where == "flags":
            patch.setattr(first.services.flags, "write", dies_before_the_flags)
        with pytest.raises(CrashError):
            await first.cycle(level)


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize(("where", "shows"), [("intent", "before"), ("flags", "before"), ("confirmation", "after")])
async def test_r9_a_restart_finds_the_level_that_the_flags_show_and_every_step_can_be_taken_from_there(
    first: Process, second: Process, monkeypatch: pytest.MonkeyPatch, up: bool, where: str, shows: str
):
    before, after = (1, 2) if up else (2, 1)
    for level in range(1, before + 1):
        await first.cycle(level)
    await crash(monkeypatch, first, after, where)
    there = after if shows == "after" else before
    found = await second.cycle()  # the engine stays where the flags are
    assert found
    assert (found.at.level, second.level) == (there, there)
    recorded = second.recorded
    assert recorded
    assert recorded.pending_level is None
    assert recorded.history[-1].to == there  # a step that did not come about is not in the history
    assert variants(second.document)["email-receipts"] == ("off" if there == 2 else "on")
    assert second.told.reasons == ([Reason.SCALING_EXHAUSTED] if shows == "after" else [])  # the dead one told nothing
    for level in (1, 0):
        await second.cycle(level)
    assert (second.document, second.held) == (document(), False)


async def test_a_step_that_was_cut_off_is_done_again_where_it_is_still_wanted(
    first: Process, second: Process, monkeypatch: pytest.MonkeyPatch
):
    await crash(monkeypatch, first, 1, "flags")
    assert first.held  # before any flag is switched
    await second.cycle(1)
    recorded = second.recorded
    assert recorded
    assert [(change.from_, change.to) for change in recorded.history] == [(0, 1)]
    assert second.told.reasons == [Reason.SCALING_EXHAUSTED]
    assert variants(second.document)["recommendations"] == "off"


async def test_the_first_status_of_all_may_be_the_record_of_a_step(first: Process):
    assert "status" not in first.space.get("lagp", "points")
    await first.cycle(1)
    assert (first.level, first.held) == (1, True)


# Other writers


async def test_no_write_of_the_whole_status_undoes_a_record_in_whatever_order_they_arrive(first: Process):
    await first.cycle()
    late = first.space.policy().status
    await first.cycle(1)
    points = first.space.policy()
    await write_status(first.services.api, Key.of(points), late.model_copy(update={"observed_generation": 7}))
    assert first.level == 1
    assert first.space.policy().status.observed_generation == 7
    assert "kept" not in first.space.get("lagp", "points")


async def test_a_record_that_a_person_has_cleared_is_put_back_by_the_process_that_knows_it(first: Process):
    await first.cycle(1)
    first.space.kubectl("patch", "lagp", "points", "--subresource=status", "--type=merge", "-p", '{"status": null}')
    assert first.recorded is None
    await first.cycle()
    assert first.level == 1
    await first.cycle(0)
    assert first.document == document()


async def test_what_was_lost_is_not_guessed_and_said(first: Process, second: Process):
    await first.cycle(1)
    first.space.kubectl("patch", "lagp", "points", "--subresource=status", "--type=merge", "-p", '{"status": null}')
    found = await second.cycle()
    assert found
    assert found.problem
    assert found.problem.reason is Reason.FLAGS_INVALID
    assert "what they were before is not in status.degradation any more" in found.problem.message
    assert second.held
    second.space.apply(flags())  # a person sets it right
    second.forget_flags()
    await second.cycle()
    assert not second.held


async def test_of_two_processes_each_takes_over_what_the_other_has_recorded(first: Process, second: Process):
    await first.cycle()
    await second.cycle()
    await first.cycle(1)
    found = await second.cycle(2)  # it thinks that it goes from 0 to 2
    assert found
    assert (found.status.level, second.level, second.told.events) == (1, 1, [])
    await second.cycle(2)
    assert second.told.events[-1].message.startswith("from level 1 to level 2")
    await second.cycle(0)
    assert second.document == document()
    first.now += 11
    first.forget_flags()
    found = await first.cycle()  # not: that somebody has set the flag back by hand
    assert found
    assert (found.status.level, found.at.drifted) == (0, frozenset())


async def test_a_step_that_another_process_has_taken_meanwhile_is_not_taken_over_it(
    first: Process, second: Process, monkeypatch: pytest.MonkeyPatch
):
    await first.cycle()
    await second.cycle()
    real = second.services.flags.read

    async def read_and_be_overtaken(*arguments: Any) -> Any:
        seen = await real(*arguments)
        if arguments[-1] == 0:  # the look right before a write
            await first.cycle(2)
        return seen

    monkeypatch.setattr(second.services.flags, "read", read_and_be_overtaken)
    found = await second.cycle(1)
    assert found
    assert (found.status.level, second.level, second.told.events) == (2, 2, [])
    assert variants(second.document)["email-receipts"] == "off"


async def test_what_a_person_sets_meanwhile_is_left_as_it_is_and_the_rest_restored(first: Process):
    await first.cycle(1)
    await first.cycle(2)
    first.space.apply(flags(text=document(recommendations="on", **{"email-receipts": "off"})))
    first.forget_flags()
    found = await first.cycle()
    assert found
    assert found.at.drifted == {"recommendations"}
    for level in (1, 0):
        await first.cycle(level)
    assert (first.document, first.held, first.level) == (document(), False, 0)


# Edits of the policy while features are off


async def edited(first: Process, **parts: Any) -> None:
    """Two cycles with another spec: one to put back what was switched, one to take up what is new."""
    first.space.apply(laddered(**parts))
    await first.cycle()
    await first.cycle()


async def test_without_its_ladder_everything_comes_back_and_nothing_is_left_behind(first: Process):
    await first.cycle(1)
    await edited(first, degradation=None)
    assert (first.document, first.held, first.recorded) == (document(), False, None)
    assert first.told.reasons == [Reason.SCALING_EXHAUSTED, Reason.LADDER_CHANGED]
    assert await first.cycle() is None


async def test_with_other_flags_those_before_come_back_first(first: Process):
    await first.cycle(1)
    first.space.apply(flags("other-flags"))
    await edited(first, degradation={**LADDER, "flagsRef": {"name": "other-flags"}})
    assert (first.document, first.held, first.level) == (document(), False, 0)
    await first.cycle(1)
    other = first.space.get("configmap", "other-flags")["data"]["flags.json"]
    assert (variants(other)["recommendations"], first.document) == ("off", document())


async def test_a_level_that_is_edited_while_it_is_in_force_is_followed(first: Process):
    await first.cycle(1)
    swapped = [{**LEVELS[0], "flags": {"not-ours": "off"}}, LEVELS[1]]
    await edited(first, degradation={**LADDER, "levels": swapped})
    assert variants(first.document) == {"recommendations": "on", "email-receipts": "on", "not-ours": "off"}
    await first.cycle(0)
    assert first.document == document()


async def test_in_dry_run_no_flag_is_touched_neither_up_nor_down(first: Process):
    await first.cycle(1)
    first.space.apply(laddered(mode="DryRun"))
    for level in (2, 0):
        await first.cycle(level)
        assert (variants(first.document)["recommendations"], first.level) == ("off", 1)
    first.space.apply(laddered(mode="Active"))
    await first.cycle(0)
    assert first.document == document()


async def test_of_two_policies_with_one_flag_the_older_one_has_it(first: Process, second: Process):
    first.space.apply(laddered("younger"))
    older = first.watch()
    younger = first.watch("younger")
    if older.metadata.creation_timestamp == younger.metadata.creation_timestamp:
        assert older.metadata.name < younger.metadata.name  # of equal age the name decides
    found = await first.cycle(1)
    assert found
    assert found.problem is None
    told = await look(first.services, Charge.taken_over(younger), younger)
    assert told
    assert told.problem
    assert told.problem.reason is Reason.FLAGS_CONFLICT
    assert "LagPolicy points, which is older, switches email-receipts, recommendations" in told.problem.message


# What cannot be done now


async def test_flags_that_cannot_be_read_hold_the_level(first: Process):
    await first.cycle(1)
    first.space.kubectl("delete", "configmap", "points-flags")
    first.forget_flags()
    found = await first.cycle(2)
    assert found
    assert found.problem
    assert (found.problem.reason, found.at.level, first.level) == (Reason.FLAGS_NOT_FOUND, 1, 1)


async def test_a_level_above_that_somebody_has_broken_does_not_keep_features_off(first: Process):
    await first.cycle(1)
    broken = json.loads(document(recommendations="off"))
    del broken["flags"]["email-receipts"]
    first.space.apply(flags(text=json.dumps(broken)))
    first.forget_flags()
    found = await first.cycle(2)
    assert found
    assert found.problem
    assert (found.problem.reason, first.level) == (Reason.FLAGS_INVALID, 1)
    assert "there is no such flag" in found.problem.message
    await first.cycle(0)
    assert (first.level, variants(first.document)["recommendations"]) == (0, "on")


async def test_flags_that_cannot_be_written_are_tried_again(first: Process, monkeypatch: pytest.MonkeyPatch):
    refused = Objection(Reason.FLAGS_NOT_WRITTEN, "the API server is tired")

    async def refuse(*_: object) -> Objection:
        return refused

    with monkeypatch.context() as patch:
        patch.setattr(first.services.flags, "write", refuse)
        for _ in range(2):
            found = await first.cycle(1)
            assert found
            assert (found.problem, first.level) == (refused, 0)
    assert first.told.events == []
    await first.cycle(1)
    recorded = first.recorded
    assert recorded
    assert (first.level, len(recorded.history), first.told.reasons) == (1, 1, [Reason.SCALING_EXHAUSTED])


# Deletions


async def gone(first: Process) -> bool:
    await first.sweep()
    return first.space.kubectl("get", "lagp", "points", "--ignore-not-found") == ""


async def test_a_deleted_policy_goes_when_its_flags_are_back(first: Process):
    await first.cycle(1)
    await first.cycle(2)
    first.space.kubectl("delete", "lagp", "points", "--wait=false")
    first.watch()
    assert await gone(first)
    assert first.document == document()
    assert first.told.reasons[-1] == Reason.LADDER_CHANGED


async def test_r9_a_policy_that_was_deleted_while_nobody_ran_is_restored_by_the_next_process(
    first: Process, second: Process, monkeypatch: pytest.MonkeyPatch
):
    await first.cycle(1)
    await crash(monkeypatch, first, 2, "confirmation")
    first.space.kubectl("delete", "lagp", "points", "--wait=false")
    second.watch()
    assert await gone(second)
    assert second.document == document()


async def test_a_policy_at_level_0_goes_at_once(first: Process):
    await first.cycle(1)
    await first.cycle(0)
    first.space.kubectl("delete", "lagp", "points", "--timeout=180s")


async def test_a_deleted_policy_whose_flags_are_gone_does_not_wait(first: Process):
    await first.cycle(1)
    first.space.kubectl("delete", "configmap", "points-flags")
    first.space.kubectl("delete", "lagp", "points", "--wait=false")
    first.watch()
    first.forget_flags()
    assert await gone(first)
    assert "its flags are not restored" in first.told.events[-1].message


async def test_after_a_minute_of_failing_it_is_let_go_and_what_stays_off_is_said(
    first: Process, monkeypatch: pytest.MonkeyPatch
):
    await first.cycle(1)

    async def refuse(*_: object) -> Objection:
        return Objection(Reason.FORBIDDEN, "it may not patch configmaps")

    monkeypatch.setattr(first.services.flags, "write", refuse)
    first.space.kubectl("delete", "lagp", "points", "--wait=false")
    first.watch()
    assert not await gone(first)
    assert first.told.reasons == [Reason.SCALING_EXHAUSTED]
    first.now += departures.PATIENCE + 1
    assert await gone(first)
    last = first.told.events[-1]
    assert (last.type, last.reason) == (EventType.WARNING, Reason.FORBIDDEN)
    assert "it may not patch configmaps; recommendations stays off, before it was on" in last.message


async def test_a_namespace_can_be_deleted_at_any_level(first: Process):
    await first.cycle(2)
    first.space.stack.kubectl("delete", "namespace", first.space.name, "--wait=false")

    def deleted() -> bool:
        return bool(first.space.get("lagp", "points")["metadata"].get("deletionTimestamp"))

    eventually(deleted)
    first.watch()
    assert await gone(first)


async def test_a_policy_without_a_ladder_is_never_asked_for_anything(first: Process):
    first.space.apply(laddered(degradation=None))
    assert await first.cycle() is None
    assert first.recorded is None


def test_a_status_of_a_policy_without_a_ladder_has_no_record():
    assert "degradation" not in LagPolicyStatus().wire()
