"""Electors in virtual time, and a Lease behind a network that delays and loses requests and answers."""

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from math import inf
from typing import Any, NamedTuple, TypeVar

from tidegate.cluster.lease import RENEW_WITHIN, Elector, LeaseLostError, Record

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Instead of waiting, time goes on."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for something that never comes"
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Seconds pass when nobody has anything to do."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def play(story: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)


def now() -> float:
    return asyncio.get_running_loop().time()


class Trip(NamedTuple):
    """What becomes of one request: seconds to the server and back; infinite: it or its answer is lost."""

    there: float = 0.01
    back: float = 0.01


class Server:
    """The one Lease, as the API server keeps it: every write another version, a stale one refused."""

    def __init__(self) -> None:
        self.body: dict[str, Any] | None = None
        self._versions = itertools.count(1)

    @property
    def spec(self) -> dict[str, Any]:
        assert self.body
        spec: dict[str, Any] = self.body["spec"]
        return spec

    def put(self, **spec: Any) -> None:
        """Somebody else writes it."""
        before = self.body or {"metadata": {}, "spec": {}}
        self.replace({**before["metadata"]}, {**before["spec"], **spec})

    def replace(self, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Record:
        self.body = {"metadata": {**metadata, "resourceVersion": str(next(self._versions))}, "spec": dict(spec)}
        return Record(self.body)

    def read(self) -> Record | None:
        return Record(self.body) if self.body else None

    def write(self, seen: Record | None, spec: Mapping[str, Any]) -> Record | None:
        there = self.read()
        if (there and there.version) != (seen and seen.version):
            return None
        return self.replace(seen.body["metadata"] if seen else {}, spec)


class Line:
    """The way of one process to the server. What was sent arrives, whether or not anybody waits for the answer."""

    namespace = "ops"

    def __init__(self, server: Server, trips: Iterable[Trip] = ()) -> None:
        self.server = server
        self.trips = iter(trips)
        self.error: Exception | None = None
        self.answered: Callable[[], None] = lambda: None

    async def read(self) -> Record | None:
        return await self._ask(self.server.read)

    async def write(self, seen: Record | None, spec: Mapping[str, Any]) -> Record | None:
        return await self._ask(lambda: self.server.write(seen, spec))

    async def _ask(self, work: Callable[[], T]) -> T:
        if self.error:
            raise self.error
        loop, trip = asyncio.get_running_loop(), next(self.trips, Trip())
        answer: asyncio.Future[T] = loop.create_future()

        def tell(result: T) -> None:
            if not answer.done():
                answer.set_result(result)
                loop.call_later(0.001, self.answered)

        def arrive() -> None:
            result = work()
            if trip.back < inf:
                loop.call_later(trip.back, tell, result)

        if trip.there < inf:
            loop.call_later(trip.there, arrive)
        return await answer


class Process:
    """An elector at work. `rate` is how fast its clock runs."""

    def __init__(self, server: Server, identity: str, trips: Iterable[Trip] = (), rate: float = 1.0) -> None:
        self.line = Line(server, trips)
        self.wall = 1_700_000_000.0
        self.elector = Elector(
            self.line, identity, clock=lambda: now() * rate, wall=lambda: self.wall + now() + 0.000001
        )
        self.acquired: float | None = None
        self.lost: str | None = None
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.elector.run(self._note)
        except LeaseLostError as error:
            self.lost = str(error)

    def _note(self) -> None:
        assert self.acquired is None, "told twice"
        self.acquired = now()

    @property
    def acts(self) -> bool:
        return self.elector.may_act()

    async def renewal(self) -> None:
        """Wait until it has just renewed."""
        while self.elector.left() < RENEW_WITHIN - 0.05:
            await asyncio.sleep(0.01)

    async def kill(self) -> None:
        """SIGKILL."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def leave(self) -> None:
        """SIGTERM."""
        await self.kill()
        await self.elector.release()
