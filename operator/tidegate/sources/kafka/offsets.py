"""Where logs start and end: ListOffsets, once a leader for the distinct partitions of all groups."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from operator import lt
from typing import Any

from kafka.protocol.consumer import IsolationLevel, ListOffsetsRequest, OffsetSpec

from tidegate.sources.kafka.topics import Topic, Topics
from tidegate.sources.kafka.trouble import Trouble, of_partition
from tidegate.sources.kafka.wire import Answer, Wire

START_SECONDS = 30.0  # a log's start moves seldom, and only forward
NEWEST = 9  # version 10 lets the broker wait for remote storage, which it needs for neither end
NO_RECORD = -1  # what a broker says where no record is that new
UNANSWERED = -2

_Topic = ListOffsetsRequest.ListOffsetsTopic
_Partition = _Topic.ListOffsetsPartition


@dataclass(slots=True)
class Ends:
    """One topic's offsets by partition number, with the time of the last answer; `trouble` if any of it is missing."""

    topic: Topic
    highs: list[int]
    stables: list[int]
    starts: list[int]
    at: float = 0.0
    trouble: Trouble | None = None


@dataclass(slots=True)
class _Column:
    """One kind of offset of many topics, as it is collected."""

    spec: int
    isolation: int
    values: dict[str, list[int]]
    troubles: dict[str, Trouble] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)

    def whole(self, name: str, least: int = 0) -> bool:
        """Whether a topic was answered in full, with offsets from `least` on."""
        return name not in self.troubles and min(self.values[name], default=least) >= least


class Logs:
    """Reads the ends of logs; remembers their starts for a while."""

    def __init__(self, wire: Wire, topics: Topics) -> None:
        self._wire = wire
        self._topics = topics
        self._starts: dict[str, tuple[Topic, list[int]]] = {}
        self._starts_due = 0.0
        self._highs: dict[str, list[int]] = {}

    async def read(
        self, topics: Collection[Topic], stable: Collection[Topic], counted: Collection[Topic], deadline: float
    ) -> dict[str, Ends]:
        """The ends of these topics, last stable offsets for those in `stable`, and starts as of now for those in
        `counted`, from whose start a backlog is counted; other starts may be remembered. What fails is in `trouble`.
        """
        for topic in counted:
            self._starts.pop(topic.name, None)
        highs = _column(topics, OffsetSpec.LATEST, IsolationLevel.READ_UNCOMMITTED)
        stables = _column(stable, OffsetSpec.LATEST, IsolationLevel.READ_COMMITTED)
        starts = _column(self._without_start(topics), OffsetSpec.EARLIEST, IsolationLevel.READ_UNCOMMITTED)
        by_name = {topic.name: topic for topic in topics}
        await self._ask((highs, stables, starts), by_name, deadline)
        self._remember(starts, by_name)
        return {topic.name: self._ends(topic, highs, stables, starts) for topic in topics}

    async def since(
        self, topics: Collection[Topic], times: Sequence[float], deadline: float
    ) -> dict[str, list[list[int]]]:
        """For each topic and time (seconds since the epoch) the first offset in each partition whose record is not
        older, NO_RECORD where there is none. Topics that fail are left out.
        """
        columns = [_column(topics, int(1000 * at), IsolationLevel.READ_UNCOMMITTED) for at in times]
        await self._ask(columns, {topic.name: topic for topic in topics}, deadline)
        if time.monotonic() >= deadline:  # a broker answers in turn: what is under way would hold up the next reading
            for node in {leader for topic in topics for leader in topic.leaders if leader in self._topics.brokers}:
                self._wire.hang_up(self._topics.brokers[node])
        return {
            topic.name: [column.values[topic.name] for column in columns]
            for topic in topics
            if all(column.whole(topic.name, NO_RECORD) for column in columns)
        }

    def _without_start(self, topics: Collection[Topic]) -> Collection[Topic]:
        now = time.monotonic()
        if now >= self._starts_due:
            self._starts_due = now + START_SECONDS
            self._starts.clear()
            self._highs = {topic.name: self._highs[topic.name] for topic in topics if topic.name in self._highs}
        return [topic for topic in topics if not self._start(topic)]

    def _start(self, topic: Topic) -> list[int] | None:
        """Remembered starts, if they are of this very topic and of all its partitions."""
        known, starts = self._starts.get(topic.name, (None, []))
        return starts if known and known.id == topic.id and len(starts) == len(topic.partitions) else None

    def _remember(self, starts: _Column, topics: dict[str, Topic]) -> None:
        for name, values in starts.values.items():
            if starts.whole(name):
                self._starts[name] = topics[name], values

    def _ends(self, topic: Topic, highs: _Column, stables: _Column, starts: _Column) -> Ends:
        name, columns = topic.name, [highs, *(c for c in (stables, starts) if topic.name in c.values)]
        trouble = next((c.troubles[name] for c in columns if name in c.troubles), None)
        if trouble is None and not all(c.whole(name) for c in columns):
            trouble = Trouble(f"topic {name}: the broker left partitions out of its answer about offsets")
        high = highs.values[name]
        stable = list(map(min, stables.values.get(name, high), high))  # two requests: a marker may come between them
        at = max(highs.at.get(name, 0.0), stables.at.get(name, 0.0))
        return Ends(topic, high, stable, self._start(topic) or [], at, trouble or self._recreated(topic, high))

    def _recreated(self, topic: Topic, highs: list[int]) -> Trouble | None:
        """Ends that went back, or lie before the start, are another log's: look what the topic is now."""
        before, starts = self._highs.get(topic.name, highs), self._start(topic) or highs
        self._highs[topic.name] = highs
        if any(map(lt, highs, before)) or any(map(lt, highs, starts)):
            self._starts.pop(topic.name, None)
            return Trouble(f"topic {topic.name}: its end moved backwards; it was recreated or lost records", again=True)
        return None

    async def _ask(self, columns: Iterable[_Column], topics: dict[str, Topic], deadline: float) -> None:
        jobs = [self._fill(column, node, plan, deadline) for column in columns for node, plan in _plan(column, topics)]
        await self._wire.together(jobs)

    async def _fill(self, column: _Column, node: int, plan: dict[str, list[int]], deadline: float) -> None:
        try:
            answer = await self._wire.ask(self._topics.address(node), _request(column, plan), deadline)
        except Trouble as trouble:
            for name in plan:
                column.troubles.setdefault(name, trouble)
        else:
            _take(column, answer)


def _column(topics: Iterable[Topic], spec: int, isolation: int) -> _Column:
    return _Column(int(spec), int(isolation), {topic.name: [UNANSWERED] * len(topic.partitions) for topic in topics})


def _plan(column: _Column, topics: dict[str, Topic]) -> list[tuple[int, dict[str, list[int]]]]:
    """For each leader, the partitions to ask it for; a partition without a leader is a trouble of its topic."""
    plan: dict[int, dict[str, list[int]]] = {}
    for name in column.values:
        for partition, leader in enumerate(topics[name].leaders):
            if leader < 0:
                words = f"partition {partition} of topic {name} has no leader: its broker is down"
                column.troubles.setdefault(name, Trouble(words, again=True))
            else:
                plan.setdefault(leader, {}).setdefault(name, []).append(partition)
    return list(plan.items())


def _request(column: _Column, plan: dict[str, list[int]]) -> Any:
    topics = [
        _Topic(name=name, partitions=[_Partition(partition_index=index, timestamp=column.spec) for index in indexes])
        for name, indexes in plan.items()
    ]
    return ListOffsetsRequest(
        replica_id=-1, isolation_level=column.isolation, topics=topics, min_version=2, max_version=NEWEST
    )


def _take(column: _Column, answer: Answer) -> None:
    for topic in answer.response.topics:
        values = column.values[topic.name]
        column.at[topic.name] = max(answer.at, column.at.get(topic.name, 0.0))
        for one in topic.partitions:
            if one.error_code:
                column.troubles.setdefault(topic.name, of_partition(one.error_code, topic.name, one.partition_index))
            else:
                values[one.partition_index] = one.offset
