"""What is counted of one LagPolicy since this process began; with the charge it goes when the policy goes."""

from collections import Counter
from dataclasses import dataclass, field

from tidegate.cluster.judgement import Outcome
from tidegate.cluster.scaling import Scaled
from tidegate.engine.observation import Reading

OUT, IN = "out", "in"


@dataclass(slots=True)
class Tally:
    """Decisions by reason, writes of replicas by direction, records lost, and when it was last read whole (epoch)."""

    decisions: Counter[str] = field(default_factory=Counter)
    scalings: Counter[str] = field(default_factory=lambda: Counter({OUT: 0, IN: 0}))
    lost: int = 0
    read_at: float | None = None

    def count(self, outcome: Outcome) -> None:
        """One cycle is over."""
        self.decisions[outcome.problem.reason if outcome.problem else outcome.decision.reason] += 1
        self.lost += outcome.decision.backlog.lost
        if isinstance(outcome.observation.reading, Reading):
            self.read_at = outcome.observation.reading.ended_at
        target = outcome.observation.target
        if isinstance(outcome.scaled, Scaled) and outcome.scaled.written and target:
            self.scalings[OUT if outcome.scaled.workload.replicas > target.replicas else IN] += 1
