"""What was asked of the API server, by whom, from its audit log."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request that was answered. A watch counts once, when it begins: the log has its end as well."""

    user: str
    user_agent: str
    verb: str
    """As RBAC has it: get, list, watch, create, update, patch, delete, deletecollection; also get of a path."""
    group: str
    """Empty for the core group."""
    resource: str
    """Plural, with its subresource: `deployments/scale`; empty where the request was not for a resource."""
    namespace: str
    """Empty where there is none: for cluster-scoped resources, and for all namespaces at once."""
    name: str
    code: int
    """HTTP status."""
    refused: bool
    """Whether it lacked a right. (403 is also said of what a namespace that goes cannot take in any more.)"""
    message: str
    """What the API server said of a failure; empty else."""
    time: datetime
    """When it was answered."""
    path: str


def requests(log: Path) -> Iterator[Request]:
    """All that are in the log so far, oldest first; a line that is being written is left for the next time."""
    started: set[str] = set()
    with log.open() as lines:
        for line in lines:
            if not line.endswith("\n"):
                return
            event = json.loads(line)
            if event["auditID"] not in started:
                yield _request(event)
            if event["stage"] == "ResponseStarted":
                started.add(event["auditID"])


def _request(event: dict[str, Any]) -> Request:
    about = event.get("objectRef", {})
    parts = (about.get("resource", ""), about.get("subresource", ""))
    return Request(
        user=event["user"].get("username", ""),
        user_agent=event.get("userAgent", ""),
        verb=event["verb"],
        group=about.get("apiGroup", ""),
        resource="/".join(part for part in parts if part),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        refused=event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid",
        message=event.get("responseStatus", {}).get("message", ""),
        time=datetime.fromisoformat(event["stageTimestamp"]),
        path=event["requestURI"],
    )
