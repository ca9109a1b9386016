"""Consumers in all the states that `kubectl tidegate` must show, with statuses as the operator makes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.stack.mistakes import POLICY, PROPOSAL
from tidegate.api import DegradationStatus, LagPolicy, LagPolicyStatus, PartitionProposal, Reason, ScaleChange
from tidegate.cluster.judgement import Outcome
from tidegate.cluster.laddering import Ladder
from tidegate.cluster.status import build_status
from tidegate.engine.decision import Backlog, Basis, Capacity, Decision, Hot, Rung
from tidegate.engine.observation import GroupState, Objection, Observation, PartitionId, Reading, ReadingError, Target

Body = dict[str, Any]
NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
READING = Reading({PartitionId("points.deduct", 0): (0, 5, 9, 9)}, {}, 1000.0, 1000.0, GroupState.STABLE)  # type: ignore[arg-type, dict-item]
KNOWN = Capacity(50.0, Basis.LEARNED, 12.0, 3.0)
LADDER: Body = {
    "flagsRef": {"kind": "ConfigMap", "name": "points-flags"},
    "levels": [
        {"name": "NoRecommendations", "flags": {"recommendations": "off"}},
        {"name": "NoReceipts", "flags": {"email-receipts": "off"}},
    ],
}

KEPT = Decision(
    None,
    Reason.ON_TIME,
    "2 replicas: 80/s arrive, one replica does 50/s, 12 records wait, oldest 1s of 45s allowed; nothing has to wait",
    need=2,
    desired=2,
    partitions=12,
    ceiling=12,
    copes_with=1.25,
    backlog=Backlog(12, 1.0, 80.0, 80.0),
    capacity=KNOWN,
)
BOUND = Decision(
    None,
    Reason.PARTITIONS,
    "4 replicas: 344/s arrive, one replica does 50/s (62.4/s at level 1), 9,503 records wait, oldest 28s of 45s"
    " allowed; with 4 the oldest would reach 1m8s; 8 needed, 4 partitions feed at most 4 replicas",
    need=8,
    desired=4,
    limited_by=Reason.PARTITIONS,
    partitions=4,
    ceiling=4,
    bound=True,
    at_risk=Reason.PROMISE_AT_RISK,
    copes_with=0.7,
    rung=Rung(1, Reason.SETTLING, "level 1 does not show yet"),
    backlog=Backlog(9503, 28.0, 344.0, 250.0),
    capacity=KNOWN,
)
CEILING = KEPT._replace(
    reason=Reason.MAX_REPLICAS,
    said="12 replicas: 1,100/s arrive, one replica does 50/s; 24 needed, spec.replicas.max is 12",
    need=24,
    desired=12,
    limited_by=Reason.MAX_REPLICAS,
    partitions=48,
    ceiling=48,
    at_risk=Reason.PROMISE_BROKEN,
    backlog=Backlog(480_000, 130.0, 1100.0, 600.0, None, 7200.0),
)
SURGE = KEPT._replace(
    replicas=6,
    reason=Reason.SURGE,
    said="2 → 6 replicas: 280/s came last, more than 2 can do",
    need=6,
    desired=6,
    backlog=Backlog(2400, 9.0, 280.0, 100.0),
)
LOSING = CEILING._replace(at_risk=Reason.RETENTION_NEAR, backlog=Backlog(4_800_000, 3000.0, 1100.0, 600.0, None, 290.0))
HOT_ONE = Hot("points.deduct", 3, 126.0, 50.0, 7000, "points.deduct/3 gets 126/s, one consumer does 50/s")
HOT = BOUND._replace(hot=(HOT_ONE,))


def wire(name: str = "points", namespace: str = "shop", **spec: Any) -> Body:
    """A LagPolicy as the API server has it, without a status."""
    merged = {**POLICY["spec"], "objective": {"maxAge": "45s"}, **spec}
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": 1, "annotations": {}}
    return {**POLICY, "metadata": meta, "spec": merged}


def policy(name: str = "points", namespace: str = "shop", **spec: Any) -> LagPolicy:
    """The same, read: nobody has looked at it yet."""
    return LagPolicy.parse(wire(name, namespace, **spec))


def seen(of: LagPolicy, decision: Decision = KEPT, replicas: int | None = None, **parts: Any) -> LagPolicy:
    """With the status that the operator makes of a decision."""
    asked = replicas if replicas is not None else decision.desired or 2
    reading = parts.pop("reading", READING)
    observed = Observation(reading, Target(asked, ()), parts.pop("objection", None))
    now = parts.pop("now", NOW - timedelta(minutes=3)).timestamp()
    history, ready = parts.pop("history", ()), parts.pop("ready", asked)
    status = build_status(Outcome(of, observed, decision, now, **parts), LagPolicyStatus(history=history))
    counted = status.replicas.model_copy(update={"ready": ready})
    return of.model_copy(update={"status": status.model_copy(update={"replicas": counted})})


def annotated(of: LagPolicy, key: str, text: str) -> LagPolicy:
    """With an annotation."""
    meta = of.metadata.model_copy(update={"annotations": {key: text}})
    return of.model_copy(update={"metadata": meta})


def degraded(of: LagPolicy, decision: Decision = BOUND, level: int = 1) -> LagPolicy:
    """With features off."""
    flags = [{"flag": "recommendations", "before": "on", "variant": "off"}]
    since = NOW - timedelta(minutes=2)
    step = {"time": since, "from": 0, "to": 1, "reason": "ScalingExhausted", "message": "level 0 -> 1"}
    now = {"level": level, "name": "NoRecommendations", "since": since, "degradedSince": since}
    status = DegradationStatus.model_validate(now | {"flags": flags, "history": [step]})
    return seen(of, decision, ladder=Ladder(2, status))


def blind(of: LagPolicy) -> LagPolicy:
    """Its broker refuses us."""
    said = "the brokers of shop-kafka refuse the credentials: SASL authentication failed"
    error = ReadingError(Reason.CONNECTION_FAILED, said, 1000.0)
    decision = Decision(None, Reason.CONNECTION_FAILED, said)
    return seen(of, decision, 2, reading=error)


def contended(of: LagPolicy) -> LagPolicy:
    """A HorizontalPodAutoscaler has its target."""
    objection = Objection(Reason.TARGET_MANAGED_BY_HPA, "the HorizontalPodAutoscaler web scales it already")
    return seen(of, Decision(None, objection.reason, objection.message), 2, objection=objection)


CHANGE = ScaleChange.model_validate(
    {
        "time": NOW - timedelta(minutes=10),
        "from": 2,
        "to": 4,
        "reason": "Surge",
        "message": "180/s arrive",
    }
)


def proposal(name: str = PROPOSAL["metadata"]["name"], namespace: str = "shop", **parts: Any) -> PartitionProposal:
    """A proposal that waits for a decision, with what was found."""
    hazard = {"name": "KeyOrdering", "blocking": True, "message": "records of one key may overtake one another"}
    status = {
        "state": "AwaitingDecision",
        "unacknowledged": ["KeyOrdering"],
        "hazards": [hazard],
        "conditions": [
            {"type": kind, "status": truth, "reason": reason, "message": "", "lastTransitionTime": NOW}
            for kind, truth, reason in (
                ("Validated", "True", "WouldSucceed"),
                ("Approved", "Unknown", "AwaitingDecision"),
            )
        ],
    }
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    spec = PROPOSAL["spec"] | parts.pop("spec", {})
    return PartitionProposal.parse({"metadata": meta, "spec": spec, "status": status | parts.pop("status", {})})
