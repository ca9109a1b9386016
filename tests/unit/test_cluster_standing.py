"""How a proposal stands: the one word of `kubectl get pprop`, and what an approval still must name."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tidegate.api import (
    Condition,
    Evidence,
    Hazard,
    HazardName,
    Method,
    PartitionProposalSpec,
    PartitionProposalStatus,
    Reason,
    Truth,
)
from tidegate.cluster.standing import standing

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVIDENCE = Evidence.parse(
    {"time": NOW, "cluster": "c", "topicId": "t", "group": "points", "arrivalRate": "1200", "lookedBack": "4h"}
    | {"perReplica": "50", "boundFor": "10m", "need": 24, "ceiling": 6, "ceilingAfter": 24, "pause": "20s"}
    | {"message": "more"}
)
SPEC = PartitionProposalSpec(policy="points", topic="t", from_=6, to=24, evidence=EVIDENCE, expires=NOW)
WOULD = ("Validated", Truth.TRUE, Reason.WOULD_SUCCEED)
APPROVED = ("Approved", Truth.TRUE, Reason.APPROVED)
EXECUTING = ("Applied", Truth.FALSE, Reason.EXECUTING)


def hazard(name: HazardName, **more: Any) -> Hazard:
    return Hazard(**({"name": name, "blocking": True, "message": "found"} | more))


HAZARDS = (
    hazard(HazardName.KEY_ORDERING),
    hazard(HazardName.OFFSET_RESET_LATEST, method=Method.LIVE),
    hazard(HazardName.OFFSET_RESET_LATEST),
    hazard(HazardName.MIN_ISR_BELOW_TWO, blocking=False),
)


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ((), None),
        ((WOULD,), "WouldSucceed"),
        ((WOULD, ("Approved", Truth.UNKNOWN, Reason.AWAITING_DECISION)), "AwaitingDecision"),
        (
            (("Validated", Truth.FALSE, Reason.REFUSED_BY_BROKER), ("Approved", Truth.UNKNOWN, "AwaitingDecision")),
            "RefusedByBroker",
        ),
        ((WOULD, APPROVED), "Approved"),
        ((("Validated", Truth.FALSE, Reason.HAZARD_BLOCKS), APPROVED), "HazardBlocks"),
        ((WOULD, ("Approved", Truth.FALSE, Reason.REJECTED)), "Rejected"),
        ((WOULD, APPROVED, EXECUTING), "Executing"),
        ((WOULD, APPROVED, ("Applied", Truth.TRUE, Reason.APPLIED)), "Applied"),
        ((WOULD, APPROVED, EXECUTING, ("Failed", Truth.TRUE, Reason.FAILED)), "Failed"),
        ((WOULD, ("Expired", Truth.TRUE, Reason.SUPERSEDED)), "Superseded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_word_says_what_has_become_of_it(conditions: tuple[tuple[str, Truth, str], ...], state: str | None):
    told = tuple(
        Condition(type=kind, status=truth, reason=reason, message="why", last_transition_time=NOW)
        for kind, truth, reason in conditions
    )
    assert standing(SPEC, PartitionProposalStatus(conditions=told)).state == state


@pytest.mark.parametrize(
    ("method", "acknowledge", "open_"),
    [
        (Method.LIVE, (), ("KeyOrdering", "OffsetResetLatest")),
        (Method.LIVE, ("OffsetResetLatest",), ("KeyOrdering",)),
        (Method.PAUSED_GROUP, ("KeyOrdering",), ("OffsetResetLatest",)),
        (Method.PAUSED_GROUP, ("KeyOrdering", "OffsetResetLatest"), ()),
    ],
)
def test_what_an_approval_must_still_name(method: Method, acknowledge: tuple[str, ...], open_: tuple[str, ...]):
    spec = SPEC.model_copy(update={"method": method, "acknowledge": acknowledge})
    told = standing(spec, PartitionProposalStatus(hazards=HAZARDS, unacknowledged=("Streams",)))
    assert told.unacknowledged == open_
