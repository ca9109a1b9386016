"""The reading loop of one connection: every period one reading for all its policies, then each policy by itself."""

import asyncio
import logging
import random
from collections.abc import Coroutine, Iterator
from time import monotonic
from typing import Any, TypeVar

from tidegate.api import BrokerConnectionStatus, LagPolicy
from tidegate.controllers.charge import Charge, in_care
from tidegate.controllers.connections import Client, Readings
from tidegate.controllers.findings import report_connection
from tidegate.controllers.lagpolicies import consider, give_up, tend, wanted_group
from tidegate.controllers.services import Services
from tidegate.controllers.thread import Worker
from tidegate.controllers.world import ConnectionKey, name_of
from tidegate.engine import Reading, ReadingError
from tidegate.sources import WantedGroup

logger = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 16
"""Policies of a connection that are tended at the same time: as many requests may be on their way to the API server."""

SILENCE = 120.0
"""Seconds without a finished cycle after which the process counts as stuck; a broker that is down takes a few."""

SHORTEST_REST = 1.0
"""Seconds between two cycles, also where somebody edits policies without end."""


class _AbandonedError(Exception):
    """The end came while the broker was being read."""


class ReadingLoop:
    """Runs until `stop`; survives whatever a cycle raises."""

    def __init__(self, key: ConnectionKey, services: Services, charges: dict[str, Charge]) -> None:
        self.key = key
        self._services = services
        self._charges = charges
        self._client = Client(key, services, Worker(f"read {key}"))
        self._woken = asyncio.Event()
        self._stopping = self._at_once = False
        self._reading: asyncio.Future[Any] | None = None
        self._shown: dict[str, BrokerConnectionStatus] = {}  # by the uid of the connection

    @property
    def pulse(self) -> str:
        """The name under which its beats are known."""
        return f"reading {self.key}"

    def wake(self, *, at_once: bool = False) -> None:
        """Something was edited: do not wait for the end of the period. `at_once`: nor for the rest between cycles."""
        self._at_once = self._at_once or at_once
        self._woken.set()

    def stop(self) -> None:
        """Begin no new cycle and no new write; a reading under way is given up."""
        self._stopping = True
        self._woken.set()
        if self._reading:
            self._reading.cancel()

    async def run(self) -> None:
        """Cycle every period, counted from start to start, from a random moment on so that connections spread."""
        period = self._services.settings.period
        self._services.pulses.expect(self.pulse, max(SILENCE, 12 * period))
        due = monotonic() + random.uniform(0, period / 5)
        try:
            while await self._rest_until(due):
                if monotonic() >= due:  # not woken early
                    due = max(due + period, monotonic())
                await self._survive_cycle()
                self._services.pulses.beat(self.pulse)
        finally:
            self._services.pulses.drop(self.pulse)
            self._services.meters.forget(self.key)
            self._client.end()

    async def _rest_until(self, due: float) -> bool:
        """Sleep, unless woken; False when it is time to stop."""
        try:
            async with asyncio.timeout(max(due - monotonic(), 0)):
                await self._woken.wait()
                if not self._stopping and not self._at_once:
                    await asyncio.sleep(SHORTEST_REST)
        except TimeoutError:
            pass
        self._woken.clear()
        self._at_once = False
        return not self._stopping

    async def _survive_cycle(self) -> None:
        try:
            await self.cycle()
        except _AbandonedError:
            return
        except Exception:
            logger.exception("a cycle of %s failed", self.key)

    async def cycle(self) -> None:
        """Read once, tend each policy, report on the connection."""
        services = self._services
        policies = services.world.policies_of(self.key)
        wanted = {policy.metadata.uid: self._wanted(policy) for policy in policies}
        connection = services.world.connection(self.key)
        began = monotonic()
        readings, info = await self._until_stopped(self._client.cycle(connection, set(wanted.values())))
        services.meters.read(self.key, monotonic() - began, readings.values(), info)
        work = iter(policies)
        await asyncio.gather(*(self._tend(work, wanted, readings) for _ in range(min(AT_ONCE, len(policies)))))
        if connection is not None and info is not None and services.leads:
            before = self._shown.get(connection.metadata.uid, connection.status)
            self._shown = {connection.metadata.uid: report_connection(services, before, connection, info)}

    async def _until_stopped(self, reading: Coroutine[Any, Any, T]) -> T:
        """Wait for the broker, but not when it is time to stop."""
        self._reading = under_way = asyncio.ensure_future(reading)
        try:
            return await under_way
        except asyncio.CancelledError:
            if self._stopping:
                raise _AbandonedError from None
            raise
        finally:
            self._reading = None

    def _wanted(self, policy: LagPolicy) -> WantedGroup:
        return wanted_group(policy, describe=self._charge(policy).describe(self._services.clock()))

    def _charge(self, policy: LagPolicy) -> Charge:
        return in_care(self._charges, self._services.world, policy, self._services.leads)

    async def _tend(self, work: Iterator[LagPolicy], wanted: dict[str, WantedGroup], readings: Readings) -> None:
        """Take one policy after the other; a policy that fails is logged and stops no other."""
        for listed in work:
            policy = self._services.world.policy(name_of(listed))
            if self._stopping or policy is None or not _same_source(policy, listed):
                continue  # what was read is not what it wants now: it has woken the loop that will read that
            charge = self._charge(policy)
            if charge.busy:
                continue
            charge.busy = True
            try:
                with self._services.meters.reconcile.time():
                    await self._tend_one(charge, policy, readings[wanted[policy.metadata.uid]])
            finally:
                charge.busy = False
            await asyncio.sleep(0)  # a thousand policies must not keep /healthz waiting

    async def _tend_one(self, charge: Charge, policy: LagPolicy, reading: Reading | ReadingError) -> None:
        leads = self._services.leads
        try:
            if leads:
                await tend(self._client, charge, policy, reading)
            else:
                await consider(self._services, charge, policy, reading)
        except Exception as error:
            if leads:
                give_up(self._services, charge, policy, error)
            else:
                logger.debug("%s failed while standing by", name_of(policy), exc_info=True)


def _same_source(policy: LagPolicy, listed: LagPolicy) -> bool:
    """Whether the reading is for it; none is for a policy that has been deleted meanwhile."""
    same = (policy.metadata.uid, policy.spec.source) == (listed.metadata.uid, listed.spec.source)
    return same and policy.metadata.deletion_timestamp is None
