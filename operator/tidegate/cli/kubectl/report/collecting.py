"""What goes into a report, part by part. One that cannot be had is told, and never hides the others."""

import json
import platform
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Any

import yaml
from kubernetes.aio.client import ApiClient

from tidegate import __version__
from tidegate.api import (
    GROUP,
    VERSION,
    BrokerConnection,
    ClusterBrokerConnection,
    LagPolicy,
    PartitionProposal,
    Resource,
)
from tidegate.cli.kubectl.cluster import Cluster, in_words
from tidegate.cli.kubectl.report.redaction import cleaned, scrubbed, secret_values
from tidegate.cluster.server import FAILURES, path_of, request, text_of

KINDS: tuple[type[Resource], ...] = (LagPolicy, PartitionProposal, BrokerConnection, ClusterBrokerConnection)
LIBRARIES = ("kubernetes", "pydantic", "typer", "rich")
LABEL = "app.kubernetes.io/name=tidegate"
LINES, BYTES = 20_000, 10_000_000
"""Of each log, at most."""

Files = dict[str, str]
Part = Callable[[Cluster, str], Awaitable[Files]]


async def collected(cluster: Cluster, operator: str) -> tuple[Files, list[str]]:
    """All files by their names, and what could not be had; `operator` is the namespace of Tidegate itself."""
    files: Files = {}
    missing: list[str] = []
    for name, part in PARTS.items():
        try:
            files |= await part(cluster, operator)
        except FAILURES as error:
            missing.append(f"{name}: {in_words(error, cluster.api.configuration.host, cluster.namespace)}")
    known = await _known_secrets(cluster, operator)
    return {name: scrubbed(text, known) for name, text in sorted(files.items())}, missing


async def _known_secrets(cluster: Cluster, operator: str) -> set[str]:
    try:
        return secret_values(await _pods(cluster.api, operator))
    except FAILURES:
        return set()


async def _versions(cluster: Cluster, _: str) -> Files:
    server = await request(cluster.api, "GET", "/version")
    mine = {"tidegate": __version__, "python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
    return {"versions.yaml": _yaml({"client": mine, "server": server})}


async def _definitions(cluster: Cluster, _: str) -> Files:
    """The CRDs, without their schemas."""
    found = {}
    for kind in KINDS:
        name = f"{kind.names.plural}.{GROUP}"
        path = path_of("apiextensions.k8s.io", "v1", "customresourcedefinitions", None, name)
        crd = await request(cluster.api, "GET", path)
        spec = {"versions": [each["name"] for each in crd["spec"]["versions"]]}
        found[name] = {"metadata": cleaned(crd)["metadata"], "spec": spec, "status": crd.get("status")}
    return {"crds.yaml": _yaml(found)}


def _resources(kind: type[Resource]) -> Part:
    async def part(cluster: Cluster, _: str) -> Files:
        plural = kind.names.plural
        space = cluster.namespace if kind.names.namespaced else None
        answer = await request(cluster.api, "GET", path_of(GROUP, VERSION, plural, space))
        return {f"{plural}/{_file(item)}.yaml": _yaml(cleaned(item)) for item in answer["items"]}

    return part


async def _events(cluster: Cluster, operator: str) -> Files:
    """Those about our resources, and those of Tidegate's own namespace."""
    answer = await request(cluster.api, "GET", path_of("", "v1", "events", cluster.namespace))
    kept = [each for each in answer["items"] if _ours(each) or each["metadata"]["namespace"] == operator]
    return {"events.yaml": _yaml([cleaned(each) for each in kept])}


def _ours(event: Mapping[str, Any]) -> bool:
    return str(event.get("involvedObject", {}).get("apiVersion", "")).startswith(f"{GROUP}/")


async def _pods(api: ApiClient, operator: str) -> list[dict[str, Any]]:
    answer = await request(api, "GET", path_of("", "v1", "pods", operator), query={"labelSelector": LABEL})
    items: list[dict[str, Any]] = answer["items"]
    return items


async def _operator(cluster: Cluster, operator: str) -> Files:
    pods = await _pods(cluster.api, operator)
    return {f"operator/{pod['metadata']['name']}.yaml": _yaml(cleaned(pod)) for pod in pods}


async def _deployments(cluster: Cluster, operator: str) -> Files:
    path = path_of("apps", "v1", "deployments", operator)
    answer = await request(cluster.api, "GET", path, query={"labelSelector": LABEL})
    return {"operator/deployments.yaml": _yaml([cleaned(each) for each in answer["items"]])}


async def _lease(cluster: Cluster, operator: str) -> Files:
    answer = await request(cluster.api, "GET", path_of("coordination.k8s.io", "v1", "leases", operator))
    return {"operator/leases.yaml": _yaml([cleaned(each) for each in answer["items"]])}


async def _logs(cluster: Cluster, operator: str) -> Files:
    """Of every container, and of the one before it where it was restarted."""
    files: Files = {}
    for pod in await _pods(cluster.api, operator):
        name = pod["metadata"]["name"]
        for status in pod.get("status", {}).get("containerStatuses") or ():
            for previous in (False, True)[: 1 + bool(status["restartCount"])]:
                suffix = ".previous.log" if previous else ".log"
                files[f"operator/{name}.{status['name']}{suffix}"] = await _log(cluster, pod, status["name"], previous)
    return files


async def _log(cluster: Cluster, pod: Mapping[str, Any], container: str, previous: bool) -> str:
    meta = pod["metadata"]
    limits = {"tailLines": str(LINES), "limitBytes": str(BYTES)}
    query = {"container": container, "previous": str(previous).lower(), **limits}
    path = path_of("", "v1", "pods", meta["namespace"], meta["name"], "log")
    try:
        return await text_of(cluster.api, "GET", path, query=query, accept="*/*")
    except FAILURES as error:
        return f"not to be had: {in_words(error, cluster.api.configuration.host, meta['namespace'])}\n"


async def _endpoints(cluster: Cluster, operator: str) -> Files:
    """What each pod answers at /metrics, /healthz and /readyz, through the API server."""
    files: Files = {}
    for pod in await _pods(cluster.api, operator):
        name = pod["metadata"]["name"]
        for path in ("metrics", "healthz", "readyz"):
            proxy = path_of("", "v1", "pods", operator, f"{name}:{_port(pod)}", f"proxy/{path}")
            files[f"operator/{name}.{path}.txt"] = await text_of(cluster.api, "GET", proxy, accept="*/*")
    return files


def _port(pod: Mapping[str, Any]) -> int:
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or ()]
    return next((int(port["containerPort"]) for port in ports if port.get("name") == "http"), 8080)


def _file(item: Mapping[str, Any]) -> str:
    meta = item["metadata"]
    return "_".join(filter(None, (meta.get("namespace"), meta["name"])))


def _yaml(value: Any) -> str:
    return yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False, allow_unicode=True, width=120)


PARTS: dict[str, Part] = {
    "versions": _versions,
    "CRDs": _definitions,
    **{kind.names.plural: _resources(kind) for kind in KINDS},
    "events": _events,
    "pods of Tidegate": _operator,
    "Deployment of Tidegate": _deployments,
    "Lease": _lease,
    "logs": _logs,
    "metrics and health": _endpoints,
}
"""What is asked for, by the name under which it is told missing."""
