"""Tidegate in a stack as Helm installs it, and its replicas: processes that the process kubelet runs as its pods."""

import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.stack.processes import CHECKOUT
from demo.stack.stack import Stack

CHART = CHECKOUT / "charts" / "tidegate"
NAMESPACE = "tidegate-system"
NODE = {"operator": {"listenHost": "$(POD_IP)"}}
"""What the process kubelet needs: all pods share one network, so each listens at its own IP."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Replica:
    """A pod of the release whose process runs."""

    name: str
    ip: str
    pid: int
    ready: bool

    def signal(self, number: int = signal.SIGKILL) -> None:
        """To its process, unless it has ended already. The kubelet starts a process that has ended again."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Release:
    """One Helm release of the chart."""

    def __init__(self, stack: Stack, namespace: str = NAMESPACE, name: str = "tidegate") -> None:
        self.stack, self.namespace, self.name = stack, namespace, name
        self.account = f"system:serviceaccount:{namespace}:{name}"
        """The user that its pods are to the API server."""

    # what a platform engineer does

    def install(self, *values: Values, chart: Path = CHART) -> None:
        """`helm install` into a namespace that is made where it is missing; returns when all pods are ready."""
        self._helm("install", chart, (NODE, *values), "--create-namespace")

    def upgrade(self, *values: Values, chart: Path = CHART) -> None:
        """`helm upgrade` to exactly these values; returns when all pods are the new ones, and ready."""
        self._helm("upgrade", chart, (NODE, *values))

    def uninstall(self) -> None:
        """`helm uninstall`; returns when all that it has installed is gone."""
        self.stack.helm("uninstall", self.name, "-n", self.namespace, "--wait", "--timeout=10m")

    def scale(self, replicas: int) -> None:
        """Ask for so many; returns at once."""
        self.kubectl("scale", f"deployment/{self.name}", f"--replicas={replicas}")

    def kubectl(self, *arguments: str) -> str:
        """In the release's namespace."""
        return self.stack.kubectl("-n", self.namespace, *arguments)

    # what can be seen

    @property
    def installed(self) -> bool:
        """Whether there is such a release."""
        found = self.stack.helm("list", "--all", "--filter", f"^{self.name}$", "-n", self.namespace, "-o", "json")
        return bool(json.loads(found))

    @property
    def objects(self) -> list[dict[str, Any]]:
        """All that Helm has installed, hooks left out, as it is now."""
        manifest = self.stack.helm("get", "manifest", self.name, "-n", self.namespace)
        found: dict[str, Any] = json.loads(self.stack.kubectl("get", "-f", "-", "-o", "json", input=manifest))
        return list(found["items"])

    @property
    def replicas(self) -> list[Replica]:
        """Whose processes run; a pod that is being deleted is among them as long as its process does."""
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=operator"
        pods = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        return [replica for pod in pods for replica in _running(pod)]

    @property
    def holder(self) -> str:
        """The identity in the Lease: POD_XXXXXXXX; empty where nobody holds it."""
        lease = self.kubectl("get", "lease", self.name, "-o", "jsonpath={.spec.holderIdentity}", "--ignore-not-found")
        return lease.strip()

    @property
    def leader(self) -> Replica | None:
        """Who holds the Lease; None while nobody does, or who does has ended."""
        pod = self.holder.rpartition("_")[0]
        return next((replica for replica in self.replicas if replica.name == pod), None)

    @property
    def logs(self) -> list[Path]:
        """Of all replicas that there have ever been, one for each run of their processes."""
        folder = self.stack.folder / "logs" / "pods" / self.namespace
        return sorted(folder.glob(f"{self.name}-*/tidegate-*.log"))

    def _helm(self, verb: str, chart: Path, values: Sequence[Values], *options: str) -> None:
        """Later values go over earlier ones."""
        files = [self.stack.folder / f"values-{self.namespace}-{number}.json" for number, _ in enumerate(values)]
        for file, some in zip(files, values, strict=True):
            file.write_text(json.dumps(some))
        given = [f"--values={file}" for file in files]
        self.stack.helm(verb, self.name, chart, "-n", self.namespace, "--wait", "--timeout=10m", *given, *options)


def _running(pod: Mapping[str, Any]) -> list[Replica]:
    return [
        Replica(
            name=pod["metadata"]["name"],
            ip=pod["status"]["podIP"],
            pid=int(container["containerID"].removeprefix("process://")),
            ready=container["ready"],
        )
        for container in pod.get("status", {}).get("containerStatuses", ())
        if "running" in container["state"]
    ]
