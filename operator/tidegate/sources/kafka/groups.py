"""What groups are doing: ListGroups once a broker for all states; the few that need it are described."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kafka.protocol.admin import DescribeGroupsRequest, DescribeGroupsResponse, ListGroupsRequest
from kafka.protocol.api_message import ApiMessage
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

from tidegate.engine.observation import GroupState
from tidegate.sources.kafka.settings import Address
from tidegate.sources.kafka.trouble import GROUP_NOT_FOUND, Trouble, of_group, of_request
from tidegate.sources.kafka.wire import Wire

SCHEMAS = "tidegate.sources.kafka.schemas"
CONSUMER, SHARE, STREAMS = "Consumer", "Share", "Streams"

_STATES = {"stable": GroupState.STABLE, "empty": GroupState.EMPTY, "dead": GroupState.ABSENT}


class ConsumerGroupDescribeRequest(ApiMessage, load_json=SCHEMAS):  # type: ignore[misc, call-arg]
    """Describes groups of KIP-848."""


class ConsumerGroupDescribeResponse(ApiMessage, load_json=SCHEMAS):  # type: ignore[misc, call-arg]
    """Its answer."""


class ShareGroupDescribeRequest(ApiMessage, load_json=SCHEMAS):  # type: ignore[misc, call-arg]
    """Describes groups of KIP-932."""


class ShareGroupDescribeResponse(ApiMessage, load_json=SCHEMAS):  # type: ignore[misc, call-arg]
    """Its answer."""


class Listed(NamedTuple):
    """A group as a broker lists it. `state` is None before Kafka 2.6.

    `type`: Classic, Consumer (KIP-848), Share, Streams; empty before Kafka 3.7. `protocol`: consumer, connect, share;
    empty where there never was a member.
    """

    state: GroupState | None
    type: str = ""
    protocol: str = ""


class Member(NamedTuple):
    """A member of a group: the topics that it asks for and the partitions that it has, by topic.

    `pattern` (RE2) is of KIP-848; consumers of other groups tell the names that they found. While a classic group
    rebalances, nothing is known of either. `static`: it has a `group.instance.id`.
    """

    subscribed: frozenset[str]
    owned: Mapping[str, Sequence[int]]
    pattern: str = ""
    static: bool = False


class Described(NamedTuple):
    """A group's state, its members and their assignor."""

    state: GroupState
    members: tuple[Member, ...]
    assignor: str | None

    @property
    def topics(self) -> frozenset[str]:
        """The topics assigned to its members."""
        return frozenset(name for member in self.members for name in member.owned)


def state_of(word: str) -> GroupState:
    """Kafka's state of a group, folded: every state between two assignments is a rebalance, also an unknown one."""
    return _STATES.get(word.lower(), GroupState.REBALANCING)


async def list_groups(wire: Wire, address: Address, deadline: float) -> dict[str, Listed]:
    """Every group that a broker coordinates and this connection's user may see. Raises Trouble."""
    response = (await wire.ask(address, ListGroupsRequest(states_filter=[], types_filter=[]), deadline)).response
    if response.error_code:
        raise of_request(response.error_code, f"the list of groups of broker {address}")
    return {one.group_id: _listed(one) for one in response.groups}


def _listed(one: Any) -> Listed:
    state = state_of(one.group_state) if one.group_state else None
    return Listed(state, (one.group_type or "").capitalize(), one.protocol_type or "")


async def describe(
    wire: Wire, address: Address, groups: Mapping[str, Listed], deadline: float
) -> dict[str, Described | Trouble]:
    """Members of groups that one broker coordinates: a request for those of each protocol. Does not raise.

    Groups of Kafka Streams' own protocol (KIP-1071) are left out: they have tasks instead of partitions.
    """
    by_request: dict[Callable[[list[str]], Any], list[str]] = {}
    for group, listed in groups.items():
        if listed.type != STREAMS:
            by_request.setdefault(_REQUESTS.get(listed.type, _classic), []).append(group)
    jobs = [_describe(wire, address, sorted(own), request, deadline) for request, own in by_request.items()]
    described: dict[str, Described | Trouble] = {}
    for found in await wire.together(jobs):
        described |= found if isinstance(found, dict) else {}
    return described


async def _describe(
    wire: Wire, address: Address, groups: list[str], request: Callable[[list[str]], Any], deadline: float
) -> dict[str, Described | Trouble]:
    try:
        response = (await wire.ask(address, request(groups), deadline)).response
    except Trouble as trouble:
        return dict.fromkeys(groups, trouble)
    return {one.group_id: _described(one) for one in response.groups}


def _classic(groups: list[str]) -> Any:
    return DescribeGroupsRequest(groups=groups)


def _incremental(groups: list[str]) -> Any:
    return ConsumerGroupDescribeRequest(group_ids=groups, include_authorized_operations=False)


def _share(groups: list[str]) -> Any:
    return ShareGroupDescribeRequest(group_ids=groups, include_authorized_operations=False)


_REQUESTS = {CONSUMER: _incremental, SHARE: _share}


def _described(one: Any) -> Described | Trouble:
    if one.error_code and one.error_code != GROUP_NOT_FOUND:
        return of_group(one.error_code, one.group_id)
    by_broker = not isinstance(one, DescribeGroupsResponse.DescribedGroup)
    assignor = one.assignor_name if by_broker else one.protocol_data
    member = _assigned_by_broker if by_broker else _assigned_by_leader
    return Described(state_of(one.group_state), tuple(map(member, one.members)), assignor or None)


def _assigned_by_broker(member: Any) -> Member:
    return Member(
        subscribed=frozenset(member.subscribed_topic_names),
        owned={part.topic_name: part.partitions for part in member.assignment.topic_partitions},
        pattern=getattr(member, "subscribed_topic_regex", None) or "",
        static=getattr(member, "instance_id", None) is not None,
    )


def _assigned_by_leader(member: Any) -> Member:
    """Nothing is known of what is no consumer's (Kafka Connect)."""
    subscription = _decoded(ConsumerProtocolSubscription, member.member_metadata)
    assignment = _decoded(ConsumerProtocolAssignment, member.member_assignment)
    return Member(
        subscribed=frozenset(subscription.topics if subscription else ()),
        owned={part.topic: part.partitions for part in assignment.assigned_partitions} if assignment else {},
        static=member.group_instance_id is not None,
    )


def _decoded(kind: Any, data: bytes) -> Any:
    try:
        return kind.decode(data) if data else None
    except (struct.error, ValueError, IndexError):
        return None
