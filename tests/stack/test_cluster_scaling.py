"""Targets on the real API server: read, scaled, and left alone where somebody else has a say."""

import asyncio
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient

from demo.stack import Stack
from tests.stack.cluster import WORKERS, Space, client, client_of, crd, grant, install, ref, worker, workload
from tests.waiting import eventually
from tidegate.api import Reason, TargetRef
from tidegate.cluster import server
from tidegate.cluster.discovery import Discovery
from tidegate.cluster.scaling import Scaled, scale
from tidegate.cluster.selectors import PodIndex
from tidegate.cluster.workloads import Workload, pod_from, read_workload, target_of
from tidegate.engine.observation import Objection, Target

UNSELECTIVE = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}


async def read(api: ApiClient, space: Space, target: TargetRef) -> Workload | Objection:
    return await read_workload(api, Discovery(api), space.name, target)


async def read_well(api: ApiClient, space: Space, target: TargetRef) -> Workload:
    found = await read(api, space, target)
    assert isinstance(found, Workload), found
    return found


async def scale_to(
    api: ApiClient, space: Space, replicas: int, seen: Workload, target: TargetRef | None = None
) -> Scaled | Objection:
    return await scale(api, Discovery(api), space.name, target or ref(), replicas, seen=seen)


def manager_of_replicas(space: Space, kind: str) -> list[tuple[str, str | None]]:
    """(manager, subresource) of those who own spec.replicas."""
    fields = space.get(kind, "web")["metadata"]["managedFields"]
    return [(f["manager"], f.get("subresource")) for f in fields if "f:replicas" in f["fieldsV1"].get("f:spec", {})]


# Scaling


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet"])
async def test_a_workload_is_scaled_in_our_name(api: ApiClient, space: Space, kind: str):
    space.apply(workload(kind))
    seen = await read_well(api, space, ref(kind))
    scaled = await scale_to(api, space, 3, seen, ref(kind))
    assert isinstance(scaled, Scaled)
    assert scaled.written
    assert scaled.workload.replicas == space.replicas(kind) == 3
    assert scaled.workload.uid == seen.uid
    assert manager_of_replicas(space, kind) == [("tidegate", "scale")]


async def test_down_to_nothing_and_up_again(api: ApiClient, space: Space):
    space.apply(workload())
    for replicas in (0, 2):
        scaled = await scale_to(api, space, replicas, space.workload())
        assert isinstance(scaled, Scaled)
        assert scaled.written
        assert scaled.workload.replicas == space.workload().replicas == replicas


async def test_anything_with_a_scale_is_scaled(stack: Stack, api: ApiClient, space: Space):
    install(stack, WORKERS)
    target = worker(space, "app=web,tier notin (test)")

    scaled = await scale_to(api, space, 4, await read_well(api, space, target), target)

    assert isinstance(scaled, Scaled)
    assert scaled.written
    assert space.get("worker", "web")["spec"]["size"] == 4
    assert [requirement.key for requirement in scaled.workload.selector] == ["app", "tier"]


async def test_a_status_that_changed_meanwhile_does_not_stop_us(api: ApiClient, space: Space):
    space.apply(workload())
    seen = space.workload()
    space.kubectl("annotate", "deployment", "web", "touched=true")
    assert space.workload().resource_version > seen.resource_version
    scaled = await scale_to(api, space, 3, seen)
    assert isinstance(scaled, Scaled)
    assert scaled.written
    assert space.replicas() == 3


async def test_replicas_that_a_person_changed_meanwhile_stand(api: ApiClient, space: Space):
    space.apply(workload())
    seen = space.workload()
    space.kubectl("scale", "deployment", "web", "--replicas=7")
    scaled = await scale_to(api, space, 3, seen)
    assert isinstance(scaled, Scaled)
    assert not scaled.written
    assert scaled.workload.replicas == space.replicas() == 7


async def test_a_target_that_was_made_anew_is_not_scaled_by_old_numbers(api: ApiClient, space: Space):
    space.apply(workload())
    seen = space.workload()
    space.kubectl("delete", "deployment", "web")
    space.apply(workload())
    scaled = await scale_to(api, space, 3, seen)
    assert isinstance(scaled, Scaled)
    assert not scaled.written
    assert space.replicas() == 1


async def test_writers_that_race_all_know_what_they_did(api: ApiClient, space: Space):
    space.apply(workload())
    seen = space.workload()
    outcomes = await asyncio.gather(*(scale_to(api, space, replicas, seen) for replicas in range(2, 10)))
    scaled = [outcome for outcome in outcomes if isinstance(outcome, Scaled)]
    assert len(scaled) == len(outcomes)
    [winner] = [outcome for outcome in scaled if outcome.written]
    assert winner.workload.replicas == space.replicas()


# What cannot be scaled


async def test_a_target_that_does_not_exist(api: ApiClient, space: Space):
    expected = Objection(Reason.TARGET_NOT_FOUND, f"Deployment web (apps/v1) does not exist in namespace {space.name}")
    assert await read(api, space, ref()) == expected
    space.apply(workload())
    seen = space.workload()
    space.kubectl("delete", "deployment", "web")
    assert await scale_to(api, space, 3, seen) == expected


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (ref("DaemonSet"), "DaemonSet (apps/v1) has no /scale"),
        (ref("Depolyment"), "the cluster has no kind Depolyment in apps/v1"),
        (ref("Rollout", api_version="nowhere.test/v1"), "the cluster has no kind Rollout in nowhere.test/v1"),
        (ref("Pod", api_version="v1"), "Pod (v1) has no /scale"),
    ],
)
async def test_a_kind_that_cannot_be_scaled(api: ApiClient, space: Space, target: TargetRef, words: str):
    found = await read(api, space, target)
    assert isinstance(found, Objection)
    assert found.reason is Reason.TARGET_NOT_SCALABLE
    assert words in found.message


async def test_a_scale_that_names_no_pods(stack: Stack, api: ApiClient, space: Space):
    install(stack, crd("loners", "Loner", "cluster.test", {"scale": UNSELECTIVE}))
    meta = {"name": "web"}
    space.apply({"apiVersion": "cluster.test/v1alpha1", "kind": "Loner", "metadata": meta, "spec": {"size": 1}})
    found = await read(api, space, ref("Loner", api_version="cluster.test/v1alpha1"))
    assert isinstance(found, Objection)
    assert found.reason is Reason.TARGET_NOT_SCALABLE
    assert "names no pods" in found.message


async def test_missing_rights_are_named(stack: Stack, api: ApiClient, space: Space):
    space.apply(workload())
    grant(space, "reader", {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get"]})
    async with client_of(stack, space.name, "reader") as reader:
        seen = await read_well(reader, space, ref())
        refused = await scale_to(reader, space, 3, seen)
        unreadable = await read(reader, space, ref("StatefulSet"))
    assert isinstance(refused, Objection)
    assert isinstance(unreadable, Objection)
    assert refused.reason is unreadable.reason is Reason.FORBIDDEN
    assert f"may not patch deployments/scale in namespace {space.name}" in refused.message
    assert f"may not get statefulsets/scale in namespace {space.name}" in unreadable.message
    assert space.replicas() == 1


async def test_an_admission_rule_that_refuses_is_quoted(stack: Stack, api: ApiClient, space: Space):
    rule = {"expression": "object.spec.replicas <= 5", "message": "no more than five here"}
    resources = {"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["*/scale"]}
    admission = "admissionregistration.k8s.io/v1"
    meta = {"name": f"at-most-five-{space.name}"}
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}}}
    spec: dict[str, Any] = {"matchConstraints": {"resourceRules": [resources]}, "validations": [rule]}
    binding = {"policyName": meta["name"], "validationActions": ["Deny"], "matchResources": here}
    space.apply(workload())
    objects = [
        {"apiVersion": admission, "kind": "ValidatingAdmissionPolicy", "metadata": meta, "spec": spec},
        {"apiVersion": admission, "kind": "ValidatingAdmissionPolicyBinding", "metadata": meta, "spec": binding},
    ]
    stack.apply(*objects)
    try:
        eventually(lambda: "no more than five" in space.kubectl("scale", "deployment/web", "--replicas=6", check=False))
        refused = await scale_to(api, space, 9, space.workload())
    finally:
        for one in objects:
            stack.kubectl("delete", one["kind"].lower(), meta["name"])
    assert isinstance(refused, Objection)
    assert refused.reason is Reason.SCALE_FAILED
    assert "no more than five here" in refused.message


async def test_an_api_server_that_does_not_answer(stack: Stack, space: Space, monkeypatch: pytest.MonkeyPatch):
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(server, "TIMEOUT", 0.2)
    space.apply(workload())
    seen = space.workload()
    deaf = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with deaf, client(stack) as lost:
        lost.configuration.host = f"http://127.0.0.1:{deaf.sockets[0].getsockname()[1]}"
        failed = await scale_to(lost, space, 3, seen)
    assert isinstance(failed, Objection)
    assert failed.reason is Reason.SCALE_FAILED
    assert "did not answer in time" in failed.message


# Pods


def target_in(space: Space, kind: str) -> Target:
    index = PodIndex()
    for body in space.all("pods"):
        index.put(space.name, body["metadata"]["name"], pod_from(body))
    seen = space.workload(kind)
    return target_of(seen, index.select(space.name, seen.selector))


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_pods_are_known_by_the_template_they_were_made_from(space: Space, kind: str):
    space.apply(workload(kind, replicas=2), workload(kind, name="other"))
    before = eventually(lambda: (t := target_in(space, kind)).ready == 2 and t)
    assert before
    assert len(before.pods) == 2
    assert {pod.template for pod in before.pods} == {before.template}
    assert all(pod.ready_since and pod.ready_since >= pod.created for pod in before.pods)

    space.apply(workload(kind, replicas=2, code="pass"))
    space.kubectl("rollout", "status", kind, "web", "--timeout=180s")
    after = eventually(lambda: (t := target_in(space, kind)).ready == len(t.pods) == 2 and t)
    assert after
    assert {pod.template for pod in after.pods} == {after.template}
    assert after.template != before.template
