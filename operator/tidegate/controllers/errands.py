"""What is done beside the reading cycles: one task for each thing, and what fails is said and tried again later."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from tidegate.api import LagPolicy
from tidegate.cluster.server import FAILURES, refusal, status_of, words
from tidegate.controllers.services import Services
from tidegate.controllers.tidings import unproposed
from tidegate.controllers.world import name_of
from tidegate.engine.observation import Objection

logger = logging.getLogger(__name__)

AGAIN_AFTER = 15.0
"""Seconds until something that failed is tried again."""

REFUSED_FOR = 60.0
"""Seconds for which what a missing right forbids is not tried again."""


class Errands:
    """Tasks by a key: the uid of a proposal, or of the policy. `what` they are about stands in log lines."""

    def __init__(self, what: str = "proposals") -> None:
        self._what = what
        self.problems: dict[str, Objection] = {}
        """The rights that are missing, by the same keys."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, float] = {}
        self._over = False

    def begin(self, services: Services, policy: LagPolicy | None, key: str, work: Coroutine[Any, Any, None]) -> None:
        """Do it in a task, unless that is being done, or is not to be done yet."""
        if self._over or key in self._tasks or services.clock() < self._not_before.get(key, 0.0):
            work.close()
            return
        self._tasks[key] = task = asyncio.create_task(self._guarded(services, policy, key, work))
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    def postpone(self, key: str, until: float) -> None:
        """Not again before that moment."""
        self._not_before[key] = until

    def forget(self, key: str) -> None:
        """It is gone."""
        self._not_before.pop(key, None)
        self.problems.pop(key, None)

    async def idle(self) -> None:
        """Wait until all that was begun is over."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Begin nothing more and give up what is under way: the next process goes on from what is written."""
        self._over = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(
        self, services: Services, policy: LagPolicy | None, key: str, work: Coroutine[Any, Any, None]
    ) -> None:
        name, pause = policy and name_of(policy), AGAIN_AFTER
        try:
            await work
            self.problems.pop(key, None)
        except FAILURES as error:
            if policy and status_of(error) == 403:
                self._complain(services, policy, key, refusal(error, policy.metadata.namespace))
                pause = REFUSED_FOR
            elif status_of(error) != 404:
                logger.warning("%s of %s: the API server says: %s", self._what, name, words(error))
            self.postpone(key, services.clock() + pause)
        except Exception:
            logger.exception("%s of %s failed, and are tried again", self._what, name)
            self.postpone(key, services.clock() + pause)

    def _complain(self, services: Services, policy: LagPolicy, key: str, problem: Objection) -> None:
        if self.problems.get(key) != problem:
            logger.warning("%s of %s: %s", self._what, name_of(policy), problem.message)
            services.recorder.tell(unproposed(policy, problem))
        self.problems[key] = problem
