"""Any story at all: whatever load, consumers, brokers, clocks and people do, what must never happen does not."""

import os
import re
from dataclasses import replace
from itertools import pairwise
from math import isfinite

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.engine_troubles import Troubled
from tests.unit.engine_world import spec
from tidegate.api import Reason
from tidegate.engine import Decision, Memory, Objection, Observation, ReadingError, step
from tidegate.engine.rates import tick_of

PARTITIONS, MOST = 12, 16  # so that the ceiling binds before the policy does
LOADS = [0.0, 3.0, 80.0, 130.0, 250.0, 400.0, 700.0, 2000.0]
TICK = 5.0
AFTER = 200  # readings of a quiet time: longer than anything is given up for, or waited for
BY_A_PERSON = (Reason.MIN_REPLICAS, Reason.MAX_REPLICAS)
NO_NUMBERS = (Reason.PAUSED, Reason.READING_FAILED, Reason.REPLICAS_CONTENDED, Reason.TARGET_NOT_FOUND)


def happens(**what):
    """A rule, after which time passes under some load: nothing shows itself at once."""

    def told(act):
        def acted(self, load, ticks, **given):
            act(self, **given)
            self.go_on(load, ticks)

        acted.__name__ = act.__name__
        return rule(load=st.none() | st.sampled_from(LOADS), ticks=st.integers(0, 12), **what)(acted)

    return told


class Story(RuleBasedStateMachine):
    """A group of consumers, seen through readings that fail and by operators that restart."""

    @initialize(
        declared=st.booleans(), replicas=st.integers(1, 9), commits=st.sampled_from([0.0, 5.0]),
        jitter=st.sampled_from([0.0, 1.0, 2.0]), load=st.sampled_from(LOADS), ticks=st.integers(0, 40),
    )  # fmt: skip
    def begin(self, declared, replicas, commits, jitter, load, ticks):
        self.load, self.looks, self.jitter = 50.0, 0, jitter
        self.edit = {"least": 1, "most": MOST, "max_age": "60s", "mode": "Active"}
        self.declared = {"recordsPerSecond": 100, "startup": "8s", "rebalance": "4s"} if declared else {}
        self.world = Troubled(
            arrivals=lambda t: self.load, partitions=PARTITIONS, replicas=replicas, pause=4.0, commits=commits, dt=1.0
        )
        self.memory, self.objection, self.began = Memory(), None, self.world.now
        self.orders: list[tuple[float, Decision, int]] = []
        self.go_on(load, ticks)

    # --- looking, and what must hold at every look
    def look(self, observation: Observation | None = None) -> Decision:
        seen = observation or replace(self.world.observation(), objection=self.objection)
        policy, now = spec(**self.edit, **self.declared), self.world.clock + 0.05
        decision, after = step(self.memory, seen, policy, now)
        assert step(self.memory, seen, policy, now) == (decision, after), "same in, same out"
        self.a_restart_would_do_no_harm(after, seen, policy, now)
        self.no_answer_would_change_nothing(seen, policy, now, tick_of(after.history))
        self.never_outside(decision, seen)
        self.never_on_bad_numbers(decision, seen, now, tick_of(after.history))
        self.says_numbers(decision, seen)
        self.proposes_only_what_may_be(decision, after, now)
        self.memory = after
        return decision

    def a_restart_would_do_no_harm(self, after, seen, policy, now):
        kept = after.dump()
        again = Memory.load(kept)
        assert again.dump() == kept
        assert len(kept) < 1024
        decision, _ = step(again, seen, policy, now)
        if decision.replicas is not None and decision.replicas < seen.target.replicas:
            assert decision.reason is Reason.MAX_REPLICAS, "scaled in without a history"

    def no_answer_would_change_nothing(self, seen, policy, now, tick):
        """Beside the story, in every state: without numbers nothing is done, just after a change nothing goes in."""
        error = ReadingError(Reason.READING_FAILED, "broker 2: connection refused", now)
        late = now + 15.0 + 3 * tick
        for worse, then in ((replace(seen, reading=error), now), (seen, late)):
            assert step(self.memory, worse, policy, then)[0].replicas is None
        if seen.target:
            hasty = step(self.memory._replace(changed_at=now - 1), seen, policy, now)[0]
            assert (hasty.replicas or seen.target.replicas) >= seen.target.replicas or hasty.reason in BY_A_PERSON

    def never_outside(self, decision, seen):
        least, most = self.edit["least"], self.edit["most"]
        for wanted in (decision.replicas, decision.desired):
            assert wanted is None or least <= wanted <= most
        if decision.replicas is not None:
            assert decision.replicas == decision.desired != seen.target.replicas
            assert decision.replicas <= max(decision.ceiling, least)

    def never_on_bad_numbers(self, decision, seen, now, tick):
        failed = isinstance(seen.reading, ReadingError)
        stale = not failed and now - seen.reading.ended_at > max(15.0, 3 * tick)
        if failed or stale or seen.objection or seen.target is None or self.edit["mode"] == "Paused":
            assert decision.replicas is None
        backlog = decision.backlog
        for number in (
            backlog.lag,
            backlog.age,
            backlog.arrival_rate,
            backlog.service_rate,
            backlog.drain_time,
            decision.copes_with,
        ):
            assert number is None or (number >= 0 and isfinite(number))

    def proposes_only_what_may_be(self, decision, after, now):
        """More partitions only while the need is above the ceiling, and has been for a minute; all with numbers."""
        assert len(decision.hot) <= 5
        for one in decision.hot:
            assert isfinite(one.arrival_rate)
            assert one.lag >= 0
            assert one.message.startswith(f"{one.topic}/{one.partition} gets ")
        wanted = decision.increase
        if wanted is None:
            return
        assert decision.need > decision.ceiling == wanted.ceiling
        assert now - after.bound.since == wanted.bound_for >= 60
        assert self.edit["mode"] != "Paused"
        assert wanted.from_ == decision.partitions < wanted.to <= 4 * wanted.from_
        assert wanted.ceiling_after > wanted.ceiling
        assert self.edit["most"] > wanted.ceiling
        assert wanted.rate > wanted.per_replica * wanted.ceiling > 0
        assert wanted.need > wanted.ceiling
        assert 60 <= wanted.looked_back <= 4 * 3600
        assert all(isfinite(number) for number in wanted if isinstance(number, float))

    def says_numbers(self, decision, seen):
        if decision.replicas is not None:
            assert decision.message.startswith(f"{seen.target.replicas} → {decision.replicas} replica")
        if decision.replicas is not None and decision.reason not in BY_A_PERSON:
            assert "/s arrive" in decision.message or "record" in decision.message
        assert decision.reason in NO_NUMBERS or re.search(r"\d", decision.message), decision.message

    def obey(self, decision: Decision) -> None:
        if decision.replicas is None or decision.dry_run:
            return
        if decision.replicas < self.world.replicas and decision.reason not in BY_A_PERSON:
            assert self.world.now - self.began >= self.max_age, "in, before a whole promise was seen"
        self.orders.append((self.world.now, decision, self.world.replicas))
        self.world.scale(decision.replicas)

    @invariant()
    def one_change_for_each_start_and_pause(self):
        """But for the promise's sake: more arrives than is done, or waits than can be done in time, or is half late."""
        for (before, _, _), (at, decision, replicas) in pairwise(getattr(self, "orders", [])[-4:]):
            settles = decision.capacity.startup + decision.capacity.rebalance
            if at - before >= settles or decision.reason in BY_A_PERSON:
                continue
            assert decision.replicas > replicas, "in, and too soon"
            assert self.at_risk(decision, replicas)

    def at_risk(self, decision, replicas):
        backlog, full = decision.backlog, replicas * (decision.capacity.per_replica or 0.0)
        return (
            decision.at_risk is not None
            or replicas == 0
            or (backlog.arrival_rate or 0.0) > full
            or (backlog.lag or 0) > full * self.max_age
            or (backlog.age or 0.0) > self.max_age / 2
        )

    @property
    def max_age(self) -> float:
        return spec(**self.edit).objective.max_age.total_seconds()

    # --- what the load and the readings do
    @rule(load=st.sampled_from(LOADS), ticks=st.integers(1, 40))
    def time_passes(self, load, ticks):
        self.go_on(load, ticks)

    def go_on(self, load, ticks):
        self.load = self.load if load is None else load
        for _ in range(ticks):
            self.looks += 1
            self.world.advance(TICK + round(self.jitter * (self.looks * 7 % 5 - 2) / 2))
            self.obey(self.look())

    @happens(readings=st.integers(1, 12))
    def readings_are_lost(self, readings):
        self.world.advance(readings * TICK)

    @happens(readings=st.integers(1, 6))
    def readings_fail(self, readings):
        for _ in range(readings):
            self.world.advance(TICK)
            error = ReadingError(Reason.READING_FAILED, "broker 2: connection refused", self.world.clock)
            self.look(Observation(error, self.world.target()))

    @happens(wait=st.integers(0, 120))
    def a_reading_comes_late_and_twice(self, wait):
        old = self.world.observation()
        for _ in range(2):
            self.world.advance(wait)
            self.obey(self.look(replace(old, target=self.world.target())))

    @happens()
    def readings_come_out_of_order(self):
        first = self.world.observation()
        self.world.advance(TICK)
        self.obey(self.look())
        self.obey(self.look(replace(first, target=self.world.target())))

    @happens(seconds=st.sampled_from([-86_400.0, -90.0, -20.0, 20.0, 3600.0]))
    def the_clock_is_set(self, seconds):
        self.world.skew += seconds

    @happens()
    def the_operator_restarts(self):
        self.memory, self.began = Memory.load(self.memory.dump()), self.world.now

    @rule(ago=st.sets(st.integers(5, 1000), max_size=8))
    def the_broker_tells_the_past(self, ago):
        self.world.advance(TICK)
        seen = replace(self.world.observation(), objection=self.objection)
        self.obey(self.look(replace(seen, reading=replace(seen.reading, past=self.world.past(*ago)))))

    # --- what the consumers do
    @happens(capacity=st.sampled_from([20.0, 60.0, 100.0, 140.0]))
    def they_change_their_pace(self, capacity):
        self.world.capacity = capacity

    @happens(template=st.sampled_from(["v1", "v2", "v3"]))
    def they_are_deployed(self, template):
        self.world.template = template

    @happens(start=st.sampled_from([2.0, 8.0, 40.0, float("inf")]), crashing=st.booleans())
    def their_pods_start_badly(self, start, crashing):
        self.world.start, self.world.crashing = start, crashing

    @happens()
    def a_pod_crashes(self):
        self.world.a_pod_crashes()

    @happens(members=st.integers(0, 3))
    def members_are_lost(self, members):
        self.world.away = members

    @happens(seconds=st.sampled_from([5.0, 30.0, 200.0]))
    def the_group_rebalances(self, seconds):
        self.world.stopped_until = self.world.now + seconds

    # --- what the broker does
    @happens()
    def the_topic_is_recreated(self):
        self.world.recreate()

    @happens(records=st.sampled_from([1.0, 500.0, 1e6]))
    def a_partition_is_truncated(self, records):
        self.world.truncate(records)

    @happens(more=st.integers(1, 6))
    def partitions_are_added(self, more):
        if len(self.world.parts) < 24:
            self.world.add_partitions(more)

    @happens(retention=st.sampled_from([None, 30.0, 3600.0]), delete=st.booleans())
    def retention_is_set(self, retention, delete):
        self.world.retention = retention
        if delete:
            self.world.retain()

    @happens(partitions=st.integers(0, PARTITIONS), transaction=st.booleans())
    def records_are_held_back(self, partitions, transaction):
        self.world.hold_back(partitions, transaction)

    @happens(share=st.sampled_from([1.0, 4.0, 30.0]))
    def a_key_becomes_hot(self, share):
        self.world.weights = (share, *self.world.weights[1:])

    # --- what people do
    @happens(replicas=st.integers(0, MOST + 4))
    def one_scales(self, replicas):
        if replicas != self.world.replicas:
            self.world.scale(replicas)

    @happens(records=st.sampled_from([-5000.0, -10.0, 1e6]))
    def one_resets_the_offsets(self, records):
        self.while_stopped(lambda: self.world.move_commits(records))

    def while_stopped(self, act):
        """Kafka moves the commits of a group without members only."""
        self.world.away = 1000
        self.go_on(None, 2)
        act()
        self.world.away = 0

    @happens(
        least=st.integers(0, 3), most=st.integers(3, MOST), max_age=st.sampled_from(["10s", "60s", "5m"]),
        mode=st.sampled_from(["Active", "Active", "DryRun", "Paused"]),
    )  # fmt: skip
    def one_edits_the_policy(self, least, most, max_age, mode):
        self.edit = {"least": least, "most": most, "max_age": max_age, "mode": mode}

    @happens(objects=st.booleans())
    def another_controller_comes_or_goes(self, objects):
        self.objection = Objection(Reason.REPLICAS_CONTENDED, "an HPA scales it too") if objects else None

    @happens()
    def the_target_is_gone_for_a_moment(self):
        self.world.advance(TICK)
        self.look(replace(self.world.observation(), target=None))

    # --- and afterwards
    def teardown(self):
        """Nothing that ever happened keeps the promise from being kept once all is well again."""
        if not hasattr(self, "world"):
            return
        self.while_stopped(self.world.heal)
        self.load, self.world.capacity, self.objection = 350.0, 100.0, None
        self.world.weights = (1.0,) * len(self.world.parts)
        self.edit |= {"most": MOST, "mode": "Active", "max_age": "60s"}
        for _ in range(AFTER):
            self.world.advance(TICK)
            decision, self.memory = step(
                self.memory, self.world.observation(), spec(**self.edit, **self.declared), self.world.clock + 0.05
            )
            self.obey(decision)
        decision = self.look()
        if max((0.0, *self.memory.times.joins, *self.memory.times.leaves)) > 20:
            return  # what a change cost in the worst of times is remembered for a while
        assert decision.at_risk in (None, Reason.RETENTION_NEAR), decision
        assert self.world.replicas >= 3, decision
        if (decision.capacity.per_replica or 0.0) > 90:
            assert self.world.replicas <= 6, decision


STORIES = int(os.environ.get("STORIES", "0"))  # to look for new ones: the suite tells the same few every time

TestStory = Story.TestCase
TestStory.settings = settings(
    max_examples=STORIES or 25,
    stateful_step_count=15,
    derandomize=not STORIES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
)
