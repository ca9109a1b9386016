"""Who owns a target, and what is done about those who write its replicas after us."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from tidegate.api import Reason
from tidegate.cluster.conflicts import Claim, Owner, TargetKey, claim_from, claims_by_target, objection
from tidegate.cluster.contention import LONGEST, TOLERATED, WINDOW, Contention
from tidegate.cluster.workloads import Workload, Writer

WEB = TargetKey("shop", "apps", "Deployment", "web")
MINUTE = 60.0


def claim(owner: Owner = Owner.POLICY, name: str = "points", created: str = "2026-01-02T00:00:00Z") -> Claim:
    return Claim(WEB, owner, created, name)


def body(kind: str, spec: dict[str, Any], **meta: Any) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "shop", "creationTimestamp": "2026-01-02T00:00:00Z", **meta}
    return {"kind": kind, "metadata": metadata, "spec": spec}


def reason_of(mine: Claim, *others: Claim) -> Reason | None:
    told = objection(mine, claims_by_target((*others, mine)))
    return told and told.reason


# Claims


@pytest.mark.parametrize(
    ("kind", "field", "owner"),
    [
        ("LagPolicy", "targetRef", Owner.POLICY),
        ("HorizontalPodAutoscaler", "scaleTargetRef", Owner.HPA),
        ("ScaledObject", "scaleTargetRef", Owner.KEDA),
    ],
)
def test_a_reference_without_kind_is_a_deployment(kind: str, field: str, owner: Owner):
    assert claim_from(body(kind, {field: {"name": "web"}})) == claim(owner, "x")


def test_versions_of_a_group_are_the_same_target():
    old, new = ({"apiVersion": f"apps/{v}", "kind": "Deployment", "name": "web"} for v in ("v1beta2", "v1"))
    claims = [claim_from(body("LagPolicy", {"targetRef": ref})) for ref in (old, new)]
    assert claims[0] == claims[1]


def test_what_is_being_deleted_or_names_nothing_claims_nothing():
    ref = {"scaleTargetRef": {"name": "web"}}
    assert claim_from(body("ScaledObject", ref, deletionTimestamp="2026-01-02T00:00:00Z")) is None
    assert claim_from(body("ScaledObject", {"scaleTargetRef": {}})) is None
    assert claim_from(body("ScaledObject", {})) is None


# Owners


def test_a_dry_run_claims_nothing_so_it_can_be_tried_beside_another_autoscaler():
    ref = {"name": "web"}
    assert claim_from(body("LagPolicy", {"targetRef": ref, "mode": "DryRun"})) is None
    assert claim_from(body("LagPolicy", {"targetRef": ref, "mode": "Paused"})) is not None


def test_alone_on_a_target_nobody_objects():
    elsewhere = [WEB._replace(name="other"), WEB._replace(namespace="test"), WEB._replace(kind="StatefulSet")]
    assert reason_of(claim(), *(claim(Owner.HPA)._replace(target=target) for target in elsewhere)) is None


def test_keda_is_named_before_an_hpa_and_an_hpa_before_a_policy():
    older = claim(created="2026-01-01T00:00:00Z", name="older")
    assert reason_of(claim(), older) is Reason.TARGET_ALREADY_MANAGED
    assert reason_of(claim(), older, claim(Owner.HPA)) is Reason.TARGET_MANAGED_BY_HPA
    assert reason_of(claim(), older, claim(Owner.HPA), claim(Owner.KEDA)) is Reason.TARGET_MANAGED_BY_KEDA


def test_however_many_policies_there_are_one_of_them_scales():
    policies = [
        claim(name="b", created="2026-01-01T00:00:00Z"),
        claim(name="a", created="2026-01-02T00:00:00Z"),
        claim(name="c", created="2026-01-01T00:00:00Z"),
    ]
    for order in permutations(policies):
        claims = claims_by_target(order)
        assert [p.name for p in policies if objection(p, claims) is None] == ["b"]
        told = objection(policies[1], claims)
        assert told
        assert "older LagPolicy, b, already scales Deployment web" in told.message


# Contention, as a time line


class Target:
    """A target that is written by us and by others."""

    def __init__(self) -> None:
        self.seen = Workload("w", 1, 1, ())
        self.contention = Contention()

    def written_by(self, manager: str, replicas: int, now: float) -> None:
        version = self.seen.resource_version + 1
        self.seen = replace(
            self.seen, resource_version=version, replicas=replicas, replicas_writers=(Writer(manager, now),)
        )

    def ours(self, replicas: int, now: float) -> None:
        self.written_by("tidegate", replicas, now)
        self.contention = self.contention.wrote(self.seen).saw(self.seen, now)

    def theirs(self, replicas: int, now: float, manager: str = "argocd") -> None:
        self.written_by(manager, replicas, now)
        self.contention = self.contention.saw(self.seen, now)

    def fight(self, now: float, rounds: int = TOLERATED + 1) -> float:
        for _ in range(rounds):
            self.ours(5, now)
            self.theirs(2, now + 30)
            now += MINUTE
        return now

    def contended(self, now: float) -> bool:
        told = self.contention.objection(now)
        return told is not None and told.reason is Reason.REPLICAS_CONTENDED


def test_as_many_corrections_as_a_person_makes_are_respected():
    target = Target()
    now = target.fight(0.0, rounds=TOLERATED)
    assert not target.contended(now)
    target.theirs(3, now + 1)  # theirs over theirs is none of our business
    target.theirs(4, now + 2)
    assert not target.contended(now + 3)


def test_a_habit_makes_us_stand_back_for_a_while_and_then_try_again():
    target = Target()
    now = target.fight(0.0)
    assert target.contended(now)
    assert target.contention.until == now - 30 + WINDOW
    assert not target.contended(target.contention.until)


def test_who_does_not_stop_is_asked_less_and_less_often():
    target, pauses, now = Target(), [], 0.0
    for _ in range(5):
        now = target.fight(now)
        pauses.append(target.contention.until - (now - 30))
        now = target.contention.until
    assert pauses == [WINDOW, 2 * WINDOW, 4 * WINDOW, LONGEST, LONGEST]
    now = target.fight(now + 3 * LONGEST)  # after a long peace it begins anew
    assert target.contention.until - (now - 30) == WINDOW


def test_corrections_far_apart_are_no_habit():
    target = Target()
    for turn in range(10):
        target.fight(turn * WINDOW, rounds=1)
        assert not target.contended(turn * WINDOW + MINUTE)


def test_a_watch_that_is_behind_our_write_is_no_contention():
    target = Target()
    before = target.seen
    target.ours(5, 0.0)
    assert target.contention.saw(before, 1.0) is target.contention
    assert target.contention.overwrites == ()


def test_a_target_that_was_made_anew_starts_with_a_clean_sheet():
    target = Target()
    target.fight(0.0, rounds=TOLERATED)
    target.ours(5, 200.0)
    target.seen = replace(target.seen, uid="another")
    target.theirs(2, 201.0)
    assert target.contention == Contention()


def test_who_it_was_is_said_also_where_scale_does_not_tell():
    target = Target()
    target.fight(0.0)
    told = target.contention.objection(200.0)
    assert told
    assert told.message.startswith('"argocd" wrote spec.replicas after Tidegate 3 times within 10 minutes')
    silent = Target()
    for turn in range(TOLERATED + 1):
        silent.ours(5, turn * MINUTE)
        silent.seen = replace(silent.seen, resource_version=silent.seen.resource_version + 1, replicas_writers=())
        silent.seen = replace(silent.seen, replicas=2)
        silent.contention = silent.contention.saw(silent.seen, turn * MINUTE + 30)
    told = silent.contention.objection(200.0)
    assert told
    assert told.message.startswith('"somebody else"')
