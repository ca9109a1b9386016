"""The engine that the operator runs, as a controller of a simulated world."""

from dataclasses import replace

from tidegate.api import LagPolicySpec
from tidegate.engine.decision import Rung
from tidegate.engine.memory import Memory
from tidegate.engine.step import step
from tidegate.simulate.features import Features
from tidegate.simulate.fleet import EPOCH
from tidegate.simulate.regime import Regime
from tidegate.simulate.world import View


class Tidegate:
    """Steps the engine with what the world shows, and with nothing else; keeps the reasons of its changes.

    It switches `features` where there are any, as the degradation ladder says.
    """

    def __init__(self, spec: LagPolicySpec, name: str = "tidegate", features: Features | None = None) -> None:
        self.name, self.spec, self.features = name, spec, features
        self.memory = Memory()
        self.changes: list[tuple[float, str, str]] = []
        self.rungs: list[tuple[float, Rung]] = []

    def decide(self, view: View) -> int | None:
        """Replicas that the engine wants written."""
        seen = view.observation
        if self.features is not None:
            seen = replace(seen, flags=self.features.flags())
        decision, self.memory = step(self.memory, seen, self.spec, view.now)
        if decision.replicas is not None:
            self.changes.append((view.now, decision.reason.value, decision.message))
        if self.features is not None and decision.rung is not None:
            self._climb(self.features, decision.rung, view.now)
        return decision.replicas

    def _climb(self, features: Features, rung: Rung, now: float) -> None:
        if rung.level != features.level:
            features.switch(rung.level, now - EPOCH)
            self.rungs.append((now, rung))


def policy_for(regime: Regime) -> LagPolicySpec:
    """The minimal policy for a regime: the promise and the limits. What consumers and cluster are like is learned."""
    return LagPolicySpec.model_validate(
        {
            "targetRef": {"name": "consumer"},
            "source": {"kafka": {"connectionRef": {"name": "kafka"}, "group": "group"}},
            "objective": {"maxAge": f"{round(regime.max_age)}s"},
            "replicas": {"min": regime.least, "max": regime.ceiling},
        }
    )
