"""Who owns a target. One owner only: two autoscalers on one workload undo each other's work for ever."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from tidegate.api import Mode, Reason
from tidegate.engine.observation import Objection


class TargetKey(NamedTuple):
    """Which workload: by group, since versions of a group are views of the same object."""

    namespace: str
    group: str
    kind: str
    name: str


class Owner(StrEnum):
    """The kinds of objects that own a target; the first one listed is named where several do."""

    KEDA = "ScaledObject"
    HPA = "HorizontalPodAutoscaler"
    POLICY = "LagPolicy"


class Claim(NamedTuple):
    """An object that wants to scale a target; `created` is its creationTimestamp as the API server writes it."""

    target: TargetKey
    owner: Owner
    created: str
    name: str


def claim_from(body: Mapping[str, Any]) -> Claim | None:
    """What a watch showed of a LagPolicy, an HPA or a ScaledObject; None where it names no target or is being deleted.

    A LagPolicy in DryRun claims nothing: that is how people try Tidegate beside the autoscaler they have.
    The HPA that KEDA makes for a ScaledObject is KEDA's claim, so it is told right where ScaledObjects are not watched.
    """
    meta, spec = body["metadata"], body.get("spec") or {}
    ref = spec.get("targetRef") or spec.get("scaleTargetRef")
    if meta.get("deletionTimestamp") or not ref or "name" not in ref or spec.get("mode") == Mode.DRY_RUN:
        return None
    group = ref.get("apiVersion", "apps/v1").rpartition("/")[0]
    target = TargetKey(meta["namespace"], group, ref.get("kind", "Deployment"), ref["name"])
    owner, name = _owner(body)
    return Claim(target, owner, meta["creationTimestamp"], name)


def _owner(body: Mapping[str, Any]) -> tuple[Owner, str]:
    meta, kind = body["metadata"], Owner(body["kind"])
    made_by = next((o for o in meta.get("ownerReferences") or () if o["kind"] == Owner.KEDA), None)
    return (Owner.KEDA, made_by["name"]) if made_by else (kind, meta["name"])


Claims = Mapping[TargetKey, tuple[Claim, ...]]
"""All claims on each target, so that 10,000 policies need not look at each other."""


def claims_by_target(claims: Iterable[Claim | None]) -> Claims:
    """Sort what the watches showed by target."""
    found: dict[TargetKey, list[Claim]] = defaultdict(list)
    for claim in filter(None, claims):
        found[claim.target].append(claim)
    return {target: tuple(claims) for target, claims in found.items()}


def objection(mine: Claim, claims: Claims) -> Objection | None:
    """Why this policy may not scale its target: KEDA or an HPA does, or an older LagPolicy (of equal age: by name)."""
    rivals = [c for c in claims.get(mine.target, ()) if _beats(c, mine)]
    strongest = min(rivals, key=_rank, default=None)
    return _told(strongest) if strongest else None


def _beats(other: Claim, mine: Claim) -> bool:
    return other.owner is not Owner.POLICY or _rank(other) < _rank(mine)


def _rank(claim: Claim) -> tuple[int, str, str]:
    return list(Owner).index(claim.owner), claim.created, claim.name


_REASONS = {
    Owner.KEDA: Reason.TARGET_MANAGED_BY_KEDA,
    Owner.HPA: Reason.TARGET_MANAGED_BY_HPA,
    Owner.POLICY: Reason.TARGET_ALREADY_MANAGED,
}


def _told(by: Claim) -> Objection:
    who = (
        "an older LagPolicy"
        if by.owner is Owner.POLICY
        else "KEDA's ScaledObject"
        if by.owner is Owner.KEDA
        else by.owner
    )
    target = f"{by.target.kind} {by.target.name}"
    return Objection(
        _REASONS[by.owner], f"{who}, {by.name}, already scales {target}: keep one of the two and delete the other"
    )
