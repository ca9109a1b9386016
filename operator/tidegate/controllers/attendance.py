"""Calling the roll of every kind: at the start until all is seen, then every few minutes."""

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic

from kubernetes.aio.client import ApiException

from tidegate.cluster.server import FAILURES, status_of, words
from tidegate.controllers.rollcall import Attendance, present
from tidegate.controllers.services import Services
from tidegate.controllers.shelf import Name
from tidegate.controllers.watching import Watched

logger = logging.getLogger(__name__)

EVERY = 300.0
"""Seconds between roll calls of a kind."""

AGAIN_AFTER = 10.0
"""Seconds for which the watch may take to show what was listed, before it is listed again."""

LOOK_EVERY = 0.1
"""Seconds between looks at what the watch has shown meanwhile."""

OVERDUE = 120.0
"""Seconds over its time after which a roll call that does not complete means that the watch is stuck."""


NOT_INSTALLED = "the API server does not know them: install Tidegate's CRDs (crds/)"


class RollCalls:
    """The roll calls of all kinds, and what they found."""

    def __init__(self, services: Services, kinds: Sequence[Watched]) -> None:
        self._services = services
        self._kinds = kinds
        self._attendance = {kind.plural: Attendance() for kind in kinds}
        self._listing = asyncio.Lock()  # one list at a time: memory that is taken once is kept
        self.complete = asyncio.Event()
        """Set once everything of every kind has been seen for the first time."""

    def missing(self) -> list[str]:
        """What keeps the first roll calls from being complete, in words."""
        if self.complete.is_set():
            return []
        return [f"{plural}: {a.problem or 'listing'}" for plural, a in self._attendance.items() if not a.complete]

    async def run(self) -> None:
        """Call the rolls until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in self._kinds:
                self._services.pulses.expect(_pulse(kind), EVERY + OVERDUE)
                group.create_task(self._attend(kind), name=f"roll call of {kind.plural}")

    async def _attend(self, kind: Watched) -> None:
        attendance = self._attendance[kind.plural]
        while True:
            await self._call(kind, attendance)
            if all(a.complete for a in self._attendance.values()):
                self.complete.set()
            await asyncio.sleep(EVERY if attendance.complete else 1)

    async def _call(self, kind: Watched, attendance: Attendance) -> None:
        began = monotonic()
        try:
            async with self._listing:
                there = await self._list(kind)
        except FAILURES as error:
            # Not the watch's fault: it cannot do better than the list, and a restart would not help either.
            self._services.pulses.beat(_pulse(kind))
            problem = NOT_INSTALLED if status_of(error) == 404 else words(error)
            if attendance.problem != problem:
                logger.warning("cannot list %s: %s", kind.plural, problem)
            attendance.fail(problem)
            return
        world = self._services.world
        for name, uid in world.departed(kind.plural, there, began):
            world.forget(kind.plural, name, uid)
        attendance.note(world.missing(kind.plural, there), monotonic())
        while attendance.unseen and monotonic() < began + AGAIN_AFTER:
            await asyncio.sleep(LOOK_EVERY)
            attendance.note(world.missing(kind.plural, there), monotonic())
        if attendance.complete:
            self._services.pulses.beat(_pulse(kind))

    async def _list(self, kind: Watched) -> dict[str, Name]:
        namespaces = self._services.settings.namespaces if kind.namespaced else ()
        there: dict[str, Name] = {}
        try:
            for namespace in namespaces or (None,):
                there |= await present(self._services.api, kind.path(namespace))
        except ApiException as error:
            if not (kind.optional and error.status == 404):
                raise
        return there


async def readable(services: Services, kinds: Sequence[Watched]) -> tuple[Watched, ...]:
    """The kinds to watch; in some namespaces only, those of the whole cluster are left out where they are forbidden."""
    if not services.settings.namespaces:
        return tuple(kinds)
    left_out = [kind for kind in kinds if not kind.namespaced and await _forbidden(services, kind)]
    for kind in left_out:
        logger.warning("%s may not be listed, so policies that name one will not find it", kind.plural)
    return tuple(kind for kind in kinds if kind not in left_out)


async def _forbidden(services: Services, kind: Watched) -> bool:
    try:
        await present(services.api, kind.path(None))
    except FAILURES as error:
        return status_of(error) == 403
    return False


def _pulse(kind: Watched) -> str:
    return f"watching {kind.plural}"
