"""Everything a rule may look at, gathered once a step."""

from dataclasses import dataclass, replace

from tidegate.engine.backlog import Count
from tidegate.engine.capacity import Fleet, Learned, learned_for
from tidegate.engine.decision import Backlog, Basis, Capacity
from tidegate.engine.learning import Learning
from tidegate.engine.memory import Memory
from tidegate.engine.observation import Observation
from tidegate.engine.rates import Level, arrival_level, service_rate, tick_of
from tidegate.engine.saturation import STALENESS
from tidegate.engine.terms import Terms
from tidegate.engine.timing import Arrivals, rebalance_of, replicas_on_their_way, startup_of

STALENESS_OVER = 600.0  # seconds in which commits must have been current once, to tell staleness from a standing queue
STALENESS_ROWS = 6


@dataclass(frozen=True, slots=True)
class Situation:
    """One step's facts: what was observed, counted and learned, in the engine's units.

    `count`, `fleet` and `arrival` are None where the reading failed or is not enough. `staleness` is by how many
    seconds commits are always behind the work.
    """

    now: float
    terms: Terms
    observation: Observation
    memory: Memory
    count: Count | None
    fleet: Fleet | None
    arrival: Level | None
    learned: Learned | None
    backlog: Backlog
    capacity: Capacity
    on_their_way: Arrivals
    tick: float
    startup: float
    pause: float
    staleness: float

    @property
    def lead(self) -> float:
        """Seconds from seeing a need to serving it: one reading, a start-up, a pause."""
        return self.tick + self.startup + self.pause

    @property
    def asked(self) -> int:
        """Replicas the target asks for now."""
        return self.observation.target.replicas if self.observation.target else 0

    @property
    def ready(self) -> int:
        """Replicas that are ready."""
        return self.observation.target.ready if self.observation.target else 0

    @property
    def per_replica(self) -> float | None:
        """Records/s of one replica: declared, else learned; None while only a lower bound is known."""
        return self.capacity.per_replica

    @property
    def since_change(self) -> float:
        """Seconds since the replicas asked for last changed."""
        changed = self.memory.changed_at
        return self.now - changed if changed is not None else float("inf")


def situation(learning: Learning, observation: Observation, terms: Terms, now: float) -> Situation:
    """Gather the facts of a step from what it taught."""
    memory, target = learning.memory, observation.target
    tick = tick_of(memory.history)
    startup, pause = startup_of(memory.startups, terms.startup), rebalance_of(memory.pauses, terms.rebalance)
    arrival = arrival_level(memory.history, memory.dispersion, tick)
    learned = learned_for(memory.skill.capacities, target.template) if target else None
    changed = memory.changed_at if memory.changed_at is not None else 0.0
    capacity = _capacity(terms, learned, startup, pause)
    there = Situation(
        now=now,
        terms=terms,
        observation=observation,
        memory=memory,
        count=learning.count,
        fleet=learning.fleet,
        arrival=arrival,
        learned=learned,
        backlog=memory.backlog,
        capacity=capacity,
        on_their_way=replicas_on_their_way(target, changed, startup, now) if target else Arrivals(0, 0.0, 0),
        tick=tick,
        startup=startup,
        pause=pause,
        staleness=_staleness(memory),
    )
    return replace(there, backlog=_backlog(there, there.count)) if there.count is not None else there


def _capacity(terms: Terms, learned: Learned | None, startup: float, pause: float) -> Capacity:
    """A declared capacity wins: the user may know of a limit that has not been met yet."""
    if terms.rate is not None:
        return Capacity(terms.rate, Basis.DECLARED, startup, pause)
    if learned is not None and learned.proven:
        return Capacity(learned.rate, Basis.LEARNED, startup, pause)
    return Capacity(None, Basis.UNKNOWN, startup, pause)


def _staleness(memory: Memory) -> float:
    """Commits never come closer to the end than this, not even when the work is done: at most an auto-commit's 5 s."""
    history = memory.history
    if len(history) < STALENESS_ROWS:
        return 0.0
    first = history.since(history.ended[-1] - STALENESS_OVER)
    return min(STALENESS, min(history.age[first:]))


def _backlog(there: Situation, count: Count) -> Backlog:
    service = service_rate(there.memory.history, there.memory.crew.changed or 0.0)
    arrival = there.arrival.rate if there.arrival else None
    return Backlog(
        lag=count.lag,
        age=count.age,
        arrival_rate=arrival,
        service_rate=service,
        drain_time=_drain_time(there, count.lag, arrival, service),
        retention_margin=count.retention_margin,
        lost=count.lost,
    )


def _drain_time(there: Situation, lag: int | None, arrival: float | None, service: float | None) -> float | None:
    """Seconds until the backlog is gone with the replicas that are ready; None while it grows or nobody knows."""
    if lag is None or arrival is None:
        return None
    if lag == 0:
        return 0.0
    full = there.per_replica * there.fleet.units(there.ready) if there.per_replica and there.fleet else service
    return lag / (full - arrival) if full is not None and full > arrival else None
