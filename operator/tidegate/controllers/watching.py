"""kopf, for what it is best at: watch-streams that never end. Its level-triggered half only (`on.event`).

kopf runs in a thread and event loop of its own. It takes every task of its loop for its own and cancels it at exit,
sets the process's signal handlers where it runs in the main thread, and parses whole objects: none of that may touch
the reading loops. What it sees is made small in its thread and handed to the main loop as a `Sighting`.

No object gets a finalizer or an annotation by this. (What of ours ever blocks a deletion: an increase of partitions
that has a target at zero, see cluster/finalizer.py, and features that are off, see cluster/recording.py.)
"""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import kopf

from tidegate.controllers.settings import Settings
from tidegate.controllers.shelf import Name

logger = logging.getLogger(__name__)

Body = Mapping[str, Any]
Login = Callable[[], Awaitable[kopf.ConnectionInfo]]

LONGEST_BACKOFF = 30.0


class Watched(NamedTuple):
    """A kind to watch, and how to make its objects small enough to keep."""

    group: str
    version: str
    plural: str
    distil: Callable[[Body], object]
    namespaced: bool = True
    optional: bool = False  # the kind need not exist

    def path(self, namespace: str | None) -> str:
        """Where the API server lists them."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"


class Sighting(NamedTuple):
    """One event of a watch: what is left of the object, or None where it is gone."""

    plural: str
    name: Name
    uid: str
    version: int
    value: object | None
    gone: bool


def sighting(kind: Watched, event_type: str | None, body: Body) -> Sighting:
    """Make an event small. `event_type` is None for objects of a listing.

    An object that cannot be read is there but has no value: acting on what it was before would be acting on old
    orders.
    """
    gone = event_type == "DELETED"
    meta = body["metadata"]
    name = Name(meta.get("namespace"), meta["name"])
    try:
        value = None if gone else kind.distil(body)
    except Exception as error:
        logger.error("cannot read %s %s: %s", kind.plural, name, error, exc_info=not isinstance(error, ValueError))
        value = None
    return Sighting(kind.plural, name, meta["uid"], int(meta["resourceVersion"]), value, gone)


class Nothing:
    """What kopf is to remember of each object."""

    def __copy__(self) -> "Nothing":
        return self


class Backoffs:
    """Seconds between attempts, growing, with jitter, without end: an API server that is away comes back some day."""

    def __iter__(self) -> Iterator[float]:
        delay = 0.5
        while True:
            yield delay * random.uniform(0.8, 1.2)
            delay = min(delay * 2, LONGEST_BACKOFF)


def kopf_settings(namespaced: bool) -> kopf.OperatorSettings:
    """Settings of kopf where its defaults do not fit.

    In some namespaces only, kinds and namespaces of the cluster are not observed: that takes rights which such an
    installation does not have, and kopf asks again and again for what it is refused.
    """
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = namespaced
    settings.posting.enabled = False
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 610
    settings.watching.reconnect_backoff = 1
    settings.watching.chunk_size = 100  # whole objects are large, and what a start takes in memory it keeps
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = Backoffs()
    # A worker holds its slot until it has been idle that long, so at most limit / timeout objects a second are taken
    # in.
    settings.queueing.worker_limit = 100
    settings.queueing.idle_timeout = 0.01
    settings.persistence.finalizer = "tidegate.dev/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="tidegate.dev")
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="tidegate.dev")
    settings.process.ultimate_exiting_timeout = None
    return settings


def build_registry(kinds: tuple[Watched, ...], login: Login, tell: Callable[[Sighting], None]) -> kopf.OperatorRegistry:
    """A registry of our own: none of kopf's global one, none of its default logins."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=5)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await login()

    for kind in kinds:
        _watch(registry, kind, tell)
    return registry


def _watch(registry: kopf.OperatorRegistry, kind: Watched, tell: Callable[[Sighting], None]) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"see-{kind.plural}")
    async def see(event: Mapping[str, Any], **_: Any) -> None:
        tell(sighting(kind, event["type"], event["object"]))


class Watch:
    """The watches of one process, in their own thread, from `start` until `stop`."""

    def __init__(
        self,
        kinds: tuple[Watched, ...],
        settings: Settings,
        login: Login,
        tell: Callable[[Sighting], None],
    ) -> None:
        self._settings = settings
        self._kinds = kinds
        self._login = login
        self._tell = tell
        self._main = asyncio.get_running_loop()
        self._kopf: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self.ended: asyncio.Future[None] = self._main.create_future()
        """Done when the watches are over; has the exception where they broke."""

    def start(self) -> None:
        """Start watching; sightings come by `tell`, in the main loop."""
        threading.Thread(target=self._run, name="kopf", daemon=True).start()

    def stop(self) -> None:
        """Ask the watches to end; `ended` says when they have."""
        if self._kopf and self._over and not self._kopf.is_closed():
            self._kopf.call_soon_threadsafe(self._over.set)

    def ping(self, answer: Callable[[], None]) -> None:
        """Call `answer` in the main loop once kopf's loop has taken a turn: it is alive, not stuck."""
        if self._kopf and not self._kopf.is_closed():
            self._kopf.call_soon_threadsafe(self._main.call_soon_threadsafe, answer)

    def _run(self) -> None:
        outcome: BaseException | None = None
        try:
            asyncio.run(self._operate())
        except BaseException as error:
            outcome = error
        if not self._main.is_closed():
            self._main.call_soon_threadsafe(self._end, outcome)

    def _end(self, outcome: BaseException | None) -> None:
        if self.ended.done():
            return
        if outcome is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(outcome)

    async def _operate(self) -> None:
        # A flag of this loop, not a threading.Event: kopf would wait for that in a pool thread, which outlives a
        # crash of kopf.
        self._over = asyncio.Event()
        self._kopf = asyncio.get_running_loop()
        await kopf.operator(
            registry=build_registry(self._kinds, self._login, self._hand_over),
            settings=kopf_settings(bool(self._settings.namespaces)),
            memo=Nothing(),
            standalone=True,
            identity=cast(Any, "tidegate"),  # else it looks up the name of the user, and a container's may have none
            clusterwide=not self._settings.namespaces,
            namespaces=self._settings.namespaces,
            stop_flag=self._over,
        )

    def _hand_over(self, seen: Sighting) -> None:
        self._main.call_soon_threadsafe(self._tell, seen)
