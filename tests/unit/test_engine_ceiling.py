"""The partition ceiling, for any topics, any consumers in a replica and both kinds of assignor, decision by decision.

More than the ceiling is never ordered (KEDA #4791: P + 1), nothing that does no more than a smaller fleet, and no fleet
is stuck below it where more would help (KEDA #4483: 22 of 24).
"""

from dataclasses import dataclass, field
from math import ceil, floor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.engine_world import T0, spec
from tidegate.api import LagPolicySpec, Reason
from tidegate.engine import Decision, GroupState, Memory, Observation, Offsets, PartitionId, Pod, Reading, Target, step

ABLE = 100.0  # records/s of a consumer
TICK = 5.0
RISES = 200.0  # seconds until the arrivals are what they will be
SETTLES = 130  # readings
PROMISE = 60.0


@dataclass
class Group:
    """A group that shares its partitions as its assignor says: whole ones, so that the fullest consumer is the last."""

    topics: tuple[int, ...]
    consumers: int  # in a replica
    by_range: bool
    rate: float  # that will arrive, in all partitions alike
    replicas: int
    tells: bool = True  # its assignor, which no group does that has no members
    working: int = 0
    now: float = T0
    born: list[float] = field(default_factory=list)

    def __post_init__(self):
        self.partitions = [PartitionId(f"t{t}", p) for t, count in enumerate(self.topics) for p in range(count)]
        self.end = dict.fromkeys(self.partitions, 0.0)
        self.done = dict.fromkeys(self.partitions, 0.0)
        self.born = [T0 - 600] * self.replicas
        self.working = self.replicas

    def owned(self, replicas: int) -> list[list[PartitionId]]:
        """The partitions of each consumer."""
        members = replicas * self.consumers
        if not self.by_range:
            return [self.partitions[place::members] for place in range(members)]
        shares: list[list[PartitionId]] = [[] for _ in range(members)]
        for topic, count in enumerate(self.topics):
            least, more = divmod(count, members)
            ends = [place * least + min(place, more) for place in range(members + 1)]
            for place, share in enumerate(shares):
                share += [PartitionId(f"t{topic}", p) for p in range(ends[place], ends[place + 1])]
        return shares

    def does(self, replicas: int) -> float:
        """Records/s that may arrive without a partition falling behind."""
        fullest = max(map(len, self.owned(replicas))) if replicas else 0
        return ABLE * len(self.partitions) / fullest if fullest else 0.0

    @property
    def ceiling(self) -> int:
        """The most replicas of which each has a partition."""
        return ceil((max if self.by_range else sum)(self.topics) / self.consumers)

    def advance(self) -> None:
        self.now += TICK
        arriving = self.rate * min(1.0, (self.now - T0) / RISES) * TICK / len(self.partitions)
        for partition in self.partitions:
            self.end[partition] += arriving
        ready = sum(born + TICK < self.now for born in self.born)
        stopped, self.working = ready != self.working, ready
        for mine in [] if stopped or not ready else self.owned(ready):
            budget = ABLE * TICK
            for left, partition in zip(range(len(mine), 0, -1), sorted(mine, key=self.waiting), strict=True):
                taken = min(self.waiting(partition), budget / left)
                self.done[partition] += taken
                budget -= taken

    def waiting(self, partition: PartitionId) -> float:
        return self.end[partition] - self.done[partition]

    def observation(self) -> Observation:
        offsets = {p: Offsets(0, floor(self.done[p]), floor(self.end[p]), floor(self.end[p])) for p in self.partitions}
        assignor = ("range" if self.by_range else "cooperative-sticky") if self.tells else None
        reading = Reading(
            partitions=offsets,
            topic_ids={topic: "id" for topic, _ in self.partitions},
            committed_at=self.now,
            ended_at=self.now,
            state=GroupState.STABLE,
            members=self.working * self.consumers,
            assignor=assignor,
        )
        pods = (Pod(f"pod-{i}", b, b + TICK if b + TICK < self.now else None, "v1") for i, b in enumerate(self.born))
        return Observation(reading, Target(self.replicas, tuple(pods), "v1"))

    def obey(self, decision: Decision) -> None:
        if decision.replicas is not None:
            self.born = (self.born + [self.now] * decision.replicas)[: decision.replicas]
            self.replicas = decision.replicas


def policy(consumers: int, most: int = 1000) -> LagPolicySpec:
    declared = {"recordsPerSecond": ABLE * consumers, "startup": "5s", "rebalance": "5s"}
    return spec(f"{PROMISE:.0f}s", most=most, consumersPerReplica=consumers, **declared)


def orders(group: Group, most: int = 1000, readings: int = SETTLES):
    """What was decided, step by step, and what was obeyed of it."""
    memory, wanted = Memory(), policy(group.consumers, most)
    for _ in range(readings):
        group.advance()
        decision, memory = step(memory, group.observation(), wanted, group.now)
        before = group.replicas
        group.obey(decision)
        yield before, decision


@st.composite
def groups(draw, least: float, most: float):
    """Up to 200 partitions of up to three topics, that get a share of what the ceiling's replicas do."""
    topics = draw(
        st.lists(st.integers(1, 66), min_size=1, max_size=3) | st.lists(st.integers(1, 200), min_size=1, max_size=1)
    )
    group = Group(tuple(topics), draw(st.integers(1, 8)), draw(st.booleans()), 0.0, 1)
    group.rate = draw(st.floats(least, most)) * group.does(group.ceiling)
    group.replicas = draw(st.integers(1, group.ceiling))
    group.__post_init__()
    return group


FEW = settings(max_examples=40, deadline=None, derandomize=True)


@FEW
@given(groups(1.05, 2.5))
@example(Group((24,), 1, True, 24 * ABLE * 1.1, 22))  # KEDA #4483: 22 and 12 do the same
@example(Group((24,), 1, False, 24 * ABLE * 1.1, 1))
@example(Group((50, 7, 3), 4, True, 50 * ABLE * 1.2, 1))
@example(Group((5,), 4, False, 5 * ABLE * 1.2, 1))  # two replicas own all, and six consumers of eight would be enough
@example(Group((1, 2), 1, True, 160.0, 1))
def test_a_backlog_that_grows_and_grows_gets_the_ceiling_and_never_more(group):
    sizes = useful(group)
    for before, decision in orders(group):
        assert decision.partitions in (None, sum(group.topics))
        assert decision.ceiling in (None, group.ceiling)
        assert (decision.desired or 0) <= group.ceiling
        if decision.replicas is not None and decision.replicas > before:
            assert decision.replicas in sizes
    assert group.replicas == group.ceiling
    assert decision.need > group.ceiling
    assert decision.limited_by is Reason.PARTITIONS


@FEW
@given(groups(0.1, 0.9))
@example(Group((24,), 1, False, 24 * ABLE * 0.8, 22))
@example(Group((24, 12), 1, True, 18 * ABLE * 0.9, 16))
def test_no_fleet_is_stuck_below_the_ceiling_where_more_would_help(group):
    """Whatever size it is stuck at: what waits is within the promise again, and no order was for more of no use."""
    sizes = useful(group)
    for before, decision in orders(group):
        assert (decision.desired or 0) <= group.ceiling
        if decision.replicas is not None and decision.replicas > before:
            assert decision.replicas in sizes
    assert decision.backlog.age <= PROMISE
    assert (decision.need or 0) <= group.ceiling  # None in a rebalance


def useful(group: Group) -> set[int]:
    """The sizes that do more than every smaller one, counted out."""
    sizes, best = set(), 0.0
    for replicas in range(1, group.ceiling + 1):
        if group.does(replicas) > best:
            best = group.does(replicas)
            sizes.add(replicas)
    return sizes


@pytest.mark.parametrize(("by_range", "ceiling"), [(True, 24), (False, 36)])
def test_several_topics_count_by_the_largest_or_by_the_sum(by_range, ceiling):
    group = Group((24, 12), 1, by_range, 5000.0, 4)
    *_, (_, last) = orders(group)
    assert (last.partitions, last.ceiling, group.replicas) == (36, ceiling, ceiling)


def test_a_group_in_which_nobody_tells_the_assignor_any_more_keeps_the_one_it_told():
    """A group without members has none: for one that sleeps, or rebalances, it is what it was."""
    group = Group((24, 12), 1, True, 5000.0, 4)
    memory = Memory()
    for reading in range(60):
        group.tells = reading < 5
        group.advance()
        decision, memory = step(memory, group.observation(), policy(1), group.now)
        group.obey(decision)
        assert decision.ceiling == 24
    assert group.replicas == 24


def test_a_limit_of_replicas_at_the_ceiling_is_what_limits():
    group = Group((12,), 1, False, 2000.0, 4)
    *_, (_, last) = orders(group, most=12)
    assert (group.replicas, last.limited_by, last.increase) == (12, Reason.MAX_REPLICAS, None)


def test_a_limit_between_two_useful_sizes_buys_the_smaller():
    group = Group((24,), 1, False, 3000.0, 4)
    *_, (_, last) = orders(group, most=23)
    assert (group.replicas, last.limited_by) == (12, Reason.MAX_REPLICAS)
