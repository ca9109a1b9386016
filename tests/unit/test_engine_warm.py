"""The first looks at a group whose past the broker knows, beside those at the same group without it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.engine_world import World, spec
from tidegate.api import Reason
from tidegate.engine import Basis, Memory, Observation, Past
from tidegate.sources.kafka.past import SECONDS_BEFORE

KNOWN = spec("60s", most=12, recordsPerSecond=100, startup="20s", rebalance="10s")


def step_up(at: float, before: float, after: float) -> Callable[[float], float]:
    return lambda t: before if t < at else after


def started(world: World, seconds: float) -> World:
    """The world `seconds` later, while nobody looked."""
    world.advance(seconds)
    return world


def told_at(world: World, look: int, past: Callable[[Past], Past] = lambda past: past) -> Callable[[], Observation]:
    """Looks of which one brings the past, as the Kafka source tells it at the second."""
    looks = 0

    def observe() -> Observation:
        nonlocal looks
        looks += 1
        seen = world.observation()
        if looks != look:
            return seen
        told = past(world.past(*(5 + seconds for seconds in SECONDS_BEFORE)))
        return Observation(replace(seen.reading, past=told), seen.target)

    return observe


def test_the_age_and_the_rate_are_right_from_the_look_that_brings_the_past():
    world = started(World(arrivals=step_up(250, 50, 150), max_age=600), 300)  # 100/s are done: 2,500 records wait
    policy = spec("10m", most=12, recordsPerSecond=100)
    oldest = world.now - world.parts[0].waiting[0][0]

    warm = world.run(policy, 5, told_at(world, 1)).backlog
    assert warm.age == pytest.approx(oldest + 5 * (1 - 100 / 150), abs=1.0)
    assert warm.arrival_rate == pytest.approx(150, rel=0.05)

    world.memory = Memory()
    cold = world.decide(policy).backlog
    assert (cold.lag, cold.age, cold.arrival_rate) == (warm.lag, None, None)


def test_after_a_restart_the_numbers_are_those_of_an_operator_that_never_stopped():
    world = World(arrivals=step_up(400, 40, 130), max_age=600)
    policy = spec("10m", most=12, recordsPerSecond=100)
    world.run(policy, 430)
    watched = world.memory

    world.memory = Memory.load(watched.dump())
    restarted = world.run(policy, 10, told_at(world, 2)).backlog
    world.memory = watched
    never_stopped = world.decide(policy).backlog

    assert restarted.age == pytest.approx(never_stopped.age, abs=1.0)
    assert restarted.age > 3
    assert restarted.arrival_rate == pytest.approx(never_stopped.arrival_rate, rel=0.1)


@pytest.mark.parametrize(("told", "decided"), [(1, 1), (2, 2), (0, 3)])
def test_a_surge_found_at_start_is_answered_at_the_look_that_brings_the_past(told: int, decided: int):
    world = started(World(arrivals=step_up(90, 60, 260)), 100)
    world.run(KNOWN, 5 * decided, told_at(world, told))
    decisions = [decision for _, decision in world.log]
    assert [decision.reason for decision in decisions[:-1]] == [Reason.WARMING_UP] * (decided - 1)
    assert decisions[-1].reason is Reason.SURGE
    assert decisions[-1].replicas >= 3


def test_a_past_that_comes_late_precedes_what_was_seen():
    world = started(World(arrivals=step_up(200, 40, 90), max_age=600), 240)
    policy = spec("10m", most=12, recordsPerSecond=100)
    world.run(policy, 30, told_at(world, 5))
    history = world.memory.history
    assert history.looks == 6
    assert list(history.ended) == sorted(history.ended)
    assert list(history.arrived) == sorted(history.arrived)
    assert history.arrived[-1] - history.arrived[0] == pytest.approx(world.produced, abs=12)
    for index in range(12):
        assert list(history.column(index)) == sorted(history.column(index))


def test_a_past_that_lacks_a_partition_is_no_past():
    def without_one(past: Past) -> Past:
        return past._replace(ends=dict(list(past.ends.items())[1:]))

    looks = []
    for observe in (lambda world: told_at(world, 2, without_one), lambda world: world.observation):
        world = started(World(arrivals=step_up(80, 60, 480)), 100)
        world.run(KNOWN, 60, observe(world))
        looks.append((world.log, world.memory))
    assert looks[0] == looks[1]
    assert looks[0][1].history.told == 0


def test_ends_of_the_past_never_exceed_those_that_were_seen():
    def ahead(past: Past) -> Past:
        return past._replace(ends={p: tuple(end + 30 for end in ends) for p, ends in past.ends.items()})

    world = started(World(arrivals=lambda t: 50), 300)
    decision = world.run(KNOWN, 10, told_at(world, 2, ahead))
    assert world.memory.history.told > 0
    assert list(world.memory.history.arrived) == sorted(world.memory.history.arrived)
    assert decision.backlog.arrival_rate >= 0


# --- what a past does not teach


def test_nothing_of_the_service_is_learned_from_the_past():
    """At the look that brings the past, all but what arrivals tell is as it would be without it."""
    memories, decisions = [], []
    for look in (2, 0):
        world = started(World(arrivals=step_up(200, 50, 200), commits=5), 240)
        decisions.append(world.run(spec("5m", most=12), 10, told_at(world, look)))
        memories.append(world.memory)
    warm, cold = memories
    assert warm.history.told > 0 == cold.history.told
    for kept in ("skill", "times", "dispersion", "crew", "caution", "reset_at"):
        assert getattr(warm, kept) == getattr(cold, kept), kept
    assert decisions[0].backlog.service_rate == decisions[1].backlog.service_rate
    assert decisions[0].capacity.basis is Basis.UNKNOWN


def test_with_the_past_a_fleet_too_large_is_made_smaller_as_soon_as_a_change_would_have_shown():
    """In 20 s of start-up and 10 s of pause, not only after the 60 s of the promise as well."""
    world = started(World(arrivals=lambda t: 50, replicas=6, max_age=60), 300)
    world.run(KNOWN, 30, told_at(world, 2))
    assert not world.changes
    assert "only 25s were seen" not in world.log[-1][1].message
    world.run(KNOWN, 10)
    assert world.replicas == 1


def test_without_a_capacity_the_whole_wait_is_for_seeing_what_replicas_do():
    policy = spec("60s", most=12, startup="20s", rebalance="10s")
    changes = []
    for look in (2, 0):
        world = started(World(arrivals=lambda t: 50, replicas=6, max_age=60), 300)
        world.run(policy, 400, told_at(world, look))
        changes.append(world.changes)
    assert changes[0] == changes[1] != []
    assert changes[0][0][0] > 300 + 90


def test_a_past_younger_than_the_promise_is_not_enough_to_scale_in():
    """The log was deleted up to half a minute ago: nobody knows what came before."""

    def short(past: Past) -> Past:
        return Past(past.times[-4:], {p: ends[-4:] for p, ends in past.ends.items()})

    world = started(World(arrivals=lambda t: 50, replicas=6, max_age=60), 300)
    world.run(KNOWN, 60, told_at(world, 2, short))
    assert not world.changes
    world.run(KNOWN, 60)
    assert world.replicas == 1


def test_a_silence_that_was_only_told_puts_no_group_to_sleep():
    world = started(World(arrivals=lambda t: 50 if t < 100 else 0, max_age=30), 400)
    policy = spec("30s", least=0, most=12, recordsPerSecond=100, startup="10s", rebalance="5s")
    world.run(policy, 60, told_at(world, 2))
    assert not world.changes
    world.run(policy, 30)
    assert world.replicas == 0


def test_rows_that_were_told_leave_the_history_like_all_others():
    world = started(World(arrivals=lambda t: 50), 900)
    world.run(KNOWN, 10, told_at(world, 2))
    told = world.memory.history.told
    world.run(KNOWN, 200)
    assert 0 < world.memory.history.told < told
    world.run(KNOWN, 600)
    assert world.memory.history.told == 0
    assert world.memory.history.looks == len(world.memory.history)
