"""A small deterministic world for time lines of the engine: partitions that fill, pods that start, a group that pauses.

Fluid (records are fractions) but with what a broker really shows: whole offsets, commits in jumps, two answer times.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor, inf
from operator import gt

from tidegate.api import LagPolicySpec
from tidegate.engine import (
    Decision,
    GroupState,
    Memory,
    Observation,
    Offsets,
    PartitionId,
    Past,
    Pod,
    Reading,
    Target,
    step,
)

T0 = 1_700_000_000.0


def spec(
    max_age: str = "30s",
    least: int = 1,
    most: int = 32,
    mode: str = "Active",
    reset: str = "latest",
    behavior: dict | None = None,
    **capacity,
):
    return LagPolicySpec.model_validate(
        {
            "targetRef": {"name": "points-consumer"},
            "source": {
                "kafka": {"connectionRef": {"name": "shop-kafka"}, "group": "points", "offsetReset": reset},
            },
            "objective": {"maxAge": max_age},
            "replicas": {"min": least, "max": most},
            "capacity": capacity,
            "mode": mode,
            "behavior": behavior,
        }
    )


@dataclass
class Partition:
    start: int = 0
    end: float = 0.0
    done: float = 0.0
    committed: int | None = 0
    limit: float = inf  # nobody gets past this offset: an open transaction, or a record that cannot be processed
    transaction: bool = False
    waiting: deque[tuple[float, float]] = field(default_factory=deque)


@dataclass
class WorldPod:
    name: str
    created: float
    ready_at: float
    template: str
    joined: bool = False


@dataclass
class World:
    """What is: advance it with `run`, look at it with `observation`."""

    arrivals: Callable[[float], float]  # records/s at a second since T0
    capacity: float = 100.0  # records/s of a consumer
    partitions: int = 12
    replicas: int = 1
    startup: Callable[[int], float] = lambda index: 5.0  # seconds, by the pod's index
    join: float = 1.0  # seconds from ready to the group
    pause: float = 3.0
    commits: float = 0.0  # seconds between commits; 0: at once
    max_age: float = 30.0
    tick: float = 5.0
    dt: float = 0.1
    weights: tuple[float, ...] = ()
    template: str = "v1"
    now: float = T0
    steps: int = 0
    stopped_until: float = T0
    produced: float = 0.0
    served: float = 0.0
    late: float = 0.0
    oldest_done: float = 0.0
    pod_seconds: float = 0.0
    changes: list[tuple[float, int, int]] = field(default_factory=list)
    log: list[tuple[float, Decision]] = field(default_factory=list)
    curve: dict[float, list[int]] = field(default_factory=dict)  # the ends at every moment, as a broker's log has them

    def __post_init__(self):
        self.parts = [Partition() for _ in range(self.partitions)]
        self.weights = self.weights or (1.0,) * self.partitions
        self.pods: list[WorldPod] = []
        self.made = 0
        for _ in range(self.replicas):
            self._make_pod(self.now - 600.0)
        for pod in self.pods:
            pod.joined = True
        self.members = [pod.name for pod in self.pods]
        self.memory = Memory()

    # --- the world
    def _make_pod(self, at: float) -> None:
        self.pods.append(WorldPod(f"pod-{self.made}", at, at + self.startup(self.made), self.template))
        self.made += 1

    def scale(self, replicas: int) -> None:
        self.changes.append((self.now - T0, self.replicas, replicas))
        self.replicas = replicas
        while len(self.pods) < replicas:
            self._make_pod(self.now + 0.5)
        self.pods.sort(key=lambda pod: (not pod.joined, pod.created))
        del self.pods[replicas:]

    def _members(self) -> None:
        for pod in self.pods:
            if not pod.joined and pod.ready_at <= self.now:
                pod.joined = True
        members = self._working()
        if members != self.members:
            self.members = members
            self.stopped_until = self.now + self.pause
            for part in self.parts:  # consumers commit what they did before partitions are taken away
                part.committed = floor(part.done)

    def _working(self) -> list[str]:
        return [pod.name for pod in self.pods if pod.joined and pod.ready_at + self.join <= self.now]

    def _arrive(self) -> None:
        rate = max(0.0, self.arrivals(self.now - T0)) * self.dt
        total = sum(self.weights)
        for part, weight in zip(self.parts, self.weights, strict=True):
            part.end += rate * weight / total
            if rate:
                part.waiting.append((self.now, part.end))
        self.produced += rate

    def _serve(self) -> None:
        if self.now < self.stopped_until or not self.members:
            return
        for index in range(len(self.members)):
            mine = self.parts[index :: len(self.members)]
            budget = self.capacity * self.dt
            for _ in range(3):  # what the full ones leave goes to the others
                hungry = [part for part in mine if min(part.end, part.limit) - part.done > 1e-9]
                if not hungry or budget < 1e-9:
                    break
                share = budget / len(hungry)
                for part in hungry:
                    taken = min(share, min(part.end, part.limit) - part.done)
                    budget -= taken
                    self._done(part, taken)

    def _done(self, part: Partition, taken: float) -> None:
        part.done += taken
        self.served += taken
        before = part.done - taken
        while part.waiting and before < part.done - 1e-9:
            arrived, upto = part.waiting[0]
            amount = min(upto, part.done) - before
            age = self.now - arrived
            self.oldest_done = max(self.oldest_done, age)
            if age > self.max_age + self.dt:
                self.late += amount
            before += amount
            if upto <= part.done + 1e-9:
                part.waiting.popleft()
            else:
                break

    def _commit(self) -> None:
        for index, part in enumerate(self.parts):
            phase = (index % 7) * self.commits / 7
            due = not self.commits or (self.now - T0 + phase) % self.commits < self.dt
            if due and self.now >= self.stopped_until and part.committed is not None:
                part.committed = floor(part.done)

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / self.dt)):
            self.steps += 1
            self.now = T0 + self.steps * self.dt
            self.pod_seconds += len(self.pods) * self.dt
            self._members()
            self._arrive()
            self.curve[self.now] = [floor(part.end) for part in self.parts]
            self._serve()
            self._commit()

    # --- what is seen of it
    @property
    def state(self) -> GroupState:
        if not self.members:
            return GroupState.EMPTY
        return GroupState.REBALANCING if self.now < self.stopped_until else GroupState.STABLE

    def reading(self) -> Reading:
        return Reading(
            partitions={
                PartitionId("points", i): Offsets(p.start, p.committed, floor(p.end), floor(p.end))
                for i, p in enumerate(self.parts)
            },
            topic_ids={"points": "id-1"},
            committed_at=self.now,
            ended_at=self.now + 0.02,
            state=self.state,
            members=len(self.members),
            assignor="cooperative-sticky",
        )

    def past(self, *ago: float) -> Past:
        """The ends of all partitions so many seconds ago, as a broker tells them: never falling."""
        now = self.reading()
        rows = [(now.ended_at, [offsets.high for offsets in now.partitions.values()])]
        for seconds in sorted(ago):
            at = min(self.curve, key=lambda t: abs(t - self.now + seconds))
            row, newer = self.curve[at], rows[-1]
            if len(row) != len(newer[1]) or any(map(gt, row, newer[1])):
                break
            rows.append((now.ended_at + at - self.now, row))
        told = dict(reversed(rows[1:]))
        return Past(
            tuple(told),
            {partition: tuple(row[i] for row in told.values()) for i, partition in enumerate(now.partitions)},
        )

    def target(self) -> Target:
        pods = tuple(
            Pod(p.name, p.created, p.ready_at if p.joined else None, p.template)
            for p in self.pods
            if p.created <= self.now
        )
        return Target(self.replicas, pods, self.template)

    def observation(self) -> Observation:
        return Observation(self.reading(), self.target())

    # --- the engine in it
    def decide(self, policy: LagPolicySpec, observe: Callable[[], Observation] | None = None) -> Decision:
        decision, self.memory = step(self.memory, (observe or self.observation)(), policy, self.now + 0.05)
        self.log.append((self.now - T0, decision))
        if decision.replicas is not None and not decision.dry_run:
            self.scale(decision.replicas)
        return decision

    def run(self, policy: LagPolicySpec, seconds: float, observe: Callable[[], Observation] | None = None) -> Decision:
        """Advance in ticks, deciding after each; the last decision."""
        until = self.now + seconds
        while self.now < until - 1e-6:
            self.advance(self.tick)
            decision = self.decide(policy, observe)
        return decision

    @property
    def late_share(self) -> float:
        """Records done too late, or still waiting too long, of those produced."""
        overdue = 0.0
        for part in self.parts:
            late = [upto for arrived, upto in part.waiting if self.now - arrived > self.max_age]
            overdue += max(late) - part.done if late else 0.0
        return (self.late + overdue) / max(1.0, self.produced)


def surge(base: float, peak: float, start: float, rise: float, hold: float, fall: float) -> Callable[[float], float]:
    """A flash crowd: `base` records/s, a linear rise to `peak`, a plateau, a linear fall back to `base`."""

    def rate(t: float) -> float:
        if t < start:
            return base
        if t < start + rise:
            return base + (peak - base) * (t - start) / rise
        if t < start + rise + hold:
            return peak
        if t < start + rise + hold + fall:
            return peak - (peak - base) * (t - start - rise - hold) / fall
        return base

    return rate


STABLE_GROUP = {"state": GroupState.STABLE, "members": None, "assignor": None}


@dataclass
class Line:
    """A time line written by hand: what each look shows, 5 s apart unless said."""

    policy: LagPolicySpec = field(default_factory=spec)
    replicas: int = 1
    memory: Memory = field(default_factory=Memory)
    now: float = T0
    pods: tuple[Pod, ...] | None = None
    last: Decision | None = None

    def see(self, offsets: dict | None = None, after: float = 5.0, target=None, objection=None, **reading) -> Decision:
        """One look: `offsets` by partition of topic `points` or (topic, partition): (start, committed, end[, high])."""
        return self.look(self.reading(offsets or {0: (0, 0, 0)}, after, **reading), 0.0, target, objection)

    def look(self, reading, after: float = 5.0, target=None, objection=None) -> Decision:
        """One look at a reading (or an error) made elsewhere."""
        self.now += after
        seen = target or Target(self.replicas, self.pods if self.pods is not None else pods(self.replicas), "v1")
        seen = None if target == "gone" else seen
        self.last, self.memory = step(self.memory, Observation(reading, seen, objection), self.policy, self.now)
        return self.last

    def reading(self, offsets: dict, after: float = 5.0, ids: dict | None = None, **more) -> Reading:
        self.now += after
        whole = {}
        for name, values in offsets.items():
            topic, partition = name if isinstance(name, tuple) else ("points", name)
            start, committed, end, *high = values
            whole[PartitionId(topic, partition)] = Offsets(start, committed, end, high[0] if high else end)
        return Reading(
            partitions=whole,
            topic_ids={p.topic: "id-1" for p in whole} | (ids or {}),
            committed_at=self.now,
            ended_at=self.now,
            **(STABLE_GROUP | more),
        )


def pods(
    ready: int, starting: int = 0, template: str = "v1", created: float = T0 - 600, asked: float = T0
) -> tuple[Pod, ...]:
    """Ready pods of long ago, and pods created at `asked` that are not ready."""
    there = tuple(Pod(f"pod-{i}", created, created + 5, template) for i in range(ready))
    return there + tuple(Pod(f"new-{i}", asked, None, template) for i in range(starting))


FLASH = surge(base=60, peak=480, start=60, rise=60, hold=60, fall=60)


def changes(world: World) -> list[tuple[int, int]]:
    return [(before, after) for _, before, after in world.changes]
