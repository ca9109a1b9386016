"""Workloads and their pods: what a watch showed, or what /scale answers, as small values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from kubernetes.aio.client import ApiClient

from tidegate.api import Reason, TargetRef, cut
from tidegate.cluster.discovery import Discovery, Resource
from tidegate.cluster.selectors import LabelledPod, Selector, parse_selector, selector_from
from tidegate.cluster.server import FAILURES, path_of, refusal, request, status_of, words
from tidegate.cluster.times import seconds
from tidegate.engine.observation import Objection, Pod, Target

TEMPLATE_LABELS = ("pod-template-hash", "controller-revision-hash", "rollouts-pod-template-hash")
"""Labels that say which template a pod was made from: ReplicaSets, StatefulSets, Argo Rollouts."""

FINISHED = frozenset({"Succeeded", "Failed"})


class Writer(NamedTuple):
    """A manager that owns `spec.replicas` in managedFields, and when it wrote last (epoch seconds)."""

    manager: str
    time: float


@dataclass(frozen=True, slots=True)
class Workload:
    """A thing that has /scale, as it was at `resource_version`.

    `replicas` is what it is asked to have. `template` is the identity of the pod template it would start now, equal
    to `Pod.template` of the pods made from it; "" where only its newest pod can tell. `replicas_writers` own
    `spec.replicas`, the last to write first; () where it was read through /scale, which does not tell.
    """

    uid: str
    resource_version: int
    replicas: int
    selector: Selector
    template: str = ""
    replicas_writers: tuple[Writer, ...] = ()


def workload_from(body: Mapping[str, Any]) -> Workload:
    """What a watch showed of a Deployment or a StatefulSet.

    The revision of a StatefulSet's template stands in its status. A Deployment's does not: its pods tell.
    """
    meta, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    return Workload(
        uid=meta["uid"],
        resource_version=int(meta["resourceVersion"]),
        replicas=spec.get("replicas", 1),
        selector=selector_from(spec.get("selector")),
        template=status.get("updateRevision", ""),
        replicas_writers=tuple(_writers(meta.get("managedFields") or ())),
    )


def _writers(managed_fields: Any) -> Iterator[Writer]:
    owners = [entry for entry in managed_fields if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})]
    for entry in sorted(owners, key=lambda owner: owner.get("time", ""), reverse=True):
        yield Writer(entry.get("manager", "unknown"), seconds(entry["time"]) if "time" in entry else 0.0)


def pod_from(body: Mapping[str, Any]) -> LabelledPod | None:
    """What a watch showed of a pod; None where it is on its way out or has finished and so is nobody's replica."""
    meta, status = body["metadata"], body.get("status") or {}
    if meta.get("deletionTimestamp") or status.get("phase") in FINISHED:
        return None
    labels: Mapping[str, str] = meta.get("labels") or {}
    template = next((labels[key] for key in TEMPLATE_LABELS if key in labels), "")
    pod = Pod(meta["name"], seconds(meta["creationTimestamp"]), _ready_since(status), template)
    return LabelledPod(dict(labels), pod)


def _ready_since(status: Mapping[str, Any]) -> float | None:
    ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), None)
    return seconds(ready["lastTransitionTime"]) if ready and ready["status"] == "True" else None


def target_of(workload: Workload, pods: tuple[Pod, ...]) -> Target:
    """The workload with its pods, as the engine wants it."""
    newest = max(pods, key=lambda pod: (pod.created, pod.name), default=None)
    template = workload.template or (newest.template if newest else "")
    return Target(workload.replicas, pods, template)


async def read_workload(api: ApiClient, discovery: Discovery, namespace: str, ref: TargetRef) -> Workload | Objection:
    """Ask /scale of anything that has it.

    Objections: TARGET_NOT_FOUND, TARGET_NOT_SCALABLE (no such kind, no /scale, or a /scale that names no pods),
    FORBIDDEN (naming the missing right), SCALE_FAILED (the API server did not answer).
    """
    try:
        resource = await discovery.find(ref.api_version, ref.kind)
        if isinstance(resource, Objection):
            return resource
        return scale_of(await request(api, "GET", scale_path(resource, namespace, ref)), ref)
    except FAILURES as error:
        return scale_objection(error, namespace, ref)


def scale_path(resource: Resource, namespace: str, ref: TargetRef) -> str:
    """Where the /scale of a target is."""
    return path_of(resource.group, resource.version, resource.plural, namespace, ref.name, "scale")


def scale_of(body: Mapping[str, Any], ref: TargetRef) -> Workload | Objection:
    """Read an `autoscaling/v1 Scale`. It names the uid and the resourceVersion of the workload itself."""
    selector = parse_selector((body.get("status") or {}).get("selector") or "")
    if not selector:
        message = f"the /scale of {ref.kind} {ref.name} names no pods: its status.selector is empty"
        return Objection(Reason.TARGET_NOT_SCALABLE, message)
    meta = body["metadata"]
    replicas = (body.get("spec") or {}).get("replicas", 0)
    return Workload(meta["uid"], int(meta["resourceVersion"]), replicas, selector)


def scale_objection(error: BaseException, namespace: str, ref: TargetRef) -> Objection:
    """Why /scale could not be read or written, in words for whoever wrote the policy."""
    match status_of(error):
        case 403:
            return refusal(error, namespace)
        case 404:
            return not_found(namespace, ref)
        case _:
            message = f"cannot scale {ref.kind} {ref.name}: the API server says: {words(error)}"
            return Objection(Reason.SCALE_FAILED, cut(message))


def not_found(namespace: str, ref: TargetRef) -> Objection:
    """The target does not exist."""
    message = f"{ref.kind} {ref.name} ({ref.api_version}) does not exist in namespace {namespace}"
    return Objection(Reason.TARGET_NOT_FOUND, message)
