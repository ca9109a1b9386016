"""One pod: from bound to gone."""

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Any

from demo.stack.kubelet.client import ApiError, Client, Object
from demo.stack.kubelet.containers import Container
from demo.stack.kubelet.fields import pod_ip
from demo.stack.kubelet.node import now
from demo.stack.kubelet.sources import TROUBLE, Sources
from demo.stack.kubelet.states import pod_status, with_transitions
from demo.stack.kubelet.volumes import Volumes

START_DELAY = "tidegate.dev/start-delay"
"""Pod annotation: how long its containers take to start (image pull, boot), as a duration such as `8s`."""

SYNC_PERIOD = 2.0
"""Seconds between two looks of a pod at what its volumes are made of: that late, at most, a change of a ConfigMap is
projected. The real kubelet's `syncFrequency` is 60 (and its pods take up to half as long again)."""

log = logging.getLogger(__name__)


class Pod:
    """Runs one pod until it is deleted. `seen` hands it each new version of its object."""

    def __init__(self, pod: Object, stack: Path, sources: Sources, start_delay: float) -> None:
        self.object = pod
        self.uid: str = pod["metadata"]["uid"]
        self.sandbox = stack / "kubelet" / "pods" / self.uid
        self.volumes = Volumes(pod, self.sandbox, sources)
        self._client: Client = sources.client
        self._path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        self._start_delay = start_delay
        self._started = now()
        self._change = asyncio.Event()
        self._conditions: list[Object] = pod.get("status", {}).get("conditions", [])
        self._told: Object | None = None
        self.inits, self.containers = (
            [
                Container(pod, one, self.volumes.root, stack, sources, self._change.set)
                for one in pod["spec"].get(kind, ())
            ]
            for kind in ("initContainers", "containers")
        )
        self._life = asyncio.create_task(self._live())
        self._reporting = asyncio.create_task(self._report())
        self._syncing: asyncio.Task[None] | None = None
        self._deletion: asyncio.Task[None] | None = None
        self._outdated = False

    def seen(self, pod: Object) -> None:
        """Its object changed: begin to end it if it is being deleted."""
        self.object = pod
        if pod["metadata"].get("deletionTimestamp") and self._deletion is None:
            self._deletion = asyncio.create_task(self._delete())

    def gone(self) -> None:
        """Its object is gone: whatever still runs is ended at once."""
        for task in (self._life, self._reporting, self._syncing, self._deletion):
            if task is not None:
                task.cancel()
        for container in (*self.inits, *self.containers):
            container.kill()
        shutil.rmtree(self.sandbox, ignore_errors=True)

    def outdated(self) -> None:
        """What its volumes are made of has changed: they are written anew at its next sync."""
        self._outdated = True

    async def _sync(self) -> None:
        """What is missing now is left as it was, and tried again."""
        while True:
            await asyncio.sleep(SYNC_PERIOD)
            if self._outdated:
                self._outdated = False  # a change while it is read counts for the next sync
                try:
                    await self.volumes.update()
                except TROUBLE:
                    self._outdated = True

    async def _live(self) -> None:
        self._change.set()
        await asyncio.sleep(self._start_delay)
        if not await self._volumes_ready():
            return
        self._syncing = asyncio.create_task(self._sync())
        policy = self.object["spec"].get("restartPolicy", "Always")
        for init in self.inits:
            await init.run("Never" if policy == "Never" else "OnFailure")
            if init.state.exit_code() != 0:
                return
        await asyncio.gather(*(container.run(policy) for container in self.containers))

    async def _volumes_ready(self) -> bool:
        while True:
            try:
                await self.volumes.create()
            except TROUBLE as error:
                self._wait("ContainerCreating", str(error))
                await asyncio.sleep(1)
            except ValueError as error:
                self._wait("CreateContainerError", str(error))
                return False
            else:
                return True

    def _wait(self, reason: str, message: str) -> None:
        for container in self.containers:
            container.state.waits(reason, message)
        self._change.set()

    async def _delete(self) -> None:
        grace = self.object["metadata"].get("deletionGracePeriodSeconds", 30)
        everything = [*self.inits, *self.containers]
        if not any(container.state.identity for container in everything):
            self._life.cancel()
        await asyncio.gather(*(container.stop(grace) for container in everything))
        await asyncio.wait([self._life])
        self._reporting.cancel()
        while not (await self._tell() and await self._removed()):
            await asyncio.sleep(0.5)

    async def _removed(self) -> bool:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        try:
            await self._client.delete(self._path, options)
        except TROUBLE as error:
            return _is_gone(error)
        return True

    async def _report(self) -> None:
        while True:
            await self._change.wait()
            self._change.clear()
            if not await self._tell():
                await asyncio.sleep(0.5)
                self._change.set()

    async def _tell(self) -> bool:
        """Write the status if it is another than the last one; False if that should be tried again."""
        states = [[container.state for container in some] for some in (self.inits, self.containers)]
        status: dict[str, Any] = pod_status(states[0], states[1], self._started, pod_ip(self.object))
        if status == self._told:
            return True
        conditions = with_transitions(status["conditions"], self._conditions)
        body = {"metadata": {"uid": self.uid}, "status": {**status, "conditions": conditions}}
        try:
            await self._client.patch(f"{self._path}/status", body)
        except TROUBLE as error:
            log.warning("status of %s: %s", self._path, error)
            return _is_gone(error)
        self._told, self._conditions = status, conditions
        return True


def _is_gone(error: Exception) -> bool:
    """Whether the API server says that there is no such pod any more, or another of its name."""
    return isinstance(error, ApiError) and error.status in (404, 409)
