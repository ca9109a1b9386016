"""What a partition increase can break: each hazard where it is, and the same cluster without it."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tidegate.api import Hazard, HazardName, Method, OffsetReset, Reason
from tidegate.engine import GroupState, Objection
from tidegate.engine.facts import GroupFacts, PartitionFacts, TopicFacts
from tidegate.engine.hazards import Known, blocks, find_hazards, preset_method

WHOLE = PartitionFacts(leader=1, replicas=(1, 2, 3), in_sync=(1, 2, 3))
DONE = dict.fromkeys(range(6), 40)
POINTS = GroupFacts("points", "Classic", GroupState.STABLE, "consumer", "range", 3, owned=frozenset(DONE), commits=DONE)
AUDIT = GroupFacts("audit", "Consumer", GroupState.STABLE, "consumer", "uniform", members=1, owned=frozenset(range(6)))
GONE = GroupFacts("old", "Classic", GroupState.EMPTY, "consumer", commits={0: 10, 1: 10})
ALONE = GroupFacts("ledger", "Classic", GroupState.EMPTY, "", commits={0: 10, 1: 10})
QUIET = TopicFacts(
    at=1000.0,
    cluster="c",
    topic="orders",
    id="t",
    partitions=(WHOLE,) * 6,
    load={1: 900, 2: 880, 3: 890},
    groups=(POINTS,),
    min_in_sync=2,
    unclean=False,
)
"""A cluster in which nothing is wrong, and a group that starts at the earliest record."""
UNKEYED = Known("points", keyed=False, resets={"points": OffsetReset.EARLIEST})
LATEST = {"points": OffsetReset.LATEST}


@dataclass(frozen=True)
class Case:
    """What differs from the quiet cluster, and what is said of it."""

    name: HazardName
    facts: dict[str, Any] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    to: int = 24
    earlier: TopicFacts | None = QUIET
    refusal: Objection | None = None
    blocking: bool = True
    method: Method | None = None
    told: tuple[str, ...] = ()

    def hazards(self) -> tuple[Hazard, ...]:
        facts, known = replace(QUIET, **self.facts), UNKEYED._replace(**self.known)
        return find_hazards(facts, self.earlier, self.to, known, self.refusal)


def partitions(**changed: Any) -> dict[str, Any]:
    """The topic with two of its partitions otherwise."""
    other = replace(WHOLE, **changed)
    return {"partitions": (WHOLE, other, WHOLE, WHOLE, other, WHOLE)}


def also(*groups: GroupFacts) -> dict[str, Any]:
    """The topic with more groups on it."""
    return {"groups": (POINTS, *groups)}


def before(*groups: GroupFacts) -> TopicFacts:
    """The quiet cluster some seconds earlier, with more groups on the topic."""
    return replace(QUIET, at=990.0, groups=(POINTS, *groups))


N = HazardName
PRESENT = {
    "a keyed topic": Case(N.KEY_ORDERING, known={"keyed": True}, told=("6 → 24 partitions of orders", "75% of")),
    "a keyed topic by half": Case(N.KEY_ORDERING, known={"keyed": True}, to=9, told=("67% of the keys",)),
    "a topic that is said to have no keys but looks like it": Case(
        N.KEY_ORDERING, known={"uneven": True}, blocking=False, told=("keyed is false", "more unevenly", "75% of them")
    ),
    "consumers that would skip what they find late": Case(
        N.OFFSET_RESET_LATEST,
        known={"resets": LATEST},
        method=Method.LIVE,
        told=("group points (3 members)", "the 18 new partitions", "up to 5 minutes", "method: PausedGroup"),
    ),
    "consumers that the broker tells of new partitions": Case(
        N.OFFSET_RESET_LATEST,
        facts={"groups": (replace(POINTS, type="Consumer", assignor="uniform"),)},
        known={"resets": LATEST},
        method=Method.LIVE,
        told=("after some seconds", "method: PausedGroup"),
    ),
    "a rebalance is under way in such a group": Case(
        N.OFFSET_RESET_LATEST,
        facts={"groups": (replace(POINTS, state=GroupState.REBALANCING, members=0),)},
        known={"resets": LATEST},
        method=Method.LIVE,
        told=("group points",),
    ),
    "a group that no policy tells of": Case(
        N.OFFSET_RESET_LATEST, facts=also(AUDIT), told=("group audit (1 member)", "no LagPolicy says")
    ),
    "a share group": Case(
        N.OFFSET_RESET_LATEST,
        facts=also(replace(AUDIT, name="tasks", type="Share")),
        told=("group tasks (1 member)", "share.auto.offset.reset=earliest"),
    ),
    "another group whose policy says latest": Case(
        N.OFFSET_RESET_LATEST,
        facts=also(AUDIT),
        known={"resets": {"points": OffsetReset.EARLIEST, "audit": OffsetReset.LATEST}},
        told=("group audit (1 member)", "auto.offset.reset=earliest"),
    ),
    "many groups that no policy tells of": Case(
        N.OFFSET_RESET_LATEST,
        facts=also(*(replace(AUDIT, name=f"audit-{n}") for n in range(8))),
        told=("groups audit-0 (1 member), audit-1 (1 member)", "audit-4 (1 member) and 3 more"),
    ),
    "a compacted topic": Case(N.COMPACTED, facts={"compacted": True}, told=("orders is compacted", "tombstone")),
    "configs that may not be read": Case(
        N.COMPACTED, facts={"min_in_sync": None, "unclean": None}, told=("not known", "DESCRIBE_CONFIGS")
    ),
    "Kafka Streams by its assignor": Case(
        N.STREAMS,
        facts=also(replace(AUDIT, name="pipeline", type="Classic", assignor="stream", members=2)),
        known={"resets": UNKEYED.resets | {"pipeline": OffsetReset.EARLIEST}},
        told=("group pipeline (2 members)", "6 partitions", "kafka-streams-application-reset.sh"),
    ),
    "Kafka Streams by its type, stopped": Case(
        N.STREAMS, facts=also(replace(GONE, name="pipeline", type="Streams")), told=("group pipeline (no members)",)
    ),
    "commits that move without a member": Case(
        N.STATIC_ASSIGNMENT,
        facts=also(replace(ALONE, commits={0: 10, 1: 25})),
        earlier=before(ALONE),
        told=("group ledger (no members)", "18 new partitions"),
    ),
    "partitions out of sync": Case(
        N.UNDER_REPLICATED, facts=partitions(in_sync=(1, 3)), told=("2 of 6 partitions", "1, 4 (missing: broker 2)")
    ),
    "partitions without a leader": Case(
        N.UNDER_REPLICATED, facts=partitions(leader=None), told=("2 of 6 partitions", "lack a leader", ": 1, 4.")
    ),
    "brokers that are full": Case(
        N.CLUSTER_PARTITION_LIMIT,
        facts={"load": {1: 3983, 2: 10, 3: 10}},
        told=("broker 1 holds 3,983 replicas", "18 more", "4,000"),
    ),
    "a broker that refuses": Case(
        N.CLUSTER_PARTITION_LIMIT,
        refusal=Objection(Reason.REFUSED_BY_BROKER, "the cluster's policy allows 12 partitions."),
        told=("to 24 partitions: the cluster's policy allows 12 partitions. Mend",),
    ),
    "partitions of one copy": Case(
        N.REPLICATION_BELOW_TWO,
        facts=partitions(replicas=(1,), in_sync=(1,)),
        blocking=False,
        told=("2 of 6 partitions of orders", "18 new partitions"),
    ),
    "writes that one copy confirms": Case(
        N.MIN_ISR_BELOW_TWO, facts={"min_in_sync": 1}, blocking=False, told=("orders is 1", "Set it to 2")
    ),
    "leaders that may have missed something": Case(
        N.UNCLEAN_LEADER_ELECTION, facts={"unclean": True}, blocking=False, told=("orders is true", "Set it to false")
    ),
}


@pytest.mark.parametrize("case", PRESENT.values(), ids=PRESENT)
def test_a_hazard_is_found_alone_in_its_own_figures(case: Case):
    [hazard] = case.hazards()
    assert (hazard.name, hazard.blocking, hazard.method) == (case.name, case.blocking, case.method)
    assert [words for words in case.told if words not in hazard.message] == []
    assert "docs/" not in hazard.message


def test_every_hazard_has_a_story():
    assert {case.name for case in PRESENT.values()} == set(HazardName)


ABSENT = {
    "nothing is wrong": Case(N.KEY_ORDERING),
    "latest, but nobody consumes: offset 0 is committed": Case(
        N.OFFSET_RESET_LATEST,
        facts={"groups": (replace(POINTS, members=0, state=GroupState.EMPTY),)},
        known={"resets": LATEST},
    ),
    "earliest, and no commit yet": Case(N.OFFSET_RESET_LATEST, facts={"groups": (replace(POINTS, commits={}),)}),
    "latest, and the group is not there yet": Case(
        N.OFFSET_RESET_LATEST, facts={"groups": ()}, known={"resets": LATEST}
    ),
    "another group whose policy says earliest": Case(
        N.OFFSET_RESET_LATEST,
        facts=also(AUDIT),
        known={"resets": dict.fromkeys(("points", "audit"), OffsetReset.EARLIEST)},
    ),
    "another group that is gone": Case(N.OFFSET_RESET_LATEST, facts=also(GONE), earlier=before(GONE)),
    "commits that stand still": Case(N.STATIC_ASSIGNMENT, facts=also(ALONE), earlier=before(ALONE)),
    "commits that cannot be compared yet": Case(N.STATIC_ASSIGNMENT, facts=also(ALONE), earlier=None),
    "commits that moved before the members left": Case(
        N.STATIC_ASSIGNMENT,
        facts=also(replace(GONE, commits={0: 25, 1: 25})),
        earlier=before(replace(GONE, members=1, state=GroupState.STABLE)),
    ),
    "offset 0 committed for partitions that were new": Case(
        N.STATIC_ASSIGNMENT, facts=also(replace(ALONE, commits={0: 10, 1: 10, 2: 0})), earlier=before(ALONE)
    ),
    "brokers with just enough room": Case(N.CLUSTER_PARTITION_LIMIT, facts={"load": {1: 3982, 2: 10, 3: 10}}),
    "brokers of which nothing is told": Case(N.CLUSTER_PARTITION_LIMIT, facts={"load": {}}),
    "two copies are enough not to warn": Case(
        N.REPLICATION_BELOW_TWO, facts=partitions(replicas=(1, 2), in_sync=(1, 2))
    ),
    "unclean elections of which nothing is told": Case(N.UNCLEAN_LEADER_ELECTION, facts={"unclean": None}),
}


@pytest.mark.parametrize("case", ABSENT.values(), ids=ABSENT)
def test_where_there_is_no_hazard_none_is_named(case: Case):
    assert case.hazards() == ()


def test_several_hazards_come_in_a_fixed_order_those_that_block_first():
    facts = partitions(replicas=(1,), in_sync=(1,)) | also(AUDIT) | {"min_in_sync": 1, "compacted": True}
    found = Case(N.COMPACTED, facts=facts, known={"keyed": True, "resets": LATEST}).hazards()
    assert [hazard.name for hazard in found] == [
        "KeyOrdering",
        "OffsetResetLatest",
        "OffsetResetLatest",
        "Compacted",
        "ReplicationBelowTwo",
        "MinIsrBelowTwo",
    ]
    assert [hazard.blocking for hazard in found] == [True] * 4 + [False] * 2


def test_neither_method_is_safe_for_latest_without_a_commit_in_every_partition():
    half = {"groups": (replace(POINTS, commits={0: 40, 2: 40, 3: 40, 4: 40}),)}
    live, paused = Case(N.OFFSET_RESET_LATEST, facts=half, known={"resets": LATEST}).hazards()
    assert (live.name, live.method) == (N.OFFSET_RESET_LATEST, Method.LIVE)
    assert (paused.name, paused.method, paused.blocking) == (N.OFFSET_RESET_LATEST, Method.PAUSED_GROUP, True)
    assert "none in 2 partitions of orders (1, 5)" in paused.message
    assert "choose method: Live" in paused.message


def test_a_message_stays_within_what_the_api_server_holds():
    crowd = also(*(replace(AUDIT, name=str(n) * 255) for n in range(9)))
    [hazard] = Case(N.OFFSET_RESET_LATEST, facts=crowd).hazards()
    assert len(hazard.message) == 1024


@pytest.mark.parametrize(
    ("facts", "resets", "method"),
    [
        (QUIET, LATEST, Method.PAUSED_GROUP),
        (QUIET, {}, Method.PAUSED_GROUP),
        (QUIET, UNKEYED.resets, Method.LIVE),
        (replace(QUIET, groups=(AUDIT,)), LATEST, Method.LIVE),
        (replace(QUIET, groups=(replace(POINTS, members=0, state=GroupState.EMPTY),)), LATEST, Method.LIVE),
    ],
    ids=["latest", "not known", "earliest", "only others consume", "nobody consumes"],
)
def test_the_method_is_preset_to_the_one_that_loses_nothing(facts: TopicFacts, resets: dict[str, Any], method: Method):
    assert preset_method(facts, Known("points", True, resets)) is method


def test_what_blocks_depends_on_the_method_and_on_what_was_acknowledged():
    found = Case(N.KEY_ORDERING, facts={"min_in_sync": 1}, known={"keyed": True, "resets": LATEST}).hazards()

    def names(method: Method, *acknowledged: str) -> list[str]:
        return [hazard.name for hazard in blocks(found, method, acknowledged)]

    assert names(Method.LIVE) == ["KeyOrdering", "OffsetResetLatest"]
    assert names(Method.PAUSED_GROUP) == ["KeyOrdering"]
    assert names(Method.LIVE, "KeyOrdering") == ["OffsetResetLatest"]
    assert names(Method.LIVE, "OffsetResetLatest", HazardName.KEY_ORDERING) == []
    assert names(Method.PAUSED_GROUP, "OffsetResetLatest") == ["KeyOrdering"]
