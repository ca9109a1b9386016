"""The life of a partition proposal on the real parts, but for its execution."""

import json
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.e2e.operator_process import Operator
from tests.e2e.scene import NAME, PARTITIONS, Play, Scene
from tests.waiting import eventually
from tidegate.controllers.proposals import KEPT

EACH = 5
"""Records/s that the policies say a replica can do: 60/s ask for 12 and more of them, where 6 partitions employ 6."""

LONG = 900.0
DRY: dict[str, Any] = {
    "mode": "DryRun",
    "capacity": {"recordsPerSecond": EACH},
    "replicas": {"min": 1, "max": 40},
}
"""It is the figures that count here, not the replicas."""


def bound(scene: Scene, **spec: Any) -> None:
    """A group whose need stays above its ceiling."""
    scene.connect()
    scene.deploy(rate=200)
    scene.order((12 * EACH, LONG))
    scene.promise(**DRY | spec)


def proposals(scene: Scene) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(scene.kubectl("get", "pprop", "-o", "json"))["items"]
    return found


def open_one(scene: Scene) -> dict[str, Any] | None:
    """The only open proposal, once it has a status; it is an error if there are several."""
    still = [p for p in proposals(scene) if not ended(p)]
    assert len(still) <= 1
    return next((p for p in still if p.get("status", {}).get("conditions")), None)


def condition(proposal: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((c for c in proposal.get("status", {}).get("conditions", ()) if c["type"] == kind), {})


def ended(proposal: dict[str, Any]) -> str:
    """Why it is closed; empty while it is open."""
    closing = {"Applied": "True", "Failed": "True", "Expired": "True", "Approved": "False"}
    return next(
        (condition(proposal, k)["reason"] for k, s in closing.items() if condition(proposal, k).get("status") == s), ""
    )


def named(scene: Scene, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(scene.kubectl("get", "pprop", name, "-o", "json"))
    return found


def a_group_at_its_ceiling_gets_one_proposal_that_is_not_made_again_once_rejected(scene: Scene) -> None:
    bound(scene)
    eventually(lambda: open_one(scene), seconds=150)
    proposal = open_one(scene)
    assert proposal
    name, spec = proposal["metadata"]["name"], proposal["spec"]
    assert (spec["policy"], spec["topic"], spec["from"], spec["decision"]) == (NAME, scene.topic, PARTITIONS, "Pending")
    assert spec["to"] >= 2 * PARTITIONS
    evidence = spec["evidence"]
    assert (evidence["ceiling"], evidence["perReplica"]) == (PARTITIONS, str(EACH))
    assert evidence["ceilingAfter"] == spec["to"]
    assert evidence["need"] > PARTITIONS
    assert 0.6 * 12 * EACH <= float(evidence["arrivalRate"]) <= 1.5 * 12 * EACH
    own = {"name": scene.topic, "policy": f"{scene.namespace}/{NAME}", "type": "Classic", "members": 1}
    assert [{k: group[k] for k in own} for group in evidence["groups"]] == [own]
    hazards = {hazard["name"]: hazard["blocking"] for hazard in proposal["status"]["hazards"]}
    assert hazards.get("KeyOrdering") is True
    assert hazards.get("ReplicationBelowTwo") is False  # one broker
    assert condition(proposal, "Validated")["reason"] == "WouldSucceed"
    assert condition(proposal, "Approved")["reason"] == "AwaitingDecision"
    assert proposal["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is True

    eventually(lambda: scene.status["partitions"].get("proposal") == name)
    eventually(lambda: scene.told("PartitionsProposed"))
    eventually(lambda: scene.told(f"kubectl get pprop {name} -n {scene.namespace}"))

    scene.kubectl("patch", "pprop", name, "--type=merge", "-p", '{"spec": {"decision": "Reject"}}')
    eventually(lambda: ended(named(scene, name)) == "Rejected")
    eventually(lambda: not scene.status["partitions"].get("proposal"))
    for age in ("16s", "17s"):  # an edit is obeyed at once: two more decisions, at the least
        scene.promise(**{**DRY, "objective": {"maxAge": age}})
        eventually(lambda: decided(scene))
    assert scene.condition("PartitionBound")["status"] == "True"
    assert [p["metadata"]["name"] for p in proposals(scene)] == [name]

    scene.kubectl("delete", "pprop", name)  # it was the rejection that kept others away
    eventually(lambda: open_one(scene), seconds=60)
    scene.kubectl("delete", "lagp", NAME)
    eventually(lambda: not proposals(scene), seconds=60)


def decided(scene: Scene) -> bool:
    """Whether the newest edit of the policy was obeyed."""
    policy = json.loads(scene.kubectl("get", "lagp", NAME, "-o", "json"))
    return bool(policy["status"]["observedGeneration"] == policy["metadata"]["generation"])


def other_policies_show_it_a_day_closes_it_and_a_topic_enlarged_by_hand_supersedes_it(scene: Scene) -> None:
    bound(scene)
    eventually(lambda: open_one(scene), seconds=150)
    proposal = open_one(scene)
    assert proposal
    name = proposal["metadata"]["name"]

    away = f"{scene.namespace}-2"
    scene.stack.kubectl("create", "namespace", away)
    try:
        elsewhere = Elsewhere(scene, away)
        elsewhere.promise()
        shown = f"{scene.namespace}/{name}"
        eventually(lambda: elsewhere.status().get("partitions", {}).get("proposal") == shown)
    finally:
        scene.stack.kubectl("delete", "namespace", away, "--wait=false")

    old = {k: proposal[k] for k in ("apiVersion", "kind")}
    old["metadata"] = {k: proposal["metadata"][k] for k in ("namespace", "ownerReferences")} | {"name": "earlier"}
    old["spec"] = proposal["spec"] | {"topic": "another", "expires": "2026-01-01T00:00:00Z"}
    scene.stack.apply(old)
    eventually(lambda: ended(named(scene, "earlier")) == "Expired")
    assert "nobody decided" in condition(named(scene, "earlier"), "Expired")["message"]

    for number in range(KEPT):  # of those that are closed the newest are kept
        old["metadata"]["name"] = f"newer-{number}"
        old["spec"]["topic"] = f"another-{number}"
        scene.stack.apply(old)
    eventually(lambda: "earlier" not in [p["metadata"]["name"] for p in proposals(scene)])
    newer = [f"newer-{number}" for number in range(KEPT)]
    assert {p["metadata"]["name"] for p in proposals(scene)} == {name, *newer}
    scene.kubectl("delete", "pprop", *newer)

    grow(scene, 2 * PARTITIONS)
    eventually(lambda: ended(named(scene, name)) == "Superseded", seconds=100)
    message = condition(named(scene, name), "Expired")["message"]
    assert f"has {2 * PARTITIONS} partitions now, not {PARTITIONS}" in message
    eventually(lambda: scene.told("Superseded: "))


def with_mode_apply_it_is_carried_out_without_a_decision(scene: Scene) -> None:
    bound(scene, mode="Active", replicas={"min": 1, "max": 8}, partitions={"mode": "Apply", "keyed": False, "max": 12})
    eventually(lambda: [ended(p) for p in proposals(scene)] == ["Applied"], seconds=240)
    [proposal] = proposals(scene)
    assert (proposal["spec"]["to"], proposal["spec"]["decision"]) == (2 * PARTITIONS, "Pending")
    assert condition(proposal, "Approved")["reason"] == "ApprovedByPolicy"
    assert proposal["status"]["execution"]["step"] == "Done"
    eventually(lambda: scene.status["partitions"]["count"] == 2 * PARTITIONS)


class Elsewhere:
    """Another group on the scene's topic, with its policy in another namespace."""

    def __init__(self, scene: Scene, namespace: str) -> None:
        self._scene, self._namespace = scene, namespace

    def promise(self) -> None:
        for kind, name in (("brokerconnection", "kafka"), ("lagp", NAME)):
            found = json.loads(self._scene.kubectl("get", kind, name, "-o", "json"))
            found["metadata"] = {"name": name, "namespace": self._namespace}
            found.pop("status", None)
            if kind == "lagp":
                found["spec"]["source"]["kafka"]["group"] = f"{self._scene.topic}-audit"
            self._scene.stack.apply(found)

    def status(self) -> dict[str, Any]:
        found = json.loads(self._scene.stack.kubectl("get", "lagp", NAME, "-n", self._namespace, "-o", "json"))
        status: dict[str, Any] = found.get("status") or {}
        return status


def grow(scene: Scene, partitions: int) -> None:
    """Enlarge the topic by hand."""
    assert scene.stack.kafka
    admin = AdminClient({"bootstrap.servers": scene.stack.kafka.bootstrap})
    admin.create_partitions([NewPartitions(scene.topic, partitions)])[scene.topic].result(60)


PLAYS: tuple[Play, ...] = (
    a_group_at_its_ceiling_gets_one_proposal_that_is_not_made_again_once_rejected,
    other_policies_show_it_a_day_closes_it_and_a_topic_enlarged_by_hand_supersedes_it,
    with_mode_apply_it_is_carried_out_without_a_decision,
)


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_proposal(play: Play, playing: dict[str, Future[None]], operator: Operator) -> None:
    playing[play.__name__].result()
    assert operator.running


def test_without_the_right_to_propose_it_says_so_and_scales_all_the_same(operator: Operator, scene: Scene):
    with operator.without("create", "partitionproposals"):
        role = json.loads(scene.stack.kubectl("get", "clusterrole", "tidegate", "-o", "json"))
        for rule in role["rules"]:
            if "partitionproposals" in rule["resources"]:
                rule["verbs"] = ["get", "list", "watch"]
        patch = json.dumps({"rules": role["rules"]})
        scene.stack.kubectl("patch", "clusterrole", "tidegate", "--type=merge", f"--patch={patch}")
        bound(scene, mode="Active", replicas={"min": 1, "max": 8})
        eventually(lambda: "may not create partitionproposals" in limit(scene), seconds=150)
        eventually(lambda: scene.told("Forbidden: proposing more partitions fails"))
        assert scene.replicas > 1
        assert scene.condition("Ready")["status"] == "True"
        assert proposals(scene) == []
    eventually(lambda: open_one(scene), seconds=100)
    eventually(lambda: "proposing more fails" not in limit(scene), seconds=100)


def limit(scene: Scene) -> str:
    """What the policy says of its partitions."""
    return str(scene.condition("PartitionBound").get("message", ""))
