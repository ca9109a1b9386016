"""Committed offsets: one OffsetFetch a coordinator for all its groups (KIP-709), the errors kept group by group."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kafka.protocol.consumer import OffsetFetchRequest

from tidegate.sources.kafka.settings import Address
from tidegate.sources.kafka.topics import Topic
from tidegate.sources.kafka.trouble import Trouble, of_group, of_partition
from tidegate.sources.kafka.wire import Answer, Wire

BATCHED = 8  # the version of OffsetFetch that takes many groups
NAMED = 9  # the last one that names topics instead of giving their ids
NO_COMMIT = -1

_Group = OffsetFetchRequest.OffsetFetchRequestGroup
_GroupTopic = _Group.OffsetFetchRequestTopics
_Topic = OffsetFetchRequest.OffsetFetchRequestTopic

Asked = Mapping[str, tuple[Topic, ...] | None]
"""For each group the topics to ask for; None: all that it has commits for."""


class Commits(NamedTuple):
    """What a group committed, by topic, as it was answered at a time (seconds since the epoch)."""

    topics: dict[str, list[Any]]
    at: float


async def fetch(wire: Wire, address: Address, asked: Asked, deadline: float) -> dict[str, Commits | Trouble]:
    """The commits of groups that one broker coordinates. Does not raise: a broker's trouble is that of its groups.

    An answer is not asked to be stable: where a transaction that commits offsets is open, what counts is the commit
    before it.
    """
    try:
        if await wire.version(address, OffsetFetchRequest, deadline, most=NAMED) >= BATCHED:
            return _of_all(asked, await wire.ask(address, _batch(asked), deadline))
    except Trouble as trouble:
        return dict.fromkeys(asked, trouble)
    answers = await wire.together(wire.ask(address, _single(*one), deadline) for one in asked.items())
    return {
        group: answer if isinstance(answer, Trouble) else _of_one(group, answer.response, answer.at)
        for group, answer in zip(asked, answers, strict=True)
    }


def committed(commits: Commits, topic: Topic, named: bool) -> list[int | None]:
    """The commit of each partition, None where there is none. Raises Trouble for a partition that failed.

    `named`: the topic was asked for by name, so that a partition which is not in the answer is missing.
    """
    partitions = commits.topics.get(topic.name, ())
    offsets: list[int | None] = [None] * len(topic.partitions)
    for one in partitions:
        if one.error_code:
            raise of_partition(one.error_code, topic.name, one.partition_index)
        if one.committed_offset != NO_COMMIT and one.partition_index < len(offsets):
            offsets[one.partition_index] = one.committed_offset
    if named and len(partitions) < len(offsets):
        raise Trouble(f"topic {topic.name}: the broker left partitions out of its answer about commits")
    return offsets


def lacks_commit(commits: Commits, topic: Topic) -> bool:
    """Whether some partition of the topic has no commit."""
    partitions = commits.topics.get(topic.name, ())
    there = [one for one in partitions if one.committed_offset != NO_COMMIT]
    return len(there) < len(topic.partitions)


def has_any(commits: Commits) -> bool:
    """Whether there is a commit at all."""
    return any(one.committed_offset != NO_COMMIT for partitions in commits.topics.values() for one in partitions)


def _batch(asked: Asked) -> Any:
    shared: dict[str, Any] = {}
    groups = [_Group(group_id=group, topics=_structs(topics, _GroupTopic, shared)) for group, topics in asked.items()]
    return OffsetFetchRequest(groups=groups, require_stable=False, min_version=BATCHED, max_version=NAMED)


def _single(group: str, topics: tuple[Topic, ...] | None) -> Any:
    return OffsetFetchRequest(
        group_id=group,
        topics=_structs(topics, _Topic, {}),
        require_stable=False,
        min_version=2,
        max_version=BATCHED - 1,
    )


def _structs(topics: Iterable[Topic] | None, kind: Any, shared: dict[str, Any]) -> list[Any] | None:
    """Topics of a request, each made once for all groups that ask for it."""
    if topics is None:
        return None
    structs = []
    for topic in topics:
        if topic.name not in shared:
            shared[topic.name] = kind(name=topic.name, partition_indexes=list(range(len(topic.partitions))))
        structs.append(shared[topic.name])
    return structs


def _of_all(asked: Asked, answer: Answer) -> dict[str, Commits | Trouble]:
    found: dict[str, Commits | Trouble] = {
        group: Trouble(f"group {group}: the broker left it out of its answer") for group in asked
    }
    for one in answer.response.groups:
        found[one.group_id] = _of_one(one.group_id, one, answer.at)
    return found


def _of_one(group: str, answer: Any, at: float) -> Commits | Trouble:
    if answer.error_code:
        return of_group(answer.error_code, group)
    return Commits({topic.name: topic.partitions for topic in answer.topics}, at)
