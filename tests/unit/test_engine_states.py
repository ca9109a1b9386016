"""Any story at all: whatever load, restarts, failures and edits meet, what must never happen does not."""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.engine_world import World, spec
from tidegate.api import Reason
from tidegate.engine import Memory, Observation, ReadingError, step
from tidegate.engine.rates import tick_of

STARTUP, PAUSE = 8.0, 4.0
MOST, PARTITIONS = 9, 12
DECLARED = {"recordsPerSecond": 100, "startup": "8s", "rebalance": "4s"}


class Story(RuleBasedStateMachine):
    """A group of consumers under a load that jumps, seen through readings that fail and by operators that restart."""

    @initialize(declared=st.booleans(), replicas=st.integers(1, MOST), least=st.integers(0, 2))
    def begin(self, declared, replicas, least):
        self.load = 50.0
        self.least = least
        self.policy = spec("60s", least=least, most=MOST, **(DECLARED if declared else {}))
        self.world = World(
            arrivals=lambda t: self.load, partitions=PARTITIONS, replicas=replicas,
            startup=lambda i: STARTUP, pause=PAUSE, max_age=60, dt=0.5,
        )  # fmt: skip
        self.orders: list[tuple[float, bool]] = []  # when, and whether out: for the promise's sake

    def look(self, observation: Observation):
        memory, now = self.world.memory, self.world.now + 0.05
        decision, after = step(memory, observation, self.policy, now)
        assert step(memory, observation, self.policy, now) == (decision, after), "same in, same out"
        again = Memory.load(after.dump())
        assert again.dump() == after.dump()
        self.world.memory = after
        return decision

    def obey(self, decision) -> None:
        if decision.replicas is None:
            return
        assert self.least <= decision.replicas <= min(MOST, PARTITIONS)
        if decision.reason not in (Reason.MIN_REPLICAS, Reason.MAX_REPLICAS):
            self.orders.append((self.world.now, decision.replicas > self.world.replicas))
        self.world.scale(decision.replicas)

    @rule(load=st.sampled_from([0.0, 5.0, 80.0, 130.0, 250.0, 400.0, 700.0, 2000.0]), ticks=st.integers(1, 30))
    def time_passes(self, load, ticks):
        self.load = load
        for _ in range(ticks):
            self.world.advance(5)
            self.obey(self.look(self.world.observation()))

    @rule(ticks=st.integers(1, 10))
    def readings_fail(self, ticks):
        for _ in range(ticks):
            self.world.advance(5)
            error = ReadingError(Reason.READING_FAILED, "broker 2: connection refused", self.world.now)
            assert self.look(Observation(error, self.world.target())).replicas is None

    @rule(wait=st.floats(17, 120))
    def a_reading_is_old(self, wait):
        old = self.world.observation()
        if wait <= 3 * tick_of(self.world.memory.history):
            return  # no older than usual
        self.world.advance(round(wait))
        decision, _ = step(self.world.memory, old, self.policy, self.world.now)
        assert decision.replicas is None
        assert decision.reason is Reason.READING_STALE

    @rule()
    def the_operator_restarts(self):
        self.world.memory = Memory.load(self.world.memory.dump())

    @rule(capacity=st.sampled_from([60.0, 100.0, 140.0]))
    def the_consumers_change_their_pace(self, capacity):
        self.world.capacity = capacity

    @rule(replicas=st.integers(1, MOST))
    def a_person_scales(self, replicas):
        if replicas != self.world.replicas:
            self.world.scale(replicas)

    @invariant()
    def nothing_goes_sooner_than_a_start_and_a_pause_after_the_last_change(self):
        for (before, _), (at, out) in pairwise(self.orders):
            assert out or at - before >= PAUSE + STARTUP


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
