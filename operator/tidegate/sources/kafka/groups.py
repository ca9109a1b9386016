"""What groups are doing: ListGroups once a broker for all states; the few that need it are described."""

import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kafka.protocol.admin import DescribeGroupsRequest, ListGroupsRequest
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from tidegate.engine.observation import GroupState
from tidegate.sources.kafka.settings import Address
from tidegate.sources.kafka.trouble import GROUP_NOT_FOUND, Trouble, of_group, of_request
from tidegate.sources.kafka.wire import Wire

WITH_STATES = 4  # the version of ListGroups that tells states (KIP-518)

_STATES = {"stable": GroupState.STABLE, "empty": GroupState.EMPTY, "dead": GroupState.ABSENT}


class Listed(NamedTuple):
    """A group as a broker lists it. `state` is None before Kafka 2.6.

    `type`: Classic, Consumer (KIP-848), Share, Streams; empty before Kafka 3.7.
    """

    state: GroupState | None
    type: str = ""


class Described(NamedTuple):
    """A group's state, its members (how many), their assignor, and the topics assigned to them."""

    state: GroupState
    members: int
    assignor: str | None
    topics: frozenset[str]


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
    return Listed(state_of(one.group_state) if one.group_state else None, one.group_type or "")


async def describe(
    wire: Wire, address: Address, groups: Mapping[str, Listed], deadline: float
) -> dict[str, Described | Trouble]:
    """Members of groups that one broker coordinates. Does not raise."""
    try:
        response = (await wire.ask(address, DescribeGroupsRequest(groups=list(groups)), deadline)).response
    except Trouble as trouble:
        return dict.fromkeys(groups, trouble)
    return {one.group_id: _described(one) for one in response.groups}


def _described(one: Any) -> Described | Trouble:
    if one.error_code and one.error_code != GROUP_NOT_FOUND:
        return of_group(one.error_code, one.group_id)
    topics = frozenset(name for member in one.members for name in _assigned(member.member_assignment))
    return Described(state_of(one.group_state), len(one.members), one.protocol_data or None, topics)


def _assigned(assignment: bytes) -> Iterable[str]:
    """Topics in a member's assignment; none while it has none, or where it is of another kind of group."""
    try:
        return [part.topic for part in ConsumerProtocolAssignment.decode(assignment).assigned_partitions]
    except (struct.error, ValueError, IndexError):
        return []
