"""Everything a rule may look at, gathered once a step."""

from typing import NamedTuple

from tidegate.engine import words
from tidegate.engine.backlog import Count
from tidegate.engine.capacity import OFF, SURE, Capacities, Fleet, Learned, at_level, learned_for, undegraded
from tidegate.engine.decision import Backlog, Basis, Capacity
from tidegate.engine.learning import Learning
from tidegate.engine.memory import Memory
from tidegate.engine.observation import Observation, Target
from tidegate.engine.rates import Level, arrival_level, service_rate, tick_of
from tidegate.engine.staleness import Staleness
from tidegate.engine.terms import Terms
from tidegate.engine.timing import Arrivals, rebalance_of, replicas_on_their_way, startup_of

APART = 0.25  # of a rate: two that differ by more are both told
REBALANCE_PATIENCE = 3.0
SHORTEST_PATIENCE, LONGEST_PATIENCE = 15.0, 60.0
"""A rebalance three times as long as usual, within these bounds in seconds, no longer stops scaling out: the work waits
whether or not the group settles."""

RETENTION_NEAR = 1 / 3
"""Of the age of the oldest record: with less time than that left, three quarters of its retention are gone."""
BLIND = 2.0
"""Times between two commits: in a promise no longer than that, what waits and what was done at once look alike."""


class Situation(NamedTuple):
    """One step's facts: what was observed, counted and learned, in the engine's units.

    `counted`, `fleet` and `arrival` are None where the reading failed or is not enough. `staleness` is what
    commits always hide.
    """

    now: float
    terms: Terms
    observation: Observation
    memory: Memory
    counted: Count | None
    fleet: Fleet | None
    arrival: Level | None
    learned: Learned | None
    backlog: Backlog
    capacity: Capacity
    on_their_way: Arrivals
    tick: float
    startup: float
    pause: float
    leaving: float  # the pause when members only leave
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
    def unseen(self) -> float:
        """Seconds of age that the oldest record only seems to have, as what is done is not yet committed."""
        return self.staleness.age + (self.counted.unseen if self.counted else 0.0)

    @property
    def half_gone(self) -> bool:
        """Whether the oldest record has used up half of the promise."""
        age = self.counted.pace_age if self.counted else None
        return age is not None and age > self.terms.max_age / 2

    @property
    def per_replica(self) -> float | None:
        """Records/s of one replica: declared, else learned; None while only a lower bound is known."""
        return self.capacity.per_replica

    @property
    def level(self) -> int:
        """The level of the degradation ladder that is in force."""
        return self.observation.flags.level if self.observation.flags else 0

    def rate_at(self, level: int) -> float | None:
        """Records/s of one replica at a level: as it was seen to do there, else what is known of lower ones."""
        target = self.observation.target
        if target is None:
            return self.per_replica
        return _rate_at(self.terms, self.memory.skill.capacities, target.template, level, self.per_replica)

    @property
    def retention_near(self) -> bool:
        """Whether records were deleted unread, or will be soon."""
        age, margin = self.backlog.age, self.backlog.retention_margin
        near = margin is not None and age is not None and margin < age * RETENTION_NEAR
        return near or self.backlog.lost > 0

    @property
    def since_change(self) -> float:
        """Seconds since the replicas asked for last changed."""
        changed = self.memory.changed_at
        return self.now - changed if changed is not None else float("inf")

    @property
    def blind(self) -> bool:
        """Whether commits come too seldom to show the promise: it is kept by reckoning, and cannot be seen to be."""
        rhythm = self.memory.rhythm
        return rhythm.known and rhythm.in_batches(self.tick) and self.terms.max_age < BLIND * rhythm.own

    def numbers(self) -> list[str]:
        """The facts of the arithmetic in words, in at most one piece; none where nothing is known."""
        parts = [_arriving(self.arrival)] if self.arrival else []
        if self.per_replica is not None:
            parts.append(f"one replica does {words.rate(self.per_replica)}{self._degraded()}")
        if self.backlog.lag is not None:
            parts.append(f"{words.some(self.backlog.lag, 'record')} wait{'s' if self.backlog.lag == 1 else ''}")
        if self.backlog.age is not None:
            allowed = words.seconds(self.terms.max_age)
            parts.append(f"oldest {words.seconds(self.backlog.age)} of {allowed} allowed")
        return [", ".join(parts)] if parts else []

    def _degraded(self) -> str:
        """What a replica does without the features that are off, which does not count where it is sized."""
        rate = self.rate_at(self.level) if self.level else None
        return f" ({words.rate(rate)} at level {self.level})" if rate else ""

    def troubles(self) -> list[str]:
        """What a person should look at, in words: a partition that stands still, a group that does not settle."""
        frozen = sorted(self.counted.frozen) if self.counted else []
        found = [f"{p.topic}/{p.partition} does not move: a record or a key holds it up" for p in frozen[:1]]
        found += self._hot()
        if self.blind:
            every = words.seconds(self.tick * round(self.memory.rhythm.own / self.tick))
            allowed = words.seconds(self.terms.max_age)
            found.append(f"commits come every {every}: too seldom to show that {allowed} are kept")
        if self.terms.rate is not None and self.capacity.basis is Basis.LEARNED:
            found.append(f"spec.capacity says {words.rate(self.terms.rate)} a replica")
        if self.unsettled_for > self.patience:
            found.append(f"the group has been rebalancing for {words.seconds(self.unsettled_for)}")
        return found

    def _hot(self) -> list[str]:
        """The hottest of the partitions that get more than one consumer can do."""
        loads = self.memory.loads
        if not loads.hot or self.arrival is None or loads.partitions != self.memory.history.partitions:
            return []
        place = max(loads.hot, key=loads.shares.__getitem__)
        (topic, number), share = loads.partitions[place], loads.shares[place]
        gets = f"{round(100 * share)} % of the records, {words.rate(share * self.arrival.rate)}"
        return [f"{topic}/{number} gets {gets}: it has one consumer, and more replicas do not help it"]

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
    times = memory.times
    startup = startup_of(times, terms.startup)
    pause = rebalance_of(times.joins or times.leaves, terms.rebalance, terms.max_age)
    arrival = arrival_level(memory.history, memory.dispersion, tick)
    learned = learned_for(memory.skill.capacities, undegraded(target.template)) if target else None
    changed = memory.changed_at if memory.changed_at is not None else 0.0
    capacity = _capacity(terms, learned, startup, pause)
    rate, level = capacity.per_replica, observation.flags.level if observation.flags else 0
    if level and target:
        rate = _rate_at(terms, memory.skill.capacities, target.template, level, rate)
    return Situation(
        now=now,
        terms=terms,
        observation=observation,
        memory=memory,
        counted=learning.counted,
        fleet=learning.fleet,
        arrival=arrival,
        learned=learned,
        backlog=memory.backlog if learning.counted is None else _backlog(learning, target, arrival, rate),
        capacity=capacity,
        on_their_way=replicas_on_their_way(target, changed, startup, now) if target else Arrivals(0, 0.0, 0),
        tick=tick,
        startup=startup,
        pause=pause,
        leaving=rebalance_of(times.leaves or sorted(times.joins)[:1], terms.rebalance, terms.max_age),
        staleness=memory.freshest.staleness,
    )


def _rate_at(terms: Terms, known: Capacities, template: str, level: int, undegraded_rate: float | None) -> float | None:
    """A declared capacity is that of level 0; what a level spares must be seen."""
    learned = learned_for(known, at_level(undegraded(template), level)) if level else None
    if learned is None or not learned.proven or (terms.rate is not None and not learned.samples):
        return undegraded_rate
    return learned.rate


def _capacity(terms: Terms, learned: Learned | None, startup: float, pause: float) -> Capacity:
    """A declared capacity wins, unless saturated replicas do less: a promise is not kept by what is not there."""
    proven = learned.rate if learned is not None and learned.proven else None
    if terms.rate is not None and not _falls_short(learned, terms.rate):
        return Capacity(terms.rate, Basis.DECLARED, startup, pause)
    return Capacity(proven, Basis.UNKNOWN if proven is None else Basis.LEARNED, startup, pause)


def _arriving(arrival: Level) -> str:
    """What arrives, and what is reckoned with where that is something else: noise and memory make the two differ."""
    seen, reckoned = words.rate(arrival.seen), words.rate(arrival.rate)
    apart = abs(arrival.seen - arrival.rate) > APART * max(arrival.seen, arrival.rate)
    return f"{seen} arrive ({reckoned} reckoned with)" if apart else f"{reckoned} arrive"


def _falls_short(learned: Learned | None, declared: float) -> bool:
    return learned is not None and learned.samples >= SURE and learned.rate < declared * (1 - OFF)


def _backlog(learning: Learning, target: Target | None, arrival: Level | None, rate: float | None) -> Backlog:
    count, memory = learning.counted, learning.memory
    assert count is not None
    service = service_rate(memory.history, memory.crew.changed or 0.0, memory.rhythm.window)
    full = _full_rate(learning.fleet, target, rate)
    return Backlog(
        lag=count.lag,
        age=count.age,
        arrival_rate=arrival.seen if arrival else None,
        service_rate=service,
        drain_time=_drain_time(count.lag, arrival, service if full is None else full),
        retention_margin=count.retention_margin,
        lost=count.lost,
    )


def _full_rate(fleet: Fleet | None, target: Target | None, rate: float | None) -> float | None:
    """What the replicas that are ready can do; None where that is not known."""
    if not rate or fleet is None:
        return None
    return rate * fleet.units(target.ready if target else 0)


def _drain_time(lag: int | None, arrival: Level | None, full: float | None) -> float | None:
    """Seconds until the backlog is gone with the replicas that are ready; None while it grows or nobody knows."""
    if lag is None or arrival is None:
        return None
    if lag == 0:
        return 0.0
    return lag / (full - arrival.rate) if full is not None and full > arrival.rate else None
