"""Statuses written in the background: the newest of each object, what matters first, and never a flood.

Autoscalers have come to grief on their own status writes (kedacore/keda#3810, #6063, #7615), and a cycle must not wait
for them. So a status is offered, and written by a task of its own in two lanes. What people act on goes first, at most
URGENT_RATE a second however many policies change at once (a broker that goes down changes a thousand). Numbers follow
when there is room: at RATE a second, what was urgent counted. With 1,000 policies each is a minute old or little more,
with 10,000 about ten. A status that waits is replaced by a newer one, and waiting is in order within a lane.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple, Self

import stamina
from kubernetes.aio.client import ApiClient, ApiException

from tidegate.api import GROUP, VERSION, BrokerConnectionStatus, LagPolicyStatus, Resource
from tidegate.cluster.server import (
    FAILURES,
    FIELD_MANAGER,
    JSON_PATCH,
    failed_test,
    path_of,
    refusal,
    request,
    status_of,
    transient,
    words,
)
from tidegate.cluster.status import Digest, Worth, digest, worth_writing

logger = logging.getLogger(__name__)

URGENT_RATE, URGENT_BURST = 50.0, 100.0
RATE, BURST = 16.0, 16.0

RETRY_AFTER = 30.0
"""Seconds until a status that could not be written is tried again."""

WRITTEN, FAILED = "written", "failed"

Status = LagPolicyStatus | BrokerConnectionStatus

Memory = Callable[[], str]
"""What is to be kept in `status.memory`, as it is when the status is written."""


class Key(NamedTuple):
    """An object by name and uid: a status must never reach another object that took its name."""

    plural: str
    namespace: str | None
    name: str
    uid: str

    @classmethod
    def of(cls, resource: Resource) -> Self:
        """The key of one of our resources."""
        meta = resource.metadata
        return cls(resource.names.plural, meta.namespace, meta.name, meta.uid)


async def write_status(api: ApiClient, key: Key, status: Status) -> None:
    """Replace the status of one object. Raises one of FAILURES, also where the object is gone (see `gone`).

    What is recorded of switched flags stays as the API server has it, in whatever order writes arrive there: it has
    writes of its own, see `recording`. Only where somebody has cleared it, this writes it anew.
    """
    recorded = isinstance(status, LagPolicyStatus) and status.degradation is not None
    try:
        await _replace(api, key, status, keep=recorded)
    except ApiException as error:
        if not (recorded and failed_test(error)):
            raise
        await _replace(api, key, status, keep=False)


async def _replace(api: ApiClient, key: Key, status: Status, keep: bool) -> None:
    """A JSON patch (RFC 6902), since it can test the uid first: in others the status subresource ignores it.

    To `keep` what is recorded it is put aside meanwhile; the patch fails where it is not there.
    """
    path = path_of(GROUP, VERSION, key.plural, key.namespace, key.name, "status")
    patch: list[dict[str, Any]] = [{"op": "add", "path": "/status", "value": status.wire()}]
    if keep:
        aside, recorded = "/kept", "/status/degradation"
        patch = [
            {"op": "copy", "from": recorded, "path": aside},
            *patch,
            {"op": "move", "from": aside, "path": recorded},
        ]
    patch = [{"op": "test", "path": "/metadata/uid", "value": key.uid}, *patch]
    await request(api, "PATCH", path, query={"fieldManager": FIELD_MANAGER}, body=patch, content_type=JSON_PATCH)


def gone(error: BaseException) -> bool:
    """Whether the object was deleted, or another one has its name now."""
    return status_of(error) == 404 or failed_test(error)


@dataclass(slots=True)
class Bucket:
    """So many a second, and some at once after a pause. Times in seconds of any clock."""

    rate: float
    burst: float
    _full_at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next one may go; 0 now. Less than a millisecond is now: it would not move a clock."""
        left = self._full_at - now - (self.burst - 1) / self.rate
        return left if left > 0.001 else 0.0

    def take(self, now: float) -> None:
        """One goes."""
        self._full_at = max(self._full_at, now) + 1 / self.rate


class Offered(NamedTuple):
    """A status that waits to be written."""

    status: Status
    memory: Memory | None = None

    def whole(self) -> Status:
        """With what is to be kept, as it is now."""
        return self.status.model_copy(update={"memory": self.memory()}) if self.memory else self.status


@dataclass(slots=True)
class Lane:
    """What waits, and how fast it goes; each that goes leaves less `room`: the bucket of those that can wait."""

    bucket: Bucket
    room: Bucket | None = None
    waiting: dict[Key, Offered] = field(default_factory=dict)

    def take(self, now: float) -> tuple[Key, Offered]:
        """The one that has waited longest goes."""
        for bucket in filter(None, (self.bucket, self.room)):
            bucket.take(now)
        key = next(iter(self.waiting))
        return key, self.waiting.pop(key)


class _Written(NamedTuple):
    digest: Digest | None  # None: the last attempt failed
    at: float


class StatusWriter:
    """Takes statuses from anywhere in the event loop and writes them in the background."""

    def __init__(self, api: ApiClient, *, clock: Callable[[], float] = monotonic) -> None:
        self._api = api
        self._clock = clock
        self._routine = Lane(Bucket(RATE, BURST))
        self._urgent = Lane(Bucket(URGENT_RATE, URGENT_BURST), room=self._routine.bucket)
        self._written: dict[Key, _Written] = {}
        self._offered = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._complained: dict[str, float] = {}
        self.results = Counter({WRITTEN: 0, FAILED: 0})
        """How many writes have ended how; a status of an object that is gone counts as failed."""

    @property
    def waiting(self) -> int:
        """Statuses that wait to be written."""
        return len(self._urgent.waiting) + len(self._routine.waiting)

    def offer(
        self, resource: Resource, status: Status, *, known: Status | None = None, memory: Memory | None = None
    ) -> Worth:
        """Have a status written if it is worth it.

        `known` is what the API server is known to have, `resource.status` where it is not given.
        """
        key, offered = Key.of(resource), Offered(status, memory)
        worth = self._worth(key, known or getattr(resource, "status"), status)  # noqa: B009
        if key in self._urgent.waiting or worth is Worth.AT_ONCE:
            self._routine.waiting.pop(key, None)
            self._urgent.waiting[key] = offered
        elif key in self._routine.waiting or worth is Worth.ROUTINE:
            self._routine.waiting[key] = offered
        if worth:
            self._idle.clear()
            self._offered.set()
        return worth

    def _worth(self, key: Key, known: Status, status: Status) -> Worth:
        before = self._written.get(key)
        if before is None:
            return worth_writing(digest(known), status, float("inf"))
        since = self._clock() - before.at
        if before.digest is None:
            return Worth.AT_ONCE if since >= RETRY_AFTER else Worth.NOTHING
        return worth_writing(before.digest, status, since)

    def forget(self, resource: Resource) -> None:
        """The object is gone."""
        key = Key.of(resource)
        for lane in (self._urgent, self._routine):
            lane.waiting.pop(key, None)
        self._written.pop(key, None)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            key, offered = await self._next()
            self._written[key] = written = _Written(await self._write(key, offered), self._clock())
            self.results[FAILED if written.digest is None else WRITTEN] += 1

    async def drain(self) -> None:
        """Wait until all that was offered so far is written (or refused)."""
        await self._idle.wait()

    async def _next(self) -> tuple[Key, Offered]:
        while True:
            now, waits = self._clock(), []
            for lane in filter(lambda lane: lane.waiting, (self._urgent, self._routine)):
                waits.append(lane.bucket.wait(now))
                if not waits[-1]:
                    return lane.take(now)
            await self._pause(min(waits, default=None))

    async def _pause(self, longest: float | None) -> None:
        if longest is None:
            self._idle.set()
        self._offered.clear()
        try:
            await asyncio.wait_for(self._offered.wait(), longest)
        except TimeoutError:
            return

    async def _write(self, key: Key, offered: Offered) -> Digest | None:
        try:
            async for attempt in stamina.retry_context(on=_worth_another_try, attempts=3, timeout=None, wait_max=1.0):
                with attempt:
                    await write_status(self._api, key, offered.whole())
        except FAILURES as error:
            self._complain(key, error)
            return None
        except Exception:
            logger.exception("cannot write the status of %s %s/%s", key.plural, key.namespace, key.name)
            return None
        return digest(offered.status)

    def _complain(self, key: Key, error: BaseException) -> None:
        """Say so once a minute for each kind of problem: a missing right concerns a thousand statuses alike."""
        if gone(error):
            return
        problem = refusal(error, key.namespace).message if status_of(error) == 403 else words(error)
        now = self._clock()
        if now >= self._complained.get(problem, 0.0):
            logger.warning("cannot write the status of %s %s/%s: %s", key.plural, key.namespace, key.name, problem)
            self._complained = {p: until for p, until in self._complained.items() if until > now} | {problem: now + 60}


def _worth_another_try(error: Exception) -> bool:
    return transient(error) or status_of(error) == 409
