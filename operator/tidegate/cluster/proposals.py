"""PartitionProposals as the API server has them: made, told how they stand, and taken away."""

import re
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from kubernetes.aio.client import ApiClient

from tidegate.api import (
    API_VERSION,
    GROUP,
    VERSION,
    AffectedGroup,
    Evidence,
    LagPolicy,
    Method,
    OffsetReset,
    PartitionProposal,
    PartitionProposalSpec,
    PartitionProposalStatus,
    cut,
    readable,
)
from tidegate.cluster.server import FIELD_MANAGER, JSON_PATCH, failed_test, path_of, request, status_of
from tidegate.cluster.standing import standing
from tidegate.cluster.times import moment
from tidegate.engine.decision import Backlog, Increase
from tidegate.engine.facts import GroupFacts

LASTS = timedelta(hours=24)
"""How long a proposal waits for a decision."""

LONGEST_PART = 110
"""Characters of the policy's and of the topic's name in a proposal's: both and the rest fit into the 253 of a name."""

GROUPS = 100
"""Groups that are listed at most."""


class Topic(NamedTuple):
    """Which topic of which Kafka cluster, by ids ("" where one is not known), and the groups found on it."""

    cluster: str
    id: str
    groups: tuple[GroupFacts, ...] = ()


class Owner(NamedTuple):
    """The LagPolicy of a group, as namespace/name, and what its consumers do without a commit."""

    policy: str
    offset_reset: OffsetReset


def proposal_name(policy: LagPolicy, topic: Topic, increase: Increase, after: str) -> str:
    """A name that two operators which see the same give alike, so that the second finds it taken.

    `after` is the uid of the newest proposal that was there before, "" without one: the next one has another name.
    """
    seed = "\0".join((policy.metadata.uid, increase.topic, topic.id, after))
    parts = (
        _dns(policy.metadata.name, "."),
        _dns(increase.topic),
        f"{increase.from_}-to-{increase.to}",
        sha256(seed.encode()).hexdigest()[:5],
    )
    return "-".join(filter(None, parts))


def _dns(name: str, also: str = "") -> str:
    """What of a name may stand in an object's name (RFC 1123 subdomain)."""
    return re.sub(f"[^a-z0-9{also}]+", "-", name.lower())[:LONGEST_PART].strip("-.")


def proposal_spec(
    policy: LagPolicy,
    increase: Increase,
    backlog: Backlog,
    topic: Topic,
    owners: Mapping[str, Owner],
    method: Method,
    now: float,
) -> PartitionProposalSpec:
    """What is proposed and why; `owners` are by the name of their group."""
    return PartitionProposalSpec.model_validate(
        {
            "policy": policy.metadata.name,
            "topic": increase.topic,
            "from": increase.from_,
            "to": increase.to,
            "evidence": _evidence(policy, increase, backlog, topic, owners, now),
            "expires": moment(now) + LASTS,
            "method": method,
        }
    )


def _evidence(
    policy: LagPolicy,
    increase: Increase,
    backlog: Backlog,
    topic: Topic,
    owners: Mapping[str, Owner],
    now: float,
) -> Evidence:
    group = policy.spec.source.kafka.group
    found = sorted(topic.groups, key=lambda g: (g.name != group, g.name))[:GROUPS]
    return Evidence(
        time=moment(now),
        cluster=topic.cluster,
        topic_id=topic.id,
        group=group,
        groups=tuple(_affected(g, owners.get(g.name)) for g in found),
        lag=backlog.lag,
        age=None if backlog.age is None else readable(backlog.age),
        arrival_rate=increase.rate,
        looked_back=readable(increase.looked_back),
        per_replica=increase.per_replica,
        bound_for=readable(increase.bound_for),
        need=increase.need,
        ceiling=increase.ceiling,
        ceiling_after=increase.ceiling_after,
        pause=readable(increase.pause),
        message=cut(increase.message),
    )


def _affected(group: GroupFacts, owner: Owner | None) -> AffectedGroup:
    return AffectedGroup(
        name=group.name,
        policy=owner.policy if owner else None,
        type=group.type,
        members=group.members,
        offset_reset=owner.offset_reset if owner else None,
    )


async def create_proposal(
    api: ApiClient, policy: LagPolicy, name: str, spec: PartitionProposalSpec
) -> dict[str, Any] | None:
    """Make it, owned by its policy; what the API server has then. None: somebody has made it already.

    Raises one of FAILURES.
    """
    meta = policy.metadata
    owner = {"apiVersion": API_VERSION, "kind": policy.kind, "name": meta.name, "uid": meta.uid}
    body = {
        "apiVersion": API_VERSION,
        "kind": "PartitionProposal",
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": spec.wire(),
    }
    path = path_of(GROUP, VERSION, PartitionProposal.names.plural, meta.namespace)
    try:
        return await request(api, "POST", path, query={"fieldManager": FIELD_MANAGER}, body=body)
    except Exception as error:
        if status_of(error) == 409:
            return None
        raise


async def write_proposal(
    api: ApiClient, proposal: PartitionProposal, status: PartitionProposalStatus
) -> dict[str, Any] | None:
    """Replace its status, with its standing, if it is still as it was seen: what it is then.

    None: somebody was faster; look again.
    Not by the StatusWriter: what waits there would be written over the first step of an increase that another process
    has begun meanwhile. Raises one of FAILURES, also where it is gone (404).
    """
    meta = proposal.metadata
    patch: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/uid", "value": meta.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version},
        {"op": "add", "path": "/status", "value": standing(proposal.spec, status).wire()},
    ]
    path = _path(proposal, "status")
    try:
        return await request(
            api, "PATCH", path, query={"fieldManager": FIELD_MANAGER}, body=patch, content_type=JSON_PATCH
        )
    except Exception as error:
        if failed_test(error) or status_of(error) == 409:
            return None
        raise


async def delete_proposal(api: ApiClient, proposal: PartitionProposal) -> None:
    """Take it away; that it is gone, or another has its name, is fine. Raises one of FAILURES."""
    body = {"preconditions": {"uid": proposal.metadata.uid}}
    try:
        await request(api, "DELETE", _path(proposal), body=body)
    except Exception as error:
        if status_of(error) not in (404, 409):
            raise


def _path(proposal: PartitionProposal, subresource: str = "") -> str:
    meta = proposal.metadata
    return path_of(GROUP, VERSION, PartitionProposal.names.plural, meta.namespace, meta.name, subresource)
