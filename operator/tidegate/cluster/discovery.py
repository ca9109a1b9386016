"""From the apiVersion and kind of a reference to the resource that has its /scale."""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple

from kubernetes.aio.client import ApiClient, ApiException

from tidegate.api import Reason
from tidegate.cluster.server import request
from tidegate.engine.observation import Objection


class Resource(NamedTuple):
    """Where a kind is kept, in the plural of its path."""

    group: str
    version: str
    plural: str


BUILT_IN: Mapping[tuple[str, str], Resource] = {
    ("apps/v1", "Deployment"): Resource("apps", "v1", "deployments"),
    ("apps/v1", "StatefulSet"): Resource("apps", "v1", "statefulsets"),
    ("apps/v1", "ReplicaSet"): Resource("apps", "v1", "replicasets"),
}
"""Every cluster has these; nobody needs to ask."""

KEEP = 60.0
"""Seconds for which an answer is kept: so soon a CRD that is installed late, or gets its /scale, is seen."""


class Discovery:
    """Asks the API server which resources a group version has, once a minute at most."""

    def __init__(self, api: ApiClient, clock: Callable[[], float] = monotonic) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    async def find(self, api_version: str, kind: str) -> Resource | Objection:
        """The resource of a kind, or TARGET_NOT_SCALABLE saying why it cannot be scaled.

        Raises one of FAILURES where the API server does not tell.
        """
        if known := BUILT_IN.get((api_version, kind)):
            return known
        return resource_in(await self._resources(api_version), api_version, kind)

    async def _resources(self, api_version: str) -> dict[str, Any]:
        read_at, answer = self._known.get(api_version, (-KEEP, {}))
        if self._clock() - read_at >= KEEP:
            answer = await self._ask(api_version)
            self._known[api_version] = self._clock(), answer
        return answer

    async def _ask(self, api_version: str) -> dict[str, Any]:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            return await request(self._api, "GET", path)
        except ApiException as error:
            if error.status == 404:
                return {}
            raise


def resource_in(answer: Mapping[str, Any], api_version: str, kind: str) -> Resource | Objection:
    """Find a kind and its /scale in an APIResourceList."""
    resources = answer.get("resources") or ()
    plural = next((r["name"] for r in resources if r["kind"] == kind and "/" not in r["name"]), None)
    if plural is None:
        message = f"the cluster has no kind {kind} in {api_version}: check spec.targetRef and whether its CRD is there"
        return Objection(Reason.TARGET_NOT_SCALABLE, message)
    if not any(r["name"] == f"{plural}/scale" for r in resources):
        message = f"{kind} ({api_version}) has no /scale: name a Deployment, a StatefulSet or another kind that has it"
        return Objection(Reason.TARGET_NOT_SCALABLE, message)
    group, _, version = api_version.rpartition("/")
    return Resource(group, version, plural)
