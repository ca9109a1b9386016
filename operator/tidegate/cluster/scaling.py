"""Writing /scale: only /scale, only by resourceVersion, and never over a number that somebody else has just written."""

from dataclasses import dataclass

from kubernetes.aio.client import ApiClient

from tidegate.api import TargetRef
from tidegate.cluster.discovery import Discovery
from tidegate.cluster.insisting import insist
from tidegate.cluster.server import FAILURES, FIELD_MANAGER, MERGE_PATCH, request, status_of, transient
from tidegate.cluster.workloads import Workload, read_workload, scale_objection, scale_of, scale_path
from tidegate.engine.observation import Objection


@dataclass(frozen=True, slots=True)
class Scaled:
    """The target after the attempt. Not `written`: somebody else changed its replicas meanwhile, and theirs stand."""

    workload: Workload
    written: bool


async def scale(
    api: ApiClient, discovery: Discovery, namespace: str, ref: TargetRef, replicas: int, *, seen: Workload
) -> Scaled | Objection:
    """Ask for `replicas`, if the target still asks for `seen.replicas`; else leave it, the next cycle decides anew.

    A newer version of the target with the same replicas (409, its status changed) is written again, and so is a request
    that got no answer: the resourceVersion makes that harmless. Objections as in `read_workload`.
    """
    attempt = _Attempt(api, discovery, namespace, ref, replicas, seen)
    try:
        return await insist(attempt.write, attempt.may_be_repeated)
    except FAILURES as error:
        return scale_objection(error, namespace, ref)


@dataclass(slots=True)
class _Attempt:
    api: ApiClient
    discovery: Discovery
    namespace: str
    ref: TargetRef
    replicas: int
    seen: Workload
    stale: bool = False
    unanswered: bool = False

    async def write(self) -> Scaled | Objection:
        if self.stale:
            now = await read_workload(self.api, self.discovery, self.namespace, self.ref)
            if isinstance(now, Objection):
                return now
            if now.uid != self.seen.uid or now.replicas != self.seen.replicas:
                return Scaled(now, written=self._is_ours(now))
            self.seen = now
        return await self._patch()

    def _is_ours(self, now: Workload) -> bool:
        """Whether a write that got no answer has come through."""
        return self.unanswered and now.uid == self.seen.uid and now.replicas == self.replicas

    async def _patch(self) -> Scaled | Objection:
        resource = await self.discovery.find(self.ref.api_version, self.ref.kind)
        if isinstance(resource, Objection):
            return resource
        metadata = {"resourceVersion": str(self.seen.resource_version)}
        answer = await request(
            self.api,
            "PATCH",
            scale_path(resource, self.namespace, self.ref),
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": metadata, "spec": {"replicas": self.replicas}},
            content_type=MERGE_PATCH,
        )
        after = scale_of(answer, self.ref)
        return after if isinstance(after, Objection) else Scaled(after, written=True)

    def may_be_repeated(self, error: Exception) -> bool:
        """Whether to try again; then the target is read first, as what was seen may be old (or already written)."""
        self.unanswered = self.unanswered or transient(error)
        self.stale = status_of(error) == 409 or transient(error)
        return self.stale
