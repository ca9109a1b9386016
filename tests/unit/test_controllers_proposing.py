"""Lives of proposals, as time lines: the case in, the step out."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.controllers_world import body, policy
from tidegate.api import Condition, Hazard, HazardName, LagPolicy, PartitionProposal, Reason, Truth
from tidegate.cluster.conditions import find
from tidegate.cluster.finalizer import FINALIZER
from tidegate.controllers.filed import is_open, is_settled, is_under_way
from tidegate.controllers.proposing import (
    APART,
    FRESH,
    LOOK_EVERY,
    SOON,
    Act,
    Case,
    Look,
    Step,
    next_step,
    proposes,
    stands_in_the_way,
    superfluous,
    told,
)
from tidegate.engine import GroupState, Objection, ReadingError
from tidegate.engine.decision import Increase
from tidegate.engine.facts import GroupFacts, PartitionFacts, TopicFacts

NOW = 1_800_000_000.0
DAY = 86_400.0
TOPIC = "points.deduct"
INCREASE = Increase(TOPIC, 6, 24, 512.0, 14_400.0, 41.0, 312.0, 15, 6, 24, 24.0, "15 replicas are needed")
WHOLE = PartitionFacts(leader=1, replicas=(1, 2, 3), in_sync=(1, 2, 3))
POINTS = GroupFacts("points", "Classic", GroupState.STABLE, "consumer", "range", members=6)
ALONE = GroupFacts("ledger", "Classic", GroupState.EMPTY, "", commits={0: 10})
FACTS = TopicFacts(NOW, "cluster", TOPIC, "id", (WHOLE,) * 6, {1: 9}, (POINTS,))
KEYS = Hazard(name=HazardName.KEY_ORDERING, blocking=True, message="75% of the keys move")


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def proposal(name: str = "p", status: dict[str, Any] | None = None, **parts: Any) -> PartitionProposal:
    """A proposal of 24 partitions instead of 6, an hour old."""
    evidence = {
        "time": at(0),
        "cluster": "cluster",
        "topicId": "id",
        "group": "points",
        "arrivalRate": "512",
        "lookedBack": "4h",
        "perReplica": "41",
        "boundFor": "5m",
        "need": 15,
        "ceiling": 6,
        "ceilingAfter": 24,
        "pause": "24s",
        "message": "15 replicas are needed",
    }
    spec = {"policy": "points", "topic": TOPIC, "from": 6, "to": 24, "evidence": evidence, "expires": at(DAY)}
    generation = parts.pop("generation", 1)
    metadata = {"generation": generation, **parts.pop("metadata", {})}
    wire = body(name, kind="PartitionProposal", spec=spec | parts, status=status or {}, metadata=metadata)
    return PartitionProposal.parse(wire)


def owner(**parts: Any) -> LagPolicy:
    source = {"kafka": {"connectionRef": {"name": "kafka"}, "group": "points", "topics": [TOPIC]}}
    annotations = {"metadata": {"annotations": parts.pop("annotations", {})}}
    return LagPolicy.parse(policy(spec={"source": source, **parts}, **annotations))


def look(ago: float = 0.0, generation: int = 1, **parts: Any) -> Look:
    found = {"facts": FACTS, "earlier": replace(FACTS, at=NOW - 60), **parts}
    return Look(NOW - ago, generation, **found)


def case(of: PartitionProposal, **parts: Any) -> Case:
    return Case(
        **{"proposal": of, "policy": owner(), "increase": INCREASE, "look": look(), "rival": None, "now": NOW} | parts
    )


def shown(status: Truth, reason: str, kind: str, message: str = "as it is") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": at(0),
    }


def closed(kind: str, reason: str = "Failed", truth: Truth = Truth.TRUE) -> dict[str, Any]:
    return {"conditions": [shown(truth, reason, kind)]}


def executing(step: str, **status: Any) -> dict[str, Any]:
    return {"execution": {"step": step, "since": at(0)}, **status}


def condition(of: Case, kind: str) -> Condition:
    found = find(told(of, next_step(of)).conditions, kind)
    assert found
    return found


# while nobody has decided


def test_a_new_proposal_is_looked_at_and_then_every_minute_while_it_waits_for_a_person():
    assert next_step(case(proposal(), look=None)).act is Act.LOOK
    assert next_step(case(proposal(), look=look(ago=0))).act is Act.WAIT
    assert next_step(case(proposal(), look=look(ago=LOOK_EVERY - 1))).act is Act.WAIT
    assert next_step(case(proposal(), look=look(ago=LOOK_EVERY))).act is Act.LOOK


def test_it_says_what_the_broker_would_do_and_how_to_approve_it():
    waiting = case(proposal(), look=look(hazards=(KEYS,)))
    validated, approved = condition(waiting, "Validated"), condition(waiting, "Approved")
    assert (validated.status, validated.reason) == (Truth.TRUE, Reason.WOULD_SUCCEED)
    assert (approved.status, approved.reason) == (Truth.UNKNOWN, Reason.AWAITING_DECISION)
    assert "kubectl patch pprop p -n shop" in approved.message
    assert '"decision": "Approve", "acknowledge": ["KeyOrdering"]' in approved.message
    assert told(waiting, Step(Act.WAIT)).hazards == (KEYS,)


def test_who_may_not_look_or_is_refused_says_so_and_the_proposal_stays_as_advice():
    forbidden = ReadingError(Reason.FORBIDDEN, "needs DESCRIBE on topic points.deduct", NOW)
    blind = case(proposal(), look=look(facts=forbidden, earlier=None))
    assert next_step(blind).act is Act.WAIT
    assert condition(blind, "Validated").reason == Reason.FORBIDDEN
    assert condition(blind, "Validated").message == forbidden.message
    refused = case(proposal(), look=look(refusal=Objection(Reason.REFUSED_BY_BROKER, "quota exceeded")))
    assert next_step(refused).act is Act.WAIT
    assert condition(refused, "Validated").status is Truth.FALSE
    assert condition(refused, "Validated").message == "quota exceeded"


def test_hazards_found_before_stay_while_the_broker_does_not_answer():
    down = ReadingError(Reason.CONNECTION_FAILED, "no broker", NOW)
    before = proposal(status={"hazards": [KEYS.wire()]})
    assert told(case(before, look=look(facts=down)), Step(Act.WAIT)).hazards == (KEYS,)


def test_commits_of_groups_without_members_want_a_second_look_soon():
    idle = replace(FACTS, groups=(POINTS, ALONE))
    first = look(facts=idle, earlier=None)
    assert next_step(case(proposal(), look=first)).act is Act.WAIT
    assert next_step(case(proposal(), look=first, now=NOW + APART)).act is Act.LOOK
    assert next_step(case(proposal(decision="Approve"), look=first)).act is Act.WAIT
    assert next_step(case(proposal(decision="Approve"), look=look(facts=idle))).act is Act.EXECUTE


# decisions


def test_an_approval_is_an_edit_and_looked_at_at_once_and_carried_out_on_what_was_just_found():
    approved = proposal(decision="Approve", generation=2)
    assert next_step(case(approved, look=look(generation=1))).act is Act.LOOK
    assert next_step(case(approved, look=look(generation=2))).act is Act.EXECUTE
    assert next_step(case(approved, look=look(generation=2, ago=FRESH))).act is Act.LOOK
    assert condition(case(approved, look=look(generation=2)), "Approved").reason == Reason.APPROVED


def test_a_hazard_that_nobody_acknowledged_holds_an_approved_one_until_it_is_gone():
    blocked = case(proposal(decision="Approve"), look=look(hazards=(KEYS,)))
    assert next_step(blocked).act is Act.WAIT
    validated = condition(blocked, "Validated")
    assert (validated.status, validated.reason) == (Truth.FALSE, Reason.HAZARD_BLOCKS)
    assert "KeyOrdering" in validated.message
    assert "waits: KeyOrdering" in condition(blocked, "Approved").message
    assert next_step(blocked._replace(now=NOW + LOOK_EVERY)).act is Act.LOOK
    acknowledged = proposal(decision="Approve", acknowledge=["KeyOrdering"])
    assert next_step(case(acknowledged, look=look(hazards=(KEYS,)))).act is Act.EXECUTE
    warns = KEYS.model_copy(update={"blocking": False})
    assert next_step(case(proposal(decision="Approve"), look=look(hazards=(warns,)))).act is Act.EXECUTE


def test_an_approved_one_waits_for_a_broker_that_fails_and_asks_again_soon():
    refused = case(proposal(decision="Approve"), look=look(refusal=Objection(Reason.REFUSED_BY_BROKER, "quota")))
    assert next_step(refused).act is Act.WAIT
    assert next_step(refused._replace(now=NOW + SOON)).act is Act.LOOK


def test_a_rejection_closes_it_and_is_told_once():
    no = proposal(decision="Reject")
    assert not is_open(no)
    step = next_step(case(no))
    assert (step.act, step.reason) == (Act.CLOSE, Reason.REJECTED)
    status = told(case(no), step)
    after = no.model_copy(update={"status": status})
    found = find(status.conditions, "Approved")
    assert found
    assert (found.status, found.reason) == (Truth.FALSE, Reason.REJECTED)
    assert is_settled(after)
    assert next_step(case(after)).act is Act.WAIT


@pytest.mark.parametrize("decision", ["Pending", "Approve"])
def test_after_a_day_it_expires_approved_or_not(decision: str):
    of = proposal(decision=decision)
    assert next_step(case(of, now=NOW + DAY - 1)).act is Act.LOOK
    step = next_step(case(of, look=look(hazards=(KEYS,)), now=NOW + DAY))
    assert (step.act, step.reason) == (Act.CLOSE, Reason.EXPIRED)
    found = find(told(case(of), step).conditions, "Expired")
    assert found
    assert found.status is Truth.TRUE
    assert ("KeyOrdering" in found.message) == (decision == "Approve")


def test_a_paused_policy_holds_back_what_was_approved_and_says_so():
    for paused in (owner(mode="Paused"), owner(annotations={"tidegate.dev/paused": "true"})):
        waiting = case(proposal(decision="Approve"), policy=paused)
        assert next_step(waiting).act is Act.WAIT
        assert condition(waiting, "Approved").message == "approved; waits: the policy is paused"


def test_a_person_is_obeyed_in_dry_run_but_apply_alone_does_nothing_there():
    assert next_step(case(proposal(decision="Approve"), policy=owner(mode="DryRun"))).act is Act.EXECUTE
    alone = case(proposal(), policy=owner(mode="DryRun", partitions={"mode": "Apply"}))
    assert next_step(alone).act is Act.WAIT
    assert "DryRun" in condition(alone, "Approved").message


def test_apply_carries_out_what_nothing_blocks_without_a_decision():
    alone = case(proposal(), policy=owner(partitions={"mode": "Apply"}))
    assert next_step(alone).act is Act.EXECUTE
    approved = condition(alone, "Approved")
    assert (approved.status, approved.reason) == (Truth.TRUE, Reason.APPROVED_BY_POLICY)
    assert next_step(alone._replace(proposal=proposal(decision="Reject"))).reason is Reason.REJECTED


def test_apply_asks_a_person_where_a_hazard_blocks():
    asks = case(proposal(), policy=owner(partitions={"mode": "Apply"}), look=look(hazards=(KEYS,)))
    assert next_step(asks).act is Act.WAIT
    approved = condition(asks, "Approved")
    assert (approved.status, approved.reason) == (Truth.UNKNOWN, Reason.AWAITING_DECISION)
    assert "KeyOrdering blocks" in approved.message


# what takes its place

LARGER = (*FACTS.partitions, WHOLE)
SUPERSEDING: dict[str, dict[str, Any]] = {
    "the topic was enlarged by hand": {"look": look(facts=replace(FACTS, partitions=LARGER))},
    "the topic is larger in the last reading": {"increase": INCREASE._replace(from_=7, to=28)},
    "the topic was made anew": {"look": look(facts=replace(FACTS, id="another"))},
    "the connection leads elsewhere": {"look": look(facts=replace(FACTS, cluster="another"))},
    "the policy says Off": {"policy": owner(partitions={"mode": "Off"})},
    "the policy allows fewer": {"policy": owner(partitions={"max": 23})},
    "the policy reads another group": {
        "policy": owner(source={"kafka": {"connectionRef": {"name": "kafka"}, "group": "audit"}})
    },
    "the policy reads other topics": {
        "policy": owner(source={"kafka": {"connectionRef": {"name": "kafka"}, "group": "points", "topics": ["t"]}})
    },
    "an older one is open": {"rival": proposal("older")},
    "the need has grown": {"increase": INCREASE._replace(to=48)},
}


@pytest.mark.parametrize("what", SUPERSEDING.values(), ids=SUPERSEDING)
def test_it_is_superseded_where_it_is_not_what_is_wanted_any_more(what: dict[str, Any]):
    step = next_step(case(proposal(), **what))
    assert (step.act, step.reason) == (Act.CLOSE, Reason.SUPERSEDED)
    expired = find(told(case(proposal()), step).conditions, "Expired")
    assert expired
    assert (expired.status, expired.reason) == (Truth.TRUE, Reason.SUPERSEDED)


@pytest.mark.parametrize("what", SUPERSEDING.values(), ids=SUPERSEDING)
def test_never_while_it_is_carried_out(what: dict[str, Any]):
    under_way = proposal(decision="Approve", status=executing("Increased"))
    assert next_step(case(under_way, **what)).act is Act.EXECUTE
    status = told(case(under_way, **what), next_step(case(under_way, **what)))
    assert status == under_way.status


def test_what_leaves_the_proposal_as_it_is():
    for same in (
        {"increase": None},
        {"increase": INCREASE._replace(to=12)},
        {"increase": INCREASE._replace(topic="another", to=48)},
        {"policy": owner(partitions={"max": 24})},
    ):
        assert next_step(case(proposal(), **same)).act is Act.WAIT
    approved = case(proposal(decision="Approve"), increase=INCREASE._replace(to=48))
    assert next_step(approved).act is Act.EXECUTE


def test_ids_that_were_not_known_when_it_was_made_say_nothing():
    evidence = proposal().spec.evidence.model_copy(update={"cluster": "", "topic_id": ""})
    of = proposal()
    of = of.model_copy(update={"spec": of.spec.model_copy(update={"evidence": evidence})})
    assert next_step(case(of)).act is Act.WAIT


# how it goes on


@pytest.mark.parametrize("step", ["Started", "Paused", "Increased", "Resumed"])
def test_an_increase_that_has_begun_is_finished_whatever_happens(step: str):
    half = proposal(decision="Reject", status=executing(step))
    assert is_open(half)
    for anything in ({"now": NOW + 2 * DAY}, {"policy": None}, {"look": None}):
        assert next_step(case(half, **anything)).act is Act.EXECUTE
    failing = proposal(status=executing(step, conditions=[shown(Truth.FALSE, "Failed", "Applied")]))
    assert is_under_way(failing)
    over = executing("Done", **closed("Applied", "Applied"))
    assert is_under_way(proposal(status=over, metadata={"finalizers": [FINALIZER]}))  # the target is not let go yet
    done = proposal(status=over)
    assert not is_under_way(done)
    assert next_step(case(done)).act is Act.WAIT


def test_what_goes_with_its_policy_is_left_alone():
    assert next_step(case(proposal(), policy=None, now=NOW + DAY)).act is Act.WAIT
    owners = [{"kind": "LagPolicy", "name": "points", "uid": "the one before"}]
    assert next_step(case(proposal(metadata={"ownerReferences": owners}))).act is Act.WAIT
    leaving = proposal(metadata={"deletionTimestamp": at(0)})
    assert next_step(case(leaving, look=None)).act is Act.WAIT


# whether there is to be another one


def test_one_open_proposal_keeps_every_other_away_whoever_made_it():
    elsewhere = proposal("q", policy="audit")
    assert stands_in_the_way(INCREASE, "id", [elsewhere], NOW) is elsewhere
    assert stands_in_the_way(INCREASE._replace(to=48), "id", [elsewhere], NOW + 2 * DAY) is elsewhere


def test_a_rejected_or_failed_one_keeps_the_same_away_for_a_day_but_not_a_larger_one():
    for turned_down in (proposal(decision="Reject"), proposal(status=closed("Failed"))):
        assert stands_in_the_way(INCREASE, "id", [turned_down], NOW + DAY - 1) is turned_down
        assert stands_in_the_way(INCREASE._replace(to=12), "id", [turned_down], NOW) is turned_down
        assert stands_in_the_way(INCREASE, "", [turned_down], NOW) is turned_down
        assert stands_in_the_way(INCREASE._replace(to=48), "id", [turned_down], NOW) is None
        assert stands_in_the_way(INCREASE, "id", [turned_down], NOW + DAY) is None
        assert stands_in_the_way(INCREASE, "made anew", [turned_down], NOW) is None


def test_applied_and_superseded_ones_keep_nothing_away():
    for over in (closed("Applied", "Applied"), closed("Expired", "Superseded"), closed("Expired", "Expired")):
        assert stands_in_the_way(INCREASE, "id", [proposal(status=over)], NOW) is None


def test_dry_run_proposes_and_paused_or_off_or_above_the_maximum_does_not():
    assert proposes(owner(), INCREASE)
    assert proposes(owner(mode="DryRun"), INCREASE)
    assert not proposes(owner(), None)
    assert not proposes(owner(mode="Paused"), INCREASE)
    assert not proposes(owner(partitions={"mode": "Off"}), INCREASE)
    assert not proposes(owner(partitions={"max": 23}), INCREASE)


def test_the_oldest_closed_ones_are_superfluous_and_never_an_open_one():
    old = [proposal(f"old{n}", status=closed("Failed")) for n in range(4)]
    half = proposal("half", status=executing("Increased", **closed("Failed")))
    filed = [half, *old[:2], proposal("open"), *old[2:]]
    assert superfluous(filed, keep=3) == old[:1]
    assert superfluous(filed, keep=4) == []
