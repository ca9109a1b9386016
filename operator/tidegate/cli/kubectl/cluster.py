"""The cluster as the commands see it: resources read by name or by kind, and refusals in words that help."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Generic, NamedTuple, TypeVar

from kubernetes.aio.client import ApiClient

from tidegate import __version__
from tidegate.api import GROUP, VERSION, InvalidResourceError, Resource
from tidegate.cli.kubectl.failures import CommandError, Exit
from tidegate.cli.kubectl.options import Where
from tidegate.cluster import access
from tidegate.cluster.server import (
    FAILURES,
    UNREACHABLE,
    causes,
    denial,
    names_object,
    path_of,
    refusal,
    request,
    status_of,
    words,
)

R = TypeVar("R", bound=Resource)

NOT_INSTALLED = (
    f"this cluster has no {{plural}}.{GROUP}: Tidegate is not installed here, or the context leads to another cluster."
    " To install it: helm install tidegate charts/tidegate -n tidegate-system --create-namespace"
)


class Found(NamedTuple, Generic[R]):
    """A resource, and when its status was written last (None: never)."""

    it: R
    written: datetime | None


class Unreadable(NamedTuple):
    """A resource that this version cannot read, and why."""

    namespace: str
    name: str
    problem: str


class Cluster(NamedTuple):
    """A client, and where it looks; `namespace` None: everywhere."""

    api: ApiClient
    namespace: str | None

    @property
    def place(self) -> str:
        """In words."""
        return f"namespace {self.namespace}" if self.namespace else "any namespace"


@asynccontextmanager
async def reached(where: Where) -> AsyncIterator[Cluster]:
    """The cluster; whatever it refuses within the block becomes a CommandError."""
    try:
        configuration, namespace = await access.load(where.kubeconfig, where.context)
    except access.AccessError as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from None
    namespace = where.namespace or namespace
    async with ApiClient(configuration) as api:
        api.user_agent = f"kubectl-tidegate/{__version__}"
        if where.user:
            api.set_default_header("Impersonate-User", where.user)
        try:
            yield Cluster(api, None if where.everywhere else namespace)
        except FAILURES as error:
            raise in_words(error, configuration.host, where.namespace or namespace) from None


def in_words(error: BaseException, host: str, namespace: str | None) -> CommandError:
    """A failure of a request, as the person who asked needs to read it."""
    if isinstance(error, UNREACHABLE):
        return CommandError(f"the API server {host} cannot be reached: {words(error)}", Exit.UNREACHABLE)
    match status_of(error):
        case 401:
            return CommandError(f"the API server {host} does not accept your credentials", Exit.FORBIDDEN)
        case 403:
            return CommandError(denial(error) or refusal(error, namespace).message, Exit.FORBIDDEN)
        case 404:
            return CommandError(f"not found: {words(error)}")
        case 422:
            return CommandError("; ".join(causes(error)) or words(error))
        case _:
            return CommandError(f"the API server refuses: {words(error)}")


async def listed(cluster: Cluster, kind: type[R]) -> list[R | Unreadable]:
    """All of a kind here, by namespace and name."""
    plural = kind.names.plural
    try:
        answer = await request(cluster.api, "GET", path_of(GROUP, VERSION, plural, _space(cluster, kind)))
    except Exception as error:
        raise (CommandError(NOT_INSTALLED.format(plural=plural)) if status_of(error) == 404 else error) from None
    return [_parsed(kind, item) for item in answer["items"]]


def _space(cluster: Cluster, kind: type[Resource]) -> str | None:
    return cluster.namespace if kind.names.namespaced else None


def _parsed(kind: type[R], wire: dict[str, Any]) -> R | Unreadable:
    try:
        return kind.parse(wire)
    except InvalidResourceError as error:
        meta = wire["metadata"]
        return Unreadable(meta.get("namespace", ""), meta["name"], str(error))


def readable(found: list[R | Unreadable]) -> list[R]:
    """Those that this version can read."""
    return [each for each in found if not isinstance(each, Unreadable)]


async def found(cluster: Cluster, kind: type[R], name: str) -> Found[R]:
    """One of them by its name; CommandError with the names that are near where there is none."""
    if cluster.namespace is None:
        cluster = cluster._replace(namespace=await _only_namespace(cluster, kind, name))
    path = path_of(GROUP, VERSION, kind.names.plural, _space(cluster, kind), name)
    try:
        wire = await request(cluster.api, "GET", path)
    except Exception as error:
        if status_of(error) != 404:
            raise
        if not names_object(error):
            raise CommandError(NOT_INSTALLED.format(plural=kind.names.plural)) from None
        raise CommandError(await _missing(cluster, kind, name)) from None
    try:
        return Found(kind.parse(wire), _written(wire))
    except InvalidResourceError as error:
        raise CommandError(f"{name} cannot be read by version {__version__}: {error}") from None


async def _only_namespace(cluster: Cluster, kind: type[Resource], name: str) -> str:
    """The namespace that has it, where all are asked."""
    there = [each.metadata.namespace or "" for each in readable(await listed(cluster, kind)) if _name(each) == name]
    if len(there) > 1:
        raise CommandError(f"{name} is in the namespaces {', '.join(sorted(there))}: say which with -n")
    if not there:
        raise CommandError(await _missing(cluster, kind, name))
    return there[0]


def _written(wire: dict[str, Any]) -> datetime | None:
    entries = wire["metadata"].get("managedFields") or ()
    times = [entry["time"] for entry in entries if entry.get("subresource") == "status" and entry.get("time")]
    return datetime.fromisoformat(max(times)) if times else None


async def _missing(cluster: Cluster, kind: type[Resource], name: str) -> str:
    """That there is none of this name, and which there are."""
    what = kind.model_fields["kind"].default
    there = [_name(each) for each in await listed(cluster, kind)]
    near = get_close_matches(name, there, n=3, cutoff=0.5)
    said = f"there is no {what} {name} in {cluster.place}"
    if near:
        return f"{said}; there is {' and '.join(near)}"
    if there:
        return f"{said}; there are {len(there)}: {', '.join(sorted(there)[:10])}"
    return f"{said}: it has none. With -n NAMESPACE another is asked"


def _name(each: Resource | Unreadable) -> str:
    return each.name if isinstance(each, Unreadable) else each.metadata.name
