"""What a policy's status says after a cycle, what of it is worth a write, and what is told in Events."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.stack.mistakes import POLICY
from tidegate.api import Condition, LagPolicy, LagPolicyStatus, Reason, Truth
from tidegate.cluster.announcements import announce
from tidegate.cluster.conditions import POLICY_CONDITIONS, condition, find, set_condition
from tidegate.cluster.events import EventType, cut_bytes
from tidegate.cluster.judgement import Outcome
from tidegate.cluster.scaling import Scaled
from tidegate.cluster.status import HEARTBEAT_AFTER, HISTORY, NUMBERS_AFTER, Worth, build_status, digest, worth_writing
from tidegate.cluster.workloads import Workload
from tidegate.engine.decision import Backlog, Capacity, Decision, Hot
from tidegate.engine.observation import GroupState, Objection, Observation, PartitionId, Reading, ReadingError, Target

META = {"name": "points", "namespace": "shop", "uid": "u", "generation": 3}
PARTITION = {PartitionId("points.deduct", 0): (0, 5, 9, 9)}
READING = Reading(PARTITION, {}, 1000.0, 1000.0, GroupState.STABLE)  # type: ignore[arg-type]
ON_TIME = Decision(
    None,
    Reason.ON_TIME,
    "on time",
    need=2,
    desired=2,
    partitions=12,
    ceiling=12,
    backlog=Backlog(lag=400, age=4.0, arrival_rate=100.0, service_rate=100.0),
)
SURGE = ON_TIME._replace(replicas=5, reason=Reason.SURGE, said="more records arrive", need=5, desired=5)


def policy(**spec: Any) -> LagPolicy:
    return LagPolicy.parse({**POLICY, "metadata": META, "spec": {**POLICY["spec"], **spec}})


def outcome(decision: Decision = ON_TIME, *, now: float = 1000.0, replicas: int = 2, **parts: Any) -> Outcome:
    observation = Observation(
        parts.pop("reading", READING), parts.pop("target", Target(replicas, ())), parts.pop("objection", None)
    )
    return Outcome(policy(), observation, decision, now, **parts)


def scaled_to(replicas: int, written: bool = True) -> Scaled:
    return Scaled(Workload("w", 2, replicas, ()), written)


def shown(made: Outcome, old: LagPolicyStatus = LagPolicyStatus()) -> dict[str, tuple[str, str]]:  # noqa: B008
    return {c.type: (c.status, c.reason) for c in build_status(made, old).conditions}


def get(status: LagPolicyStatus, kind: str) -> Condition:
    found = find(status.conditions, kind)
    assert found
    return found


# Conditions


def test_the_list_is_full_and_sorted_and_the_time_moves_only_with_the_status():
    first = condition("Ready", Truth.UNKNOWN, Reason.PENDING, "?", 1, 10.0)
    conditions = set_condition((), condition("AtRisk", False, Reason.PROMISE_KEPT, "no", 1, 10.0))
    conditions = set_condition(set_condition(conditions, first), condition("Ready", True, Reason.READY, "a", 1, 20.0))
    conditions = set_condition(conditions, condition("Ready", True, Reason.DRY_RUN, "b", 2, 30.0))
    assert [c.type for c in conditions] == ["AtRisk", "Ready"]
    ready = conditions[1]
    assert (ready.reason, ready.message, ready.observed_generation) == ("DryRun", "b", 2)
    assert ready.last_transition_time == datetime.fromtimestamp(20, UTC)


def test_a_policy_that_is_well():
    assert shown(outcome()) == {
        "AtRisk": ("False", "PromiseKept"),
        "Observing": ("True", "Observed"),
        "PartitionBound": ("False", "WithinLimits"),
        "Ready": ("True", "Ready"),
        "ScalingLimited": ("False", "WithinLimits"),
    }


def test_all_conditions_are_there_from_the_first_visit_on():
    warming_up = Decision(None, Reason.WARMING_UP, "1 reading so far")
    assert shown(outcome(warming_up)) == {
        "AtRisk": ("Unknown", "Pending"),
        "Observing": ("True", "Observed"),
        "PartitionBound": ("Unknown", "Pending"),
        "Ready": ("Unknown", "WarmingUp"),
        "ScalingLimited": ("Unknown", "Pending"),
    }


@pytest.mark.parametrize("hold", [Reason.REBALANCING, Reason.WARMING_UP, Reason.OFFSETS_RESET])
def test_a_hold_that_passes_by_itself_changes_nothing(hold: Reason):
    before = build_status(outcome(), LagPolicyStatus())
    after = build_status(outcome(Decision(None, hold, "wait"), now=1005.0), before)
    assert {c.type: (c.status, c.reason) for c in after.conditions} == shown(outcome())


def test_a_failed_reading_makes_unknown_what_it_would_have_said():
    error = ReadingError(Reason.READING_FAILED, "broker 2 does not answer", 1000.0)
    before = build_status(outcome(), LagPolicyStatus())
    failed = outcome(Decision(None, error.reason, error.message), reading=error)
    assert shown(failed, before) == {
        "AtRisk": ("Unknown", "ReadingFailed"),
        "Observing": ("False", "ReadingFailed"),
        "PartitionBound": ("Unknown", "ReadingFailed"),
        "Ready": ("False", "ReadingFailed"),
        "ScalingLimited": ("Unknown", "ReadingFailed"),
    }
    assert build_status(failed, before).backlog.lag is None  # unknown is absent, never the old number and never 0


@pytest.mark.parametrize(
    "reason",
    [Reason.PAUSED, Reason.CONSUMERS_DOWN, Reason.UNKNOWN_BACKLOG, Reason.NOT_EFFECTIVE, Reason.READING_STALE],
)
def test_holds_that_need_a_person_make_the_policy_not_ready(reason: Reason):
    assert shown(outcome(ON_TIME._replace(reason=reason)))["Ready"] == ("False", reason)


def test_an_objection_and_a_refused_write_make_the_policy_not_ready():
    objection = Objection(Reason.TARGET_MANAGED_BY_HPA, "an HPA scales it")
    objected = outcome(Decision(None, objection.reason, objection.message), objection=objection)
    assert shown(objected)["Ready"] == ("False", "TargetManagedByHPA")
    refused = build_status(outcome(SURGE, scaled=Objection(Reason.FORBIDDEN, "may not patch")), LagPolicyStatus())
    assert (get(refused, "Ready").status, get(refused, "Ready").reason) == ("False", "Forbidden")
    assert refused.last_decision
    assert (refused.last_decision.reason, refused.last_decision.message) == ("Forbidden", "may not patch")
    assert refused.replicas.current == 2
    assert refused.history == ()


def test_a_dry_run_is_ready_and_says_that_it_is_one():
    assert shown(outcome(SURGE._replace(dry_run=True)))["Ready"] == ("True", "DryRun")


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Reason.MAX_REPLICAS, "the promise needs 20 replicas, spec.replicas.max: 12 makes it 12"),
        (Reason.PARTITIONS, "the promise needs 20 replicas, the number of partitions (12) makes it 12"),
        (Reason.BEHAVIOR, "the promise needs 20 replicas, spec.behavior makes it 12"),
    ],
)
def test_a_limit_is_named_with_its_number(limit: Reason, words: str):
    limited = build_status(outcome(SURGE._replace(need=20, desired=12, limited_by=limit)), LagPolicyStatus())
    assert (get(limited, "ScalingLimited").status, get(limited, "ScalingLimited").reason) == ("True", limit)
    assert get(limited, "ScalingLimited").message == words
    assert (get(limited, "PartitionBound").status, get(limited, "PartitionBound").reason) == ("True", "Partitions")


def test_a_limit_that_breaks_the_promise_is_named_beside_the_risk():
    bound = SURGE._replace(need=9, desired=5, limited_by=Reason.BEHAVIOR, backlog=Backlog(age=50.0))
    at_risk = get(build_status(outcome(bound._replace(at_risk=Reason.PROMISE_AT_RISK)), LagPolicyStatus()), "AtRisk")
    assert at_risk.message.endswith("is about to break; it needs 9 replicas, spec.behavior makes it 5")
    lost = get(build_status(outcome(bound._replace(at_risk=Reason.DATA_LOST)), LagPolicyStatus()), "AtRisk")
    assert "spec.behavior" not in lost.message


@pytest.mark.parametrize(
    ("risk", "backlog", "words"),
    [
        (Reason.PROMISE_BROKEN, Backlog(age=90.0), "the oldest waiting record is 1m30s old, the promise is 1m"),
        (Reason.PROMISE_AT_RISK, Backlog(age=50.0), "is 50s old; the promise of 1m is about to break"),
        (Reason.RETENTION_NEAR, Backlog(age=50.0, retention_margin=10.0), "retention starts to delete in 10s"),
        (Reason.DATA_LOST, Backlog(lost=1234), "retention deleted 1,234 records that the group had not read"),
    ],
)
def test_a_risk_is_told_with_its_numbers(risk: Reason, backlog: Backlog, words: str):
    at_risk = get(build_status(outcome(SURGE._replace(at_risk=risk, backlog=backlog)), LagPolicyStatus()), "AtRisk")
    assert (at_risk.status, at_risk.reason) == ("True", risk)
    assert words in at_risk.message


def test_a_promise_that_new_replicas_cannot_keep_says_for_which_jump_it_holds_and_is_no_alarm():
    slow = ON_TIME._replace(copes_with=1.24, capacity=Capacity(startup=50.0, rebalance=12.0))
    status = build_status(outcome(slow), LagPolicyStatus())
    kept = get(status, "AtRisk")
    assert (kept.status, kept.reason) == ("False", "PromiseKept")
    assert kept.message.endswith("; new replicas take 1m2s, so it holds for a jump to 1.24 times the arrivals")
    assert status.wire()["replicas"]["copesWithJump"] == "1.24"
    quick = build_status(outcome(slow._replace(capacity=Capacity(startup=30.0, rebalance=12.0))), LagPolicyStatus())
    assert get(quick, "AtRisk").message == "the oldest waiting record is 4s old, within the promise of 1m"


def test_words_of_a_newer_version_are_kept_where_nothing_new_is_said():
    strange = condition("AtRisk", True, "SomethingNew", "?", 1, 5.0), condition("Zoned", True, "New", "?", 1, 5.0)
    after = shown(outcome(Decision(None, Reason.WARMING_UP, "wait")), LagPolicyStatus(conditions=strange))
    assert after["AtRisk"] == ("True", "SomethingNew")
    assert after["Zoned"] == ("True", "New")
    assert set(after) == {*POLICY_CONDITIONS, "Zoned"}


# The rest of the status


def test_what_was_written_is_shown_and_remembered():
    first = build_status(outcome(SURGE, scaled=scaled_to(5)), LagPolicyStatus())
    assert first.replicas.current == first.replicas.desired == 5
    assert [(c.from_, c.to, c.reason, c.message) for c in first.history] == [(2, 5, "Surge", "more records arrive")]
    given_up = build_status(outcome(SURGE, scaled=scaled_to(7, written=False)), first)
    assert given_up.replicas.current == 7
    assert given_up.history == first.history


def test_only_the_last_changes_are_remembered():
    status = LagPolicyStatus()
    for replicas in range(1, HISTORY + 6):
        status = build_status(outcome(SURGE, replicas=replicas - 1, scaled=scaled_to(replicas)), status)
    assert [c.to for c in status.history] == list(range(6, HISTORY + 6))


def test_a_decision_that_repeats_itself_keeps_its_time():
    times = []
    status = LagPolicyStatus()
    for now, decision in [(10.0, ON_TIME), (20.0, ON_TIME._replace(said="other numbers")), (30.0, SURGE)]:
        status = build_status(outcome(decision, now=now), status)
        assert status.last_decision
        times.append(status.last_decision.time.timestamp())
    assert times == [10.0, 10.0, 30.0]


def test_what_it_builds_the_schema_takes():
    long = "x" * 5000
    made = outcome(
        SURGE._replace(said=long, backlog=Backlog(lag=1, age=1e12, drain_time=-1.0)),
        scaled=scaled_to(5),
        objection=Objection(Reason.FORBIDDEN, long),
    )
    status = build_status(made, LagPolicyStatus())
    assert LagPolicyStatus.parse(status.wire()) == status


# Worth a write


def status_with(now: float = 1000.0, **backlog: float) -> LagPolicyStatus:
    decision = ON_TIME._replace(backlog=ON_TIME.backlog._replace(**backlog))
    return build_status(outcome(decision, now=now), LagPolicyStatus())


def worth(old: LagPolicyStatus, new: LagPolicyStatus, since: float) -> Worth:
    return worth_writing(digest(old), new, since)


def test_no_write_only_to_say_still_here():
    assert worth(status_with(), status_with(), since=1e9) is Worth.NOTHING


@pytest.mark.parametrize(
    "made",
    [
        outcome(SURGE),
        outcome(ON_TIME._replace(reason=Reason.DRAINING)),
        outcome(ON_TIME._replace(at_risk=Reason.PROMISE_BROKEN)),
        outcome(ON_TIME._replace(limited_by=Reason.MAX_REPLICAS)),
        outcome(replicas=3),
    ],
    ids=["desired", "reason", "condition", "limit", "current"],
)
def test_what_people_act_on_is_written_at_once(made: Outcome):
    assert worth(status_with(), build_status(made, status_with()), since=0.1) is Worth.AT_ONCE


def test_numbers_that_changed_a_lot_wait_ten_seconds_and_others_a_minute():
    before = status_with(lag=1000)
    assert worth(before, status_with(lag=9000), since=NUMBERS_AFTER - 1) is Worth.NOTHING
    assert worth(before, status_with(lag=9000), since=NUMBERS_AFTER) is Worth.ROUTINE
    assert worth(before, status_with(lag=1100), since=HEARTBEAT_AFTER - 1) is Worth.NOTHING
    assert worth(before, status_with(lag=1100), since=HEARTBEAT_AFTER) is Worth.ROUTINE


def test_small_numbers_may_double_without_a_fuss():
    assert worth(status_with(lag=10, age=1.0), status_with(lag=40, age=4.0), NUMBERS_AFTER) is Worth.NOTHING


def hot(partition: int, rate: float) -> Hot:
    return Hot("points", partition, rate, 100.0, 4210, f"points/{partition} gets {rate}/s")


def test_hot_partitions_are_shown_with_their_numbers():
    status = build_status(outcome(ON_TIME._replace(need=20, hot=(hot(7, 180.0),))), LagPolicyStatus())
    [shown] = status.wire()["partitions"]["hot"]
    assert shown == {
        "topic": "points",
        "partition": 7,
        "arrivalRate": "180",
        "perConsumer": "100",
        "lag": 4210,
        "message": "points/7 gets 180.0/s",
    }
    assert get(status, "PartitionBound").message.endswith("the need is 20; hot, whatever the others do: points/7")
    assert LagPolicyStatus.parse(status.wire()) == status


def test_only_which_partitions_are_hot_is_written_at_once():
    def showing(*found: Hot) -> LagPolicyStatus:
        return build_status(outcome(ON_TIME._replace(hot=found)), LagPolicyStatus())

    one = showing(hot(7, 180.0))
    assert worth(showing(), one, since=0.1) is Worth.AT_ONCE
    assert worth(one, showing(), since=0.1) is Worth.AT_ONCE
    assert worth(one, showing(hot(7, 900.0)), since=NUMBERS_AFTER) is Worth.NOTHING
    assert worth(one, showing(hot(7, 900.0)), since=HEARTBEAT_AFTER) is Worth.ROUTINE
    assert worth(showing(hot(7, 1.0), hot(8, 2.0)), showing(hot(8, 2.0), hot(7, 1.0)), since=0.1) is Worth.NOTHING


# Events


def told(before: LagPolicyStatus, made: Outcome) -> list[tuple[str, str]]:
    return [(e.type, e.reason) for e in announce(policy(), before, build_status(made, before))]


def test_a_policy_tells_that_it_is_ready_once():
    warm = build_status(outcome(Decision(None, Reason.WARMING_UP, "wait")), LagPolicyStatus())
    assert told(LagPolicyStatus(), outcome(Decision(None, Reason.WARMING_UP, "wait"))) == []
    assert told(warm, outcome()) == [("Normal", "Ready")]
    assert told(build_status(outcome(), warm), outcome()) == []


def test_each_change_of_the_replicas_is_told():
    well = build_status(outcome(), LagPolicyStatus())
    up = build_status(outcome(SURGE, scaled=scaled_to(5)), well)
    [event] = announce(policy(), well, up)
    assert (event.type, event.reason, event.message) == (EventType.NORMAL, Reason.SURGE, "more records arrive")
    again = build_status(outcome(SURGE, now=1100.0, scaled=scaled_to(5)), up)
    [second] = announce(policy(), up, again)
    assert event.identity != second.identity


def test_trouble_is_a_warning_and_its_end_is_news():
    well = build_status(outcome(), LagPolicyStatus())
    broken = outcome(ON_TIME._replace(at_risk=Reason.PROMISE_BROKEN))
    assert told(well, broken) == [("Warning", "PromiseBroken")]
    assert told(build_status(broken, well), outcome()) == [("Normal", "PromiseKept")]
    error = ReadingError(Reason.READING_FAILED, "no answer", 0.0)
    failed = outcome(Decision(None, error.reason, error.message), reading=error)
    assert told(well, failed) == [("Warning", "ReadingFailed")]


def test_a_pause_is_news_and_a_quiet_group_at_its_minimum_is_none():
    well = build_status(outcome(), LagPolicyStatus())
    assert told(well, outcome(ON_TIME._replace(reason=Reason.PAUSED))) == [("Normal", "Paused")]
    assert told(well, outcome(ON_TIME._replace(need=0, desired=1, limited_by=Reason.MIN_REPLICAS))) == []


def test_too_few_partitions_are_told_once_not_twice():
    well = build_status(outcome(), LagPolicyStatus())
    bound = ON_TIME._replace(need=20, desired=12, limited_by=Reason.PARTITIONS)
    assert told(well, outcome(bound)) == [("Warning", "Partitions")]


def test_partitions_that_are_enough_again_are_told_once_and_only_after_they_were_too_few():
    assert told(LagPolicyStatus(), outcome()) == [("Normal", "Ready")]
    bound = build_status(outcome(ON_TIME._replace(need=20)), LagPolicyStatus())
    assert told(bound, outcome()) == [("Normal", "WithinLimits")]
    hold = outcome(Decision(None, Reason.REBALANCING, "wait"))
    assert told(bound, hold) == []  # which says nothing about it
    assert told(build_status(hold, bound), outcome()) == [("Normal", "WithinLimits")]
    assert told(build_status(outcome(), bound), outcome(ON_TIME._replace(need=3))) == []


def test_a_need_that_was_above_the_ceiling_a_moment_ago_is_not_over():
    bound = build_status(outcome(ON_TIME._replace(need=20)), LagPolicyStatus())
    still = outcome(ON_TIME._replace(bound=True))
    assert told(bound, still) == []
    assert get(build_status(still, bound), "PartitionBound").message == (
        "12 partitions can employ 12 replicas, the need is 2; it was above that in the last minutes"
    )


def test_a_message_is_cut_within_bytes_and_never_within_a_character():
    assert cut_bytes("short", 1024) == "short"
    cut = cut_bytes("é" * 600, 1024)
    assert cut == "é" * 510 + "..."
