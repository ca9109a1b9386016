"""Features come back before their policy goes, or Tidegate itself does."""

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tidegate.api import LagPolicy, Reason
from tidegate.cluster.events import About, Event, EventType
from tidegate.cluster.recording import ContendedError, is_held, let_go
from tidegate.cluster.server import FAILURES, words
from tidegate.controllers.charge import Charge, in_care
from tidegate.controllers.degrading.looking import LOST, look
from tidegate.controllers.degrading.stepping import Cause, switch
from tidegate.controllers.errands import Errands
from tidegate.controllers.services import Services
from tidegate.controllers.world import World, name_of
from tidegate.engine.observation import Objection

logger = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds for which this process tries to restore the flags of a deleted policy before it lets the policy go."""

AGAIN_AFTER = 5.0
"""Seconds between attempts."""


class Occasion(NamedTuple):
    """Why features come back, and whose. A policy is let go without that after `patience` seconds of failing."""

    whose: Callable[[World], Iterable[LagPolicy]]
    said: str
    patience: float

    @property
    def cause(self) -> Cause:
        """As the history has it."""
        return Cause(Reason.LADDER_CHANGED, f"level 0: {self.said}, and every feature comes back first")


DELETED = Occasion(World.leaving, "the policy was deleted", PATIENCE)


def held(world: World) -> list[LagPolicy]:
    """All policies that have switched flags."""
    return [policy for policy in world.policies() if is_held(policy)]


class Departures:
    """The policies whose features come back. `charges` are this process's, by uid."""

    def __init__(self, charges: dict[str, Charge], occasion: Occasion = DELETED) -> None:
        self._charges = charges
        self._occasion = occasion
        self.problems: dict[str, Objection] = {}
        """What keeps flags from being restored, by the policy's uid."""
        self._errands = Errands("flags")
        self._failing: dict[str, float] = {}  # since when, by uid

    def sweep(self, services: Services) -> None:
        """Begin to restore the flags of each, unless that is being done."""
        for policy in self._occasion.whose(services.world):
            if services.may_act():
                self._errands.begin(services, policy, policy.metadata.uid, self._see_off(services, policy))

    def forget(self, uid: str) -> None:
        """The policy is gone."""
        self._errands.forget(uid)
        self._failing.pop(uid, None)
        self.problems.pop(uid, None)

    async def idle(self) -> None:
        """Wait until all that was begun is over."""
        await self._errands.idle()

    async def stop(self) -> None:
        """Give up what is under way: the next process goes on from what is written."""
        await self._errands.stop()

    async def _see_off(self, services: Services, policy: LagPolicy) -> None:
        uid = policy.metadata.uid
        charge = in_care(self._charges, services.world, policy, services.leads)
        if charge.busy:
            return  # its last cycle is not over
        charge.busy = True
        try:
            problem = await self._restore(services, charge, policy)
            if problem:
                self.problems[uid] = problem
                await self._wait_or_let_go(services, charge, policy, problem)
        finally:
            charge.busy = False
            self._errands.postpone(uid, services.clock() + AGAIN_AFTER)  # until the watch has shown the end of it

    async def _restore(self, services: Services, charge: Charge, policy: LagPolicy) -> Objection | None:
        """Bring all flags back and let the policy go; gives what keeps them from that."""
        found = await look(services, charge, policy)
        if found is None or not found.status.flags:
            if found and found.problem and found.problem.message.endswith(LOST):
                self._tell(services, policy, found.problem)
            return await self._let_go(services, policy)
        if isinstance(found.found, Objection):
            return found.found
        left = await switch(services, charge, found, 0, self._occasion.cause)
        return left.problem if left and left.status.flags else None

    async def _wait_or_let_go(self, services: Services, charge: Charge, policy: LagPolicy, problem: Objection) -> None:
        """Flags that are gone come back with others; else it is tried for a while."""
        since = self._failing.setdefault(policy.metadata.uid, services.clock())
        patience = self._occasion.patience
        if problem.reason is not Reason.FLAGS_NOT_FOUND and services.clock() - since < patience:
            said = self._occasion.said
            logger.warning("%s: %s, its flags are not restored yet: %s", name_of(policy), said, problem.message)
            return
        recorded = charge.status.degradation.flags if charge.status.degradation else ()
        left = ", ".join(
            f"{one.flag} stays {one.previous or one.variant}, before it was {one.before}" for one in recorded
        )
        self._tell(services, policy, Objection(problem.reason, f"{problem.message}; {left}"))
        await self._let_go(services, policy)

    def _tell(self, services: Services, policy: LagPolicy, problem: Objection) -> None:
        """Somebody has to know what stays off."""
        said = f"{self._occasion.said} and its flags are not restored: {problem.message}"
        logger.warning("%s: %s", name_of(policy), said)
        event = Event(About.resource(policy), EventType.WARNING, problem.reason, said, "departure", action="Restore")
        services.recorder.tell(event)

    async def _let_go(self, services: Services, policy: LagPolicy) -> Objection | None:
        """Remove the finalizer; gives what keeps it from that."""
        try:
            await let_go(services.api, policy)
        except ContendedError:
            return Objection(Reason.FLAGS_NOT_WRITTEN, "the policy was changed by others at the same moment")
        except FAILURES as error:
            logger.warning("%s is kept from its deletion: the API server says: %s", name_of(policy), words(error))
            return Objection(Reason.FLAGS_NOT_WRITTEN, words(error))
        return None
