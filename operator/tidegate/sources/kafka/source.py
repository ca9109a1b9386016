"""A Kafka cluster as a source."""

import time
from collections.abc import Collection, Mapping
from typing import Any

from tidegate.api import SecretKeyRef
from tidegate.api.connection import KafkaConnection
from tidegate.api.reasons import Reason
from tidegate.engine.observation import Reading, ReadingError
from tidegate.sources.kafka.configs import Configs
from tidegate.sources.kafka.cycle import Cluster, Cycle
from tidegate.sources.kafka.fold import fold
from tidegate.sources.kafka.settings import Settings, SettingsError, admin_settings, reading_settings
from tidegate.sources.kafka.trouble import Trouble
from tidegate.sources.shape import ConnectionInfo, Source, WantedGroup

BUDGET_SECONDS = 4.0  # of a whole cycle
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
        return KafkaSource(reading_settings(connection, secrets), Configs(admin_settings(connection, secrets)))
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

    def close(self) -> None:
        """Nothing was opened."""


class KafkaSource:
    """Reads the groups of one Kafka cluster. `budget`: seconds that one reading may take."""

    def __init__(self, settings: Settings, configs: Configs, budget: float = BUDGET_SECONDS) -> None:
        self._cluster = Cluster(settings, configs)
        self._wire = self._cluster.wire
        self._budget = budget

    def read(self, wanted: Collection[WantedGroup]) -> dict[WantedGroup, Reading | ReadingError]:
        """One cycle; see Source."""
        before = self._wire.answers
        budget = self._budget + GROUP_SECONDS * len(wanted)
        cycle = Cycle(self._cluster, wanted, time.monotonic(), budget)
        try:
            self._wire.run(cycle.run())
            found = fold(cycle)
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


def _told(answer: Reading | Trouble, at: float, dead: bool) -> Reading | ReadingError:
    """Troubles as the engine hears of them; `dead`: nothing answered in this whole cycle."""
    if isinstance(answer, Reading):
        return answer
    reason = Reason.CONNECTION_FAILED if dead else answer.reason
    return ReadingError(reason, answer.words, at)
