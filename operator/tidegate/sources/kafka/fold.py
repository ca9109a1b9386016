"""What a cycle was answered, folded into one Reading a policy, whole or not at all (rule 1 of measuring)."""

from collections.abc import Mapping

from tidegate.api.lagpolicy import Isolation
from tidegate.engine.observation import GroupState, Offsets, PartitionId, Reading
from tidegate.sources.kafka.commits import Commits, committed, has_any
from tidegate.sources.kafka.cycle import Cycle
from tidegate.sources.kafka.groups import SHARE, Described
from tidegate.sources.kafka.past import past_of
from tidegate.sources.kafka.scopes import Scope
from tidegate.sources.kafka.topics import Topic
from tidegate.sources.kafka.trouble import Trouble
from tidegate.sources.shape import WantedGroup


def fold(cycle: Cycle) -> dict[WantedGroup, Reading | Trouble]:
    """A Reading for each wanted group, or what kept it from being whole."""
    return {one: _whole(cycle, one) for one in cycle.wanted}


def _whole(cycle: Cycle, one: WantedGroup) -> Reading | Trouble:
    try:
        return _reading(cycle, one)
    except Trouble as trouble:
        return trouble.with_traceback(None)  # it may be kept, and would keep this cycle with it


def _reading(cycle: Cycle, one: WantedGroup) -> Reading:
    found = cycle.commits[one.group]
    if isinstance(found, Trouble):
        raise found
    state = _state(cycle, one.group, found)
    scope = cycle.cluster.scopes.of(_names(cycle, one, state))
    partitions: dict[PartitionId, Offsets] = {}
    ended_at = 0.0
    for topic in scope.topics:
        ended_at = max(ended_at, _add(partitions, cycle, one, topic, found))
    described = cycle.described.get(one.group)
    return Reading(
        partitions=partitions,
        topic_ids=scope.ids,
        committed_at=found.at,
        ended_at=ended_at,
        state=state,
        members=len(described.members) if isinstance(described, Described) else None,
        assignor=described.assignor if isinstance(described, Described) else None,
        retention=scope.retention,
        compacted=scope.compacted,
        past=past_of(cycle.pasts, scope, partitions) if one in cycle.newcomers and _all_of(scope, partitions) else None,
    )


def _all_of(scope: Scope, partitions: Mapping[PartitionId, Offsets]) -> bool:
    """Whether no topic has grown while it was read."""
    return len(partitions) == sum(len(topic.partitions) for topic in scope.topics)


def _state(cycle: Cycle, group: str, found: Commits) -> GroupState:
    listed = cycle.listed(group)
    if listed is None:  # not every kind of broker lists a group that has commits but never had a member
        return GroupState.EMPTY if has_any(found) else GroupState.ABSENT
    if listed.type == SHARE:
        raise Trouble(f"group {group} is a share group, whose backlog is not the distance between two offsets")
    if listed.state is not None:
        return listed.state
    match cycle.described.get(group):
        case Described(state=state):
            return state
        case trouble:
            raise trouble or Trouble(f"group {group}: the broker does not tell its state")


def _names(cycle: Cycle, one: WantedGroup, state: GroupState) -> tuple[str, ...]:
    """The topics that count. A named one must be there; of the others, those count that are."""
    if one.topics:
        return one.topics
    names = tuple(filter(cycle.cluster.topics.exists, cycle.names(one)))
    if names:
        return names
    if one.topic_pattern is not None:
        raise Trouble(f"no topic matches spec.source.kafka.topicPattern {one.topic_pattern!r}")
    what = "does not exist" if state is GroupState.ABSENT else "has no commits and no assigned partitions"
    raise Trouble(
        f"group {one.group} {what}: name its topics in spec.source.kafka.topics, or wait until it has read some"
    )


def _add(partitions: dict[PartitionId, Offsets], cycle: Cycle, one: WantedGroup, topic: Topic, found: Commits) -> float:
    """Add a topic's partitions as the group sees them; gives the time at which its ends were answered."""
    ends = cycle.ends.get(topic.name)
    if ends is None or ends.topic.partitions != topic.partitions:
        raise Trouble(f"topic {topic.name} changed while it was read", again=True)
    if ends.trouble:
        raise ends.trouble
    asked = _as_asked(cycle, one.group, topic, found)
    mine = committed(found, asked, named=cycle.asked[one.group] is not None)
    end = ends.stables if one.isolation is Isolation.READ_COMMITTED else ends.highs
    partitions.update(zip(asked.partitions, map(Offsets, ends.starts, mine, end, ends.highs), strict=True))
    return ends.at


def _as_asked(cycle: Cycle, group: str, topic: Topic, found: Commits) -> Topic:
    """The topic with those partitions whose commits were asked for: more that came meanwhile count from the next cycle
    on.
    """
    if len(found.topics.get(topic.name, ())) >= len(topic.partitions):
        return topic
    asked = next((one for one in cycle.asked[group] or () if (one.name, one.id) == (topic.name, topic.id)), topic)
    return min(asked, topic, key=lambda one: len(one.partitions))
