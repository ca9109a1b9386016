"""Whether this process still does its work: every loop says so by a beat, and `/healthz` fails when one falls silent.

A process whose watch or reading loop hangs still answers HTTP, so answering proves nothing; the age of the last beat
does.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

from aiohttp import web

from tidegate.controllers.settings import Address

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pulse:
    within: float
    last: float


@dataclass(slots=True)
class Pulses:
    """The loops that must be alive: name → longest silence allowed and last beat (monotonic seconds)."""

    clock: Callable[[], float] = monotonic
    _pulses: dict[str, _Pulse] = field(default_factory=dict)

    def expect(self, name: str, within: float) -> None:
        """From now on `name` must beat at least every `within` seconds."""
        self._pulses[name] = _Pulse(within, self.clock())

    def beat(self, name: str) -> None:
        """`name` is alive; one that is not expected (any more) is ignored."""
        if name in self._pulses:
            self._pulses[name].last = self.clock()

    def drop(self, name: str) -> None:
        """`name` has ended on purpose."""
        self._pulses.pop(name, None)

    def ages(self) -> dict[str, float]:
        """Seconds since each last beat."""
        now = self.clock()
        return {name: round(now - pulse.last, 1) for name, pulse in sorted(self._pulses.items())}

    def stalled(self) -> dict[str, float]:
        """Those that have been silent too long, with the seconds of silence."""
        return {name: age for name, age in self.ages().items() if age > self._pulses[name].within}


class ListenError(Exception):
    """The address cannot be listened on; the message says why."""


async def _answer(problems: object, **facts: object) -> web.Response:
    return web.json_response({"ok": not problems, **facts}, status=503 if problems else 200)


def application(pulses: Pulses, unready: Callable[[], list[str]], *more: web.RouteDef) -> web.Application:
    """`/healthz` (alive: else restart me) and `/readyz` (at work: what is missing is named), both JSON; and `more`."""

    async def healthz(_: web.Request) -> web.Response:
        stalled = pulses.stalled()
        return await _answer(stalled, stalled=stalled, secondsSinceBeat=pulses.ages())

    async def readyz(_: web.Request) -> web.Response:
        missing = unready()
        return await _answer(missing, waitingFor=missing)

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), *more])
    return app


@asynccontextmanager
async def serving(
    listen: Address, app: web.Application, what: str = "/healthz, /readyz and /metrics"
) -> AsyncIterator[int]:
    """Serve `app` (`what` in the log) while the block runs; gives the port. ListenError: it cannot listen there."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, listen.host or None, listen.port).start()
        except OSError as error:
            raise ListenError(f"cannot listen on {listen}: {error.strerror or error}") from None
        port = int(runner.addresses[0][1])
        logger.info("serving %s on port %d", what, port)
        yield port
    finally:
        with suppress(Exception):
            await runner.cleanup()
