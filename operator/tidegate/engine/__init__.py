"""Pure decisions: `step(memory, observation, spec, now) -> (decision, memory)`."""

from tidegate.engine.decision import Backlog, Basis, Capacity, Decision
from tidegate.engine.memory import Memory
from tidegate.engine.observation import (
    GroupState,
    Objection,
    Observation,
    Offsets,
    PartitionId,
    Pod,
    Reading,
    ReadingError,
    Target,
)
from tidegate.engine.step import step

__all__ = [
    "Backlog",
    "Basis",
    "Capacity",
    "Decision",
    "GroupState",
    "Memory",
    "Objection",
    "Observation",
    "Offsets",
    "PartitionId",
    "Pod",
    "Reading",
    "ReadingError",
    "Target",
    "step",
]
