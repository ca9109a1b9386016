"""The fence: nothing is written unless this process is the one that acts, with time to spare."""

import json
from collections.abc import Callable
from math import inf
from typing import Any, Protocol

from kubernetes.aio.client import ApiClient, ApiException, Configuration

READS = frozenset({"GET", "HEAD", "OPTIONS"})

NOT_LEADING = "nothing is written while this process does not hold the Lease with time to spare"


class Tenure(Protocol):
    """Whether this process acts."""

    leads: bool
    """Whether it is the one that acts, now or as soon as it is sure again. Once true it stays so to the end."""
    problem: str | None
    """The right that it lacks to become it, in words."""

    def left(self) -> float:
        """Seconds within which whatever it does must be over; 0 where it may do nothing."""

    def may_act(self) -> bool:
        """Whether a write may be begun: asked right before each."""

    async def run(self, acquired: Callable[[], None]) -> None:
        """See to it until cancelled; `acquired` is called once, when it becomes the one that acts."""

    def keep(self) -> None:
        """Something may still be under way that nobody can stop: another one has to wait for the Lease to expire."""

    async def release(self) -> None:
        """Let another one act, unless something is under way."""

    async def seize(self, seconds: float) -> None:
        """Be the one that acts, for so many seconds, whoever is now; returns when that one has certainly stopped.

        Raises one of FAILURES: it may have become it all the same, so `release` it then.
        """

    async def retire(self, seconds: float) -> None:
        """Stop for good, and let nobody else begin within so many seconds. Nothing may be under way any more."""


class Alone:
    """A process that is alone needs no Lease."""

    leads = True
    problem: str | None = None

    def left(self) -> float:
        """For ever."""
        return inf

    def may_act(self) -> bool:
        """Always."""
        return True

    async def run(self, acquired: Callable[[], None]) -> None:
        """It is the one that acts."""
        acquired()

    def keep(self) -> None:
        """There is nobody who would wait."""

    async def release(self) -> None:
        """There is nothing to release."""

    async def seize(self, seconds: float) -> None:
        """There is nobody to seize it from."""

    async def retire(self, seconds: float) -> None:
        """There is nothing to hold."""


class NotLeadingError(ApiException):
    """A write that was not sent."""

    def __init__(self) -> None:
        super().__init__(reason=NOT_LEADING, body=json.dumps({"message": NOT_LEADING}))


class FencedClient(ApiClient):
    """A client that sends no write unless this process may act, and waits for no answer longer than it may.

    So a write that is tried again, or that has waited in a queue, is asked for each time it is sent.
    """

    def __init__(self, configuration: Configuration, tenure: Tenure) -> None:
        super().__init__(configuration)
        self._tenure = tenure

    async def call_api(self, method: str, *arguments: Any, **options: Any) -> Any:
        """As in ApiClient. NotLeadingError: it was not sent."""
        if method in READS:
            return await super().call_api(method, *arguments, **options)
        if not self._tenure.may_act():
            raise NotLeadingError
        asked = options.get("_request_timeout") or inf
        left = self._tenure.left()
        return await super().call_api(method, *arguments, **{**options, **_within(min(asked, left))})


def _within(seconds: float) -> dict[str, float]:
    return {} if seconds == inf else {"_request_timeout": seconds}
