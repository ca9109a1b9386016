"""What a cycle finds of a ladder and what the engine is told of it. Nothing here asks an API server."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.controllers_world import Watching, policy
from tidegate.api import FORCE_LEVEL_ANNOTATION, DegradationStatus, FlagsRef, LagPolicy, Reason, SwitchedFlag
from tidegate.cluster.flags import Seen, read_document
from tidegate.cluster.flags.document import Document
from tidegate.cluster.recording import FINALIZER
from tidegate.controllers.charge import Charge
from tidegate.controllers.degrading import Look, carry_out, describe, flags_of, look
from tidegate.controllers.services import Services
from tidegate.controllers.shelf import Name
from tidegate.controllers.world import POLICIES
from tidegate.engine.decision import Rung
from tidegate.engine.observation import Force, Objection

NOW = datetime(2026, 11, 24, 14, tzinfo=UTC).timestamp()
REF = FlagsRef(name="flags")
LADDER: dict[str, Any] = {
    "flagsRef": {"name": "flags"},
    "levels": [
        {"name": "NoRecommendations", "flags": {"recommendations": "off"}},
        {"name": "NoReceipts", "flags": {"receipts": "off"}},
    ],
}
OFF = SwitchedFlag(flag="recommendations", before="on", variant="off")
AT_1 = DegradationStatus(level=1, flags=(OFF,), flags_ref=REF)


def document(recommendations: str = "on", receipts: str = "on") -> Document:
    flags = {
        name: {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": variant}
        for name, variant in (("recommendations", recommendations), ("receipts", receipts))
    }
    found = read_document(json.dumps({"flags": flags}))
    assert isinstance(found, Document)
    return found


class Flags:
    """Gives what the test lays out, and counts how often it is asked; writing is not foreseen."""

    def __init__(self, found: Seen | Objection) -> None:
        self.found = found
        self.asked: list[tuple[str, float]] = []

    async def read(self, namespace: str, ref: FlagsRef, max_age: float) -> Seen | Objection:
        self.asked.append((f"{namespace}/{ref.name}", max_age))
        return self.found


class Stage:
    """One policy and its flags; whatever asks the API server fails."""

    def __init__(self, flags: Seen | Objection | None = None) -> None:
        self.watching = Watching()
        self.flags = Flags(flags or Seen(document(), "1", "u"))
        self.may_act = True
        given = SimpleNamespace(world=self.watching.world, flags=self.flags, may_act=lambda: self.may_act)
        self.services = cast(Services, given)

    def policy(self, name: str = "points", ladder: dict[str, Any] | None = LADDER, **parts: Any) -> LagPolicy:
        spec = {**({"degradation": ladder} if ladder else {}), **parts.pop("spec", {})}
        self.watching.see(POLICIES, policy(name, spec=spec, **parts))
        found = self.watching.world.policy(Name("shop", name))
        assert found
        return found

    async def look(self, seen: LagPolicy, recorded: DegradationStatus | None = None) -> Look | None:
        charge = Charge.taken_over(seen)
        charge.status = charge.status.model_copy(update={"degradation": recorded})
        charge.flags_version = "1"
        return await look(self.services, charge, seen)


def forced(text: str) -> dict[str, Any]:
    return {"annotations": {FORCE_LEVEL_ANNOTATION: text}}


async def told(stage: Stage, seen: LagPolicy, recorded: DegradationStatus | None = None) -> Any:
    return flags_of(await stage.look(seen, recorded), NOW)


async def test_a_policy_without_a_ladder_costs_nothing():
    stage = Stage()
    assert await told(stage, stage.policy(ladder=None)) is None
    assert stage.flags.asked == []


async def test_the_engine_is_told_the_level_that_status_and_document_show_together():
    stage = Stage(Seen(document("off"), "1", "u"))
    flags = await told(stage, stage.policy(), AT_1)
    assert (flags.level, flags.propagation, flags.objection, flags.force) == (1, 90.0, None, None)


@pytest.mark.parametrize(
    ("recorded", "max_age"),
    [(None, 60.0), (AT_1, 10.0), (AT_1.model_copy(update={"pending_level": 2}), 0.0)],
)
async def test_flags_are_read_as_freshly_as_it_matters(recorded: DegradationStatus | None, max_age: float):
    stage = Stage()
    await stage.look(stage.policy(), recorded)
    assert stage.flags.asked == [("shop/flags", max_age)]


async def test_flags_that_cannot_be_read_leave_the_level_as_recorded():
    missing = Objection(Reason.FLAGS_NOT_FOUND, "ConfigMap flags does not exist")
    stage = Stage(missing)
    flags = await told(stage, stage.policy(), AT_1)
    assert (flags.level, flags.objection) == (1, missing)


async def test_a_level_beyond_those_that_are_left_counts_as_the_last_one():
    stage = Stage(Seen(document("off", "off"), "1", "u"))
    receipts = SwitchedFlag(flag="receipts", before="on", variant="off")
    recorded = DegradationStatus(level=2, flags=(OFF, receipts), flags_ref=REF)
    shorter = {**LADDER, "levels": LADDER["levels"][:1]}
    assert (await told(stage, stage.policy(ladder=shorter), recorded)).level == 1


# The annotation


async def test_a_person_forces_a_level_until_a_time_in_any_zone():
    stage = Stage()
    flags = await told(stage, stage.policy(metadata=forced("2; until=2026-11-24T16:00:00+01:00")))
    assert flags.force == Force(2, NOW + 3600)


async def test_a_force_that_is_over_has_no_effect_and_says_so():
    stage = Stage()
    found = await stage.look(stage.policy(metadata=forced("2; until=2026-11-24T13:59:59Z")))
    assert found
    flags = flags_of(found, NOW)
    assert flags
    assert flags.force is None
    assert [note.reason for note in describe(found, NOW).notes] == [Reason.FORCE_ENDED]


async def test_a_force_that_cannot_be_read_is_ignored_and_says_why():
    stage = Stage()
    found = await stage.look(stage.policy(metadata=forced("2 for an hour")))
    assert found
    flags = flags_of(found, NOW)
    assert flags
    assert (flags.force, flags.objection) == (None, None)
    (note,) = describe(found, NOW).notes
    assert note.reason is Reason.INVALID_FORCE_LEVEL
    assert "is ignored: '2 for an hour' must be a level and the time when that ends" in note.message


# Who has a flag


OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


async def test_the_older_policy_wins_a_flag():
    stage = Stage()
    older, younger = stage.policy("z", created=OLD), stage.policy("a", created=NEW)
    assert (await told(stage, older)).objection is None
    objection = (await told(stage, younger)).objection
    assert objection.reason is Reason.FLAGS_CONFLICT
    assert "LagPolicy z, which is older, switches receipts, recommendations" in objection.message


async def test_of_equal_age_the_name_decides():
    stage = Stage()
    one, two = stage.policy("one"), stage.policy("two")
    assert [(await told(stage, each)).objection is None for each in (one, two)] == [True, False]


@pytest.mark.parametrize(
    "other",
    [
        {"ladder": {**LADDER, "flagsRef": {"name": "other"}}},
        {"ladder": {**LADDER, "flagsRef": {"name": "flags", "key": "other.json"}}},
        {"ladder": {**LADDER, "levels": [{"name": "Other", "flags": {"other": "off"}}]}},
        {"spec": {"mode": "DryRun"}},
        {"ladder": None},
    ],
)
async def test_another_document_other_flags_and_a_dry_run_are_no_conflict(other: dict[str, Any]):
    stage = Stage()
    stage.policy("older", created=OLD, **other)
    assert (await told(stage, stage.policy(created=NEW))).objection is None


async def test_who_loses_a_flag_that_it_has_switched_gives_it_back():
    stage = Stage(Seen(document("off"), "1", "u"))
    stage.policy("older", created=OLD)
    found = await stage.look(stage.policy(created=NEW), AT_1)
    assert found
    assert found.leave
    assert found.leave.reason is Reason.FLAGS_CONFLICT


# What is left behind


async def test_without_its_ladder_or_with_other_flags_what_is_recorded_is_left_first():
    stage = Stage(Seen(document("off"), "1", "u"))
    for edited in (None, {**LADDER, "flagsRef": {"name": "other"}}):
        found = await stage.look(stage.policy(ladder=edited), AT_1)
        assert found
        assert found.leave
        assert (found.leave.reason, found.levels) == (Reason.LADDER_CHANGED, ())
    assert stage.flags.asked == [("shop/flags", 10.0)] * 2  # where they are, not where they will be


async def test_where_flags_were_switched_and_nothing_is_recorded_nothing_is_guessed():
    stage = Stage(Seen(document("off"), "1", "u"))
    lost = await told(stage, stage.policy(metadata={"finalizers": [FINALIZER]}))
    assert lost.objection.reason is Reason.FLAGS_INVALID
    assert "what they were before is not in status.degradation any more" in lost.objection.message
    never = await told(stage, stage.policy())
    assert "status.degradation" not in never.objection.message


async def test_a_flag_that_somebody_else_has_changed_is_named_with_what_it_was_made():
    stage = Stage(Seen(document("on"), "1", "u"))
    found = await stage.look(stage.policy(), AT_1)
    assert found
    assert describe(found, NOW).drifted == ("recommendations is on, Tidegate had made it off",)


# Nothing is written


@pytest.mark.parametrize(("mode", "to"), [("DryRun", 2), ("DryRun", 0), ("Active", 1)])
async def test_in_dry_run_and_where_all_is_as_it_should_be_nothing_is_asked_for(mode: str, to: int):
    stage = Stage(Seen(document("off"), "1", "u"))
    seen = stage.policy(spec={"mode": mode}, metadata={"finalizers": [FINALIZER]})
    found = await stage.look(seen, AT_1)
    assert found
    assert await carry_out(stage.services, Charge.taken_over(seen), found, Rung(to, Reason.SETTLING, "")) is found
    assert len(stage.flags.asked) == 1


async def test_without_the_lease_nothing_is_switched():
    stage = Stage()
    stage.may_act = False
    seen = stage.policy()
    found = await stage.look(seen)
    assert found
    assert await carry_out(stage.services, Charge.taken_over(seen), found, Rung(1, Reason.FORCED, "")) is found


# The world


def test_deleted_policies_that_are_held_are_known_until_they_are_gone():
    stage, deleted = Stage(), {"deletionTimestamp": OLD}
    stage.policy("points", metadata={**deleted, "finalizers": [FINALIZER]})
    stage.policy("others", metadata={**deleted, "finalizers": ["somebody.else/hold"]})
    stage.policy("stays", metadata={"finalizers": [FINALIZER]})
    assert [left.metadata.name for left in stage.watching.world.leaving()] == ["points"]
    stage.watching.see(POLICIES, policy("points"), "DELETED")
    assert stage.watching.world.leaving() == []
