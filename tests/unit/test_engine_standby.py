"""A process that stands by sees what the one that acts sees; when it takes over it goes on as that one would have."""

from collections.abc import Callable

import pytest

from tests.unit.engine_world import World, spec, surge
from tidegate.engine import Decision, Memory, step

PROMISE = spec(max_age="30s", most=12, startup="5s", rebalance="3s")
WRITTEN_EVERY = 12
"""Readings between two statuses: what a standby is taught may be a minute old."""


class Pair(World):
    """The world with two that look at it: the second never acts, and is taught what the first writes now and then."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.shadow, self.looks = Memory(), 0

    def look(self) -> None:
        """One look of both."""
        seen = self.observation()
        _, self.shadow = step(self.shadow, seen, PROMISE, self.now + 0.3)
        asked = self.replicas
        self.decide(PROMISE, lambda: seen)
        if self.looks % WRITTEN_EVERY == 0 or self.replicas != asked:
            self.shadow = self.shadow.taught(Memory.load(self.memory.dump()))
        self.looks += 1

    def next(self, memory: Memory) -> Decision:
        """What this memory would decide now."""
        return step(memory, self.observation(), PROMISE, self.now + 0.05)[0]


def story(load: Callable[[float], float]) -> Pair:
    return Pair(arrivals=load, partitions=12, replicas=2, capacity=100.0)


LOADS = {
    "flash crowd": surge(base=120, peak=900, start=60, rise=30, hold=120, fall=60),
    "slow day": lambda t: 150 + t / 2,
    "quiet": lambda t: 60.0,
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_at_any_moment_of_a_day_it_decides_as_the_one_before_would_have(load):
    """But that it may scale in a reading later: it has looked a moment later, too."""
    pair, cold, later = story(load), 0, 0
    for _ in range(100):
        pair.advance(pair.tick)
        as_before, taken_over = pair.next(pair.memory), pair.next(pair.shadow)
        if (taken_over.desired, taken_over.reason) != (as_before.desired, as_before.reason):
            assert as_before.desired < taken_over.desired <= pair.replicas
            later += 1
        cold += pair.next(Memory.load(pair.memory.dump())).reason != as_before.reason
        pair.look()
    assert later <= 5
    assert cold > 50  # without what it has seen itself it would have to wait for a second reading


def test_what_changed_last_of_the_target_counts_whoever_saw_it():
    seen = Memory(asked=7, changed_at=200.0)
    assert seen.taught(Memory(asked=4, changed_at=150.0)).asked == 7
    assert seen.taught(Memory(asked=9, changed_at=250.0)).changed_at == 250.0
