"""spec.behavior: how fast the replicas may change, as time lines, and for any story."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine_world import T0, World, changes, spec, surge
from tidegate.api import Behavior, Reason
from tidegate.engine import Memory
from tidegate.engine.behavior import KEPT, Past, Recommendations, allowed, changed, highest, lowest, remembered
from tidegate.engine.capacity import Fleet
from tidegate.engine.outlook import Outlook
from tidegate.engine.plan import Queue
from tidegate.engine.shrinking import cheaper, keeps_promise, size_down

DECLARED = {"recordsPerSecond": 100}
FLOOD = surge(base=250, peak=900, start=200, rise=30, hold=300, fall=30)


def pods_in(value: int, period: int = 60) -> dict:
    return {"type": "Pods", "value": value, "periodSeconds": period}


def percent_in(value: int, period: int = 60) -> dict:
    return {"type": "Percent", "value": value, "periodSeconds": period}


def up(*policies: dict, **rules) -> dict:
    return {"scaleUp": rules | ({"policies": policies} if policies else {})}


def down(*policies: dict, **rules) -> dict:
    return {"scaleDown": rules | ({"policies": policies} if policies else {})}


def flooded(behavior: dict | None, seconds: float = 900, **world) -> World:
    """A group of three that is flooded, and steered under a behavior."""
    there = World(arrivals=FLOOD, replicas=3, max_age=60, dt=0.5, **world)
    there.run(spec("60s", most=12, behavior=behavior, **DECLARED), seconds)
    return there


def said(world: World, reason: Reason, limit: Reason | None = Reason.BEHAVIOR) -> list[str]:
    return [d.message for _, d in world.log if d.reason is reason and d.limited_by is limit]


# --- the rules, as the HPA has them


def rules_of(behavior: dict):
    parsed = Behavior.model_validate(behavior)
    return parsed.scale_up if "scaleUp" in behavior else parsed.scale_down


@pytest.mark.parametrize(
    ("behavior", "most"),
    [
        (up(), inf),
        (up(pods_in(4)), 14),
        (up(percent_in(100)), 20),
        (up(percent_in(10)), 11),  # exactly: in floating point 10 * 1.1 rounds up to 12
        (up(percent_in(1)), 11),  # a part of a replica is one
        (up(pods_in(4), percent_in(100)), 20),
        (up(pods_in(4), percent_in(100), selectPolicy="Min"), 14),
        (up(pods_in(4), selectPolicy="Disabled"), 10),
    ],
)
def test_up_from_ten(behavior, most):
    assert highest(rules_of(behavior), 10, lambda _: 10).replicas == most


@pytest.mark.parametrize(
    ("behavior", "least"),
    [
        (down(), 0),
        (down(pods_in(4)), 6),
        (down(pods_in(40)), 0),
        (down(percent_in(100)), 0),
        (down(percent_in(25)), 7),  # 7.5: a part of a replica is one here too
        (down(pods_in(4), percent_in(10)), 6),
        (down(pods_in(4), percent_in(10), selectPolicy="Min"), 9),
        (down(pods_in(4), selectPolicy="Disabled"), 10),
    ],
)
def test_down_from_ten(behavior, least):
    assert lowest(rules_of(behavior), 10, lambda _: 10).replicas == least


def test_a_period_counts_from_its_start_so_what_was_undone_does_not_count():
    rules = rules_of(up(pods_in(2)))
    assert highest(rules, 12, lambda _: 10).replicas == 12, "used up"
    assert highest(rules, 8, lambda _: 10).replicas == 12, "two went: back, and two more"
    assert highest(rules, 20, lambda _: 10).replicas == 20, "somebody else added ten: no more, but none is taken away"


def test_the_first_replica_is_a_step_of_any_percentage():
    assert highest(rules_of(up(percent_in(50))), 0, lambda _: 0).replicas == 1


def test_each_policy_has_a_period_of_its_own():
    behavior = Behavior.model_validate(up(pods_in(1, 15), pods_in(3, 60), selectPolicy="Min"))
    past: Past = ()
    asked, steps = 4, []
    for second in range(0, 120, 5):
        now = T0 + second
        may = allowed(behavior, asked, 12, Recommendations(), past, now)
        if may.replicas > asked:
            past = changed(past, asked, may.replicas, now, now)
            steps.append((second, may.replicas))
        asked = may.replicas
    assert steps == [(0, 5), (15, 6), (30, 7), (60, 8), (75, 9), (90, 10)]


def test_a_window_takes_the_smallest_up_and_the_largest_down():
    behavior = Behavior.model_validate(up(stabilizationWindowSeconds=60) | down(stabilizationWindowSeconds=60))
    seen = Recommendations().after(6, T0).after(9, T0 + 30).after(2, T0 + 45)
    assert allowed(behavior, 5, 8, seen, (), T0 + 50).replicas == 5, "2 was enough 5 s ago"
    assert allowed(behavior, 5, 3, seen, (), T0 + 80).replicas == 5, "9 were needed 50 s ago"
    assert allowed(behavior, 12, 3, seen, (), T0 + 80).replicas == 9
    assert allowed(behavior, 12, 3, seen, (), T0 + 91).replicas == 3
    assert allowed(behavior, 5, 8, seen, (), T0 + 106).replicas == 8


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=60), st.integers(0, 300))
def test_what_is_kept_of_the_recommendations_is_enough(stream, window):
    now, kept, every = 0.0, Recommendations(), []
    for replicas, pause in stream:
        now += pause
        kept = kept.after(replicas, now)
        every.append((now, replicas))
        inside = [n for at, n in every if at >= now - window]
        assert (kept.smallest(now - window), kept.largest(now - window)) == (min(inside), max(inside))
        assert len(kept.rising) + len(kept.falling) <= 20


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0.2, 200)), min_size=1, max_size=60))
def test_what_is_kept_of_the_changes_is_never_too_lenient(stream):
    """Whatever was asked for at any time of the last half hour lies between the two numbers kept for it."""
    now, asked, past, truth = T0, 5, (), [(T0, 5)]
    for replicas, pause in stream:
        made, now = now + pause / 2, now + pause
        past = remembered(past, 1800, now)
        if replicas != asked:
            past = changed(past, asked, replicas, now - pause, now)
            truth.append((made, replicas))
        asked = replicas
        assert len(past) <= KEPT
        for ago in (1, 15, 60, 300, 1799):
            true = next(n for at, n in reversed(truth) if at <= now - ago) if truth[0][0] <= now - ago else 5
            row = next((row for row in past if row.at > now - ago), None)
            least, most = (row.least, row.most) if row else (asked, asked)
            assert least <= true <= most


def test_half_an_hour_of_changes_fits_in_a_status_and_is_read_back_as_it_was():
    past: Past = ()
    for step in range(90):
        past = changed(past, 10 + step % 7, 11 + step % 7, T0 + 20 * step - 5, T0 + 20 * step + 0.123)
    text = Memory(asked=16, changed_at=T0, past=past).dump()
    assert Memory.load(text).past == past
    assert len(text) < 700


def test_without_a_behavior_nothing_of_it_is_kept():
    memory = flooded(None).memory
    assert (memory.past, memory.recommended) == ((), Recommendations())
    assert "past" not in memory.dump()


# --- up


def test_no_more_than_two_go_up_in_a_minute_and_the_sentence_says_what_was_wanted():
    world = flooded(up(pods_in(2)), 500)
    assert changes(world)[:2] == [(3, 5), (5, 7)]
    assert 60 <= world.changes[1][0] - world.changes[0][0] <= 75
    first = said(world, Reason.SURGE)[0]
    assert first.startswith("3 → 5 replicas: ")
    assert "; 6 needed, spec.behavior.scaleUp allows 2 more in 60 s, from 3" in first


def test_what_is_not_allowed_yet_is_told_as_a_limit_and_as_a_risk():
    world = flooded(up(pods_in(2)), 500)
    waits = [d for _, d in world.log if d.reason is Reason.BEHAVIOR]
    assert all(d.replicas is None and d.limited_by is Reason.BEHAVIOR and d.need > d.desired for d in waits)
    assert Reason.PROMISE_AT_RISK in {d.at_risk for d in waits}, "the limit breaks the promise, and is said to"
    assert flooded(None, 500).late_share == 0, "without it nothing is late"
    assert {d.at_risk for _, d in flooded(None, 500).log} == {None}


def test_a_group_that_may_not_go_up_does_not():
    world = flooded(up(selectPolicy="Disabled"))
    assert not world.changes
    assert "spec.behavior.scaleUp is Disabled" in said(world, Reason.BEHAVIOR)[0]
    assert Reason.PROMISE_BROKEN in {d.at_risk for _, d in world.log}


def test_a_spike_shorter_than_the_window_is_left_alone_and_a_longer_one_answered():
    spike = lambda t: 420 if 200 < t < 225 else 250  # noqa: E731
    world = World(arrivals=spike, replicas=3, max_age=60, dt=0.5)
    behavior = up(stabilizationWindowSeconds=60)
    world.run(spec("60s", most=12, behavior=behavior, **DECLARED), 400)
    assert not world.changes
    assert world.late_share == 0
    longer = flooded(behavior, 400)
    assert longer.changes[0][0] == pytest.approx(270, abs=11)
    assert "takes the smallest size of the last 60 s" in said(longer, Reason.BEHAVIOR)[0]


def test_with_a_window_a_slow_overload_is_answered_so_much_earlier():
    """An order that will be held back for a minute must be wished a minute sooner."""
    world = World(arrivals=lambda t: 60 if t < 60 else 112, max_age=120, startup=lambda i: 20, pause=5)
    policy = spec("2m", most=12, behavior=up(stabilizationWindowSeconds=60), startup="20s", rebalance="5s", **DECLARED)
    world.run(policy, 1500)
    assert changes(world)[0] == (1, 2)
    assert world.late_share == 0


def test_a_step_that_a_person_made_counts():
    world = World(arrivals=lambda t: 250 if t < 100 else 900, replicas=3, max_age=60, dt=0.5)
    policy = spec("60s", most=12, behavior=up(pods_in(2)), **DECLARED)
    world.run(policy, 95)
    world.scale(5)
    world.run(policy, 50)
    assert changes(world) == [(3, 5)]
    world.run(policy, 25)
    assert changes(world)[1] == (5, 7)


def test_a_restart_in_the_middle_of_a_period_does_not_begin_a_new_one():
    world = flooded(up(pods_in(2)), 240)
    assert changes(world) == [(3, 5)]
    policy = spec("60s", most=12, behavior=up(pods_in(2)), **DECLARED)
    for _ in range(8):
        world.memory = Memory.load(world.memory.dump())
        world.run(policy, 20)
    ups = [(at, after - before) for at, before, after in world.changes]
    assert len(ups) > 1
    assert all(sum(more for at, more in ups if end - 60 < at <= end) <= 2 for end, _ in ups)


def test_a_restart_begins_a_window_anew():
    world = flooded(up(stabilizationWindowSeconds=60), 250)
    world.memory = Memory.load(world.memory.dump())
    world.run(spec("60s", most=12, behavior=up(stabilizationWindowSeconds=60), **DECLARED), 55)
    assert not world.changes
    world.run(spec("60s", most=12, behavior=up(stabilizationWindowSeconds=60), **DECLARED), 30)
    assert world.replicas > 3


# --- from and to zero


def asleep(behavior: dict, load: float = 250.0) -> World:
    """A group at zero since 220 s at the latest, to which records come from second 400 on."""
    world = World(arrivals=lambda t: load if t >= 400 else 0, replicas=1, max_age=60, dt=0.5)
    policy = spec("60s", least=0, most=12, behavior=behavior, **DECLARED)
    world.run(policy, 395)
    assert world.replicas == 0
    world.run(policy, 40)
    return world


def test_a_group_that_may_not_go_up_is_not_woken():
    world = asleep(up(selectPolicy="Disabled"))
    assert world.replicas == 0
    last = world.log[-1][1]
    assert (last.reason, last.need >= 1, last.desired) == (Reason.BEHAVIOR, True, 0)
    assert last.at_risk is Reason.PROMISE_AT_RISK


def test_waking_is_a_step_like_any_other():
    assert asleep({}).replicas >= 3
    assert asleep(up(pods_in(2))).replicas == 2
    assert asleep(up(percent_in(50))).replicas == 1, "half of nothing is nothing: as with KEDA the first one is free"


def test_the_last_ones_go_one_by_one_too():
    world = World(arrivals=lambda t: 0, replicas=3, max_age=60, dt=0.5)
    world.run(spec("60s", least=0, most=12, behavior=down(pods_in(1)), **DECLARED), 400)
    assert changes(world) == [(3, 2), (2, 1), (1, 0)]
    assert "spec.behavior.scaleDown allows 1 fewer in 60 s, from 3" in said(world, Reason.DRAINED)[0]


# --- down


def test_a_replica_less_each_minute():
    world = flooded(down(pods_in(1)), 1200)
    downs = [(at, before - after) for at, before, after in world.changes if after < before]
    assert len(downs) >= 5
    assert all(sum(fewer for at, fewer in downs if end - 60 < at <= end) <= 1 for end, _ in downs)


def test_a_window_keeps_what_was_needed_for_its_length():
    without, with_ = flooded(None, 1300), flooded(down(stabilizationWindowSeconds=300), 1300)
    first = {name: next(at for at, b, a in w.changes if a < b) for name, w in (("without", without), ("with", with_))}
    assert first["with"] - 530 >= 295, "12 were needed until the flood fell at 530 s"
    assert first["without"] < 600
    assert with_.replicas == without.replicas
    held = said(with_, Reason.ON_TIME)
    assert "spec.behavior.scaleDown takes the largest size of the last 300 s" in held[0]


def test_a_group_that_may_not_go_down_stays():
    world = flooded(down(selectPolicy="Disabled"), 1200)
    assert world.replicas == 12
    assert {d.at_risk for _, d in world.log} == {None}


def test_an_edit_of_the_limits_takes_effect_at_once_whatever_the_behavior():
    never = up(selectPolicy="Disabled") | down(selectPolicy="Disabled")
    world = World(arrivals=lambda t: 250, replicas=4, max_age=60)
    world.run(spec("60s", most=12, behavior=never, **DECLARED), 60)
    assert world.run(spec("60s", least=6, most=12, behavior=never, **DECLARED), 5).reason is Reason.MIN_REPLICAS
    assert world.run(spec("60s", most=3, behavior=never, **DECLARED), 5).reason is Reason.MAX_REPLICAS
    assert changes(world) == [(4, 6), (6, 3)]


# --- planning with it: a size down may not be followed by the largest fleet any more


def fleet_of(replicas: int, load: float, behavior: dict | None) -> Outlook:
    """A promise of 60 s, an empty queue, ready replicas of 100/s each; start-up 10 s, pause 10 s."""
    plain = Outlook(
        queue=Queue((0.0, 0.0), (0.0, 0.0), load), fleet=Fleet(120), rate=100.0, most=30, ready=replicas, coming=0,
        within=0.0, stop=0.0, startup=10.0, pause=10.0, leaving=10.0, tick=5.0, max_age=60.0, caution=0.0, growth=0.05,
    )  # fmt: skip
    if behavior is None:
        return plain
    rules = rules_of(behavior)
    return plain._replace(scale_up=rules, startup=plain.startup + rules.stabilization_window_seconds)


def test_a_size_that_lives_from_the_way_back_is_not_taken_where_there_is_none():
    assert keeps_promise(fleet_of(10, 900, None), 8)
    assert not keeps_promise(fleet_of(10, 900, up(pods_in(1, 300))), 8)
    assert keeps_promise(fleet_of(10, 840, up(pods_in(1, 300))), 8), "9 may follow, and do more than arrives"
    assert not keeps_promise(fleet_of(10, 900, up(selectPolicy="Disabled")), 8)
    assert not keeps_promise(fleet_of(10, 900, up(stabilizationWindowSeconds=300)), 8)
    assert keeps_promise(fleet_of(12, 900, up(selectPolicy="Disabled")), 10), "which drains by itself"


def smaller(fleet: Outlook) -> int | None:
    """The fleet that 16 replicas would shrink to."""
    return size_down(fleet, cheaper(fleet, 16, 1))


@pytest.mark.parametrize(
    ("limit", "step"),
    [(up(pods_in(1, 300)), 1), (up(selectPolicy="Disabled"), 0), (up(stabilizationWindowSeconds=300), 0)],
)
def test_two_sizes_in_turn_need_a_way_back(limit, step):
    """A fleet below the arrivals fills the promise until the next order: not where that cannot come in one step."""
    lazy = [load for load in range(500, 1500, 20) if (smaller(fleet_of(16, load, None)) or 99) < load / 100]
    assert lazy, "without a limit it does so"
    for load in lazy:
        slow = smaller(fleet_of(16, load, limit))
        assert slow is None or slow + step >= load / 100


def test_where_the_way_up_is_slow_what_was_needed_lately_stays_within_one_step():
    """At 530 s the flood is over. With steps of four a minute, 12 were needed: 8 stay for twenty minutes."""
    world, policy = flooded(up(pods_in(4)), 1100), spec("60s", most=12, behavior=up(pods_in(4)), **DECLARED)
    assert max(after for _, after in changes(world)) == 12
    assert world.replicas == 8
    world.run(policy, 900)
    assert world.replicas == 3
    assert flooded(None, 1100).replicas == 3, "without a limit they go at once"
