"""A write of an object that others write, too: tried again for a while, where that may help."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

ATTEMPTS, PATIENCE = 5, 15.0
"""Writes tried, and seconds until none is begun any more; then the next cycle has to do it. (A workload whose pods come
and go changes its version often.)"""

T = TypeVar("T")


async def insist(write: Callable[[], Awaitable[T]], may_be_repeated: Callable[[Exception], bool]) -> T:
    """Write, and again after an error that `may_be_repeated` says may pass. Raises what the last attempt raised."""
    async for attempt in stamina.retry_context(
        on=may_be_repeated, attempts=ATTEMPTS, timeout=PATIENCE, wait_initial=0.05, wait_max=1.0
    ):
        with attempt:
            return await write()
    raise AssertionError("unreachable: the last attempt returns or raises")
