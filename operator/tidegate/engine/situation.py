"""Everything a rule may look at, gathered once a step."""

from dataclasses import dataclass, replace

from tidegate.engine import words
from tidegate.engine.backlog import Count
from tidegate.engine.capacity import OFF, SURE, Fleet, Learned, learned_for
from tidegate.engine.decision import Backlog, Basis, Capacity
from tidegate.engine.learning import Learning
from tidegate.engine.memory import Memory
from tidegate.engine.observation import Observation
from tidegate.engine.rates import Level, arrival_level, service_rate, tick_of
from tidegate.engine.staleness import Staleness
from tidegate.engine.terms import Terms
from tidegate.engine.timing import Arrivals, rebalance_of, replicas_on_their_way, startup_of

REBALANCE_PATIENCE = 3.0
SHORTEST_PATIENCE, LONGEST_PATIENCE = 15.0, 60.0
"""A rebalance three times as long as usual, within these bounds in seconds, no longer stops scaling out: the work waits
whether or not the group settles."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One step's facts: what was observed, counted and learned, in the engine's units.

    `count`, `fleet` and `arrival` are None where the reading failed or is not enough. `staleness` is what
    commits always hide.
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
    staleness: Staleness

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

    def numbers(self) -> list[str]:
        """The facts of the arithmetic in words, in at most one piece; none where nothing is known."""
        parts = [f"{words.rate(self.arrival.rate)} arrive"] if self.arrival else []
        if self.per_replica is not None:
            parts.append(f"one replica does {words.rate(self.per_replica)}")
        if self.backlog.lag is not None:
            parts.append(f"{words.some(self.backlog.lag, 'record')} wait{'s' if self.backlog.lag == 1 else ''}")
        if self.backlog.age is not None:
            allowed = words.seconds(self.terms.max_age)
            parts.append(f"oldest {words.seconds(self.backlog.age)} of {allowed} allowed")
        return [", ".join(parts)] if parts else []

    def troubles(self) -> list[str]:
        """What a person should look at, in words: a partition that stands still, a group that does not settle."""
        frozen = sorted(self.count.frozen) if self.count else []
        found = [f"{p.topic}/{p.partition} does not move: a record or a key holds it up" for p in frozen[:1]]
        if self.terms.rate is not None and self.capacity.basis is Basis.LEARNED:
            found.append(f"spec.capacity says {words.rate(self.terms.rate)} a replica")
        if self.unsettled_for > self.patience:
            found.append(f"the group has been rebalancing for {words.seconds(self.unsettled_for)}")
        return found

    @property
    def unsettled_for(self) -> float:
        """Seconds for which every reading has found the group changing."""
        since = self.memory.crew.unsettled
        return self.now - since if since is not None else 0.0

    @property
    def patience(self) -> float:
        """Seconds for which a rebalance stops judging."""
        return min(LONGEST_PATIENCE, max(SHORTEST_PATIENCE, REBALANCE_PATIENCE * self.pause))


def situation(learning: Learning, observation: Observation, terms: Terms, now: float) -> Situation:
    """Gather the facts of a step from what it taught."""
    memory, target = learning.memory, observation.target
    tick = tick_of(memory.history)
    startup = startup_of(memory.startups, terms.startup)
    pause = rebalance_of(memory.pauses, terms.rebalance, terms.max_age)
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
        staleness=memory.freshest.staleness,
    )
    return replace(there, backlog=_backlog(there, there.count)) if there.count is not None else there


def _capacity(terms: Terms, learned: Learned | None, startup: float, pause: float) -> Capacity:
    """A declared capacity wins, unless saturated replicas do less: a promise is not kept by what is not there."""
    proven = learned.rate if learned is not None and learned.proven else None
    if terms.rate is not None and not _falls_short(learned, terms.rate):
        return Capacity(terms.rate, Basis.DECLARED, startup, pause)
    return Capacity(proven, Basis.UNKNOWN if proven is None else Basis.LEARNED, startup, pause)


def _falls_short(learned: Learned | None, declared: float) -> bool:
    return learned is not None and learned.samples >= SURE and learned.rate < declared * (1 - OFF)


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
