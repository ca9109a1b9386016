"""PartitionProposals on the real API server: made once, written only as they were seen, gone with their policy."""

from datetime import timedelta

import pytest

from demo.stack import Stack
from tests.stack.cluster import ROOT, Space, client, install, policy
from tests.unit.test_cluster_proposals import INCREASE, TOPIC
from tests.waiting import eventually
from tidegate.api import Method, PartitionProposal, PartitionProposalStatus, Reason
from tidegate.cluster.conditions import condition
from tidegate.cluster.proposals import create_proposal, delete_proposal, proposal_name, proposal_spec, write_proposal
from tidegate.cluster.times import moment
from tidegate.engine.decision import Backlog

NOW = 1_800_000_000.0


@pytest.fixture(scope="module", autouse=True)
def crds(stack: Stack) -> None:
    install(stack, ROOT / "crds")


@pytest.fixture
def space(stack: Stack, namespace: str) -> Space:
    found = Space(stack, namespace)
    found.apply(policy())
    return found


def status(message: str) -> PartitionProposalStatus:
    said = condition("Validated", True, Reason.WOULD_SUCCEED, message, 1, NOW)
    return PartitionProposalStatus(observed_generation=1, conditions=(said,))


async def make(space: Space) -> PartitionProposal:
    owner = space.policy()
    spec = proposal_spec(owner, INCREASE, Backlog(lag=90), TOPIC, {}, Method.LIVE, NOW)
    name = proposal_name(owner, TOPIC, INCREASE, "")
    async with client(space.stack) as api:
        made = await create_proposal(api, owner, name, spec)
        assert made
        assert await create_proposal(api, owner, name, spec) is None  # another process is too late
    return PartitionProposal.parse(made)


async def test_it_is_made_once_with_all_its_figures_and_goes_with_its_policy(space: Space):
    made = await make(space)
    found = PartitionProposal.parse(space.get("pprop", made.metadata.name))
    assert found.spec == made.spec
    assert found.spec.expires == moment(NOW) + timedelta(hours=24)
    assert [owner.uid for owner in found.metadata.owner_references] == [space.policy().metadata.uid]
    space.kubectl("delete", "lagp", "points")
    eventually(lambda: not space.all("pprop"), seconds=60)


async def test_who_saw_it_before_somebody_else_wrote_writes_nothing(space: Space):
    seen = await make(space)
    async with client(space.stack) as api:
        first = await write_proposal(api, seen, status("first"))
        assert first
        assert await write_proposal(api, seen, status("second")) is None
        again = await write_proposal(api, PartitionProposal.parse(first), status("third"))
        assert again
    found = PartitionProposal.parse(space.get("pprop", seen.metadata.name)).status
    assert found.conditions == status("third").conditions
    assert found.state == "WouldSucceed"


async def test_a_persons_decision_is_never_overtaken_by_what_was_seen_before_it(space: Space):
    made = await make(space)
    space.kubectl("patch", "pprop", made.metadata.name, "--type=merge", "-p", '{"spec": {"decision": "Reject"}}')
    async with client(space.stack) as api:
        assert await write_proposal(api, made, status("approved by policy")) is None


async def test_another_one_of_its_name_is_not_deleted_for_it(space: Space):
    made = await make(space)
    space.kubectl("delete", "pprop", made.metadata.name)
    again = await make(space)
    async with client(space.stack) as api:
        await delete_proposal(api, made)
        assert [p["metadata"]["uid"] for p in space.all("pprop")] == [again.metadata.uid]
        await delete_proposal(api, again)
        await delete_proposal(api, again)
    assert space.all("pprop") == []
