"""Rules that are algebra, for any numbers: packing, plans, rates, memory, and a step that never surprises."""

import itertools
import re
from array import array
from math import ceil, inf, isfinite
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine_world import T0, spec
from tidegate.api import Reason
from tidegate.engine import (
    GroupState,
    Memory,
    Objection,
    Observation,
    Offsets,
    PartitionId,
    Past,
    Pod,
    Reading,
    ReadingError,
    Target,
    step,
)
from tidegate.engine.capacity import Fleet, Learned, tried
from tidegate.engine.history import MOVING, History, Row
from tidegate.engine.memory import VERSION
from tidegate.engine.plan import Change, Leg, Queue, done_after, path, served_by
from tidegate.engine.rates import Dispersion, arrival_level, tick_of
from tidegate.engine.saturation import Skill
from tidegate.engine.timing import Times

# --- packing

fleets = st.builds(
    lambda partitions, consumers: Fleet(partitions, consumers), st.integers(1, 1500), st.integers(1, 12)
) | st.builds(
    lambda topics, consumers: Fleet(max(topics), consumers, topics=tuple(sorted(topics))),
    st.lists(st.integers(1, 300), min_size=2, max_size=4),
    st.integers(1, 12),
)


def test_seventeen_of_thirty_two_is_not_a_useful_size():
    """The naive walk over ceil(P/k) loops for ever here: 17 and 32 both have a consumer with ceil(32/n) partitions."""
    assert Fleet(32).sizes == (1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 32)
    assert Fleet(32).units(17) == Fleet(32).units(16) == 16
    assert Fleet(32).size_for(16.5) == 32


def test_twelve_partitions():
    fleet = Fleet(12)
    assert fleet.sizes == (1, 2, 3, 4, 6, 12)
    assert [round(fleet.units(n), 2) for n in range(14)] == [0, 1, 2, 3, 4, 4, 6, 6, 6, 6, 6, 6, 12, 12]
    assert fleet.size_for(15.2) == 16, "beyond the ceiling: what more partitions would ask for"


def test_by_range_each_topic_is_divided_by_itself():
    """Eighteen consumers of 24 and 12 partitions: the first one has two of one and one of the other, as with twelve."""
    fleet = Fleet(24, topics=(12, 24))
    assert fleet.units(12) == fleet.units(18) == 12
    assert fleet.units(24) == 18  # and the last twelve have one partition, so half of their time is idle
    assert fleet.sizes == (1, 2, 3, 4, 5, 6, 8, 12, 24)


@given(fleets)
def test_the_useful_sizes_are_those_that_do_more_than_any_smaller_one(fleet):
    best, useful = 0.0, []
    for n in range(1, fleet.ceiling + 1):
        if fleet.units(n) > best + 1e-9:
            best, useful = fleet.units(n), [*useful, n]
    assert set(useful) <= set(fleet.sizes)
    assert fleet.sizes[-1] == fleet.ceiling


@given(fleets, st.floats(0, 2000))
def test_the_size_for_a_need_is_the_smallest_that_covers_it(fleet, need):
    n = fleet.size_for(need)
    if n <= fleet.ceiling and fleet.units(n) >= need - 1e-6:
        assert all(fleet.units(m) < need for m in fleet.sizes if m < n)
    else:
        assert fleet.units(fleet.ceiling) < need
        assert n > fleet.ceiling
        assert n >= need - 1e-6


@given(fleets, st.integers(0, 2000))
def test_replicas_never_do_more_than_their_number_and_never_less_for_being_more(fleet, n):
    assert fleet.units(n) <= n + 1e-9
    assert fleet.units(n) <= fleet.units(n + 1) + 1e-9


# --- plans

seconds = st.floats(0, 200)
rates = st.just(0.0) | st.floats(0.01, 1000)
plans = st.lists(st.builds(Change, seconds, seconds, rates), max_size=3).map(sorted)


@given(rates, seconds, plans)
def test_a_path_is_a_sequence_of_legs_that_ends_with_the_last_change(present, stop, plan):
    legs = path(present, stop, plan)
    assert all(a.until < b.until for a, b in itertools.pairwise(legs))
    assert legs[-1] == Leg(inf, plan[-1].rate if plan else present)


@given(rates, seconds, plans, seconds)
def test_what_is_done_after_some_time_takes_that_time(present, stop, plan, time):
    legs = path(present, stop, plan)
    work = served_by(legs, time)
    assert done_after(legs, work) >= time - 1e-6


def test_overlapping_stops_merge():
    assert path(10, 0, [Change(5, 4, 20), Change(7, 4, 30)]) == (Leg(5, 10), Leg(9, 0), Leg(11, 0), Leg(inf, 30))
    assert path(10, 3, ()) == (Leg(3, 0), Leg(inf, 10))


@given(st.lists(st.tuples(st.floats(0.1, 500), st.floats(0.1, 50)), max_size=8), rates, seconds, plans)
def test_nobody_is_done_younger_than_the_age_that_is_waited_already(arrivals, rate, stop, plan):
    work, ago = [0.0], [sum(gap for _, gap in arrivals)]
    for amount, gap in arrivals:
        work.append(work[-1] + amount)
        ago.append(max(0.0, ago[-1] - gap))
    queue = Queue(tuple(work), tuple(ago), rate)
    if queue.total:
        assert queue.peak_age(path(50.0, stop, plan), 60.0) >= queue.ago[0] - 1e-6


def test_the_head_of_the_queue_waits_through_a_pause():
    queue = Queue((0.0, 100.0), (10.0, 0.0), 10.0)  # 10 s of work at 10/s
    assert queue.peak_age(path(10.0, 0.0, ()), 30.0) == pytest.approx(10)
    assert queue.peak_age(path(10.0, 5.0, ()), 30.0) == pytest.approx(15)
    assert queue.peak_age(path(10.0, 0.0, [Change(20.0, 6.0, 20.0)]), 30.0) == pytest.approx(16)
    assert queue.peak_age(path(0.0, 0.0, ()), 30.0) == inf


# --- rates


def history(rows: list[tuple[float, float]]) -> History:
    grown = History(partitions=(PartitionId("t", 0),))
    for at, arrived in rows:
        grown = grown.add(Row(at, at, arrived, arrived, 0.0, 0.0, [int(arrived)], [int(arrived)], [MOVING], {}), 600.0)
    return grown


@given(st.lists(st.tuples(st.floats(0.5, 40), st.floats(0, 1e6)), min_size=2, max_size=120))
def test_rates_are_never_negative_nor_above_what_came_in_any_interval(gaps):
    at, arrived, rows = T0, 0.0, []
    for gap, amount in gaps:
        at, arrived = at + gap, arrived + amount
        rows.append((at, arrived))
    past, dispersion = history(rows), Dispersion()
    for _, amount in gaps:
        dispersion = dispersion.after(amount)
    highest = max(amount / gap for gap, amount in gaps)
    level = arrival_level(past, dispersion, tick_of(past))
    assert level is not None
    assert -1e-6 <= level.rate <= highest * 1.001 + 1e-6
    assert isfinite(level.sd)


def test_a_steady_rate_is_taken_from_the_longest_window_and_a_step_from_the_shortest():
    calm = [(T0 + 5 * i, 500.0 * i) for i in range(100)]
    poisson = Dispersion(500, 500, 500, 100)
    level = arrival_level(history(calm), poisson, 5.0)
    assert level.rate == pytest.approx(100)
    assert level.window > 400
    step_up = [*calm, (calm[-1][0] + 5, calm[-1][1] + 2000)]
    level = arrival_level(history(step_up), poisson, 5.0)
    assert level.rate == pytest.approx(400)
    assert level.window == pytest.approx(5)


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 1500), st.floats(0.5, 30))
def test_a_history_stays_small_and_keeps_its_ends(rows, gap):
    past = history([(T0 + gap * i, 10.0 * i) for i in range(rows)])
    assert len(past) <= 90
    assert past.ended[-1] == T0 + gap * (rows - 1)
    assert past.span <= 600.0 + gap * 16 + 1
    assert len(past.highs) == len(past)
    kept = past.thinned(600.0)
    for row in range(1, len(kept)):
        age = kept.ended[-1] - kept.ended[row - 1]
        assert kept.ended[row] - kept.ended[row - 1] <= max(1.001 * gap, age / 4)


# --- capacity


@given(st.floats(1, 1000), st.lists(st.floats(1, 1000), min_size=1, max_size=30))
def test_a_learned_capacity_stays_within_what_was_seen(first, samples):
    learned = Learned("v1", first)
    for sample in samples:
        learned = learned.saturated(sample)
    assert min(first, *samples) - 1e-6 <= learned.rate <= max(first, *samples) + 1e-6


def test_three_samples_off_to_the_same_side_are_believed_and_two_are_not():
    learned = Learned("v1", 100, samples=50)
    twice = learned.saturated(50).saturated(50)
    assert 80 < twice.rate < 100
    assert twice.saturated(50).rate == 50
    assert twice.saturated(150).saturated(50).rate > 70


def test_a_larger_fleet_is_judged_only_when_it_is_sure():
    trial = tried(None, 2, 200, sure=True, now=0)
    assert tried(trial, 4, 205, sure=False, now=10) == trial
    assert tried(trial, 4, 205, sure=True, now=10).failed(11)
    assert not tried(trial, 4, 390, sure=True, now=10).failed(11)
    assert not tried(trial, 4, 205, sure=True, now=10).failed(611)


# --- memory

memories = st.builds(
    lambda **kept: Memory(**kept),
    skill=st.builds(
        lambda capacities: Skill(capacities),
        st.lists(st.builds(Learned, st.text(max_size=200), st.floats(1e-6, 1e9), st.integers(0, 9)), max_size=3).map(
            tuple
        ),
    ),
    times=st.builds(Times, *[st.lists(st.floats(0, 1e5), max_size=8).map(tuple)] * 4),
    asked=st.none() | st.integers(0, 10_000),
    changed_at=st.none() | st.floats(0, 4e9),
    residue=st.integers(0, 10_000),
)


@given(memories)
def test_a_memory_comes_back_and_is_small(memory):
    text = memory.dump()
    again = Memory.load(text)
    assert len(text.encode()) < 4096
    assert again.dump() == text
    assert (again.asked, again.residue) == (memory.asked, memory.residue)
    assert again.times.startups == pytest.approx(memory.times.startups, rel=0.01)
    assert [c.proven for c in again.skill.capacities] == [c.proven for c in memory.skill.capacities]


def test_a_typical_memory_is_a_few_hundred_bytes():
    learned = tuple(Learned(f"points-consumer-6d4f9c7b{i}", 123.456 + i, samples=9) for i in range(3))
    memory = Memory(Skill(learned), Times((12.345,) * 8, (0.0,) * 8, (3.21,) * 8, (1.23,) * 8), 12, T0, 4)
    assert len(memory.dump()) < 400


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_anything_else_is_an_empty_memory(text):
    assert Memory.load(text) == Memory()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        '{"v":2}',
        '{"v":1,"capacities":[["v1",-5,true]]}',
        '{"v":1,"capacities":[["v1",NaN,true]]}',
        '{"v":1,"startups":[1e999]}',
        '{"v":1,"asked":-1}',
        '{"v":1,"capacities":7}',
    ],
)
def test_a_broken_memory_is_an_empty_one(text):
    assert Memory.load(text[:200_000]) == Memory()


def test_what_a_newer_patch_adds_is_no_harm():
    assert Memory.load(f'{{"v":{VERSION},"asked":3,"more":[1]}}').asked == 3


# --- any input at all

offsets = st.integers(0, 1 << 40)
partition = st.builds(PartitionId, st.sampled_from(["a", "b"]), st.integers(0, 3))
reading = st.builds(
    lambda parts, ids, gap, wait, state, members, assignor, retention, compacted, past: (
        parts,
        ids,
        gap,
        wait,
        state,
        members,
        assignor,
        retention,
        compacted,
        past,
    ),
    st.dictionaries(
        partition,
        st.builds(Offsets, offsets, st.none() | offsets, offsets, offsets)
        | st.builds(lambda c, lag: Offsets(0, c, c + lag, c + lag), st.integers(0, 5000), st.integers(0, 5000)),
        max_size=6,
    ),
    st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"])),
    st.floats(-100, 100),
    st.floats(-1, 5),
    st.sampled_from(list(GroupState)),
    st.none() | st.integers(0, 5),
    st.none() | st.sampled_from(["range", "roundrobin", ""]),
    st.dictionaries(st.sampled_from(["a", "b"]), st.floats(0, 1e6)),
    st.frozensets(st.sampled_from(["a", "b"])),
    st.none() | st.lists(st.tuples(st.floats(0, 20_000), st.floats(0, 1)), max_size=5),  # seconds ago, share of the end
)
target = st.none() | st.builds(
    lambda replicas, ages: Target(
        replicas,
        tuple(
            Pod(f"p{i}", T0 - age, T0 - age + start if start is not None else None, template)
            for i, (age, start, template) in enumerate(ages)
        ),
        "v1",
    ),
    st.integers(0, 40),
    st.lists(
        st.tuples(st.floats(-50, 5000), st.none() | st.floats(-5, 5000), st.sampled_from(["v1", "v2"])), max_size=8
    ),
)


def told(ago: list[tuple[float, float]], parts: dict, at: float) -> Past:
    times = sorted({at - seconds for seconds, _ in ago})
    shares = sorted(share for _, share in ago)[: len(times)]
    return Past(tuple(times), {p: tuple(int(share * of.high) for share in shares) for p, of in parts.items()})


looks = st.lists(
    st.tuples(reading | st.just("error"), target, st.booleans(), st.floats(0, 60)), min_size=1, max_size=12
)
policies = st.builds(
    spec,
    st.sampled_from(["1s", "20s", "60s", "24h"]),
    st.integers(0, 3),
    st.integers(3, 50),
    st.sampled_from(["Active", "DryRun", "Paused"]),
    st.sampled_from(["latest", "earliest"]),
)


@settings(max_examples=200, deadline=None)
@given(looks, policies, st.sampled_from([None, 0.5, 100]))
def test_no_sequence_of_looks_raises_or_leaves_the_limits(looks, policy, declared):
    if declared:
        policy = policy.model_copy(
            update={"capacity": policy.capacity.model_copy(update={"records_per_second": declared})}
        )
    memory, now = Memory(), T0
    for seen, there, objects, pause in looks:
        now += pause
        if seen == "error":
            got = ReadingError(Reason.READING_FAILED, "refused", now)
        else:
            parts, ids, gap, wait, *more, ago = seen
            past = None if ago is None else told(ago, parts, now + gap)
            got = Reading(parts, ids, now + gap - wait, now + gap, *more, past)
        objection = Objection(Reason.REPLICAS_CONTENDED, "another") if objects else None
        decision, after = step(memory, Observation(got, there, objection), policy, now)
        assert step(memory, Observation(got, there, objection), policy, now) == (decision, after), "same in, same out"
        assert decision.message
        assert Memory.load(after.dump()).asked == after.asked
        if decision.replicas is not None:
            assert there is not None
            assert policy.replicas.min <= decision.replicas <= policy.replicas.max
            assert decision.replicas == decision.desired != there.replicas
            assert seen != "error"
            assert not objects
            assert policy.mode != "Paused"
        if decision.ceiling and decision.desired is not None and decision.desired > (there.replicas if there else 0):
            assert decision.desired <= max(decision.ceiling, policy.replicas.min)
        for rate in (decision.backlog.arrival_rate, decision.backlog.service_rate, decision.backlog.age):
            assert rate is None or (rate >= 0 and isfinite(rate))
        memory = after


def test_arrays_of_a_history_are_never_changed_in_place():
    past = history([(T0 + 5 * i, 10.0 * i) for i in range(30)])
    before = array("d", past.ended)
    past.add(Row(T0 + 200, T0 + 200, 400.0, 400.0, 0.0, 0.0, [400], [400], [MOVING], {}), 600.0)
    assert past.ended == before
    assert ceil(past.span) == 145


def test_the_example_of_the_engines_page_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "engine.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "docs/engine.md", "exec"), {})
    assert len(example.splitlines()) <= 20
    surge, *_, last = capsys.readouterr().out.splitlines()
    assert surge.startswith("605 Surge 1 → 6 replicas: 360/s arrive, one replica does 101/s")
    assert "Drained 2 → 1 replica: 80/s arrive" in last
