"""What is said of a ladder: in the conditions Degraded, FlagDrift and Ready, and in Events."""

from datetime import UTC, datetime
from typing import Any

from tests.stack.mistakes import POLICY
from tidegate.api import DegradationStatus, LagPolicy, LagPolicyStatus, LevelChange, Reason, SwitchedFlag
from tidegate.cluster.announcements import announce, mended, stepped
from tidegate.cluster.conditions import find
from tidegate.cluster.events import EventType
from tidegate.cluster.judgement import Outcome
from tidegate.cluster.laddering import Ladder
from tidegate.cluster.status import Worth, build_status, digest, worth_writing
from tidegate.engine.decision import Decision, Rung
from tidegate.engine.observation import GroupState, Objection, Observation, Reading, ReadingError, Target

READING = Reading({}, {}, 1000.0, 1000.0, GroupState.STABLE)
THREE, HALF_PAST = datetime(2026, 11, 24, 15, tzinfo=UTC), datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
UP = LevelChange(time=THREE, **{"from": 0}, to=1, reason="ScalingExhausted", message="level 1: the reason why")
OFF = SwitchedFlag(flag="recommendations", before="on", variant="off")
AT_1 = DegradationStatus(
    level=1, name="NoRecommendations", since=THREE, degraded_since=THREE, flags=(OFF,), history=(UP,)
)
KEPT = Rung(1, Reason.NOT_YET_DISPENSABLE, "level 1 (NoRecommendations) is needed: 900/s arrive")
ON = Rung(0, Reason.FEATURES_ON, "every feature is on")
INVALID = Objection(Reason.FLAGS_INVALID, "level NoReceipts cannot switch flag receipts: there is no such flag")


def policy() -> LagPolicy:
    return LagPolicy.parse({**POLICY, "metadata": {"name": "points", "namespace": "shop", "uid": "u", "generation": 3}})


def status(
    recorded: DegradationStatus = AT_1,
    rung: Rung | None = KEPT,
    old: LagPolicyStatus = LagPolicyStatus(),  # noqa: B008
    *,
    reason: Reason = Reason.ON_TIME,
    reading: Reading | ReadingError = READING,
    dry_run: bool = False,
    now: float = 1000.0,
    **parts: Any,
) -> LagPolicyStatus:
    ladder = Ladder(levels=2, status=recorded, **parts)
    decision = Decision(None, reason, reason, rung=rung, dry_run=dry_run)
    return build_status(Outcome(policy(), Observation(reading, Target(1, ())), decision, now, ladder=ladder), old)


def said(shown: LagPolicyStatus, kind: str = "Degraded") -> tuple[str, str, str]:
    found = find(shown.conditions, kind)
    assert found
    return found.status, found.reason, found.message


def test_without_a_ladder_there_are_no_conditions_of_it_and_they_go_with_it():
    before = status()
    assert find(before.conditions, "Degraded")
    decision = Decision(None, Reason.ON_TIME, "")
    after = build_status(Outcome(policy(), Observation(READING, Target(1, ())), decision, 1000.0), before)
    assert [c.type for c in after.conditions if c.type in ("Degraded", "FlagDrift")] == []
    assert after.degradation is None


def test_at_level_0_every_feature_is_on():
    assert said(status(DegradationStatus(), ON)) == ("False", "FeaturesOn", "every feature is on")


def test_r10_a_level_says_which_features_are_off_since_when_why_and_what_it_waits_for():
    truth, reason, message = said(status())
    assert (truth, reason) == ("True", "ScalingExhausted")
    assert message == (
        "recommendations is off (level 1 of 2, NoRecommendations since 2026-11-24T15:00:00Z); "
        "level 1 (NoRecommendations) is needed: 900/s arrive"
    )


def test_the_cause_stays_the_one_of_the_last_step_up():
    down = LevelChange(time=HALF_PAST, **{"from": 2}, to=1, reason="Restoring", message="level 1: it would do")
    back = AT_1.model_copy(update={"since": HALF_PAST, "history": (UP, down)})
    truth, reason, message = said(status(back))
    assert (truth, reason) == ("True", "ScalingExhausted")
    assert "since 2026-11-24T15:30:00Z, others since 2026-11-24T15:00:00Z)" in message


def test_after_a_force_the_cause_is_what_led_there_before_it():
    forced = LevelChange(time=HALF_PAST, **{"from": 1}, to=0, reason="Forced", message="level 0: held")
    ended = LevelChange(time=HALF_PAST, **{"from": 0}, to=1, reason="ForceEnded", message="level 1: as before")
    assert said(status(AT_1.model_copy(update={"history": (UP, forced, ended)})))[1] == "ScalingExhausted"
    assert said(status(AT_1.model_copy(update={"history": (forced, ended)})))[1] == "ForceEnded"


def test_what_matters_more_than_the_cause_takes_its_place():
    for reason in (Reason.HIGHEST_LEVEL, Reason.FLAPPING, Reason.FORCED):
        assert said(status(rung=Rung(1, reason, "")))[1] == reason
    assert said(status(rung=KEPT._replace(too_long=True)))[1] == Reason.DEGRADED_TOO_LONG


def test_a_dry_run_says_what_it_would_do():
    would = Rung(1, Reason.SCALING_EXHAUSTED, "level 1 (NoRecommendations): the oldest would reach 53s")
    truth, _, message = said(status(DegradationStatus(), would, dry_run=True))
    assert truth == "False"
    assert message == (
        "every feature is on; DryRun, else it would go to level 1 (NoRecommendations): the oldest would reach 53s"
    )


def test_an_annotation_that_cannot_be_read_is_told_where_a_person_looks():
    note = Objection(Reason.INVALID_FORCE_LEVEL, "the annotation is ignored: because")
    truth, reason, message = said(status(DegradationStatus(), ON, notes=(note,)))
    assert (truth, reason) == ("False", "InvalidForceLevel")
    assert message == "every feature is on; the annotation is ignored: because"


def test_a_broker_that_is_away_changes_nothing_of_what_is_off():
    error = ReadingError(Reason.CONNECTION_FAILED, "no broker answers", 1000.0)
    shown = status(reading=error, reason=Reason.CONNECTION_FAILED)
    assert said(shown)[:2] == ("True", "ScalingExhausted")
    assert said(shown, "Ready")[1] == "ConnectionFailed"


# Ready


def test_flags_that_cannot_be_switched_are_not_ready_although_it_scales():
    truth, reason, message = said(status(problem=INVALID), "Ready")
    assert (truth, reason) == ("False", "FlagsInvalid")
    assert message == f"it scales, but the degradation ladder is stuck: {INVALID.message}"
    assert said(status(problem=INVALID))[0] == "True"
    assert INVALID.message in said(status(problem=INVALID))[2]


def test_scaling_says_first_what_is_wrong_with_it():
    assert said(status(problem=INVALID, reason=Reason.CONSUMERS_DOWN), "Ready")[1] == "ConsumersDown"


# FlagDrift


def test_a_flag_that_somebody_else_has_changed_is_named():
    drifted = ("recommendations is on, Tidegate had made it off",)
    truth, reason, message = said(status(drifted=drifted), "FlagDrift")
    assert (truth, reason) == ("True", "ChangedByOthers")
    assert message == f"{drifted[0]}: left as it is, now and when the others are restored"
    assert said(status(), "FlagDrift")[:2] == ("False", "AsWritten")


def test_where_flags_cannot_be_read_drift_stays_as_it_was():
    before = status(drifted=("recommendations is on",))
    assert said(status(old=before, drifted=None), "FlagDrift") == said(before, "FlagDrift")
    assert said(status(drifted=None), "FlagDrift")[0] == "Unknown"


# Events


def told(before: LagPolicyStatus, after: LagPolicyStatus, kind: str) -> list[tuple[EventType, str]]:
    return [(e.type, e.reason) for e in announce(policy(), before, after) if e.dedupe_key == kind]


def test_of_degraded_only_what_no_step_tells_is_an_event():
    on, off = status(DegradationStatus(), ON), status()
    assert told(on, off, "Degraded") == []
    assert told(off, on, "Degraded") == []
    for rung in (KEPT._replace(too_long=True), Rung(1, Reason.HIGHEST_LEVEL, ""), Rung(1, Reason.FLAPPING, "")):
        after = status(rung=rung, old=off)
        reason = Reason.DEGRADED_TOO_LONG if rung.too_long else rung.reason
        assert told(off, after, "Degraded") == [(EventType.WARNING, reason)]
        assert told(after, status(rung=rung, old=after), "Degraded") == []


def test_drift_is_told_once():
    one = status()
    two = status(drifted=("recommendations is on",), old=one)
    assert told(one, two, "FlagDrift") == [(EventType.WARNING, "ChangedByOthers")]
    assert told(two, status(drifted=("recommendations is on",), old=two), "FlagDrift") == []
    assert told(two, one, "FlagDrift") == []


def test_r10_a_step_is_one_event_up_a_warning_down_a_piece_of_news():
    up = stepped(policy(), UP)
    assert (up.type, up.reason, up.action, up.message) == (
        EventType.WARNING,
        Reason.SCALING_EXHAUSTED,
        "Degrade",
        "from level 0 to level 1: the reason why",
    )
    down = stepped(policy(), LevelChange(time=THREE, **{"from": 1}, to=0, reason="Restoring", message="level 0"))
    assert (down.type, down.action) == (EventType.NORMAL, "Restore")
    assert mended(policy(), 1, {"b": "on", "a": "off"}).message.endswith("has it now: a is off, b is on")


def test_a_condition_of_the_ladder_that_changes_is_written_at_once():
    one, two = digest(status()), status(rung=Rung(1, Reason.HIGHEST_LEVEL, ""))
    assert worth_writing(one, two, 0.0) is Worth.AT_ONCE
