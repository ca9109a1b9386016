"""Enlarging a topic such that no group skips a record of its new partitions.

confluent-kafka acts: it is the client for what is privileged, and lives only while it has something to do. What came of
it is read back by the wire.
"""

import time
from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from tidegate.api.reasons import Reason
from tidegate.engine.facts import GroupFacts
from tidegate.engine.observation import GroupState, PartitionId
from tidegate.sources.kafka import commits
from tidegate.sources.kafka.cycle import Cluster
from tidegate.sources.kafka.inspection import inspect
from tidegate.sources.kafka.starts import LiveStarts
from tidegate.sources.kafka.topics import Topic
from tidegate.sources.kafka.trouble import (
    CLUSTER_FORBIDDEN,
    GROUP_FORBIDDEN,
    TOPIC_FORBIDDEN,
    UNKNOWN_TOPIC,
    Trouble,
    of_act,
)
from tidegate.sources.shape import Increased

BUDGET_SECONDS = 30.0
REQUEST_SECONDS = 10.0
PAUSE_SECONDS = 0.02  # between looks at what must come true within moments
NOWHERE = 2**31 - 1  # a partition that no topic has
MEMBERS_THERE = frozenset(
    {22, 25, 27, 82, 110, 113}
)  # what a commit from outside is answered where a group has members

Settings = dict[str, str | int]


class Acting:
    """What can be done to one cluster. Every call raises Trouble; see shape.Actor."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        self._settings = settings
        self._cluster = cluster

    def validate(self, topic: str, to: int, groups: Collection[str]) -> None:
        """Ask for the increase without effect, and for a commit that cannot be."""
        self._create(topic, to, validate_only=True)
        for group in groups:
            error = self._commit(group, topic, [NOWHERE])
            if error is not None and error.code() != UNKNOWN_TOPIC:
                raise _of_commit(error, group, topic)

    def increase(self, topic: str, since: int, to: int, starts: Collection[str]) -> Increased:
        """Enlarge the topic, and commit at once for groups that have members."""
        deadline = time.monotonic() + BUDGET_SECONDS
        there = self._count(topic, deadline)
        if there not in (since, to):
            words = f"topic {topic} has {there} partitions now, not {since}: nothing was changed"
            raise Trouble(words, Reason.REFUSED_BY_BROKER)
        new, fresh = range(since, to), there != to
        live = LiveStarts(self._settings, starts, topic, NOWHERE) if starts else None
        if fresh:
            self._enlarge(topic, to, deadline)
        doubts = {group: self._start(live, group, topic, new, fresh, deadline) for group in starts if live}
        self._cluster.topics.expire()
        doubts |= self._doubts([group for group, words in doubts.items() if not words], topic, new, deadline)
        return Increased({group: words for group, words in doubts.items() if words})

    def commit_start(self, group: str, topic: str, partitions: Collection[int]) -> None:
        """Commit offset 0 where there is none, until it stands."""
        deadline = time.monotonic() + REQUEST_SECONDS
        while missing := self._without_commit(group, topic, partitions, deadline):
            error = self._commit(group, topic, missing)
            _wait(_of_commit(error, group, topic) if error else _unseen(group), deadline)

    def _enlarge(self, topic: str, to: int, deadline: float) -> None:
        try:
            self._create(topic, to, validate_only=False)
        except Trouble as trouble:
            unanswered = trouble.reason is Reason.CONNECTION_FAILED
            if not unanswered or self._count(topic, deadline) != to:
                raise

    def _create(self, topic: str, to: int, validate_only: bool) -> None:
        rights = {TOPIC_FORBIDDEN: ("Alter", f"Topic {topic}"), CLUSTER_FORBIDDEN: ("Alter", "Cluster")}
        try:
            with _admin(self._settings) as admin:
                wanted = [NewPartitions(topic, to)]
                answers = admin.create_partitions(wanted, validate_only=validate_only, request_timeout=REQUEST_SECONDS)
                answers[topic].result(REQUEST_SECONDS + 1)
        except KafkaException as error:
            raise of_act(error.args[0], f"enlarge topic {topic}", rights) from error
        except TimeoutError as error:
            raise Trouble(f"cannot enlarge topic {topic}: no answer in time", Reason.CONNECTION_FAILED) from error

    def _commit(self, group: str, topic: str, partitions: Collection[int]) -> Any:
        """Commit offset 0 from outside; the KafkaError of the first partition that has one."""
        offsets = [TopicPartition(topic, partition, 0) for partition in partitions]
        try:
            with _admin(self._settings) as admin:
                wanted = [ConsumerGroupTopicPartitions(group, offsets)]
                answers = admin.alter_consumer_group_offsets(wanted, request_timeout=REQUEST_SECONDS)
                answered = answers[group].result(REQUEST_SECONDS + 1)
        except KafkaException as error:
            return error.args[0]
        except TimeoutError:
            return KafkaError(KafkaError._TIMED_OUT)
        return next((one.error for one in answered.topic_partitions if one.error), None)

    def _start(self, live: LiveStarts, group: str, topic: str, new: range, fresh: bool, deadline: float) -> str:
        """Commit for a group with members; why it failed, in words. Where partitions may have commits they count."""
        try:
            missing = new if fresh else self._without_commit(group, topic, new, deadline)
            if missing:
                live.commit(group, missing)
        except Trouble as trouble:
            return f"offset 0 could not be committed: {trouble.words}"
        return ""

    def _doubts(self, groups: Collection[str], topic: str, new: range, deadline: float) -> dict[str, str]:
        """Why groups may have skipped records of the new partitions although they have commits; empty: they did not.

        Proof is that nothing was written before the commits stood; or else that no member had them even then.
        """
        try:
            for group in groups:
                while self._without_commit(group, topic, new, deadline):
                    _wait(_unseen(group), deadline)
            written = {partition: end for partition, end in self._ends(topic, new, deadline).items() if end}
            found = self._inspected(groups, topic, deadline) if written else {}
        except Trouble as trouble:
            words = f"offset 0 was committed, but whether it came first is not known: {trouble.words}"
            return dict.fromkeys(groups, words)
        return {group: _too_late(found.get(group), written) for group in groups} if written else {}

    def _inspected(self, groups: Collection[str], topic: str, deadline: float) -> dict[str, GroupFacts]:
        work = inspect(self._cluster.wire, self._cluster.topics, topic, groups, deadline)
        return {group.name: group for group in self._cluster.wire.run(work).groups}

    def _without_commit(self, group: str, topic: str, partitions: Collection[int], deadline: float) -> list[int]:
        """Those of the partitions where the group has no commit; waits while its coordinator moves."""
        count = max(partitions, default=-1) + 1
        while True:
            try:
                found = self._cluster.wire.run(self._committed(group, topic, count, deadline))
            except Trouble as trouble:
                _wait(trouble, deadline)
                self._cluster.coordinators.forget([group])
            else:
                return [partition for partition in partitions if found[partition] is None]

    async def _committed(self, group: str, topic: str, count: int, deadline: float) -> list[int | None]:
        by_node, troubles = await self._cluster.coordinators.find([group], deadline)
        if troubles:
            raise troubles[group]
        asked = Topic(topic, "", tuple(PartitionId(topic, number) for number in range(count)), ())
        address = self._cluster.topics.address(next(iter(by_node)))
        found = (await commits.fetch(self._cluster.wire, address, {group: (asked,)}, deadline))[group]
        if isinstance(found, Trouble):
            raise found
        return commits.committed(found, asked, named=True)

    def _count(self, topic: str, deadline: float) -> int:
        return len(self._cluster.wire.run(self._seen(topic, deadline)).partitions)

    async def _seen(self, topic: str, deadline: float) -> Topic:
        self._cluster.topics.expire()
        await self._cluster.topics.learn([topic], everything=False, deadline=deadline)
        return self._cluster.topics.find(topic)

    def _ends(self, topic: str, partitions: range, deadline: float) -> dict[int, int]:
        """The ends of these partitions, as soon as they all have a leader that knows it."""
        while True:
            seen = self._cluster.wire.run(self._seen(topic, deadline))
            ends = self._cluster.wire.run(self._cluster.logs.read([seen], [], [], deadline))[topic]
            if ends.trouble is None and len(ends.highs) >= partitions.stop:
                return {partition: ends.highs[partition] for partition in partitions}
            unknown = Trouble(f"topic {topic} is not seen to have {partitions.stop} partitions", again=True)
            _wait(ends.trouble or unknown, deadline)


def _admin(settings: Settings) -> Any:
    return AdminClient(dict(settings))


def _wait(trouble: Trouble, deadline: float) -> None:
    """A moment, for what may be over then. Raises what will not be, or not in time."""
    if not trouble.again or time.monotonic() > deadline:
        raise trouble
    time.sleep(PAUSE_SECONDS)


def _too_late(group: GroupFacts | None, written: Mapping[int, int]) -> str:
    """What to say where some partitions were `written` to (partition: records) before a group's offset 0 stood."""
    if group is None or group.state is GroupState.EMPTY:
        return ""  # it has no members, so nobody has skipped anything
    if group.state is GroupState.STABLE and not group.owned & written.keys():
        return ""  # who gets them later finds the commit
    return (
        f"offset 0 was committed only when {sum(written.values())} records had been written to the new partitions; "
        "those that a member had by then may have skipped them"
    )


def _unseen(group: str) -> Trouble:
    return Trouble(f"group {group}: offset 0 was committed, but the broker does not show it", again=True)


def _of_commit(error: Any, group: str, topic: str) -> Trouble:
    if error.code() in MEMBERS_THERE:
        words = f"group {group} has members: the broker takes no commit from outside before they have left"
        return Trouble(words, Reason.REFUSED_BY_BROKER)
    rights = {GROUP_FORBIDDEN: ("Read", f"Group {group}"), TOPIC_FORBIDDEN: ("Read", f"Topic {topic}")}
    return of_act(error, f"commit offset 0 in group {group} for new partitions of topic {topic}", rights)
