"""The documents that can be asked for: those that a LagPolicy names, no other object of the cluster."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import NamedTuple

from tidegate.api import FlagsKind, FlagsRef, LagPolicy, Reason, cut
from tidegate.cluster.flags import Place, Seen
from tidegate.controllers.ofrep.evaluation import FlagSet
from tidegate.engine.observation import Objection

logger = logging.getLogger(__name__)

Reader = Callable[[str, FlagsRef, float], Awaitable[Seen | Objection]]
"""`FlagStore.read`: namespace, reference, and how old the flags may be, in seconds."""

FRESH = 1.0
"""Seconds that flags may be old: a switched one is seen within two."""

PATIENCE = 1.0
"""Seconds that one who asks waits for the API server before the last good flags are the answer.

Less than the time-out of any provider (5 s in Python), and waited once for a request that hangs, not by each who asks.
"""

LAST_GOOD = 600.0
"""Seconds for which flags that were read stay in force while they cannot be read.

Long enough for an API server that is upgraded and for a person to mend a document. Not for ever: this process may be
the only one that is cut off, and what it has then is not what the others (and the people) have switched meanwhile.
"""

GONE = frozenset({Reason.FLAGS_NOT_FOUND, Reason.SINK_UNAVAILABLE})
"""Objections that say that there are no flags; any other says that they are not known."""

_SILENT = Objection(Reason.FLAGS_NOT_READ, f"the API server has not answered within {PATIENCE:g} s")


class Scope(NamedTuple):
    """What a base URL speaks of: nothing said, all documents."""

    namespace: str | None = None
    kind: str | None = None
    name: str | None = None
    document: str | None = None

    def has(self, place: Place) -> bool:
        """Whether it speaks of that document."""
        pairs = zip(self, (place.namespace, place.kind.value, place.name, place.key), strict=True)
        return all(asked is None or asked == there for asked, there in pairs)

    def __str__(self) -> str:
        document = f"{self.document} of " if self.document else ""
        return f"{document}{self.kind} {self.namespace}/{self.name}" if self.name else "any document"


def base_of(place: Place) -> str:
    """The path of the base URL of one document."""
    base = f"/namespaces/{place.namespace}/{place.kind}/{place.name}"
    return f"{base}/{place.key}" if place.kind is FlagsKind.CONFIG_MAP else base


class Documents:
    """The documents of all LagPolicies, read when somebody asks. `clock` is in seconds and only goes forward."""

    def __init__(
        self, read: Reader, policies: Callable[[], Iterable[LagPolicy]], clock: Callable[[], float] = monotonic
    ) -> None:
        self._read = read
        self._policies = policies
        self._clock = clock
        self._kept: dict[Place, _Kept] = {}

    async def within(self, scope: Scope) -> dict[Place, FlagSet | Objection]:
        """The documents that the scope speaks of, as they are now."""
        self._look()
        wanted = [place for place in self._kept if scope.has(place)]
        found = await asyncio.gather(*(self._kept[place].now() for place in wanted))
        return dict(zip(wanted, found, strict=True))

    def _look(self) -> None:
        """Keep what the policies name, and nothing else."""
        named = {
            Place.of(policy.metadata.namespace or "", ref): (policy.metadata.namespace or "", ref)
            for policy in self._policies()
            if policy.spec.degradation and (ref := policy.spec.degradation.flags_ref)
        }
        self._kept = {
            place: self._kept.get(place) or _Kept(place, self._reader(*where), self._clock)
            for place, where in sorted(named.items())
        }

    def _reader(self, namespace: str, ref: FlagsRef) -> Callable[[], Awaitable[Seen | Objection]]:
        return lambda: self._read(namespace, ref, FRESH)


class _Kept:
    """One document and the last good of it."""

    def __init__(
        self, place: Place, read: Callable[[], Awaitable[Seen | Objection]], clock: Callable[[], float]
    ) -> None:
        self._place = place
        self._read = read
        self._clock = clock
        self._reading: asyncio.Task[None] | None = None
        self._begun = 0.0
        self._good: FlagSet | None = None
        self._good_at = 0.0
        self._problem: Objection | None = None

    async def now(self) -> FlagSet | Objection:
        """The flags, or the last good ones, or why there are none."""
        if self._reading is None:
            self._begun = self._clock()
            self._reading = asyncio.create_task(self._renew(self._begun))
        patience = self._begun + PATIENCE - self._clock()
        done, _ = await asyncio.wait({self._reading}, timeout=max(0.0, patience))
        for task in done:
            task.result()
        if self._good and self._clock() - self._good_at <= LAST_GOOD:
            return self._good
        return self._problem or _SILENT

    async def _renew(self, at: float) -> None:
        try:
            seen = await self._read()
        finally:
            self._reading = None
        found = seen if isinstance(seen, Objection) else self._flags(seen)
        if isinstance(found, FlagSet):
            self._good, self._good_at = found, at
        self._tell(found if isinstance(found, Objection) else None)

    def _flags(self, seen: Seen) -> FlagSet | Objection:
        if self._good and self._good.document.text == seen.document.text:
            return self._good
        try:
            return FlagSet(seen.document)
        except ValueError as error:
            return Objection(Reason.FLAGS_INVALID, cut(str(error)))

    def _tell(self, problem: Objection | None) -> None:
        """Log a problem when it begins and when it ends."""
        before, self._problem = self._problem, problem
        if problem and not before:
            last = f"; the last good flags stay in force for {LAST_GOOD / 60:g} minutes" if self._good else ""
            logger.warning("OFREP: %s cannot be served: %s%s", base_of(self._place), problem.message, last)
        if before and not problem:
            logger.info("OFREP: %s is served again", base_of(self._place))
