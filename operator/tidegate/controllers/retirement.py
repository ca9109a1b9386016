"""Before Tidegate is taken away: what must not stay for ever is put back, by the only process that acts then."""

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from math import inf

from kubernetes.aio.client import ApiClient

from tidegate.api import GROUP, LagPolicy, PartitionProposal, Resource
from tidegate.cluster.access import load
from tidegate.cluster.fence import Tenure
from tidegate.cluster.lease import DURATION
from tidegate.cluster.server import FAILURES, words
from tidegate.controllers.access import connection_info, standing
from tidegate.controllers.attendance import RollCalls, readable
from tidegate.controllers.charge import Charge
from tidegate.controllers.degrading import Departures, Occasion, held
from tidegate.controllers.execution import execute
from tidegate.controllers.proposals import Proposals
from tidegate.controllers.services import Services
from tidegate.controllers.settings import Settings
from tidegate.controllers.watching import Login, Watch
from tidegate.controllers.world import KINDS, World, name_of

logger = logging.getLogger(__name__)

RETIRED = "Tidegate is taken away"

LINGER = 120.0
"""Seconds for which nobody acts after all is put back: the time to delete the Deployment. If nobody does, Tidegate goes
on then."""

LOOK_EVERY = 0.5
"""Seconds between looks at what is left."""

END_EVENTS = 3.0
"""Seconds for Events that wait."""


async def retire(settings: Settings, within: float) -> list[str]:
    """Put back what Tidegate has changed for a while, for `within` seconds at most; gives what is left, in words.

    Takes the Lease from whoever holds it. If nothing is left nobody gets it for LINGER seconds, so that no other
    process goes on before it is deleted; else it is given back, and Tidegate goes on. SIGTERM and SIGINT cut it short.
    AccessError: no API server to talk to.
    """
    configuration, _ = await load(settings.kubeconfig, settings.context)
    async with standing(settings, configuration) as (api, tenure):
        retirement = Retirement(settings, api, tenure)
        return await retirement.run(partial(connection_info, configuration), within)


class Retirement:
    """One process's work."""

    def __init__(self, settings: Settings, api: ApiClient, tenure: Tenure) -> None:
        self.services = Services.of(
            api, World(lambda _: None, self._gone), settings, Proposals(partial(execute, stop=RETIRED)), tenure
        )
        self._charges: dict[str, Charge] = {}
        self._departures = Departures(self._charges, Occasion(held, RETIRED, patience=inf))
        self._seized = False
        self._trouble = ""

    async def run(self, login: Login, within: float) -> list[str]:
        """Do it; gives what is left, in words."""
        services = self.services
        ours = [kind._replace(optional=True) for kind in KINDS if kind.group == GROUP]
        kinds = await readable(services, ours)
        watch, rolls = Watch(kinds, services.settings, login, services.world.tell), RollCalls(services, kinds)
        jobs = [asyncio.create_task(job) for job in (rolls.run(), services.recorder.run())]
        watch.start()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within) as limit:
                    with _cut_short_by_signals(limit):
                        await rolls.complete.wait()
                        await self._seize(within)
                        await self._put_back()
            left = rolls.missing() or self._left()
            await self._finish(jobs)
            await self._hand_over(bool(left))
            return left
        finally:
            watch.stop()

    async def _seize(self, within: float) -> None:
        """Try until the Lease is ours: from then on nobody else acts."""
        while not self._seized:
            try:
                await self.services.tenure.seize(within + LINGER + DURATION)
                self._seized = True
            except FAILURES as error:
                self._trouble = words(error)
                logger.warning("the Lease: %s", self._trouble)
                await asyncio.sleep(LOOK_EVERY)
        logger.info("nobody else acts any more")

    async def _put_back(self) -> None:
        services, world = self.services, self.services.world
        while self._left():
            services.proposals.sweep(services, world.connection_keys(), tended=False)
            self._departures.sweep(services)
            await asyncio.sleep(LOOK_EVERY)

    def _left(self) -> list[str]:
        """What is still to be done, in words."""
        if not self._seized:
            return [f"the Lease could not be taken, so nothing was done: {self._trouble or 'there was no time left'}"]
        world, proposals = self.services.world, self.services.proposals
        return [
            *map(self._features_of, held(world)),
            *(_increase(one) for one in world.proposals.under_way() if proposals.holds(one)),
        ]

    def _features_of(self, policy: LagPolicy) -> str:
        charge, problem = self._charges.get(policy.metadata.uid), self._departures.problems.get(policy.metadata.uid)
        recorded = (charge or policy).status.degradation
        off = ", ".join(f"{one.flag} was {one.before}" for one in recorded.flags) if recorded else ""
        why = problem.message if problem else "there was no time left"
        return f"LagPolicy {name_of(policy)}: features are off ({off or 'not recorded which'}): {why}"

    async def _finish(self, jobs: list[asyncio.Task[None]]) -> None:
        """Finish the writes under way, begin no others, and tell what waits to be told."""
        services = self.services
        await asyncio.gather(services.proposals.stop(), self._departures.stop())
        with suppress(TimeoutError):
            await asyncio.wait_for(services.recorder.drain(), END_EVENTS)
        for job in jobs:
            job.cancel()
        await asyncio.wait(jobs)

    async def _hand_over(self, goes_on: bool) -> None:
        """Let Tidegate go on, or nobody for a while."""
        tenure = self.services.tenure
        if goes_on:
            await tenure.release()
            return
        try:
            await tenure.retire(LINGER)
        except FAILURES as error:
            logger.warning("the Lease stays held for longer than it need be: %s", words(error))

    def _gone(self, resource: Resource) -> None:
        self._charges.pop(resource.metadata.uid, None)
        self.services.proposals.forget(resource)
        self._departures.forget(resource.metadata.uid)


def _increase(proposal: PartitionProposal) -> str:
    execution = proposal.status.execution
    assert execution
    had = f", its target had {execution.replicas} replicas" if execution.replicas else ""
    return f"PartitionProposal {name_of(proposal)}: the increase is under way (step {execution.step}{had})"


@contextmanager
def _cut_short_by_signals(limit: asyncio.Timeout) -> Iterator[None]:
    """A Job that is deleted gives the Lease back, too."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: limit.reschedule(loop.time()))
    yield
