"""What a partition increase can break, found in the cluster: an ordered tuple of small functions, like the guards.

Each says what was found, what that breaks, and what to do. docs/partitions.md has the table with the reasons, and why
some block (a person must acknowledge them by name) and others only warn.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from fractions import Fraction
from math import ceil, lcm
from typing import NamedTuple

from tidegate.api.hazard import Hazard, HazardName, Method
from tidegate.api.lagpolicy import OffsetReset
from tidegate.api.model import cut
from tidegate.engine import words
from tidegate.engine.facts import GroupFacts, PartitionFacts, TopicFacts
from tidegate.engine.observation import GroupState, Objection

MOST_ON_A_BROKER = 4000
"""Replicas that a broker may hold: what Kafka's operators are advised to stay below. Brokers have no such limit."""

NAMED = 5  # groups, partitions or brokers in one sentence; of more, their number is told


class Known(NamedTuple):
    """What LagPolicies tell of the topic: `group` is the one that needs the increase, and whether keys matter to it.

    `resets` has what the consumers of a group do without a commit, for each group that some policy tells of. `uneven`:
    the partitions receive records more unevenly than chance explains.
    """

    group: str
    keyed: bool
    resets: Mapping[str, OffsetReset]
    uneven: bool = False


def find_hazards(
    facts: TopicFacts, earlier: TopicFacts | None, to: int, known: Known, refusal: Objection | None
) -> tuple[Hazard, ...]:
    """All hazards of enlarging the topic to `to` partitions, in a fixed order; a name may occur for each method.

    `earlier` is an inspection some seconds before `facts`: only with it is seen whose commits move. `refusal` is what
    the broker's own dry run answered, None where it would do it.
    """
    case = _Case(facts, earlier, to, known, refusal)
    return tuple(hazard for find in FINDERS if (hazard := find(case)) is not None)


def preset_method(facts: TopicFacts, known: Known) -> Method:
    """The method that loses nothing and costs least: a pause only where consumers would skip what they find late."""
    consumes = any(group.name == known.group and _consumes(group) for group in facts.groups)
    return Method.PAUSED_GROUP if consumes and _may_skip(known) else Method.LIVE


def blocks(hazards: Iterable[Hazard], method: Method, acknowledged: Collection[str]) -> tuple[Hazard, ...]:
    """Those that forbid this method as long as nobody has acknowledged them."""
    return tuple(h for h in hazards if h.blocking and h.method in (None, method) and h.name not in acknowledged)


class _Case(NamedTuple):
    facts: TopicFacts
    earlier: TopicFacts | None
    to: int
    known: Known
    refusal: Objection | None

    @property
    def partitions(self) -> int:
        return len(self.facts.partitions)

    @property
    def all(self) -> str:
        return f"{words.some(self.partitions, 'partition')} of {self.facts.topic}"

    @property
    def new(self) -> str:
        return words.some(self.to - self.partitions, "new partition")

    def own_at_latest(self) -> GroupFacts | None:
        """The group that needs the increase, where it consumes and starts at the end where it has no commit."""
        own = (group for group in self.consuming() if group.name == self.known.group)
        return next(own, None) if _may_skip(self.known) else None

    def consuming(self) -> Iterable[GroupFacts]:
        return (group for group in self.facts.groups if _consumes(group))


def key_ordering(c: _Case) -> Hazard | None:
    """The default partitioner of every client takes the key's hash modulo the number of partitions."""
    moved = 1 - Fraction(c.partitions, lcm(c.partitions, c.to))
    if c.known.keyed:
        return _blocking(
            HazardName.KEY_ORDERING,
            f"the order of a key's records counts (spec.partitions.keyed): with {c.partitions} → {c.to} partitions of "
            f"{c.facts.topic}, {float(moved):.0%} of the keys move to another partition, where their new records can "
            "overtake those that still wait in the old one, once. Acknowledge it if the consumers bear that, or once "
            "the producers are stopped and the backlog is gone; set keyed: false in the policy if order never matters",
        )
    if not c.known.uneven:
        return None
    return _warning(
        HazardName.KEY_ORDERING,
        f"spec.partitions.keyed is false, but the {c.partitions} partitions of {c.facts.topic} receive records more "
        f"unevenly than chance explains, as with keys: if there are any, {float(moved):.0%} of them move to another "
        "partition. Make sure that no consumer relies on the order of a key",
    )


def own_offset_reset(c: _Case) -> Hazard | None:
    """What is written to a new partition before the group's consumers find it is skipped (KIP-1327, KAFKA-20539)."""
    group = c.own_at_latest()
    if group is None:
        return None
    soon = "some seconds" if group.type == "Consumer" else "up to 5 minutes"
    return _blocking(
        HazardName.OFFSET_RESET_LATEST,
        f"{_described([group])} starts at the latest record where it has no commit (offsetReset: latest): what is "
        f"written to the {c.new} before its consumers find them, after {soon}, is skipped, silently. Choose method: "
        "PausedGroup, which commits offset 0 for them while the group has no members; or acknowledge it: Live then "
        "commits offset 0 within milliseconds, and says if any record may have been written before that",
        Method.LIVE,
    )


def own_without_commit(c: _Case) -> Hazard | None:
    """A pause is such a gap itself: who has no commit in an old partition comes back at its end, too."""
    group = c.own_at_latest()
    missing = sorted(set(range(c.partitions)) - group.commits.keys()) if group else []
    if group is None or not missing:
        return None
    return _blocking(
        HazardName.OFFSET_RESET_LATEST,
        f"{_described([group])} starts at the latest record where it has no commit, and has none in "
        f"{words.some(len(missing), 'partition')} of {c.facts.topic} ({_listed(missing)}): what is written there in a "
        "pause would be skipped, silently, so the target is not paused. This goes away once its consumers have "
        "processed a record of each partition; or choose method: Live",
        Method.PAUSED_GROUP,
    )


def others_offset_reset(c: _Case) -> Hazard | None:
    """Other groups are not paused. Without members there is no hazard: offset 0 is committed for them."""
    others = [g for g in c.consuming() if g.name != c.known.group]
    risky = [g for g in others if c.known.resets.get(g.name, OffsetReset.LATEST) is OffsetReset.LATEST]
    if not risky:
        return None
    return _blocking(
        HazardName.OFFSET_RESET_LATEST,
        f"{c.facts.topic} is also read by {_described(risky)}, and no LagPolicy says offsetReset: earliest there: with "
        f"latest, what is written to the {c.new} before those consumers find them is skipped, silently. Acknowledge it "
        "if they have auto.offset.reset=earliest or may miss records, or if milliseconds do not matter: offset 0 is "
        f"committed for them right after the increase{_but_not(risky)}. Groups that are stopped meanwhile miss nothing",
    )


def compacted(c: _Case) -> Hazard | None:
    """Compaction keeps the last value of a key in each partition, not in the topic."""
    if not c.facts.compacted:
        return None
    return _blocking(
        HazardName.COMPACTED,
        f"{c.facts.topic} is compacted: the old value of a key that moves stays in its old partition for ever, as "
        "neither a new value nor a tombstone is written there any more; who reads the topic whole finds both. Better "
        "make a new topic with more partitions and copy it; acknowledge it only if every reader takes the newest value",
    )


def compaction_unknown(c: _Case) -> Hazard | None:
    """A missing answer is not a no."""
    if c.facts.compacted or c.facts.min_in_sync is not None:
        return None
    return _blocking(
        HazardName.COMPACTED,
        f"whether {c.facts.topic} is compacted is not known, as its configs cannot be read. Grant Tidegate "
        "DESCRIBE_CONFIGS on the topic; or acknowledge it if you know that cleanup.policy is delete",
    )


def streams(c: _Case) -> Hazard | None:
    """Kafka Streams: tasks, stores and internal topics are made for a number of partitions (classic and KIP-1071)."""
    apps = [g for g in c.facts.groups if g.type == "Streams" or g.assignor == "stream"]
    if not apps:
        return None
    return _blocking(
        HazardName.STREAMS,
        f"Kafka Streams reads {c.facts.topic} ({_described(apps)}): its state stores and internal topics are made for "
        f"{c.partitions} partitions, and joins need equal counts in all topics joined; afterwards it looks for state "
        "in the wrong partition, or fails. Stop it, reset it (kafka-streams-application-reset.sh) and enlarge the "
        "joined topics alike; acknowledge it if the application keeps no state and joins nothing",
    )


def static_assignment(c: _Case) -> Hazard | None:
    """Consumers that assign partitions to themselves never show as members; only their commits move."""
    if c.earlier is None:
        return None
    before = {g.name: g for g in c.earlier.groups if not _consumes(g)}
    moving = [g for g in c.facts.groups if not _consumes(g) and g.name in before and _moved(before[g.name], g)]
    if not moving:
        return None
    return _blocking(
        HazardName.STATIC_ASSIGNMENT,
        f"commits of {_described(moving)} move: consumers that assign partitions to themselves, and nobody will tell "
        f"them to read the {c.new}. Give these to them by their own configuration, right after the increase; "
        "acknowledge it when that is prepared",
    )


def replication_below_two(c: _Case) -> Hazard | None:
    """New partitions get as many replicas as the first one has."""
    single = [n for n, partition in enumerate(c.facts.partitions) if len(partition.replicas) < 2]
    if not single:
        return None
    return _warning(
        HazardName.REPLICATION_BELOW_TWO,
        f"{len(single)} of {c.all} have a single replica: a broker lost "
        f"is records lost, also in the {c.new}. Raise the replication factor to 3 (kafka-reassign-partitions.sh)",
    )


def min_isr_below_two(c: _Case) -> Hazard | None:
    """acks=all is then the leader's word alone."""
    if c.facts.min_in_sync is None or c.facts.min_in_sync >= 2:
        return None
    return _warning(
        HazardName.MIN_ISR_BELOW_TWO,
        f"min.insync.replicas of {c.facts.topic} is {c.facts.min_in_sync}: a record counts as written with one copy of "
        f"it, also in the {c.new}. Set it to 2 with a replication factor of 3",
    )


def unclean_leader_election(c: _Case) -> Hazard | None:
    """A replica that lags may become leader."""
    if not c.facts.unclean:
        return None
    return _warning(
        HazardName.UNCLEAN_LEADER_ELECTION,
        f"unclean.leader.election.enable of {c.facts.topic} is true: a replica that lags behind may become leader, and "
        f"what it lacks is lost, also in the {c.new}. Set it to false",
    )


def under_replicated(c: _Case) -> Hazard | None:
    """The cluster is not whole now: not the moment to add work to it."""
    broken = {n: p for n, p in enumerate(c.facts.partitions) if p.leader is None or len(p.in_sync) < len(p.replicas)}
    if not broken:
        return None
    missing = sorted({broker for p in broken.values() for broker in _missing(p)})
    away = f" (missing: broker {_listed(missing)})" if missing else ""
    return _blocking(
        HazardName.UNDER_REPLICATED,
        f"{len(broken)} of {c.all} lack a leader or an in-sync replica: "
        f"{_listed(broken)}{away}. A broker is down or behind, and may not take its share of the {c.new}. Wait until "
        "all replicas are in sync; this goes away by itself then",
    )


def too_many_on_a_broker(c: _Case) -> Hazard | None:
    """The broker spreads new replicas evenly, each with as many copies as the first partition has."""
    copies = len(c.facts.partitions[0].replicas) if c.facts.partitions else 1
    more = ceil((c.to - c.partitions) * copies / max(1, len(c.facts.load)))
    broker, load = max(c.facts.load.items(), key=lambda item: item[1], default=(0, 0))
    if load + more <= MOST_ON_A_BROKER:
        return None
    return _blocking(
        HazardName.CLUSTER_PARTITION_LIMIT,
        f"broker {broker} holds {words.some(load, 'replica')}, and gets about {more:,} more: above "
        f"{MOST_ON_A_BROKER:,} on a broker, recovery and elections become slow for all its topics. Add a broker or "
        "remove partitions that nobody needs; acknowledge it if your cluster is made for more",
    )


def refused(c: _Case) -> Hazard | None:
    """The broker's own dry run (CreatePartitions with validate_only): a quota or a policy of the cluster."""
    if c.refusal is None:
        return None
    return _blocking(
        HazardName.CLUSTER_PARTITION_LIMIT,
        f"the broker would not enlarge {c.facts.topic} to {c.to} partitions: {c.refusal.message.rstrip('.')}. Mend "
        "that first: no approval can",
    )


FINDERS: tuple[Callable[[_Case], Hazard | None], ...] = (
    key_ordering,
    own_offset_reset,
    own_without_commit,
    others_offset_reset,
    compacted,
    compaction_unknown,
    streams,
    static_assignment,
    under_replicated,
    too_many_on_a_broker,
    refused,
    replication_below_two,
    min_isr_below_two,
    unclean_leader_election,
)
"""Those that can block, then those that only warn: the topic already runs with that risk."""


def _blocking(name: HazardName, message: str, method: Method | None = None) -> Hazard:
    return Hazard(name=name, blocking=True, method=method, message=cut(message))


def _warning(name: HazardName, message: str) -> Hazard:
    return Hazard(name=name, blocking=False, message=cut(message))


def _consumes(group: GroupFacts) -> bool:
    return group.members > 0 or group.state in (GroupState.STABLE, GroupState.REBALANCING)


def _may_skip(known: Known) -> bool:
    """Not known is as Kafka's default: latest."""
    return known.resets.get(known.group, OffsetReset.LATEST) is OffsetReset.LATEST


def _moved(before: GroupFacts, now: GroupFacts) -> bool:
    return any(now.commits[partition] != before.commits[partition] for partition in now.commits.keys() & before.commits)


def _missing(partition: PartitionFacts) -> set[int]:
    return set(partition.replicas) - set(partition.in_sync)


def _described(groups: Iterable[GroupFacts]) -> str:
    """`group points (3 members)`, `groups audit (1 member), billing (no members)`."""
    each = [f"{g.name} ({words.some(g.members, 'member') if g.members else 'no members'})" for g in groups]
    return f"group{'s' if len(each) > 1 else ''} {_listed(each)}"


def _but_not(groups: Iterable[GroupFacts]) -> str:
    """Share groups have no such commits; brokers before KAFKA-20742 start their new partitions at the latest record."""
    share = [g for g in groups if g.type == "Share"]
    return f" (not for share {_described(share)}: there share.auto.offset.reset=earliest must be set)" if share else ""


def _listed(items: Iterable[object]) -> str:
    """`1, 2, 3, 4, 5 and 7 more`."""
    each = [str(item) for item in items]
    more = len(each) - NAMED
    return ", ".join(each[:NAMED]) + (f" and {more} more" if more > 0 else "")
