"""When what the group did is what it can do: capacity is seen only while the consumers are saturated.

Arrival throughput of an idle group says nothing about capacity but a lower bound.
"""

from dataclasses import dataclass
from typing import NamedTuple

from tidegate.engine.capacity import SURE, Capacities, Fleet, Learned, Trial, learned_for, tried, with_learned
from tidegate.engine.history import History
from tidegate.engine.rates import SERVICE_WINDOW, service_rate, usual_age
from tidegate.engine.staleness import STALENESS

WORKING = 2.0
"""Seconds of work that must wait, beyond what may be done and not yet committed, at both ends of an interval to call
the consumers saturated in it."""
SURELY = 60.0
"""Seconds of what was done lately: where so much waits nobody idles, however much was thought to be possible."""
HOLDS_WORK = 0.5  # share of the active partitions that must hold a part of it: one hot partition saturates one consumer
ALL_HOLD_WORK = 0.9
LOOK_BACK = 30.0  # seconds: six auto-commits; an older service says less of the present one
BOUND_OVER = 15.0  # seconds, and three readings, for a lower bound: shorter ones would take jumps of commits for speed
HIGHER = 1.05  # a lower bound this far above what was believed is no noise of the measuring


@dataclass(frozen=True, slots=True)
class Streak:
    """Readings in a row that found the same replicas saturated, since when."""

    since: float
    replicas: int


class Skill(NamedTuple):
    """What is known of the replicas' capacity, and the saturated time it is being learned from."""

    capacities: Capacities = ()
    streak: Streak | None = None
    trial: Trial | None = None

    def interrupted(self) -> "Skill":
        """Without the saturated time: something happened that it would be blamed for."""
        return self._replace(streak=None) if self.streak else self


class Work(NamedTuple):
    """What a settled group did up to its newest reading: `ready` replicas of one `template`, `behind` records behind.

    `enough` are the seconds of work that must wait to be sure that nobody idles, `spread` is the share of the active
    partitions that hold a real part of that, `settled_at` when the group last changed. Where commits come in batches,
    `batch` is the seconds for which they may have been behind the work, and `shown_at` when every partition had
    committed since.
    """

    history: History
    template: str
    ready: int
    fleet: Fleet
    behind: int
    enough: float
    spread: float
    tick: float
    settled_at: float
    batch: float
    shown_at: float


def after(skill: Skill, work: Work) -> Skill:
    """The skill after one more reading of a settled group."""
    if not saturated(skill, work):
        return _bounded(skill, work).interrupted()
    streak = skill.streak
    if streak is None or streak.replicas != work.ready:
        return skill._replace(streak=Streak(work.history.ended[-1], work.ready))
    return _sampled(skill, streak, work)


def saturated(skill: Skill, work: Work) -> bool:
    """Whether more waits than jumps of commits explain, measured in seconds of work, in most partitions."""
    needed = ALL_HOLD_WORK if work.fleet.uneven[0] else HOLDS_WORK  # where some get more, those few are no measure
    if work.spread < needed:
        return False
    recent = service_rate(work.history, work.settled_at, SERVICE_WINDOW + 2 * work.batch) or 0.0
    learned = learned_for(skill.capacities, work.template)
    full = learned.rate * work.fleet.units(work.ready) if learned and learned.proven else 0.0
    least = min((work.enough + work.batch) * max(full, recent), (SURELY + work.batch) * recent)
    return work.behind > least


def enough(history: History) -> float:
    """Seconds of work that must wait to be sure that nobody idles."""
    usual = usual_age(history)
    return WORKING + (STALENESS if usual is None else min(STALENESS, usual))


def _sampled(skill: Skill, streak: Streak, work: Work) -> Skill:
    """Learn from the saturated time, at most the last half minute of it.

    Where all partitions hold work every consumer was busy; else only the fullest, and they set the pace.
    """
    since = max(streak.since + work.batch, work.shown_at, work.history.ended[-1] - LOOK_BACK - 2 * work.batch)
    rate, seconds = _done_since(work.history, since)
    if rate <= 0 or seconds < work.batch:
        return skill
    units = work.fleet.units(work.ready)
    if work.spread >= ALL_HOLD_WORK:
        units = max(units, min(work.ready, work.fleet.owners))
    known = (learned_for(skill.capacities, work.template) or Learned(work.template, 0.0)).saturated(rate / units)
    sure = seconds > (SURE - 0.5) * work.tick + 2 * work.batch
    trial = tried(skill.trial, units, min(rate, known.rate * units), sure, work.history.ended[-1])
    return skill._replace(capacities=with_learned(skill.capacities, known), trial=trial)


def _bounded(skill: Skill, work: Work) -> Skill:
    """Learn a lower bound from a time in which the replicas may have idled."""
    wanted = max(BOUND_OVER, 3 * work.tick) + 2 * work.batch
    since = work.history.ended[-1] - wanted
    rate, seconds = _done_since(work.history, since - work.tick / 2)
    known = learned_for(skill.capacities, work.template) or Learned(work.template, 0.0)
    bound = rate / work.ready
    if seconds < 0.9 * wanted or since < work.shown_at or bound <= known.rate * HIGHER:
        return skill
    return skill._replace(capacities=with_learned(skill.capacities, known.busy(bound)))


def _done_since(history: History, time: float) -> tuple[float, float]:
    """Records/s served since the first reading after a time, and the seconds that is."""
    row = history.since(time)
    seconds = history.committed[-1] - history.committed[row]
    return ((history.served[-1] - history.served[row]) / seconds if seconds > 0 else 0.0), seconds
