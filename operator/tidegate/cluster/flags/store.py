"""The flags that this process has read: one GET for all who ask at about the same time."""

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import NamedTuple

from kubernetes.aio.client import ApiClient

from tidegate.api import FlagsKind, FlagsRef
from tidegate.cluster.flags.configmap import ConfigMapSink
from tidegate.cluster.flags.featureflag import FeatureFlagSink
from tidegate.cluster.flags.sinks import FlagSink, Seen
from tidegate.engine.observation import Objection

OBJECTION_KEPT = 5.0
"""Seconds for which an Objection is kept at most: who mends the flags wants to see that soon."""


class Place(NamedTuple):
    """Where a document is."""

    namespace: str
    kind: FlagsKind
    name: str
    key: str

    @classmethod
    def of(cls, namespace: str, ref: FlagsRef) -> "Place":
        """That of a reference in this namespace."""
        return cls(namespace, ref.kind, ref.name, ref.document if ref.kind is FlagsKind.CONFIG_MAP else "")


def open_sink(api: ApiClient, place: Place) -> FlagSink:
    """The sink there; whether there is any, its `read` tells."""
    if place.kind is FlagsKind.FEATURE_FLAG:
        return FeatureFlagSink(api, place.namespace, place.name)
    return ConfigMapSink(api, place.namespace, place.name, place.key)


class FlagStore:
    """Reads and writes the flags of all policies. `clock` is in seconds and only goes forward."""

    def __init__(self, api: ApiClient, clock: Callable[[], float] = monotonic) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[Place, tuple[float, Seen | Objection]] = {}
        self._reading: dict[Place, asyncio.Task[Seen | Objection]] = {}

    async def read(self, namespace: str, ref: FlagsRef, max_age: float) -> Seen | Objection:
        """The flags as they were at most `max_age` seconds ago (0: now). Objections as those of `FlagSink.read`."""
        place = Place.of(namespace, ref)
        known = self._known.get(place)
        if known and self._clock() - known[0] < (min(max_age, OBJECTION_KEPT) if _failed(known[1]) else max_age):
            return known[1]
        if place not in self._reading:
            self._reading[place] = task = asyncio.create_task(self._read(place))
            task.add_done_callback(lambda _: self._reading.pop(place, None))
        return await asyncio.shield(self._reading[place])

    async def _read(self, place: Place) -> Seen | Objection:
        begun = self._clock()
        found = await open_sink(self._api, place).read()
        self._keep(place, begun, found)
        return found

    async def write(self, namespace: str, ref: FlagsRef, seen: Seen, variants: Mapping[str, str]) -> Seen | Objection:
        """Give flags these variants, as `FlagSink.write` does; the next read sees them."""
        place = Place.of(namespace, ref)
        after = await open_sink(self._api, place).write(seen, variants)
        if isinstance(after, Objection):
            self.forget(namespace, ref)
        else:
            self._keep(place, self._clock(), after)
        return after

    def forget(self, namespace: str, ref: FlagsRef) -> None:
        """Keep nothing of these flags: the next read asks the API server."""
        self._known.pop(Place.of(namespace, ref), None)

    def _keep(self, place: Place, at: float, found: Seen | Objection) -> None:
        """Not what was asked for before something newer was known."""
        if place not in self._known or self._known[place][0] <= at:
            self._known[place] = at, found


def _failed(found: Seen | Objection) -> bool:
    return isinstance(found, Objection)
