"""Events as values, and a recorder that writes them without ever holding up or breaking the loop that tells them.

events.k8s.io/v1: the note holds 1024 bytes at most, `action` and `reportingInstance` are required.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from time import time
from typing import Any, NamedTuple, Self
from uuid import uuid4

import stamina
from kubernetes.aio.client import ApiClient

from tidegate.api import API_VERSION, Reason, Resource
from tidegate.cluster.server import FAILURES, path_of, request, status_of, transient, words
from tidegate.cluster.times import micro_time

logger = logging.getLogger(__name__)

LONGEST_NOTE = 1024  # bytes, not characters
QUEUE = 1000
"""Events that may wait to be written; an outage that concerns everybody tells a thousand of them."""

REMEMBERED = 50_000
"""Repeats remembered before those over their time are forgotten."""


class EventType(StrEnum):
    """Normal is news, Warning wants somebody's attention."""

    NORMAL = "Normal"
    WARNING = "Warning"


class About(NamedTuple):
    """The object that an Event is about."""

    kind: str
    namespace: str | None
    name: str
    uid: str

    @classmethod
    def resource(cls, resource: Resource) -> Self:
        """One of our own resources."""
        meta = resource.metadata
        return cls(resource.kind, meta.namespace, meta.name, meta.uid)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to an object. With the same reason and key it is not written again within `dedupe_for`."""

    about: About
    type: EventType
    reason: Reason
    message: str
    dedupe_key: Hashable = ()
    dedupe_for: timedelta = timedelta(minutes=15)
    action: str = "Observe"

    @property
    def identity(self) -> Hashable:
        """What repeats have in common."""
        return self.about.uid, self.reason, self.dedupe_key

    def wire(self, instance: str, now: float) -> dict[str, Any]:
        """The object to create (`events.k8s.io/v1 Event`)."""
        about = self.about
        regarding = {"apiVersion": API_VERSION, "kind": about.kind, "name": about.name, "uid": about.uid}
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{about.name[:200]}.{uuid4().hex[:16]}", "namespace": self.namespace},
            "regarding": regarding | ({"namespace": about.namespace} if about.namespace else {}),
            "eventTime": micro_time(now),
            "type": self.type,
            "reason": self.reason,
            "note": cut_bytes(self.message, LONGEST_NOTE),
            "action": self.action,
            "reportingController": "tidegate.dev/operator",
            "reportingInstance": instance[:128],
        }

    @property
    def namespace(self) -> str:
        """Events about objects of the whole cluster stand in `default`."""
        return self.about.namespace or "default"


def cut_bytes(message: str, longest: int) -> str:
    """Shorten to so many bytes of UTF-8, never within a character."""
    raw = message.encode()
    return message if len(raw) <= longest else raw[: longest - 3].decode(errors="ignore") + "..."


class Recorder:
    """Takes Events from anywhere in the event loop and writes them in the background, in order."""

    def __init__(
        self, api: ApiClient, instance: str, *, clock: Callable[[], float] = time, capacity: int = QUEUE
    ) -> None:
        self._api = api
        self._instance = instance
        self._clock = clock
        self._queue: asyncio.Queue[tuple[float, Event]] = asyncio.Queue(capacity)
        self._told: dict[Hashable, float] = {}

    def tell(self, *events: Event) -> None:
        """Queue what is no repeat. Never waits, never raises; what the queue cannot hold is only logged."""
        now = self._clock()
        for event in events:
            if now < self._told.get(event.identity, 0.0):
                continue
            self._told[event.identity] = now + event.dedupe_for.total_seconds()
            self._put(now, event)
        if len(self._told) > REMEMBERED:
            self._told = {identity: until for identity, until in self._told.items() if until > now}

    def _put(self, now: float, event: Event) -> None:
        try:
            self._queue.put_nowait((now, event))
        except asyncio.QueueFull:
            logger.warning("too many Events wait; not written: %s %s", event.about, event.message)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            now, event = await self._queue.get()
            try:
                await self._write(now, event)
            finally:
                self._queue.task_done()

    async def drain(self) -> None:
        """Wait until everything that was told so far is written (or refused)."""
        await self._queue.join()

    async def _write(self, now: float, event: Event) -> None:
        path, body = path_of("events.k8s.io", "v1", "events", event.namespace), event.wire(self._instance, now)
        try:
            async for attempt in stamina.retry_context(on=transient, attempts=3, timeout=None, wait_max=1.0):
                with attempt:
                    await request(self._api, "POST", path, body=body)
        except FAILURES as error:
            if status_of(error) == 409:
                return  # the answer to the first attempt was lost: it is there
            logger.warning("cannot write an Event about %s %s: %s", event.about.kind, event.about.name, words(error))
        except Exception:
            logger.exception("cannot write an Event about %s %s", event.about.kind, event.about.name)
