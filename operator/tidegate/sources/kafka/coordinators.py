"""Which broker coordinates a group: asked for all groups in one request (KIP-699), remembered until it is wrong."""

from collections.abc import Iterable
from typing import Any

from kafka.protocol.metadata import CoordinatorType, FindCoordinatorRequest

from tidegate.sources.kafka.settings import Address
from tidegate.sources.kafka.topics import Topics
from tidegate.sources.kafka.trouble import Trouble, of_group
from tidegate.sources.kafka.wire import Wire

BATCHED = 4  # the version of FindCoordinator that takes many groups
NEWEST = 6


class Coordinators:
    """The coordinator of each group, as far as known."""

    def __init__(self, wire: Wire, topics: Topics) -> None:
        self._wire = wire
        self._topics = topics
        self._nodes: dict[str, int] = {}

    def forget(self, groups: Iterable[str]) -> None:
        """These are no longer where they were."""
        for group in groups:
            self._nodes.pop(group, None)

    def keep_only(self, groups: set[str]) -> None:
        """Forget the groups nobody wants any more."""
        self.forget(self._nodes.keys() - groups)

    async def find(self, groups: Iterable[str], deadline: float) -> tuple[dict[int, list[str]], dict[str, Trouble]]:
        """Groups by the broker that coordinates them, and those for which none is known, with the reason."""
        troubles = await self._learn([group for group in groups if group not in self._nodes], deadline)
        by_node: dict[int, list[str]] = {}
        for group in groups:
            if group in self._nodes:
                by_node.setdefault(self._nodes[group], []).append(group)
        return by_node, troubles

    def node(self, group: str) -> int | None:
        """The coordinator of a group, where known."""
        return self._nodes.get(group)

    async def _learn(self, groups: list[str], deadline: float) -> dict[str, Trouble]:
        if not groups:
            return {}
        try:
            found = await self._ask(groups, deadline)
        except Trouble as trouble:
            return dict.fromkeys(groups, trouble)
        troubles = {group: Trouble(f"group {group}: no coordinator was named", again=True) for group in groups}
        for group, answer in found:
            if answer.error_code:
                troubles[group] = of_group(answer.error_code, group)
                continue
            self._nodes[group] = answer.node_id
            self._topics.brokers.setdefault(answer.node_id, Address(answer.host, answer.port))
            troubles.pop(group, None)
        return troubles

    async def _ask(self, groups: list[str], deadline: float) -> list[tuple[str, Any]]:
        nearest = self._topics.nearest()
        if await self._wire.version(nearest, FindCoordinatorRequest, deadline, most=NEWEST) >= BATCHED:
            request = FindCoordinatorRequest(
                key_type=CoordinatorType.GROUP, coordinator_keys=groups, min_version=BATCHED
            )
            response = (await self._topics.ask_any(request, deadline)).response
            return [(answer.key, answer) for answer in response.coordinators]
        jobs = [self._topics.ask_any(_single(group), deadline) for group in groups]
        answers = await self._wire.together(jobs)
        return [(group, a.response) for group, a in zip(groups, answers, strict=True) if not isinstance(a, Trouble)]


def _single(group: str) -> Any:
    return FindCoordinatorRequest(key=group, key_type=CoordinatorType.GROUP, min_version=1, max_version=BATCHED - 1)
