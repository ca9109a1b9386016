"""Topics, their partitions and who leads them; brokers and where they are: what Metadata tells."""

import time
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from kafka.protocol.metadata import MetadataRequest

from tidegate.api.pattern import topic_matches
from tidegate.api.reasons import Reason
from tidegate.engine.observation import PartitionId
from tidegate.sources.kafka.settings import Address
from tidegate.sources.kafka.trouble import UNKNOWN_TOPIC, Trouble, Unreachable, of_topic
from tidegate.sources.kafka.wire import Answer, Wire

REFRESH_SECONDS = 10.0  # new partitions are seen within that, and two cycles
PER_BROKER_SECONDS = 2.0  # before another broker is asked
NO_ID = UUID(int=0)  # what a broker says that knows no topic ids (KIP-516, before 3.1)

matches = lru_cache(maxsize=1 << 16)(topic_matches)


class Topic(NamedTuple):
    """A topic; the index of `partitions` and `leaders` is the partition's number, a leader that is none is -1."""

    name: str
    id: str
    partitions: tuple[PartitionId, ...]
    leaders: tuple[int, ...]
    internal: bool = False


class Topics:
    """What is known of brokers and topics, and asked again when it is due."""

    def __init__(self, wire: Wire, bootstrap: Iterable[Address]) -> None:
        self._wire = wire
        self._bootstrap = tuple(bootstrap)
        self._known: dict[str, Topic | Trouble] = {}
        self._due = 0.0
        self._everything = False
        self.brokers: dict[int, Address] = {}
        self.cluster_id = ""
        self.generation = 0  # changes whenever a topic does

    def expire(self) -> None:
        """Ask again at the next opportunity: something was not where it should be."""
        self._due = 0.0

    async def learn(self, names: Collection[str], everything: bool, deadline: float) -> None:
        """Know these topics, and with `everything` every topic there is. Raises Unreachable when no broker answers."""
        now = time.monotonic()
        if now >= self._due or (everything and not self._everything):
            await self._refresh(names, everything, deadline)
            self._due, self._everything = now + REFRESH_SECONDS, everything
        unknown = [name for name in names if name not in self._known]
        if unknown:
            self._note((await self._ask(unknown, deadline)).topics)

    async def look(self, deadline: float) -> None:
        """Know the brokers as they are now. Raises Unreachable when none answers."""
        response = await self._ask((), deadline)
        self._note_cluster(response)

    async def everything(self, deadline: float) -> Any:
        """Metadata's answer for all topics, as it is now. Raises Unreachable when no broker answers."""
        response = await self._ask(None, deadline)
        self._note_cluster(response)
        return response

    def get(self, name: str) -> Topic | Trouble | None:
        """A topic by name, or why it cannot be seen; None where it was never asked for."""
        return self._known.get(name)

    def find(self, name: str) -> Topic:
        """A topic by name; raises Trouble where it is missing or may not be seen."""
        topic = self._known.get(name)
        if isinstance(topic, Topic):
            return topic
        raise (topic or of_topic(UNKNOWN_TOPIC, name)).with_traceback(None)

    def exists(self, name: str) -> bool:
        """Whether there is such a topic, as far as this connection's user may know."""
        return isinstance(self._known.get(name), Topic)

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Names of the topics that a pattern matches; Kafka's own topics are never meant."""
        topics = [topic for topic in self._known.values() if isinstance(topic, Topic) and not topic.internal]
        return tuple(sorted(topic.name for topic in topics if matches(pattern, topic.name)))

    def address(self, node: int) -> Address:
        """Where a broker is; raises Trouble where the cluster has no such broker now."""
        if node in self.brokers:
            return self.brokers[node]
        self.expire()
        raise Trouble(f"broker {node} is not there", again=True)

    async def ask_any(self, request: Any, deadline: float) -> Answer:
        """Ask whichever broker answers, those first that are connected. Raises Unreachable with the words of all."""
        troubles: dict[str, bool] = {}
        for address in self._by_readiness():
            try:
                return await self._wire.ask(address, request, min(deadline, time.monotonic() + PER_BROKER_SECONDS))
            except Unreachable as trouble:
                troubles[trouble.words] = trouble.refused
            if time.monotonic() > deadline:
                break
        raise Unreachable("; ".join(troubles) or "no broker is known", refused=any(troubles.values()))

    def nearest(self) -> Address:
        """The broker that is asked first."""
        return self._by_readiness()[0]

    def _by_readiness(self) -> list[Address]:
        known = dict.fromkeys((*self.brokers.values(), *self._bootstrap))
        return sorted(known, key=lambda address: (not self._wire.is_open(address), self._wire.rests(address)))

    async def _ask(self, names: Collection[str] | None, deadline: float) -> Any:
        topics = None if names is None else [MetadataRequest.MetadataRequestTopic(name=name) for name in names]
        request = MetadataRequest(
            topics=topics,
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=False,
            min_version=4,  # below, asking for a topic could create it
        )
        return (await self.ask_any(request, deadline)).response

    async def _refresh(self, names: Collection[str], everything: bool, deadline: float) -> None:
        response = await self._ask(None if everything else sorted(set(names)), deadline)
        self._note_cluster(response)
        seen = {topic.name for topic in response.topics}
        for name in self._known.keys() - seen:
            del self._known[name]
            self.generation += 1
        self._note(response.topics)

    def _note_cluster(self, response: Any) -> None:
        self.brokers = {broker.node_id: Address(broker.host, broker.port) for broker in response.brokers}
        self.cluster_id = response.cluster_id or ""
        self._wire.keep_only(self.brokers.values())

    def _note(self, described: Iterable[Any]) -> None:
        for one in described:
            known = self._known.get(one.name)
            topic = _trouble_of(one) if one.error_code else topic_of(one, known if isinstance(known, Topic) else None)
            if topic is not known and not (isinstance(topic, Trouble) and isinstance(known, Trouble)):
                self.generation += 1
            self._known[one.name] = topic


def _trouble_of(described: Any) -> Trouble:
    return of_topic(described.error_code, described.name)


def topic_of(described: Any, known: Topic | None = None) -> Topic | Trouble:
    """The topic as Metadata describes it, with the very objects already known where they still are right."""
    partitions = sorted(described.partitions, key=lambda partition: int(partition.partition_index))
    if [p.partition_index for p in partitions] != list(range(len(partitions))):
        return Trouble(f"topic {described.name}: the broker left partitions out of its answer", Reason.READING_FAILED)
    leaders = tuple(p.leader_id for p in partitions)
    own_id = described.topic_id
    identity = "" if own_id in (None, NO_ID) else str(own_id)
    if known and known.id == identity and known.leaders == leaders:
        return known
    old = known.partitions if known else ()
    name = known.name if known else described.name
    ids = *old[: len(leaders)], *(PartitionId(name, index) for index in range(len(old), len(leaders)))
    return Topic(name, identity, ids, leaders, bool(described.is_internal))
