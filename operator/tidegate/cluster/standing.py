"""How a PartitionProposal stands, in the two words that `kubectl get pprop` shows. Pure."""

from tidegate.api import Condition, PartitionProposalSpec, PartitionProposalStatus, Truth
from tidegate.cluster.conditions import find
from tidegate.engine.hazards import blocks

SAYS_MOST = (
    ("Expired", (Truth.TRUE,)),
    ("Failed", (Truth.TRUE,)),
    ("Applied", tuple(Truth)),
    ("Approved", (Truth.FALSE,)),
    ("Validated", (Truth.FALSE,)),
    ("Approved", tuple(Truth)),
    ("Validated", tuple(Truth)),
)
"""Conditions, those first that make the later ones unimportant: how it ended, what it does, what is in its way."""


def standing(spec: PartitionProposalSpec, status: PartitionProposalStatus) -> PartitionProposalStatus:
    """The status with its `state` and `unacknowledged` as the rest of it and the spec have it."""
    says_most = _first(status.conditions)
    blocking = dict.fromkeys(h.name for h in blocks(status.hazards, spec.method, spec.acknowledge))
    state = says_most.reason if says_most else None
    return status.model_copy(update={"state": state, "unacknowledged": tuple(blocking)})


def _first(conditions: tuple[Condition, ...]) -> Condition | None:
    found = ((find(conditions, kind), truths) for kind, truths in SAYS_MOST)
    return next((c for c, truths in found if c is not None and c.status in truths), None)
