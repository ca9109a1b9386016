"""A thread that does one blocking thing at a time for the event loop, and never holds up the end of the process."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Worker:
    """One daemon thread.

    Broker clients are blocking and want one thread. A `ThreadPoolExecutor` would do but for one thing: the
    interpreter waits for its threads, so a broker that does not answer would hold up a SIGTERM until its requests
    time out.
    """

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run `function(*arguments)` in the thread, after what was asked before; gives or raises what it does."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if not answer.done():
                answer.set_exception(error) if error else answer.set_result(result)  # type: ignore[arg-type]

        def job() -> None:
            result, error = None, None
            try:
                result = function(*arguments)
            except BaseException as caught:
                error = caught
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        self._jobs.put(job)
        return await answer

    def later(self, function: Callable[[], object]) -> None:
        """Run `function` after what was asked before; nobody waits for it, and an error of it is only logged."""

        def job() -> None:
            try:
                function()
            except Exception:
                logger.exception("%s failed", function)

        self._jobs.put(job)

    def stop(self) -> None:
        """End the thread after what was asked before."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
