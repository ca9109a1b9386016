"""One step's observation taken into memory: the history grows by a row, and what it shows is learned."""

from dataclasses import dataclass, replace
from math import inf

from tidegate.engine.backlog import Count, aligned, count
from tidegate.engine.capacity import Fleet, learned_for
from tidegate.engine.caution import Caution
from tidegate.engine.history import History, Row
from tidegate.engine.memory import Memory
from tidegate.engine.observation import Observation, Reading, Target
from tidegate.engine.rates import Dispersion, tick_of
from tidegate.engine.saturation import Skill, Work, after, enough
from tidegate.engine.staleness import Freshest
from tidegate.engine.terms import Terms
from tidegate.engine.timing import REMEMBERED, Crew, look_at_group, look_at_pods, startup_of

KEEP_AT_LEAST = 540.0  # seconds of history: 96 readings of 5 s for the longest rate window, and some
SETTLED_TICKS = 1.5  # readings after a change of pods or members before a rate can be a capacity: so, the second one
UNDER_LOAD = 0.1  # of what the replicas can do
LATE_BY = 1.0  # second before the promise is broken
CLOCK_JUMP = 60.0  # seconds back in time: the clock was set, and the old rows' times mean nothing


@dataclass(frozen=True, slots=True)
class Learning:
    """The memory after an observation, and what this step's reading counted to (None where it was not whole)."""

    memory: Memory
    count: Count | None
    fleet: Fleet | None


def learn(memory: Memory, observation: Observation, terms: Terms, now: float) -> Learning:
    """Take in what the observation shows, whatever will be decided about it."""
    if observation.target is not None:
        memory = _with_target(memory, observation.target, now)
    reading = observation.reading
    if not isinstance(reading, Reading) or not reading.partitions:
        return Learning(replace(memory, skill=memory.skill.interrupted()), None, None)
    fleet = fleet_of(reading, terms.consumers)
    history, fresh = aligned(_usable(memory.history, reading), reading)
    counted = count(reading, history, fresh, terms.from_start)
    if len(history) and reading.ended_at <= history.ended[-1]:
        return Learning(memory, counted, fleet)  # seen before: nothing new to learn from it
    return Learning(_with_reading(memory, observation, reading, history, counted, fleet, terms), counted, fleet)


def fleet_of(reading: Reading, consumers: int) -> Fleet:
    """How the partitions can be shared out.

    The range assignor divides every topic by itself, so that only the largest one spreads over many members; every
    other one spreads the sum.
    """
    by_topic: dict[str, int] = {}
    for partition in reading.partitions:
        by_topic[partition.topic] = by_topic.get(partition.topic, 0) + 1
    spread = max if (reading.assignor or "").lower() == "range" else sum
    return Fleet(spread(by_topic.values()), consumers)


def _usable(history: History, reading: Reading) -> History:
    back = len(history) > 0 and history.ended[-1] - reading.ended_at > CLOCK_JUMP
    return History() if back else history


def _with_target(memory: Memory, target: Target, now: float) -> Memory:
    look = look_at_pods(memory.crew, target, now)
    changed = memory.asked is not None and memory.asked != target.replicas
    return replace(
        memory,
        crew=look.crew,
        startups=(*memory.startups, *look.startups)[-REMEMBERED:] if look.startups else memory.startups,
        asked=target.replicas,
        changed_at=now if changed else memory.changed_at,
    )


def _with_reading(
    memory: Memory,
    observation: Observation,
    reading: Reading,
    before: History,
    counted: Count,
    fleet: Fleet,
    terms: Terms,
) -> Memory:
    keep = max(KEEP_AT_LEAST, terms.max_age + startup_of(memory.startups, terms.startup) + 120.0)
    history = before.add(_row(before, reading, counted), keep)
    full = _full_rate(memory, observation, fleet)
    look = look_at_group(memory.crew, reading, counted.served, counted.behind, full)
    return replace(
        memory,
        history=history,
        dispersion=_dispersion(memory, before),
        freshest=_freshest(memory, history, look.crew, observation.target, counted, fleet),
        caution=_caution(memory, observation.target, history, counted, fleet, terms),
        crew=look.crew,
        pauses=(*memory.pauses, *look.pauses)[-REMEMBERED:] if look.pauses else memory.pauses,
        reset_at=reading.ended_at if counted.restarted or counted.beyond else memory.reset_at,
        skill=_skill(memory.skill, history, look.crew, observation.target, counted, fleet),
    )


def _dispersion(memory: Memory, before: History) -> Dispersion:
    """Up to the reading before this one: the newest must be judged by what was usual, or a burst excuses itself."""
    return memory.dispersion.after(before.arrived[-1] - before.arrived[-2]) if len(before) > 1 else memory.dispersion


def _freshest(
    memory: Memory, history: History, crew: Crew, target: Target | None, counted: Count, fleet: Fleet
) -> Freshest:
    """What waits tells how stale commits are only under load, and not in a rebalance: there all is committed."""
    settled = crew.unsettled is crew.paused is None
    if target is None or len(history) < 2 or not settled or not counted.arrived or counted.pace_age is None:
        return memory.freshest
    rate = counted.arrived / (history.ended[-1] - history.ended[-2])
    learned = learned_for(memory.skill.capacities, target.template)
    if learned is not None and rate < UNDER_LOAD * learned.rate * fleet.units(target.ready):
        return memory.freshest
    return memory.freshest.after(counted.pace_age, counted.behind / rate, history.ended[-1])


def _caution(
    memory: Memory, target: Target | None, history: History, counted: Count, fleet: Fleet, terms: Terms
) -> Caution:
    """Lateness teaches caution, unless all that may run does run: then no caution could have helped."""
    if target is None or not target.ready or counted.pace_age is None or len(history) < 2:
        return memory.caution
    if target.replicas >= min(terms.most, fleet.ceiling):
        return memory.caution
    late = counted.pace_age - memory.freshest.staleness.age > terms.max_age - LATE_BY
    return memory.caution.after(late, history.ended[-1] - history.ended[-2])


def _row(history: History, reading: Reading, counted: Count) -> Row:
    first = not len(history)
    return Row(
        ended=reading.ended_at,
        committed=reading.committed_at,
        arrived=counted.arrived + (0.0 if first else history.arrived[-1]),
        served=counted.served + (0.0 if first else history.served[-1]),
        behind=counted.behind,
        age=inf if counted.pace_age is None else counted.pace_age,
        highs=[share.high for share in counted.shares],
        positions=[share.position for share in counted.shares],
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


def _skill(skill: Skill, history: History, crew: Crew, target: Target | None, counted: Count, fleet: Fleet) -> Skill:
    """Learn what a replica does, unless pods or members are changing: then the group shows less than it can."""
    tick, settled_at = tick_of(history), crew.changed or 0.0
    settled = history.committed[-1] - settled_at > SETTLED_TICKS * tick and crew.unsettled is crew.paused is None
    template = _one_template(target) if target else None
    if target is None or template is None or not settled or len(history) < 2:
        return skill.interrupted()
    work = Work(history, template, target.ready, fleet, counted.behind, counted.spread, tick, settled_at)
    return after(skill, work)


def _one_template(target: Target) -> str | None:
    """The template of the ready pods, None while they are mixed (a deploy is under way)."""
    templates = {pod.template for pod in target.pods if pod.ready_since is not None}
    return templates.pop() if len(templates) == 1 else None
