"""The engine that the operator runs, as a controller of a simulated world."""

from tidegate.api import LagPolicySpec
from tidegate.engine.memory import Memory
from tidegate.engine.step import step
from tidegate.simulate.regime import Regime
from tidegate.simulate.world import View


class Tidegate:
    """Steps the engine with what the world shows, and with nothing else; keeps the reasons of its changes."""

    def __init__(self, spec: LagPolicySpec, name: str = "tidegate") -> None:
        self.name, self.spec = name, spec
        self.memory = Memory()
        self.changes: list[tuple[float, str, str]] = []

    def decide(self, view: View) -> int | None:
        """Replicas that the engine wants written."""
        decision, self.memory = step(self.memory, view.observation, self.spec, view.now)
        if decision.replicas is not None:
            self.changes.append((view.now, decision.reason.value, decision.message))
        return decision.replicas


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
