"""Pure decisions: `step(memory, observation, spec, now) -> (decision, memory)`."""

from tidegate.engine.decision import Backlog, Basis, Capacity, Decision, Rung
from tidegate.engine.memory import Memory
from tidegate.engine.observation import (
    Flags,
    Force,
    GroupState,
    Objection,
    Observation,
    Offsets,
    PartitionId,
    Past,
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
    "Flags",
    "Force",
    "GroupState",
    "Memory",
    "Objection",
    "Observation",
    "Offsets",
    "PartitionId",
    "Past",
    "Pod",
    "Reading",
    "ReadingError",
    "Rung",
    "Target",
    "step",
]
