"""BrokerConnection and ClusterBrokerConnection: one client each, its Secrets, and what is found behind it.

Secrets are fetched by name rather than watched: a watch needs the right to list every Secret of the cluster, which is
the right to read them all. They are fetched every other cycle, and at once after the broker has refused us.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TypeVar

from tidegate.api import BrokerConnectionSpec, Reason
from tidegate.cluster.secrets import Secrets, read_secrets
from tidegate.controllers.services import Services
from tidegate.controllers.thread import Worker
from tidegate.controllers.world import Connection, ConnectionKey
from tidegate.engine.facts import TopicFacts
from tidegate.engine.observation import Objection, Reading, ReadingError
from tidegate.sources import Actor, ConnectionInfo, Source, WantedGroup, open_source

logger = logging.getLogger(__name__)

T = TypeVar("T")

Readings = dict[WantedGroup, Reading | ReadingError]

DESCRIBE_EVERY = 60.0
"""Seconds between looks at the cluster behind a connection (its id, its brokers)."""

ANSWER_WITHIN = 60.0
"""Seconds for one question or act, the wait for its turn included: the source has shorter limits of its own."""

CYCLES_A_LOOK = 2
"""Cycles between looks at the Secrets."""


@dataclass(slots=True)
class Client:
    """The client of one connection, opened anew when the connection or one of its Secrets changes, never else."""

    key: ConnectionKey
    services: Services
    worker: Worker
    source: Source | None = None
    secrets: Secrets | None = None
    look_at: float = 0.0  # when to look at the Secrets next
    describe_at: float = 0.0
    _opened: tuple[BrokerConnectionSpec, str] | None = field(default=None, repr=False)

    async def cycle(
        self, connection: Connection | None, wanted: Collection[WantedGroup]
    ) -> tuple[Readings, ConnectionInfo | ReadingError | None]:
        """Read all wanted groups, and look at the cluster when it is time. What fails is an answer, never raised."""
        try:
            source = await self._ready(connection)
            if isinstance(source, ReadingError):
                return dict.fromkeys(wanted, source), source
            readings = await self.worker.call(source.read, wanted) if wanted else {}
            info = outage(readings) or await self._describe(source)
        except Exception as error:
            logger.exception("reading through %s failed", self.key)
            failed = ReadingError(Reason.READING_FAILED, f"reading failed: {error!r}", self.services.clock())
            return dict.fromkeys(wanted, failed), failed
        if isinstance(info, ReadingError):
            self.look_at = self.describe_at = 0.0  # look at the Secrets and at the cluster in the next cycle
        return readings, info

    async def inspect(self, topic: str, groups: Collection[str] | None = None) -> TopicFacts | ReadingError:
        """Look at a topic and its groups (all, or these). What fails is an answer, never raised."""
        answer = await self._ask(lambda source: source.inspect(topic, groups))
        return answer if isinstance(answer, TopicFacts | ReadingError) else _as_error(answer, self.services.clock())

    async def act(self, call: Callable[[Actor], T]) -> T | Objection:
        """Have something done to a topic, after what was asked before. What fails is an answer, never raised."""
        return await self._ask(call)

    async def _ask(self, call: Callable[[Source], T]) -> T | Objection:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                source = await self._ready(self.services.world.connection(self.key))
                if isinstance(source, ReadingError):
                    return Objection(source.reason, source.message)
                return await self.worker.call(call, source)
        except TimeoutError:
            return Objection(Reason.CONNECTION_FAILED, f"no answer through {self.key} within {ANSWER_WITHIN:.0f} s")
        except Exception as error:
            logger.exception("asking through %s failed", self.key)
            return Objection(Reason.READING_FAILED, f"Tidegate failed: {error!r}")

    async def _ready(self, connection: Connection | None) -> Source | ReadingError:
        """The open source, or why there is none."""
        now = self.services.clock()
        if connection is None:
            self.close()
            return ReadingError(Reason.CONNECTION_NOT_FOUND, f"{self.key} does not exist", now)
        secrets = await self._secrets(connection, now)
        if isinstance(secrets, Objection):
            return ReadingError(secrets.reason, secrets.message, now)
        return self._open(connection.spec, secrets)

    async def _describe(self, source: Source) -> ConnectionInfo | ReadingError | None:
        """What is behind the connection; None where it is not time to look."""
        now = self.services.clock()
        if now < self.describe_at:
            return None
        info = await self.worker.call(source.describe)
        self.describe_at = now + DESCRIBE_EVERY
        return info

    def close(self) -> None:
        """Close the client, after a read under way."""
        if self.source is not None:
            self.worker.later(self.source.close)
        self.source, self._opened, self.secrets = None, None, None
        self.look_at = self.describe_at = 0.0

    def end(self) -> None:
        """Close it for good, and let its thread go."""
        self.close()
        self.worker.stop()

    async def _secrets(self, connection: Connection, now: float) -> Secrets | Objection:
        spec_changed = self._opened is None or self._opened[0] != connection.spec
        if self.secrets is not None and not spec_changed and now < self.look_at:
            return self.secrets
        found = await read_secrets(self.services.api, connection.spec, connection.metadata.namespace or "")
        self.look_at = now + (CYCLES_A_LOOK - 0.5) * self.services.settings.period
        if isinstance(found, Objection):
            unanswered = found.reason is Reason.CONNECTION_FAILED
            return self.secrets if unanswered and self.secrets and not spec_changed else found
        self.secrets = found
        return found

    def _open(self, spec: BrokerConnectionSpec, secrets: Secrets) -> Source:
        if self.source is not None and self._opened == (spec, secrets.fingerprint):
            return self.source
        if self.source is not None:
            logger.info("%s or one of its Secrets has changed: connecting anew", self.key)
            self.worker.later(self.source.close)
        self.source = open_source(spec, secrets.values)
        self._opened, self.describe_at = (spec, secrets.fingerprint), 0.0
        return self.source


def _as_error(objection: Objection, now: float) -> ReadingError:
    return ReadingError(objection.reason, objection.message, now)


def outage(readings: Readings) -> ReadingError | None:
    """The error of all groups where the connection itself has failed; None where at least one group got through."""
    errors = [reading for reading in readings.values() if isinstance(reading, ReadingError)]
    down = [error for error in errors if error.reason is Reason.CONNECTION_FAILED]
    return down[0] if down and len(down) == len(readings) else None
