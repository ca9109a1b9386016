"""Partition increases that the need asks for: when, of which topic, how many, and what is said about it."""

from array import array

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.engine_world import T0, Partition, World, spec
from tidegate.api import LagPolicySpec, Reason
from tidegate.engine import Memory, Objection
from tidegate.engine.bound import UNBOUND
from tidegate.engine.history import History
from tidegate.engine.hours import EVERY, KEPT, Hours
from tidegate.engine.increase import rounded

KNOWS_100 = '{"v":1,"capacities":[["v1",100,true]]}'
QUIET = 300.0  # records/s: 3 of the 12 replicas that 12 partitions employ


def policy(most: int = 64, **partitions) -> LagPolicySpec:
    whole = spec("60s", most=most).model_dump(by_alias=True, mode="json", exclude_none=True)
    return LagPolicySpec.model_validate(whole | {"partitions": partitions})


def group(arrivals, **world) -> World:
    """A group of 12 partitions whose replicas are known to do 100 records/s."""
    here = World(arrivals=arrivals, **({"replicas": 4, "partitions": 12, "max_age": 60, "dt": 0.5} | world))
    here.memory = Memory.load(KNOWS_100)
    return here


def outgrown(rate: float = 1500.0, quiet: float = 600.0, **world) -> World:
    """One that gets more than 12 replicas can do, after a while of quiet."""
    here = group(lambda t: QUIET if t < quiet else rate, **world)
    here.run(policy(), quiet)
    return here


def increases(world: World):
    return [(at, d.increase) for at, d in world.log if d.increase]


def test_a_need_above_the_ceiling_for_a_minute_asks_for_twice_the_partitions():
    world = outgrown()
    last = world.run(policy(), 300).increase
    at, first = increases(world)[0]
    assert 655 <= at <= 700
    assert (first.topic, first.from_, first.to) == ("points", 12, 24)
    assert (first.rate, first.per_replica) == pytest.approx((1500, 100), rel=0.02)
    assert (first.need, first.ceiling, first.ceiling_after) == (19, 12, 24)  # 15 and a quarter more
    assert 60 <= first.bound_for < last.bound_for
    assert world.replicas == 12  # no more than can own a partition, whatever is proposed
    assert first.message == (
        "for 1m of the last 11m 1,500/s or more came; 12 partitions employ at most 12 replicas of 100/s each; "
        "with 25% head room that rate needs 19; 12 → 24 partitions employ up to 24"
    )


def test_the_pause_of_a_stopped_group_is_to_leave_to_be_enlarged_to_start_and_to_join():
    world = outgrown()
    decision = world.run(policy(), 300)
    startup, joining = decision.capacity.startup, decision.capacity.rebalance
    assert startup + joining + 2 < decision.increase.pause <= startup + 2 * joining + 10


def test_what_comes_seldom_asks_for_nothing():
    """A surge of two minutes in an hour is a thirtieth of it: that is what a queue is for."""
    world = group(lambda t: 1800 if 3000 <= t < 3120 else QUIET, dt=1.0)
    world.run(policy(), 3400)
    assert any(d.need and d.need > 12 for _, d in world.log)
    assert increases(world) == []


def test_what_comes_back_is_asked_for_while_it_is_there():
    world = group(lambda t: 2000 if t % 600 < 180 else QUIET, dt=1.0)
    world.run(policy(), 3600)
    asked = [(at, increase) for at, increase in increases(world) if at > 900]
    assert {increase.to for _, increase in asked} == {36}  # 20 and a quarter more are 25
    assert all(60 <= at % 600 < 360 for at, _ in asked)  # three minutes of it, and what it left behind


def test_after_an_increase_the_new_partitions_are_compared_by_what_came_since():
    """3,000/s in 12 partitions, then in 24, which are too few as well: for a minute nobody can say how they compare,
    and then the old ones are not taken for hot by what was theirs before.
    """
    world = outgrown(rate=3000)
    world.run(policy(maxFactor=2), 200)
    world.parts += [Partition() for _ in range(12)]
    world.weights, since = (1.0,) * 24, world.now - T0
    world.run(policy(maxFactor=2), 300)
    asked = [(at - since, increase) for at, increase in increases(world) if at > since]
    assert 60 <= asked[0][0] <= 130
    assert {(i.from_, i.to, i.need, round(i.rate)) for _, i in asked} == {(24, 48, 38, 3000)}


def test_a_rebalance_in_between_ends_nothing_and_proposes_nothing():
    world = outgrown()
    world.run(policy(), 40)
    world.stopped_until = world.now + 10  # as for a deploy
    world.run(policy(), 60)
    held = [d for at, d in world.log if at > 640 and d.need is None]
    assert held
    assert all(d.increase is None for d in held)
    assert 655 <= increases(world)[0][0] <= 700


def test_an_objection_of_the_cluster_stops_the_asking():
    world = outgrown()
    world.run(policy(), 200)
    objection = Objection(Reason.REPARTITIONING, "it is under way")
    held = world.run(policy(), 5, lambda: world.observation().__class__(world.reading(), world.target(), objection))
    assert held.increase is None
    assert world.run(policy(), 5).increase is not None


def test_neither_a_restart_nor_a_clock_set_back_keeps_the_minute():
    world = outgrown()
    world.run(policy(), 200)
    assert world.memory.bound != UNBOUND
    assert Memory.load(world.memory.dump()).bound == UNBOUND
    assert world.memory.undated().bound == UNBOUND
    assert world.memory.undated().hours == Hours()


@pytest.mark.parametrize(
    ("why", "limits"),
    [
        ("nobody wants to know", {"mode": "Off"}),
        ("the topic has as many as it may", {"max": 12}),
        ("it has more than it may", {"max": 8}),
        ("the replicas are what limits", {"most": 12}),
    ],
)
def test_no_increase_is_asked_for_where(why, limits):
    world = outgrown()
    decision = world.run(policy(**limits), 300)
    assert decision.need > 12
    assert decision.limited_by is (Reason.MAX_REPLICAS if "most" in limits else Reason.PARTITIONS)
    assert increases(world) == [], why


@pytest.mark.parametrize(
    ("limits", "to", "said"),
    [
        ({"max": 40}, 36, ""),  # 32 are needed
        ({"max": 35}, 32, ""),  # no multiple of 12 of at least 32: divisors tell
        ({"max": 30}, 24, "not enough, but all that spec.partitions allows at once"),
        ({"max": 20}, 20, "not enough, but all that spec.partitions allows at once"),
        ({"maxFactor": 2}, 24, "not enough, but all that spec.partitions allows at once"),
        ({"most": 20}, 24, "spec.replicas.max is 20"),
    ],
)
def test_the_size_keeps_to_the_limits(limits, to, said):
    world = outgrown(rate=2500)
    increase = world.run(policy(**limits), 300).increase
    assert (increase.need, increase.to, increase.ceiling_after) == (32, to, to)
    assert increase.message.endswith(said)


def test_consumers_in_one_replica_count():
    whole = policy().model_dump(by_alias=True, mode="json", exclude_none=True)
    three = LagPolicySpec.model_validate(whole | {"capacity": {"consumersPerReplica": 3, "recordsPerSecond": 300}})
    world = group(lambda t: 1500, replicas=12)  # the world's pods are one consumer each: what is seen is what counts
    world.capacity = 100
    world.run(three, 300)
    assert increases(world)
    assert {(i.ceiling, i.need, i.to, i.ceiling_after) for _, i in increases(world)} == {(4, 7, 24, 8)}


def test_near_the_ceiling_it_counts_as_bound_until_it_was_not_for_minutes():
    bound = UNBOUND.after(14, 12, T0)
    dip = bound.after(12, 12, T0 + 55)
    assert dip.seen == T0
    again = dip.after(13, 12, T0 + 70)
    assert again.lasted(T0 + 70) == 0  # a minute in a row begins anew
    assert again.after(None, None, T0 + 80) == again
    assert again.after(12, 12, T0 + 369).seen
    assert again.after(12, 12, T0 + 371) == UNBOUND
    assert again.after(13, 24, T0 + 75) == UNBOUND  # more partitions end it at once
    assert again.after(13, 12, T0 + 200).lasted(T0 + 200) == 0  # an answer a minute, or it begins anew
    assert again.after(13, 12, T0 - 1e6).since == T0 - 1e6  # the clock was set back


# The rounding


@given(now=st.integers(1, 300), more=st.integers(1, 400), factor=st.integers(2, 6))
def test_a_multiple_where_one_fits_else_what_divides_best_else_all_that_may_be(now, more, factor):
    least, limit = now + more, now * factor
    to = rounded(now, least, limit)
    assert now < to <= limit
    assert to % now == 0  # within a factor one always fits
    assert to >= least or to == limit


@given(now=st.integers(2, 300), least=st.integers(2, 600), limit=st.integers(1, 700))
def test_a_limit_of_its_own_is_kept_too(now, least, limit):
    assume(now < least)
    to = rounded(now, least, limit)
    assert to <= limit
    assert to >= min(least, limit) or (limit < least and limit - to < now)


def test_as_many_divisors_as_may_be():
    assert rounded(12, 13, 20) == 18
    assert rounded(12, 13, 23) == 18  # as many as 20, but fewer
    assert rounded(40, 41, 79) == 60


# The hours


def history(*rows: tuple[float, float], told: int = 0) -> History:
    times, totals = zip(*rows, strict=True)
    zeros = array("d", [0.0]) * len(rows)
    return History(ended=array("d", times), arrived=array("d", totals), served=zeros, told=told)


def test_a_rate_is_known_by_the_half_minute_and_four_hours_back():
    hours, seen = Hours(), History()
    for second in range(0, 20_000, 7):
        before, seen = seen, history(*((T0 + s, 10.0 * s) for s in range(max(0, second - 70), second + 1, 7)))
        hours = hours.after(before, seen)
    assert len(hours.rates) == KEPT
    assert hours.seconds == 4 * 3600
    assert set(hours.rates) == {10.0}
    assert hours.at <= seen.ended[-1] < hours.at + EVERY


def test_an_hour_without_readings_is_an_hour_of_what_came_in_it():
    hours = Hours().after(History(), history((T0, 0)))
    hours = hours.after(History(), history((T0, 0), (T0 + 3600, 3600)))
    assert list(hours.rates) == [1.0] * 120


def test_of_a_told_past_nothing_counts_before_the_first_record():
    """A topic that is ten minutes old has no quiet hours behind it."""
    past = history((T0 - 14_400, 0), (T0 - 600, 0), (T0 - 300, 3000), (T0, 6000), told=3)
    hours = Hours().after(History(), past)
    assert hours.seconds == 600
    assert hours.reached(1 / 20) == 10.0


def test_a_past_told_later_is_what_counts():
    hours = Hours().after(History(), history((T0, 50)))
    told = history((T0 - 3600, 0), (T0, 7200), (T0 + 5, 7210), told=1)
    assert hours.after(history((T0, 50)), told).seconds == 3600


@given(st.lists(st.floats(0, 1e6, width=32), max_size=KEPT), st.floats(0.01, 1))
def test_a_rate_that_was_reached_was_reached_so_often(rates, share):
    hours = Hours(array("f", rates), T0, 0.0)
    rate = hours.reached(share)
    often = sum(one >= rate for one in rates) * EVERY
    assert rate == 0 or (often >= 60 and often >= share * hours.seconds - 1e-6)
    assert sum(one > rate for one in rates) * EVERY < max(60, share * hours.seconds + EVERY)


def test_a_topic_that_was_enlarged_in_a_surge_is_served_by_more_at_once_and_teaches_nothing_wrong():
    """The backlog stays in the old partitions, whose consumers alone can work on it."""

    def rate(t: float) -> float:
        return 110.0 if t < 60 else 250.0 if t < 150 else 330.0 if t < 210 else 50.0

    world = World(rate, capacity=50.0, partitions=4, replicas=2, max_age=60.0, commits=1.0)
    policy = spec("60s", most=12)
    assert world.run(policy, 150).increase.to == 8
    assert world.replicas == 4
    # four more partitions are there, and producers find them at once
    world.parts += [Partition() for _ in range(4)]
    world.weights = (1.0,) * 8
    assert world.run(policy, 5).replicas == 8
    caught_up = False
    while not caught_up:
        decision = world.run(policy, 5)
        assert decision.capacity.per_replica == pytest.approx(50.0, rel=0.05)
        assert world.memory.loads.shares == ()  # that new partitions had nothing before is no skew
        assert world.replicas == 8 or decision.backlog.age < 10
        caught_up = decision.backlog.age < 10
    assert world.late_share == 0
    assert world.run(policy, 60).reason in (Reason.ON_TIME, Reason.DRAINED)
    assert world.replicas < 4
