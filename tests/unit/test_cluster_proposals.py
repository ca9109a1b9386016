"""How proposals are named, and what stands in them."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.controllers_world import policy
from tidegate.api import LagPolicy, Method, OffsetReset, PartitionProposalSpec
from tidegate.cluster.proposals import GROUPS, Owner, Topic, proposal_name, proposal_spec
from tidegate.engine import GroupState
from tidegate.engine.decision import Backlog, Increase
from tidegate.engine.facts import GroupFacts

NOW = 1_800_000_000.0
POLICY = LagPolicy.parse(policy("points"))
INCREASE = Increase(
    topic="points.deduct",
    from_=6,
    to=24,
    rate=512.4,
    looked_back=14_400,
    per_replica=41.04,
    bound_for=312.6,
    need=15,
    ceiling=6,
    ceiling_after=24,
    pause=23.7,
    message="6 partitions can employ 6 replicas, 15 are needed",
)
TOPIC = Topic("cluster", "topic-id", (GroupFacts("points", "Classic", GroupState.STABLE, members=6),))

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
kubernetes_names = st.lists(labels, min_size=1, max_size=8).map(".".join).filter(lambda name: len(name) <= 253)
kafka_topics = st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True)
counts = st.integers(1, 100_000)


@given(kubernetes_names, kafka_topics, counts, counts)
def test_every_policy_and_topic_give_a_name_that_the_api_server_takes(name: str, topic: str, before: int, after: int):
    named = LagPolicy.parse(policy(name))
    given_name = proposal_name(named, TOPIC, INCREASE._replace(topic=topic, from_=before, to=after), "")
    assert len(given_name) <= 253
    # RFC 1123 subdomain, as the API server checks it
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", given_name)


def test_two_operators_give_the_same_name_and_the_next_proposal_has_another():
    first = proposal_name(POLICY, TOPIC, INCREASE, "")
    assert re.fullmatch(r"points-points-deduct-6-to-24-[0-9a-f]{5}", first)
    assert proposal_name(POLICY, TOPIC, INCREASE._replace(rate=600.0), "") == first
    others = {
        proposal_name(POLICY, TOPIC, INCREASE, "uid of the first"),
        proposal_name(POLICY, TOPIC._replace(id="made anew"), INCREASE, ""),
        proposal_name(LagPolicy.parse(policy("points", metadata={"uid": "another"})), TOPIC, INCREASE, ""),
        proposal_name(POLICY, TOPIC, INCREASE._replace(topic="points_deduct"), ""),
    }
    assert len(others | {first}) == 5


def spec(topic: Topic = TOPIC, owners: dict[str, Owner] | None = None) -> PartitionProposalSpec:
    backlog = Backlog(lag=9000, age=93.2)
    return proposal_spec(POLICY, INCREASE, backlog, topic, owners or {}, Method.LIVE, NOW)


def test_the_evidence_has_the_figures_as_people_read_them():
    wire = spec().wire()
    assert (wire["from"], wire["to"], wire["decision"], wire["method"]) == (6, 24, "Pending", "Live")
    evidence = wire["evidence"]
    assert (evidence["arrivalRate"], evidence["perReplica"]) == ("512", "41")
    assert (evidence["lookedBack"], evidence["boundFor"], evidence["pause"]) == ("4h", "5m13s", "24s")
    assert (evidence["lag"], evidence["age"]) == (9000, "1m33s")
    assert (evidence["need"], evidence["ceiling"], evidence["ceilingAfter"]) == (15, 6, 24)
    assert spec().expires == datetime.fromtimestamp(NOW, UTC) + timedelta(hours=24)


def test_all_groups_of_the_topic_are_listed_its_own_first_with_the_policies_there_are():
    groups = tuple(GroupFacts(name, "Consumer", GroupState.STABLE, members=2) for name in ("audit", "points", "zoo"))
    owners = {"audit": Owner("ledger/audit", OffsetReset.LATEST)}
    own, audit, zoo = spec(TOPIC._replace(groups=groups), owners).evidence.groups
    assert (own.name, own.members, own.policy) == ("points", 2, None)
    assert (audit.name, audit.policy, audit.offset_reset) == ("audit", "ledger/audit", OffsetReset.LATEST)
    assert (zoo.name, zoo.offset_reset, zoo.type) == ("zoo", None, "Consumer")


def test_of_very_many_groups_the_own_one_is_never_left_out():
    groups = tuple(GroupFacts(f"a{n:03}", "Classic", GroupState.EMPTY) for n in range(GROUPS + 50))
    listed = spec(TOPIC._replace(groups=(*groups, TOPIC.groups[0]))).evidence.groups
    assert len(listed) == GROUPS
    assert listed[0].name == "points"


def test_what_is_proposed_can_be_read_again():
    assert PartitionProposalSpec.parse(spec().wire()).wire() == spec().wire()
