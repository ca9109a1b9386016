"""What a controller sees of a world, what it may do there, and how the two are played against each other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from tidegate.engine.observation import Observation
from tidegate.simulate.ages import Pieces
from tidegate.simulate.features import Features
from tidegate.simulate.regime import Regime


@dataclass(frozen=True)
class View:
    """One look at a world.

    `look` gives what broker and API server show; it costs a count of all partitions, which only who looks should pay.
    `busy` is the share of the time since the last view in which the consumers that were not stopped had work: Flink
    measures it inside its own tasks, and no broker shows it. Only peers that have it in reality may use it.
    """

    now: float
    look: Callable[[], Observation]
    busy: float

    @cached_property
    def observation(self) -> Observation:
        """What broker and API server show."""
        return self.look()


class Controller(Protocol):
    """Whoever decides the number of replicas."""

    name: str

    def decide(self, view: View) -> int | None:
        """Replicas to order now, or None to leave them alone."""
        ...


@dataclass
class Run:
    """What happened in a world under one controller. Times in seconds from the start.

    `features` are those that could be switched off, None where there were none.
    """

    controller: str
    regime: Regime
    ages: Pieces
    pod_seconds: float
    orders: list[tuple[float, int]]
    rebalances: int
    times: list[float] = field(default_factory=list)
    replicas: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    features: Features | None = field(default=None, kw_only=True)

    @property
    def hours_off(self) -> float:
        """Hours in which features were switched off."""
        return self.features.off(len(self.times) * self.regime.tick) / 3600 if self.features else 0.0


class World(Protocol):
    """A place where records arrive and pods serve them."""

    regime: Regime

    def advance(self, now: float) -> None:
        """Let time pass."""
        ...

    def view(self) -> View:
        """Look at the broker and the Deployment."""
        ...

    def scale(self, replicas: int) -> None:
        """Order a number of replicas, now."""
        ...

    def end(self, controller: str) -> Run:
        """Close the books."""
        ...


def play(world: World, controller: Controller, ticks: int, progress: Callable[[int], None] = lambda done: None) -> Run:
    """Let a controller steer a world for a number of ticks: time passes, it looks, it may order."""
    regime = world.regime
    for tick in range(ticks):
        world.advance(tick * regime.tick)
        wanted = controller.decide(world.view())
        if wanted is not None:
            world.scale(min(max(wanted, regime.least), regime.ceiling))
        progress(tick)
    world.advance(ticks * regime.tick)
    return world.end(controller.name)
