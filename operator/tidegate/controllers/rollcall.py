"""Roll calls: who exists according to a list, against what the watches have shown.

A watch alone cannot know everything. Objects that are deleted while its stream is down are never reported as deleted
(kopf lists anew and tells what is there, not what is gone), and a stream that is dead in silence looks like a quiet
cluster. So at the start, and every few minutes, each kind is listed by metadata only: what is not there any more is
forgotten; what the watch never shows means that the watch is stuck, and `/healthz` says so.
"""

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from kubernetes.aio.client import ApiClient, ApiException

from tidegate.controllers.shelf import Name

logger = logging.getLogger(__name__)

METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PAGE = 100
TIMEOUT = 30


async def present(api: ApiClient, path: str) -> dict[str, Name]:
    """Uid → name of all objects listed at `path`. Raises ApiException, with status 404 where there is no such kind."""
    found: dict[str, Name] = {}
    proceed: str | None = ""
    while proceed is not None:
        page = await _page(api, path, proceed)
        for item in page.get("items") or ():
            meta = item["metadata"]
            found[meta["uid"]] = Name(meta.get("namespace"), meta["name"])
        proceed = page.get("metadata", {}).get("continue") or None
    return found


async def _page(api: ApiClient, path: str, proceed: str) -> dict[str, Any]:
    query = [("limit", str(PAGE))] + ([("continue", proceed)] if proceed else [])
    request = await api.param_serialize(
        "GET", path, query_params=query, header_params={"Accept": METADATA_ONLY}, auth_settings=["BearerToken"]
    )
    response = await api.call_api(*request, _request_timeout=TIMEOUT)
    body: bytes = await response.response.read()
    if response.status != 200:
        raise ApiException.from_response(http_resp=response, body=body.decode(errors="replace"), data=None)
    page: dict[str, Any] = json.loads(body)
    return page


@dataclass(slots=True)
class Attendance:
    """What the roll calls of one kind have found out.

    `unseen` are uids that a list had and no watch has shown yet, with the moment (monotonic seconds) they were first
    missed.
    """

    called: bool = False
    problem: str | None = None
    unseen: dict[str, float] = field(default_factory=dict)

    def note(self, missing: Collection[str], now: float) -> None:
        """A roll call went well; these are still missing."""
        self.called, self.problem = True, None
        self.unseen = {uid: self.unseen.get(uid, now) for uid in missing}

    def fail(self, problem: str) -> None:
        """The roll call itself failed."""
        self.problem = problem

    @property
    def complete(self) -> bool:
        """Whether everything that was listed has been seen."""
        return self.called and not self.unseen

    def longest_unseen(self, now: float) -> float:
        """Seconds for which the watch has owed an object."""
        return now - min(self.unseen.values(), default=now)
