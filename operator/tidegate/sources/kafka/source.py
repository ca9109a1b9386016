"""A Kafka cluster as a source."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from tidegate.api import SecretKeyRef
from tidegate.api.connection import KafkaConnection
from tidegate.api.reasons import Reason
from tidegate.engine.facts import TopicFacts
from tidegate.engine.observation import Objection, Reading, ReadingError
from tidegate.sources.kafka.acting import Acting
from tidegate.sources.kafka.configs import Configs
from tidegate.sources.kafka.cycle import Cluster, Cycle
from tidegate.sources.kafka.fold import fold
from tidegate.sources.kafka.inspection import inspect
from tidegate.sources.kafka.settings import SettingsError, admin_settings, reading_settings
from tidegate.sources.kafka.trouble import Trouble, Unreachable
from tidegate.sources.shape import ConnectionInfo, Increased, Source, WantedGroup

T = TypeVar("T")

BUDGET_SECONDS = 4.0  # of a whole cycle
INSPECT_SECONDS = 15.0  # for an inspection
GROUP_SECONDS = 0.0003  # more for each group: decoding thousands must not count as the broker's slowness
FEATURES = {  # what we make use of: the key of a request, and the version from which it can do that
    "BatchedOffsetFetch": (9, 8),  # KIP-709
    "BatchedFindCoordinator": (10, 4),  # KIP-699
    "TopicIds": (3, 10),  # KIP-516
    "GroupStates": (16, 4),  # KIP-518
    "ConsumerGroupProtocol": (69, 0),  # KIP-848
}


def open_kafka(connection: KafkaConnection[Any], secrets: Mapping[SecretKeyRef, str]) -> Source:
    """The source for a Kafka cluster; values that cannot be used make one that says so whenever it is asked."""
    try:
        acting = admin_settings(connection, secrets)
        return KafkaSource(Cluster(reading_settings(connection, secrets), Configs(acting)), acting)
    except SettingsError as error:
        return Unusable(str(error))


class Unusable:
    """A connection that cannot even be tried."""

    def __init__(self, message: str) -> None:
        self._message = message

    def read(self, wanted: Collection[WantedGroup]) -> dict[WantedGroup, Reading | ReadingError]:
        """The same error for each."""
        return dict.fromkeys(wanted, self.describe())

    def describe(self) -> ReadingError:
        """What is wrong with the settings."""
        return ReadingError(Reason.CONNECTION_FAILED, self._message, time.time())

    def inspect(self, topic: str, groups: Collection[str] | None = None) -> ReadingError:
        """The same."""
        return self.describe()

    def validate_increase(self, topic: str, to: int, groups: Collection[str] = ()) -> Objection:
        """The same."""
        return Objection(Reason.CONNECTION_FAILED, self._message)

    def increase(self, topic: str, since: int, to: int, starts: Collection[str] = ()) -> Objection:
        """The same."""
        return self.validate_increase(topic, to)

    def commit_start(self, group: str, topic: str, partitions: Collection[int]) -> Objection:
        """The same."""
        return self.validate_increase(topic, 0)

    def close(self) -> None:
        """Nothing was opened."""


class KafkaSource:
    """Reads the groups of one Kafka cluster and enlarges its topics; `acting` are confluent-kafka's settings.

    `budget`: seconds that one reading may take.
    """

    def __init__(self, cluster: Cluster, acting: dict[str, str | int], budget: float = BUDGET_SECONDS) -> None:
        self._cluster, self._wire = cluster, cluster.wire
        self._acting = Acting(acting, cluster)
        self._budget = budget

    def read(self, wanted: Collection[WantedGroup]) -> dict[WantedGroup, Reading | ReadingError]:
        """One cycle; see Source."""
        before = self._wire.answers
        budget = self._budget + GROUP_SECONDS * len(wanted)
        cycle = Cycle(self._cluster, wanted, time.monotonic(), budget)
        try:
            self._wire.run(cycle.run())
            found = fold(cycle)
            self._cluster.pasts.settle(found)
        except Trouble as trouble:
            found = dict.fromkeys(wanted, trouble)
        at, dead = time.time(), self._wire.answers == before
        return {one: _told(answer, at, dead) for one, answer in found.items()}

    def describe(self) -> ConnectionInfo | ReadingError:
        """The cluster as its Metadata and its versions show it."""
        try:
            return self._wire.run(self._describe())
        except Trouble as trouble:
            return ReadingError(Reason.CONNECTION_FAILED, trouble.words, time.time())

    def inspect(self, topic: str, groups: Collection[str] | None = None) -> TopicFacts | ReadingError:
        """See Source."""
        before, deadline = self._wire.answers, time.monotonic() + INSPECT_SECONDS
        try:
            return self._wire.run(inspect(self._wire, self._cluster.topics, topic, groups, deadline))
        except Trouble as trouble:
            return _told(trouble, time.time(), dead=self._wire.answers == before)

    def validate_increase(self, topic: str, to: int, groups: Collection[str] = ()) -> Objection | None:
        """See Actor."""
        return _objection(self._acting.validate, topic, to, groups)

    def increase(self, topic: str, since: int, to: int, starts: Collection[str] = ()) -> Increased | Objection:
        """See Actor."""
        return _objection(self._acting.increase, topic, since, to, starts)

    def commit_start(self, group: str, topic: str, partitions: Collection[int]) -> Objection | None:
        """See Actor."""
        return _objection(self._acting.commit_start, group, topic, partitions)

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._wire.requests

    def close(self) -> None:
        """End every connection."""
        self._cluster.configs.close()
        self._wire.close()

    async def _describe(self) -> ConnectionInfo:
        topics, deadline = self._cluster.topics, time.monotonic() + self._budget
        await topics.look(deadline)
        versions = await self._wire.versions(topics.nearest(), deadline)
        return ConnectionInfo(topics.cluster_id, len(topics.brokers), _version(versions), _features(versions))


def _version(versions: Any) -> str:
    """The version of Kafka as far as the broker's requests tell: nothing else says it."""
    return f"{versions.broker_version_str} or later"


def _features(versions: Any) -> tuple[str, ...]:
    newest = {key: most for key, (_, most) in versions.api_versions.items()}
    return tuple(word for word, (key, version) in FEATURES.items() if newest.get(key, -1) >= version)


def _told(answer: T | Trouble, at: float, dead: bool) -> T | ReadingError:
    """Troubles as the engine hears of them; `dead`: nothing answered in all that time."""
    if not isinstance(answer, Trouble):
        return answer
    reason = Reason.CONNECTION_FAILED if dead else answer.reason
    return ReadingError(reason, answer.words, at)


def _objection(act: Callable[..., T], *arguments: Any) -> T | Objection:
    """What an act gives; its Trouble as controllers hear of it."""
    try:
        return act(*arguments)
    except Trouble as trouble:
        unread = isinstance(trouble, Unreachable)
        return Objection(Reason.CONNECTION_FAILED if unread else trouble.reason, trouble.words)
