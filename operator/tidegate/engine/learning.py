"""One step's observation taken into memory: the history grows by a row, and what it shows is learned."""

from collections import Counter
from collections.abc import Mapping
from math import inf
from operator import itemgetter
from typing import NamedTuple

from tidegate.engine.backlog import Count, aligned, count
from tidegate.engine.behavior import Recommendations, changed, longest_period, remembered
from tidegate.engine.capacity import Fleet, learned_for, undegraded
from tidegate.engine.caution import Caution
from tidegate.engine.commits import FLOW_OVER, NOTHING, Rhythm, Unseen, moves, unseen, workable
from tidegate.engine.history import HOLE, History, Row
from tidegate.engine.loads import Group, Loads
from tidegate.engine.memory import Memory
from tidegate.engine.observation import GroupState, Observation, Reading, Target
from tidegate.engine.rates import Dispersion, arrived_of_late, service_rate, tick_of
from tidegate.engine.saturation import ALL_HOLD_WORK, Skill, Work, after, enough
from tidegate.engine.staleness import Freshest
from tidegate.engine.terms import Terms
from tidegate.engine.timing import Crew, is_changing, look_at_group, look_at_pods, startup_of
from tidegate.engine.warm import warmed

KEEP_AT_LEAST = 540.0  # seconds of history: 96 readings of 5 s for the longest rate window, and some
SETTLED_TICKS = 1.5  # readings after a change of pods or members before a rate can be a capacity: so, the second one
NO_NEWS = 20  # readings of saturated replicas after which their capacity is no news
UNDER_LOAD = 0.1  # of what the replicas can do
LATE_BY = 1.0  # second before the promise is broken
CLOCK_JUMP = 60.0  # seconds back in time: the clock was set, and the old rows' times mean nothing


class Learning(NamedTuple):
    """The memory after an observation, and what this step's reading counted to (None where it was not whole)."""

    memory: Memory
    counted: Count | None
    fleet: Fleet | None


def learn(memory: Memory, observation: Observation, terms: Terms, now: float) -> Learning:
    """Take in what the observation shows, whatever will be decided about it."""
    reading = observation.reading
    if isinstance(reading, Reading) and _clock_was_set_back(memory.history, reading):
        memory = memory.undated()
    if observation.target is not None:
        memory = _with_target(memory, observation.target, terms, now)
    if not isinstance(reading, Reading) or not reading.partitions:
        return Learning(memory._replace(skill=memory.skill.interrupted()), None, None)
    if reading.assignor is not None and reading.assignor != memory.assignor:
        memory = memory._replace(assignor=reading.assignor)
    history, fresh = aligned(warmed(memory.history, reading), reading)
    fleet = memory.loads.on(_fleet_of(reading, memory.assignor, terms.consumers), history.partitions)
    counted = count(reading, history, fresh, terms.from_start, memory.rhythm.frozen_after)
    hidden = _unseen(memory, observation.target, reading, history, counted, fleet)
    ready = observation.target.ready if observation.target else 0
    helpless = memory.loads.helpless(history.partitions, counted.shares.lag, ready, terms.consumers)
    counted = workable(reading, history, counted, hidden, helpless)
    if len(history) and reading.ended_at <= history.ended[-1]:
        return Learning(memory, counted, fleet)  # seen before: nothing new to learn from it
    return Learning(_with_reading(memory, observation, reading, history, counted, hidden, fleet, terms), counted, fleet)


def fleet_of(counts: Mapping[str, int], assignor: str | None, consumers: int) -> Fleet:
    """How so many partitions of each topic can be shared out.

    The range assignor divides every topic by itself, so that only the largest one spreads over many members; every
    other one spreads the sum.
    """
    if len(counts) < 2 or not by_range(assignor):
        return Fleet(sum(counts.values()), consumers)
    return Fleet(max(counts.values()), consumers, topics=tuple(sorted(counts.values())))


def _fleet_of(reading: Reading, assignor: str | None, consumers: int) -> Fleet:
    if len(reading.topic_ids) < 2 or not by_range(assignor):
        return Fleet(len(reading.partitions), consumers)
    return fleet_of(Counter(map(itemgetter(0), reading.partitions)), assignor, consumers)


def by_range(assignor: str | None) -> bool:
    """Whether an assignor divides each topic by itself."""
    return (assignor or "").lower() == "range"


def _clock_was_set_back(history: History, reading: Reading) -> bool:
    return len(history) > 0 and history.ended[-1] - reading.ended_at > CLOCK_JUMP


def _with_target(memory: Memory, target: Target, terms: Terms, now: float) -> Memory:
    """What the target asks for now. Where it changed, `spec.behavior` counts that, whoever did it."""
    look = look_at_pods(memory.crew, target, now)
    crew, times = look.crew, memory.times.and_these(look.times)
    asked, before, period = target.replicas, memory.asked, longest_period(terms.behavior)
    changed_at = None if memory.changed_at is None else min(now, memory.changed_at)  # no brake until a clock catches up
    past = remembered(memory.past, period, now)
    if before is not None and before != asked:
        past = changed(past, before, asked, memory.crew.seen, now) if period else ()
        changed_at = now
    recommended = memory.recommended.begun(asked, now) if terms.behavior else Recommendations()
    return memory._replace(
        asked=asked, changed_at=changed_at, past=past, recommended=recommended, crew=crew, times=times
    )


def _with_reading(
    memory: Memory,
    observation: Observation,
    reading: Reading,
    before: History,
    counted: Count,
    hidden: Unseen,
    fleet: Fleet,
    terms: Terms,
) -> Memory:
    keep = max(KEEP_AT_LEAST, terms.max_age + startup_of(memory.times, terms.startup) + 120.0)
    history = before.add(_row(before, reading, counted, hidden), keep)
    full = None if _at_work(memory.crew, reading) else _full_rate(memory, observation, fleet)
    look = look_at_group(memory.crew, reading, counted.served, counted.behind, full)
    rhythm = _rhythm(memory, observation.target, reading, before, counted)
    return memory._replace(
        history=history,
        hours=memory.hours.after(memory.history, history),
        loads=_loads(memory, history, observation, reading, counted, terms),
        rhythm=rhythm,
        dispersion=_dispersion(memory, before),
        freshest=_freshest(memory, history, look.crew, observation.target, counted, fleet),
        caution=_caution(memory, observation.target, history, counted, fleet, terms),
        crew=look.crew,
        times=memory.times.and_these(look.times),
        reset_at=reading.ended_at if counted.restarted or counted.beyond else memory.reset_at,
        skill=_skill(memory, rhythm, history, look.crew, observation.target, counted, hidden, fleet),
    )


def _loads(
    memory: Memory, history: History, observation: Observation, reading: Reading, counted: Count, terms: Terms
) -> Loads:
    if not memory.loads.due(history):
        return memory.loads
    target = observation.target
    learned = learned_for(memory.skill.capacities, undegraded(target.template)) if target else None
    rate = terms.rate or (learned.rate if learned is not None and learned.proven else 0.0)
    group = Group(
        fleet=_fleet_of(reading, memory.assignor, terms.consumers),
        by_range=by_range(memory.assignor),
        consumers=target.ready * terms.consumers if target else 0,
        rate=rate / terms.consumers,
    )
    return memory.loads.after(history, counted.shares.lag, group)


def _rhythm(memory: Memory, target: Target | None, reading: Reading, before: History, counted: Count) -> Rhythm:
    """How often commits move, while a settled group has something to commit. A level of the ladder changes the work of
    a record, and not when the consumers commit.
    """
    if target is None or not target.ready or not before.looks or not _at_work(memory.crew, reading):
        return memory.rhythm
    held, moved = moves(before.standing, counted)
    seconds = min(reading.ended_at - before.ended[-1], HOLE * tick_of(before))
    return memory.rhythm.after(held, moved, seconds, reading.committed_at, undegraded(target.template))


def _at_work(crew: Crew, reading: Reading) -> bool:
    return crew.paused is None and reading.state is GroupState.STABLE and not is_changing(crew, reading)


def _unseen(
    memory: Memory, target: Target | None, reading: Reading, before: History, counted: Count, fleet: Fleet
) -> Unseen:
    """What commits in batches hide; nothing where they show at every reading, or nobody works."""
    rhythm = memory.rhythm
    if target is None or not before.looks or not rhythm.interval or not rhythm.in_batches(tick_of(before)):
        return NOTHING
    if not _at_work(memory.crew, reading):
        return NOTHING
    resumed = memory.crew.changed or 0.0
    learned = learned_for(memory.skill.capacities, target.template)
    full = learned.rate * fleet.units(target.ready) if learned else 0.0
    served = service_rate(before, resumed, rhythm.window) or 0.0
    guessed = 0.0 if rhythm.known else arrived_of_late(before, FLOW_OVER)  # until it was seen to commit
    rate = max(full, served, guessed)
    return unseen(counted, reading.committed_at, before.flow(FLOW_OVER), rhythm, rate, resumed)


def _dispersion(memory: Memory, before: History) -> Dispersion:
    """Up to the reading before this one: the newest must be judged by what was usual, or a burst excuses itself."""
    return memory.dispersion.after(before.arrived[-1] - before.arrived[-2]) if before.looks > 1 else memory.dispersion


def _freshest(
    memory: Memory, history: History, crew: Crew, target: Target | None, counted: Count, fleet: Fleet
) -> Freshest:
    """What waits tells how stale commits are only under load, and not in a rebalance: there all is committed."""
    if target is None or history.looks < 2 or not crew.settled or not counted.arrived or counted.pace_age is None:
        return memory.freshest
    rate = counted.arrived / (history.ended[-1] - history.ended[-2])
    learned = learned_for(memory.skill.capacities, target.template)
    if learned is not None and rate < UNDER_LOAD * learned.rate * fleet.units(target.ready):
        return memory.freshest
    return memory.freshest.after(counted.pace_age, counted.behind / rate, history.ended[-1])


def _caution(
    memory: Memory, target: Target | None, history: History, counted: Count, fleet: Fleet, terms: Terms
) -> Caution:
    """Lateness teaches caution, unless none could have helped: all that may run does run, or the capacity is news."""
    if target is None or not target.ready or counted.pace_age is None or history.looks < 2:
        return memory.caution
    if target.replicas >= min(terms.most, fleet.ceiling) or memory.loads.hot:
        return memory.caution
    learned = learned_for(memory.skill.capacities, target.template)
    if learned is None or learned.samples < NO_NEWS:
        return memory.caution
    late = counted.pace_age - memory.freshest.staleness.age > terms.max_age - LATE_BY
    return memory.caution.after(late, history.ended[-1] - history.ended[-2])


def _row(history: History, reading: Reading, counted: Count, hidden: Unseen) -> Row:
    first = not len(history)
    return Row(
        ended=reading.ended_at,
        committed=reading.committed_at - hidden.seconds,  # when what it shows was committed
        arrived=counted.arrived + (0.0 if first else history.arrived[-1]),
        served=counted.served + (0.0 if first else history.served[-1]),
        behind=counted.behind,
        age=inf if counted.pace_age is None else counted.pace_age,
        highs=counted.shares.high,
        positions=counted.shares.position,
        standing=counted.standing,
        pinned=counted.pinned,
    )


def _full_rate(memory: Memory, observation: Observation, fleet: Fleet) -> float | None:
    """What the group does while saturated, None unless it held enough work before and its capacity is proven."""
    target, history = observation.target, memory.history
    learned = learned_for(memory.skill.capacities, target.template) if target else None
    if not (target and learned and learned.proven and len(history)):
        return None
    full = learned.rate * fleet.units(min(target.ready, memory.crew.working) or target.ready)
    return full if 0 < enough(history) * full < history.behind[-1] else None


def _skill(
    memory: Memory,
    rhythm: Rhythm,
    history: History,
    crew: Crew,
    target: Target | None,
    counted: Count,
    hidden: Unseen,
    fleet: Fleet,
) -> Skill:
    """Learn what a replica does, unless pods or members are changing: then the group shows less than it can."""
    skill, tick, settled_at = memory.skill, tick_of(history), max(crew.changed or 0.0, memory.ladder.shows_at)
    settled = history.ended[-1] - settled_at > SETTLED_TICKS * tick and crew.settled
    template = _one_template(target) if target else None
    if target is None or template is None or not settled or history.looks < 2:
        return skill.interrupted()
    waits = round(counted.behind + hidden.records)
    batch = hidden.seconds + tick if rhythm.in_batches(tick) else 0.0
    interval = rhythm.interval if batch else 0.0
    shown = max(settled_at, history.ended[history.told]) + interval if batch else settled_at
    much, spread = enough(history), counted.spread
    if fleet.uneven[0]:
        spread = memory.loads.holding(counted.shares.lag, (much + batch) * arrived_of_late(history, FLOW_OVER))
    if spread < ALL_HOLD_WORK and history.overhangs(tick):
        return skill.interrupted()  # what waits does so in the partitions there were: who has new ones may idle
    work = Work(history, template, target.ready, fleet, waits, much, spread, tick, settled_at, batch, shown)
    return after(skill, work)


def _one_template(target: Target) -> str | None:
    """The template of the ready pods, None while they are mixed (a deploy is under way)."""
    templates = {pod.template for pod in target.pods if pod.ready_since is not None}
    return templates.pop() if len(templates) == 1 else None
