"""The operator: watches, roll calls, one reading loop a connection, health, and an orderly end."""

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from aiohttp import web
from kubernetes.aio.client import ApiClient

from tidegate import __version__
from tidegate.api import Resource
from tidegate.cluster.access import load
from tidegate.cluster.fence import Tenure
from tidegate.cluster.lease import LeaseLostError
from tidegate.controllers.access import connection_info, standing
from tidegate.controllers.attendance import RollCalls, readable
from tidegate.controllers.charge import Charge
from tidegate.controllers.cycle import ReadingLoop
from tidegate.controllers.degrading import Departures
from tidegate.controllers.execution import execute
from tidegate.controllers.health import ListenError, application, serving
from tidegate.controllers.metrics import PolicyMetrics, ProcessMetrics, metrics_route
from tidegate.controllers.ofrep import TokensError, serving_flags
from tidegate.controllers.proposals import Proposals
from tidegate.controllers.services import Services
from tidegate.controllers.settings import Settings
from tidegate.controllers.watching import Login, Watch
from tidegate.controllers.world import KINDS, ConnectionKey, World

logger = logging.getLogger(__name__)

WATCH_PULSE = "kopf"
PING_EVERY, SILENT_AFTER = 10.0, 60.0
"""Seconds between pings of kopf's loop, and until its silence counts as a stall."""

LOOK_EVERY = 5.0
"""Seconds after which the loops are compared with the connections even if nothing seems to have changed."""

END_CYCLES, END_WRITES, END_WATCHES = 6.0, 1.0, 1.0
"""Seconds given at the end to the writes under way, to statuses and Events that wait, and to the watches: usually all
of it takes a tenth of a second."""

LOST_WITHIN = 3.0
"""Seconds for the end of a process that has lost the Lease: well before another one may act nothing of it is left."""


class OperatorError(Exception):
    """The operator cannot go on; the message says why. A restart may help."""


class _StopError(Exception):
    """The end was asked for."""


async def operate(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. AccessError: no API server to talk to; OperatorError: it cannot go on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    configuration, _ = await load(settings.kubeconfig, settings.context)
    async with standing(settings, configuration) as (api, tenure):
        operator = Operator(settings, api, tenure)
        await operator.run(partial(connection_info, configuration), stop)


class Operator:
    """One process's work."""

    def __init__(self, settings: Settings, api: ApiClient, tenure: Tenure) -> None:
        self.services = Services.of(api, World(self._edited, self._gone), settings, Proposals(execute), tenure)
        self._charges: dict[str, Charge] = {}
        self._departures = Departures(self._charges)
        self._loops: dict[ConnectionKey, ReadingLoop] = {}
        self._tasks: dict[ConnectionKey, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._stopping = False

    async def run(self, login: Login, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then end in order. OperatorError where the watches or a background task break."""
        services = self.services
        kinds = await readable(services, KINDS)
        watch = Watch(kinds, services.settings, login, services.world.tell)
        rolls = RollCalls(services, kinds)
        logger.info("tidegate %s serves %s", __version__, _scope(services.settings))

        def unready() -> list[str]:
            problem = services.tenure.problem
            return [*rolls.missing(), *([f"leases: {problem}"] if problem else [])]

        try:
            async with (
                serving(services.settings.listen, application(services.pulses, unready, self._metrics())),
                serving_flags(services, rolls.missing),
                asyncio.TaskGroup() as group,
            ):
                for job in (rolls.run(), self._mind(watch), self._supervise(rolls, group)):
                    group.create_task(job)
                jobs = (services.recorder.run(), services.statuses.run(), self._lead(rolls))
                writing = [group.create_task(job) for job in jobs]
                watch.start()
                await stop.wait()
                await self._end(watch, writing)
                raise _StopError
        except* _StopError:
            logger.info("stopped")
        except* (ListenError, TokensError, OperatorError, LeaseLostError) as errors:
            raise OperatorError(str(errors.exceptions[0])) from None

    def _metrics(self) -> web.RouteDef:
        services = self.services
        registry, statuses = services.meters.registry, services.statuses
        registry.register(PolicyMetrics(services.world, self._charges, services.may_act))
        registry.register(ProcessMetrics(services.may_act, statuses.results, lambda: statuses.waiting))
        return metrics_route(registry)

    async def _mind(self, watch: Watch) -> None:
        """Keep the pulse of kopf's loop, and notice when it has ended."""
        pulses = self.services.pulses
        pulses.expect(WATCH_PULSE, SILENT_AFTER)
        while True:
            watch.ping(partial(pulses.beat, WATCH_PULSE))
            done, _ = await asyncio.wait({watch.ended}, timeout=PING_EVERY)
            if done and not self._stopping:
                raise OperatorError(f"the watches have ended: {watch.ended.exception()!r}")
            if done:
                return

    async def _lead(self, rolls: RollCalls) -> None:
        """Compete for the Lease once all is seen: who has it decides at once, from what it knows already."""
        await rolls.complete.wait()
        try:
            await self.services.tenure.run(self._take_over)
        except LeaseLostError:
            end_within(LOST_WITHIN)
            raise

    def _take_over(self) -> None:
        for loop in self._loops.values():
            loop.wake(at_once=True)
        self._changed.set()

    async def _supervise(self, rolls: RollCalls, group: asyncio.TaskGroup) -> None:
        """One loop for each connection that exists or is named, from the moment all that exists is known."""
        await rolls.complete.wait()
        spare_the_collector()
        logger.info("all is seen: %d LagPolicies", sum(1 for _ in self.services.world.policies()))
        while not self._stopping:
            self._changed.clear()
            wanted = self.services.world.connection_keys()
            for key in self._loops.keys() - wanted:
                self._loops.pop(key).stop()
            for key in wanted - self._loops.keys():
                self._loops[key] = loop = ReadingLoop(key, self.services, self._charges)
                self._tasks[key] = group.create_task(loop.run(), name=loop.pulse)
            if self.services.leads:
                self.services.proposals.sweep(self.services, self._loops.keys())
                self._departures.sweep(self.services)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_EVERY)

    async def _end(self, watch: Watch, writing: Iterable[asyncio.Task[None]]) -> None:
        """Finish the writes under way, begin no others, write what waits to be told, and let another one act."""
        logger.info("stopping")
        self._stopping = True
        await self._finish()
        waiting = (self.services.statuses.drain(), self.services.recorder.drain())
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*waiting), END_WRITES)
        for task in writing:
            task.cancel()
        await asyncio.wait(writing)
        await self.services.tenure.release()
        watch.stop()
        await asyncio.wait({watch.ended}, timeout=END_WATCHES)

    async def _finish(self) -> None:
        for loop in self._loops.values():
            loop.stop()
        giving_up = asyncio.gather(self.services.proposals.stop(), self._departures.stop())
        running = [task for task in self._tasks.values() if not task.done()]
        if running:
            _, late = await asyncio.wait(running, timeout=END_CYCLES)
            if late:
                self.services.tenure.keep()
        await giving_up

    # what the world tells

    def _edited(self, key: ConnectionKey) -> None:
        self._changed.set()
        if key in self._loops:
            self._loops[key].wake()

    def _gone(self, resource: Resource) -> None:
        self._charges.pop(resource.metadata.uid, None)
        self.services.statuses.forget(resource)
        self.services.proposals.forget(resource)
        self._departures.forget(resource.metadata.uid)


def end_within(seconds: float) -> None:
    """The process ends with 1 after so long, whatever still runs in it."""
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()


def spare_the_collector() -> None:
    """What is known once all is seen stays: garbage is looked for among what comes later, and less often.

    With 1,000 policies an eighth of the CPU went into looking through them for cycles, of which there are none.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _scope(settings: Settings) -> str:
    names = ", ".join(settings.namespaces)
    return f"namespace{'s' if len(settings.namespaces) > 1 else ''} {names}" if names else "all namespaces"
