"""A topic looked at from all sides before it is enlarged: its partitions, its configs, and whoever reads it.

All groups of the cluster are looked at, as any of them may read the topic. What cannot be seen makes the inspection
fail: a hazard that was overlooked must not look like none.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from kafka.protocol.admin import DescribeConfigsRequest

from tidegate.engine.facts import GroupFacts, PartitionFacts, TopicFacts
from tidegate.engine.observation import GroupState
from tidegate.sources.kafka import commits, groups
from tidegate.sources.kafka.commits import Commits
from tidegate.sources.kafka.groups import SHARE, Described, Listed, Member
from tidegate.sources.kafka.settings import Address
from tidegate.sources.kafka.topics import Topic, Topics, matches, topic_of
from tidegate.sources.kafka.trouble import TOPIC_FORBIDDEN, UNKNOWN_TOPIC, Trouble, of_topic
from tidegate.sources.kafka.wire import Wire

OFFSETS_TOPIC = "__consumer_offsets"
TOPIC_RESOURCE = 2  # org.apache.kafka.common.config.ConfigResource.Type
CONFIGS = ["cleanup.policy", "min.insync.replicas", "unclean.leader.election.enable"]
CLASSIC = "Classic"  # what a group is where the broker does not tell, before Kafka 3.7
ONLY_LISTED = frozenset({GroupState.EMPTY, GroupState.ABSENT})  # states in which there are no members to describe


class _Known(NamedTuple):
    """What the coordinator of a group tells of it."""

    listed: Listed
    commits: Mapping[int, int]
    described: Described | None


async def inspect(wire: Wire, topics: Topics, name: str, only: Collection[str] | None, deadline: float) -> TopicFacts:
    """The topic and its groups, of all there are or of `only` these. Raises Trouble.

    Two kinds of group are not seen while they have no commit in the topic: a classic one in the middle of a rebalance,
    and one of Kafka Streams' own protocol (KIP-1071).
    """
    whole = await topics.everything(deadline)
    by_name = {topic.name: topic for topic in whole.topics}
    topic = _existing(by_name.get(name), name)
    _see_all_coordinators(by_name.get(OFFSETS_TOPIC))
    configs = await _configs(topics, name, deadline)
    jobs = [_readers(wire, address, topic, only, deadline) for address in topics.brokers.values()]
    return TopicFacts(
        at=time.time(),
        cluster=topics.cluster_id,
        topic=name,
        id=topic.id,
        partitions=tuple(map(_partition, sorted(by_name[name].partitions, key=lambda one: int(one.partition_index)))),
        load=_load(topics.brokers, whole.topics),
        groups=tuple(sorted(_all(await wire.together(jobs)), key=lambda group: group.name)),
        compacted="compact" in (configs.get("cleanup.policy") or ""),
        min_in_sync=int(configs["min.insync.replicas"]) if configs.get("min.insync.replicas") else None,
        unclean=configs["unclean.leader.election.enable"] == "true" if configs else None,
    )


def _existing(described: Any, name: str) -> Topic:
    if described is None or described.error_code:
        raise of_topic(described.error_code if described else UNKNOWN_TOPIC, name)
    topic = topic_of(described)
    if isinstance(topic, Trouble):
        raise topic
    return topic


def _see_all_coordinators(offsets: Any) -> None:
    """A group whose coordinator is down is in no list. The topic may be hidden from us, or not be made yet."""
    leaderless = [p.partition_index for p in offsets.partitions if p.leader_id < 0] if offsets else []
    if leaderless:
        raise Trouble(
            f"groups of partition {leaderless[0]} of {OFFSETS_TOPIC} cannot be seen: it has no leader", again=True
        )


def _partition(described: Any) -> PartitionFacts:
    leader = described.leader_id if described.leader_id >= 0 else None
    return PartitionFacts(leader, tuple(described.replica_nodes), tuple(described.isr_nodes))


def _load(brokers: Iterable[int], described: Iterable[Any]) -> dict[int, int]:
    """Replicas by broker; also of brokers that are down, while replicas are theirs."""
    load = Counter(dict.fromkeys(brokers, 0))
    for topic in described:
        for partition in topic.partitions:
            load.update(partition.replica_nodes)
    return dict(load)


async def _configs(topics: Topics, name: str, deadline: float) -> Mapping[str, str]:
    """The configs that matter; empty where they may not be read."""
    resource = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=TOPIC_RESOURCE, resource_name=name, configuration_keys=CONFIGS
    )
    request = DescribeConfigsRequest(resources=[resource], include_synonyms=False, include_documentation=False)
    result = (await topics.ask_any(request, deadline)).response.results[0]
    if result.error_code == TOPIC_FORBIDDEN:
        return {}
    if result.error_code:
        raise of_topic(result.error_code, name)
    return {config.name: config.value for config in result.configs}


def _all(answers: Iterable[list[GroupFacts] | Trouble]) -> Iterable[GroupFacts]:
    for answer in answers:
        if isinstance(answer, Trouble):
            raise answer
        yield from answer


async def _readers(
    wire: Wire, address: Address, topic: Topic, only: Collection[str] | None, deadline: float
) -> list[GroupFacts]:
    """The groups that one broker coordinates and that read the topic."""
    listed = await groups.list_groups(wire, address, deadline)
    wanted = {name: one for name, one in listed.items() if only is None or name in only}
    with_offsets = {name: (topic,) for name, one in wanted.items() if one.type != SHARE}
    found = await commits.fetch(wire, address, with_offsets, deadline) if with_offsets else {}
    alive = {name: one for name, one in wanted.items() if one.state not in ONLY_LISTED}
    described = await groups.describe(wire, address, alive, deadline)
    known = {name: _known(one, topic, found.get(name), described.get(name)) for name, one in wanted.items()}
    return [_facts(name, one, topic.name) for name, one in known.items() if _reads(one, topic.name)]


def _known(
    listed: Listed, topic: Topic, found: Commits | Trouble | None, described: Described | Trouble | None
) -> _Known:
    for answer in (found, described):
        if isinstance(answer, Trouble):
            raise answer.with_traceback(None)
    offsets = commits.committed(found, topic, named=True) if isinstance(found, Commits) else []
    committed = {partition: offset for partition, offset in enumerate(offsets) if offset is not None}
    return _Known(listed, committed, described if isinstance(described, Described) else None)


def _reads(known: _Known, topic: str) -> bool:
    members = known.described.members if known.described else ()
    return bool(known.commits) or any(_asks_for(member, topic) for member in members)


def _asks_for(member: Member, topic: str) -> bool:
    by_pattern = bool(member.pattern) and matches(member.pattern, topic)
    return topic in member.subscribed or topic in member.owned or by_pattern


def _facts(name: str, known: _Known, topic: str) -> GroupFacts:
    listed, described = known.listed, known.described
    members = described.members if described else ()
    return GroupFacts(
        name=name,
        type=listed.type or CLASSIC,
        state=listed.state or (described.state if described else GroupState.ABSENT),
        protocol=listed.protocol,
        assignor=(described.assignor if described else None) or "",
        members=len(members),
        static=sum(member.static for member in members),
        owned=frozenset(partition for member in members for partition in member.owned.get(topic, ())),
        commits=known.commits,
    )
