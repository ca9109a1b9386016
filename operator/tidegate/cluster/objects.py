"""One of our own objects as it is now, changed only if it still is as it was read."""

from typing import Any, TypeVar

from kubernetes.aio.client import ApiClient

from tidegate.api import GROUP, VERSION, Resource
from tidegate.cluster.server import FIELD_MANAGER, JSON_PATCH, failed_test, path_of, request, status_of

R = TypeVar("R", bound=Resource)

Change = dict[str, Any]
"""One operation of a JSON patch (RFC 6902)."""


async def read_now(api: ApiClient, seen: R) -> R | None:
    """As it is now; None where it is gone, or another has its name. Raises one of FAILURES."""
    try:
        now = type(seen).parse(await request(api, "GET", _path(seen)))
    except Exception as error:
        if status_of(error) == 404:
            return None
        raise
    return now if now.metadata.uid == seen.metadata.uid else None


async def change(
    api: ApiClient,
    seen: R,
    *changes: Change,
    subresource: str = "",
    manager: str = FIELD_MANAGER,
    dry_run: bool = False,
) -> R | None:
    """Change it, if it still is as it was seen, and give what it is then; None: it is not. Raises one of FAILURES.

    A dry run asks whether it would be let be done.
    """
    meta = seen.metadata
    patch: list[Change] = [
        {"op": "test", "path": "/metadata/uid", "value": meta.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version},
        *changes,
    ]
    query = {"fieldManager": manager} | ({"dryRun": "All"} if dry_run else {})
    try:
        answer = await request(api, "PATCH", _path(seen, subresource), query=query, body=patch, content_type=JSON_PATCH)
    except Exception as error:
        if failed_test(error) or status_of(error) in (404, 409):
            return None
        raise
    return type(seen).parse(answer)


async def hold(api: ApiClient, seen: R, finalizer: str) -> R | None:
    """Add a finalizer, as `change` does."""
    return await change(api, seen, _finalizers(*seen.metadata.finalizers, finalizer))


async def release(api: ApiClient, seen: R, finalizer: str) -> R | None:
    """Remove a finalizer, as `change` does."""
    return await change(api, seen, _finalizers(*(name for name in seen.metadata.finalizers if name != finalizer)))


def _finalizers(*names: str) -> Change:
    return {"op": "add", "path": "/metadata/finalizers", "value": list(names)}


def _path(resource: Resource, subresource: str = "") -> str:
    meta = resource.metadata
    return path_of(GROUP, VERSION, resource.names.plural, meta.namespace, meta.name, subresource)
