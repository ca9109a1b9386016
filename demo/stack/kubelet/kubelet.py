"""The pods of the Node: each one that is bound to it runs, each one that is deleted ends."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

from demo.stack.kubelet.client import LISTED, Client, Object
from demo.stack.kubelet.containers import Container
from demo.stack.kubelet.pods import START_DELAY, Pod
from demo.stack.kubelet.sources import Sources
from tidegate.api.duration import parse_duration

TOKENS_CHECKED = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Where the API server is, who this kubelet is, and where it may write."""

    server: str
    ca: str
    certificate: str
    key: str
    node: str
    port: int
    version: str
    stack: str

    @property
    def start_delay_file(self) -> Path:
        """Holds the seconds that a pod without an annotation takes to start; may be absent, may change at any time."""
        return Path(self.stack) / "kubelet" / "start-delay"


class Kubelet:
    """Knows its pods by uid."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._pods: dict[str, Pod] = {}
        self._sources = Sources(client, self._source_changed)

    def container(self, namespace: str, pod: str, name: str) -> Container | None:
        """A container of a pod that is here."""
        for known in self._pods.values():
            meta = known.object["metadata"]
            if (meta["namespace"], meta["name"]) == (namespace, pod):
                return next((one for one in (*known.inits, *known.containers) if one.spec["name"] == name), None)
        return None

    async def run(self) -> None:
        """Run the Node's pods, for ever."""
        await asyncio.gather(self._follow_pods(), self._sources.follow(), self._renew_tokens())

    async def _follow_pods(self) -> None:
        async for event, item in self._client.watch(
            "/api/v1/pods", fieldSelector=f"spec.nodeName={self._settings.node}"
        ):
            if event == LISTED:
                present = {pod["metadata"]["uid"]: pod for pod in item["items"]}
                for uid in self._pods.keys() - present.keys():
                    self._pods.pop(uid).gone()
                for pod in present.values():
                    self._seen(pod)
            elif event == "DELETED":
                if gone := self._pods.pop(item["metadata"]["uid"], None):
                    gone.gone()
            else:
                self._seen(item)

    def _seen(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self._pods:
            self._pods[uid] = Pod(pod, Path(self._settings.stack), self._sources, self._start_delay(pod))
        self._pods[uid].seen(pod)

    def _start_delay(self, pod: Object) -> float:
        """The pod's own delay, or the one set for all."""
        own = pod["metadata"].get("annotations", {}).get(START_DELAY)
        if own is not None:
            with contextlib.suppress(ValueError):
                return parse_duration(own).total_seconds()
            log.warning("pod %s: annotation %s=%r is no duration", pod["metadata"]["name"], START_DELAY, own)
        file = self._settings.start_delay_file
        return float(file.read_text()) if file.exists() else 0.0

    def _source_changed(self, kind: str, namespace: str, name: str) -> None:
        for pod in self._pods.values():
            if pod.object["metadata"]["namespace"] == namespace and pod.volumes.refers_to(kind, name):
                pod.outdated()

    async def _renew_tokens(self) -> None:
        while True:
            await asyncio.sleep(TOKENS_CHECKED)
            for pod in self._pods.values():
                if pod.volumes.has_tokens():
                    pod.outdated()
