"""The Node that pods are bound to, and the signs of life that keep it Ready."""

import asyncio
import contextlib
import platform
from datetime import UTC, datetime

import aiohttp

from demo.stack.kubelet.client import ApiError, Client, Object

HEARTBEAT = 10.0
PLENTY = {"cpu": "1000", "memory": "1Ti", "ephemeral-storage": "1Ti", "pods": "1000"}


def now() -> str:
    """The present moment as the API writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def register(client: Client, name: str, port: int, version: str) -> None:
    """Create the Node and say that it is ready, with its kubelet on this port."""
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    with contextlib.suppress(ApiError):  # there already: this kubelet was started again
        await client.post(
            "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        )
    await client.patch(f"/api/v1/nodes/{name}/status", {"status": _status(name, port, version)})


async def stay_ready(client: Client, name: str) -> None:
    """Renew the Node's Lease and the heartbeat of its conditions, for ever."""
    while True:
        with contextlib.suppress(ApiError, aiohttp.ClientError, OSError):  # the next beat tries again
            await _renew_lease(client, name)
            await client.patch(f"/api/v1/nodes/{name}/status", {"status": {"conditions": _conditions(beat_only=True)}})
        await asyncio.sleep(HEARTBEAT)


def _status(name: str, port: int, version: str) -> Object:
    info = {
        "kubeletVersion": version,
        "containerRuntimeVersion": "process://1",
        "osImage": platform.platform(),
        "operatingSystem": "linux",
        "architecture": platform.machine(),
        "kernelVersion": platform.release(),
        "machineID": name,
        "systemUUID": name,
        "bootID": name,
        "kubeProxyVersion": "",
    }
    return {
        "capacity": PLENTY,
        "allocatable": PLENTY,
        "conditions": _conditions(beat_only=False),
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": info,
    }


def _conditions(*, beat_only: bool) -> list[Object]:
    times = {"lastHeartbeatTime": now()} | ({} if beat_only else {"lastTransitionTime": now()})
    pressures = [
        {"type": f"{what}Pressure", "status": "False", "reason": "KubeletHasSufficient", "message": ""}
        for what in ("Memory", "Disk", "PID")
    ]
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the process kubelet runs"}
    return [condition | times for condition in (*pressures, ready)]


async def _renew_lease(client: Client, name: str) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    spec = {
        "holderIdentity": name,
        "leaseDurationSeconds": 40,
        "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    try:
        await client.patch(f"{leases}/{name}", {"spec": spec})
    except ApiError as error:
        if error.status != 404:
            raise
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}
        await client.post(leases, lease)
