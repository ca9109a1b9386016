"""What groups are doing: ListGroups once a broker for all states; the few that need it are described."""

import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from kafka.protocol.admin import DescribeGroupsRequest, ListGroupsRequest
from kafka.protocol.api_message import ApiMessage
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from tidegate.engine.observation import GroupState
from tidegate.sources.kafka.settings import Address
from tidegate.sources.kafka.trouble import GROUP_NOT_FOUND, Trouble, of_group, of_request
from tidegate.sources.kafka.wire import Wire

SCHEMAS = "tidegate.sources.kafka.schemas"

_STATES = {"stable": GroupState.STABLE, "empty": GroupState.EMPTY, "dead": GroupState.ABSENT}


class ConsumerGroupDescribeRequest(ApiMessage, load_json=SCHEMAS):  # type: ignore[misc, call-arg]
    """Describes groups of KIP-848."""


class ConsumerGroupDescribeResponse(ApiMessage, load_json=SCHEMAS):  # type: ignore[misc, call-arg]
    """Its answer."""


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
    """Members of groups that one broker coordinates: a request for those of each protocol. Does not raise."""
    incremental = {group for group, listed in groups.items() if listed.type.lower() == "consumer"}
    jobs = [
        _describe(wire, address, groups.keys() - incremental, _classic, deadline),
        _describe(wire, address, incremental, _incremental, deadline),
    ]
    described: dict[str, Described | Trouble] = {}
    for found in await wire.together(jobs):
        described |= found if isinstance(found, dict) else {}
    return described


async def _describe(
    wire: Wire, address: Address, groups: Collection[str], request: Callable[[list[str]], Any], deadline: float
) -> dict[str, Described | Trouble]:
    if not groups:
        return {}
    try:
        response = (await wire.ask(address, request(sorted(groups)), deadline)).response
    except Trouble as trouble:
        return dict.fromkeys(groups, trouble)
    return {one.group_id: _described(one) for one in response.groups}


def _classic(groups: list[str]) -> Any:
    return DescribeGroupsRequest(groups=groups)


def _incremental(groups: list[str]) -> Any:
    return ConsumerGroupDescribeRequest(group_ids=groups, include_authorized_operations=False)


def _described(one: Any) -> Described | Trouble:
    if one.error_code and one.error_code != GROUP_NOT_FOUND:
        return of_group(one.error_code, one.group_id)
    incremental = isinstance(one, ConsumerGroupDescribeResponse.DescribedGroup)
    assignor = one.assignor_name if incremental else one.protocol_data
    assigned = _assigned_by_broker if incremental else _assigned_by_leader
    topics = frozenset(name for member in one.members for name in assigned(member))
    return Described(state_of(one.group_state), len(one.members), assignor or None, topics)


def _assigned_by_broker(member: Any) -> Iterable[str]:
    return [part.topic_name for part in member.assignment.topic_partitions]


def _assigned_by_leader(member: Any) -> Iterable[str]:
    """Topics in a member's assignment; none while it has none, or where it is no consumer's (Kafka Connect)."""
    try:
        return [part.topic for part in ConsumerProtocolAssignment.decode(member.member_assignment).assigned_partitions]
    except (struct.error, ValueError, IndexError):
        return []
