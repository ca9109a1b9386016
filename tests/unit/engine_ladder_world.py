"""A world whose consumers can leave work out: each level makes them faster, once the flags that were written show.

And what happens in it: a jump of the arrivals, and observations that are no good.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tests.unit.engine_world import T0, World, spec
from tidegate.api import LagPolicySpec
from tidegate.api.reasons import Reason
from tidegate.engine import Decision, Flags, Force, GroupState, Memory, Objection, Observation, ReadingError

TWO_LEVELS = (
    {"name": "NoRecommendations", "flags": {"recommendations": "off"}},
    {"name": "NoReceipts", "flags": {"email-receipts": "off"}},
)


def with_ladder(policy: LagPolicySpec | None = None, levels: Sequence[dict] = TWO_LEVELS, **more) -> LagPolicySpec:
    """A policy with a ladder; `more` are fields of spec.degradation."""
    whole = (policy or spec()).model_dump(mode="json", by_alias=True, exclude_none=True)
    degradation = {"flagsRef": {"name": "points-flags"}, "levels": list(levels), **more}
    return LagPolicySpec.model_validate({**whole, "degradation": degradation})


@dataclass
class Degradable(World):
    """Each level makes a consumer `faster` times as fast as with all features, `propagation` seconds after the step."""

    faster: tuple[float, ...] = (1.0, 1.3, 1.7)
    propagation: float = 5.0
    level: int = 0  # as the flags show it
    objection: Objection | None = None
    force: Force | None = None
    stuck: bool = False  # nobody writes the flags
    steps_taken: list[tuple[float, int, int, Reason, str]] = field(default_factory=list)
    shows: list[tuple[float, int]] = field(default_factory=lambda: [(T0 - 600.0, 0)])

    def __post_init__(self):
        self.full = self.capacity
        super().__post_init__()

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / self.dt)):
            here = [level for at, level in self.shows if at <= self.now]
            self.capacity = self.full * self.faster[here[-1]]
            super().advance(self.dt)

    def flags(self) -> Flags:
        force = self.force if self.force and self.now < self.force.until else None
        return Flags(self.level, self.propagation, self.objection, force)

    def observation(self) -> Observation:
        return replace(super().observation(), flags=self.flags())

    def decide(self, policy: LagPolicySpec, observe: Callable[[], Observation] | None = None) -> Decision:
        decision = super().decide(policy, observe)
        rung = decision.rung
        if rung is not None and rung.level != self.level and not decision.dry_run and not self.stuck:
            self.steps_taken.append((self.now - T0, self.level, rung.level, rung.reason, rung.message))
            self.level = rung.level
            self.shows.append((self.now + self.propagation, rung.level))
        return decision

    def restart(self) -> None:
        """The operator starts anew, with what stands in the status."""
        self.memory = Memory.load(self.memory.dump())


def levels(world: Degradable) -> list[tuple[int, int]]:
    """The steps that were taken."""
    return [(before, after) for _, before, after, _, _ in world.steps_taken]


def reasons(world: Degradable) -> list[Reason]:
    """And why."""
    return [reason for *_, reason, _ in world.steps_taken]


POLICY = with_ladder(spec("60s", most=4), restoreAfter="2m")


def jump(before: float, after: float, at: float = 300.0, until: float = float("inf")) -> Callable[[float], float]:
    return lambda t: after if at <= t < until else before


def world(arrivals: Callable[[float], float], replicas: int = 4, **more) -> Degradable:
    return Degradable(arrivals, replicas=replicas, max_age=60.0, dt=0.25, **more)


def failed(of: Degradable):
    return replace(of.observation(), reading=ReadingError(Reason.READING_FAILED, "the broker is gone", of.now))


def stale(of: Degradable):
    reading = of.reading()
    return replace(of.observation(), reading=replace(reading, committed_at=of.now - 90, ended_at=of.now - 90))


def rebalancing(of: Degradable):
    return replace(of.observation(), reading=replace(of.reading(), state=GroupState.REBALANCING))


def without_members(of: Degradable):
    reading = replace(of.reading(), state=GroupState.EMPTY, members=0)
    kept = {p: o._replace(committed=0) for p, o in reading.partitions.items()}
    return replace(of.observation(), reading=replace(reading, partitions=kept))


def unmanaged(of: Degradable):
    objection = Objection(Reason.TARGET_MANAGED_BY_HPA, "an HPA scales it")
    return replace(of.observation(), objection=objection)


def without_target(of: Degradable):
    return replace(of.observation(), target=None)


BAD = (failed, stale, without_members, unmanaged, without_target)
