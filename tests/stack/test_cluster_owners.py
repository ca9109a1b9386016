"""Who owns a target, as the real API server tells it."""

import json

import pytest
from kubernetes.aio.client import ApiClient

from demo.stack import Stack
from tests.stack.cluster import ROOT, Body, Space, crd, install, policy, ref, workload
from tests.waiting import eventually
from tidegate.api import Reason
from tidegate.cluster.conflicts import claim_from, claims_by_target, objection
from tidegate.cluster.contention import TOLERATED, WINDOW, Contention
from tidegate.cluster.discovery import Discovery
from tidegate.cluster.scaling import Scaled, scale
from tidegate.engine.observation import Objection


@pytest.fixture(scope="module", autouse=True)
def crds(stack: Stack) -> None:
    install(stack, ROOT / "crds")


@pytest.fixture
def keda(stack: Stack) -> None:
    """KEDA's kind as far as it concerns us; where KEDA is installed, its own."""
    if not stack.kubectl("get", "crd", "scaledobjects.keda.sh", "--ignore-not-found"):
        install(stack, crd("scaledobjects", "ScaledObject", "keda.sh"))


@pytest.fixture
def space(stack: Stack, namespace: str) -> Space:
    found = Space(stack, namespace)
    found.apply(workload(), policy())
    return found


def hpa(target: str = "web", name: str = "cpu", **meta: object) -> Body:
    to = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    spec = {"scaleTargetRef": to, "maxReplicas": 3}
    kind = "HorizontalPodAutoscaler"
    return {"apiVersion": "autoscaling/v2", "kind": kind, "metadata": {"name": name, **meta}, "spec": spec}


def scaled_object(target: str = "web") -> Body:
    spec = {"scaleTargetRef": {"name": target}, "triggers": [{"type": "cron", "metadata": {}}]}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "by-lag"}, "spec": spec}


def objection_to(space: Space, name: str, *kinds: str) -> Objection | None:
    mine = claim_from(space.get("lagp", name))
    assert mine
    bodies = [body for kind in ("lagp", *kinds) for body in space.all(kind)]
    return objection(mine, claims_by_target(map(claim_from, bodies)))


def test_nobody_else(space: Space):
    space.apply(hpa(target="other"), workload(name="other"))
    assert objection_to(space, "points", "hpa") is None


def test_a_target_of_an_hpa_is_left_alone(space: Space):
    space.apply(hpa())
    told = objection_to(space, "points", "hpa")
    assert told
    assert told.reason is Reason.TARGET_MANAGED_BY_HPA
    assert told.message.startswith("HorizontalPodAutoscaler, cpu, already scales Deployment web")


@pytest.mark.usefixtures("keda")
def test_a_target_of_keda_is_left_alone(space: Space):
    space.apply(scaled_object())
    told = objection_to(space, "points", "scaledobjects.keda.sh")
    assert told
    assert told.reason is Reason.TARGET_MANAGED_BY_KEDA
    assert "ScaledObject, by-lag" in told.message


@pytest.mark.usefixtures("keda")
def test_an_hpa_that_keda_made_is_told_as_kedas(space: Space):
    space.apply(scaled_object())
    uid = space.get("scaledobjects.keda.sh", "by-lag")["metadata"]["uid"]
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "by-lag", "uid": uid, "controller": True}
    space.apply(hpa(name="keda-hpa-by-lag", ownerReferences=[owner]))
    told = objection_to(space, "points", "hpa")
    assert told
    assert told.reason is Reason.TARGET_MANAGED_BY_KEDA
    assert "ScaledObject, by-lag" in told.message


def test_of_two_policies_the_older_one_scales(space: Space):
    older = space.get("lagp", "points")["metadata"]["creationTimestamp"]

    def younger() -> bool:  # creationTimestamps are whole seconds, and a name could win the tie
        space.kubectl("delete", "lagp", "another", "--ignore-not-found")
        space.apply(policy(name="another"))
        made: str = space.get("lagp", "another")["metadata"]["creationTimestamp"]
        return made > older

    eventually(younger)
    assert objection_to(space, "points") is None
    told = objection_to(space, "another")
    assert told
    assert told.reason is Reason.TARGET_ALREADY_MANAGED
    assert "an older LagPolicy, points," in told.message
    space.kubectl("delete", "lagp", "points")
    assert objection_to(space, "another") is None


async def test_a_manager_that_keeps_writing_replicas_is_named_and_given_way_to(api: ApiClient, space: Space):
    contention, now = Contention(), 1000.0
    for turn in range(TOLERATED + 1):
        assert contention.objection(now) is None, turn
        scaled = await scale(api, Discovery(api), space.name, ref(), 5, seen=space.workload())
        assert isinstance(scaled, Scaled)
        contention = contention.wrote(scaled.workload).saw(space.workload(), now)  # our own write is no contention
        manifest = {**workload(replicas=2), "metadata": {"name": "web", "annotations": {"turn": str(turn)}}}
        apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=gitops", "-f", "-")
        space.kubectl(*apply, input=json.dumps(manifest))
        now += 60
        contention = contention.saw(space.workload(), now)
    told = contention.objection(now)
    assert told
    assert told.reason is Reason.REPLICAS_CONTENDED
    assert told.message.startswith(
        '"gitops" wrote spec.replicas after Tidegate 3 times within 10 minutes (last: 2 over 5)'
    )
    assert contention.objection(now + WINDOW) is None


async def test_one_kubectl_scale_and_a_changing_status_are_no_contention(api: ApiClient, space: Space):
    scaled = await scale(api, Discovery(api), space.name, ref(), 2, seen=space.workload())
    assert isinstance(scaled, Scaled)
    contention = Contention().wrote(scaled.workload)
    space.kubectl("wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "--timeout=180s")
    assert contention.saw(space.workload(), 10.0) is contention
    space.kubectl("scale", "deployment/web", "--replicas=4")
    contention = contention.saw(space.workload(), 20.0)
    assert [(o.manager, o.ours, o.theirs) for o in contention.overwrites] == [("kubectl", 2, 4)]
    assert contention.objection(20.0) is None
