"""Conditions by the conventions of Kubernetes: full, sorted, and with a transition time that means something."""

from collections.abc import Sequence
from operator import attrgetter

from tidegate.api import Condition, Reason, Truth, cut
from tidegate.cluster.times import moment

POLICY_CONDITIONS = ("Ready", "Observing", "ScalingLimited", "PartitionBound", "AtRisk")
"""All that a LagPolicy has, from the first visit on."""


Said = tuple[Truth | bool, str, str]
"""Status, reason (a Reason, or a word that a newer version wrote) and message of a condition."""

UNKNOWN: Said = (Truth.UNKNOWN, Reason.PENDING, "not known yet")
"""What is said of a condition on the first visit."""


def condition(
    kind: str,
    status: Truth | bool,
    reason: str,
    message: str,
    generation: int,
    now: float,
    before: Condition | None = None,
) -> Condition:
    """A condition as of `now` (epoch seconds); its transition time moves only when its status does."""
    truth = status if isinstance(status, Truth) else Truth.TRUE if status else Truth.FALSE
    text = cut(message)
    if before and (truth, reason, text, generation) == _content(before):
        return before
    return Condition(
        type=kind,
        status=truth,
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before and before.status is truth else moment(now),
        reason=reason,
        message=text,
    )


def _content(known: Condition) -> tuple[Truth, str, str, int]:
    return known.status, known.reason, known.message, known.observed_generation


def set_condition(conditions: Sequence[Condition], new: Condition) -> tuple[Condition, ...]:
    """The full, sorted list with the new one; the transition time moves only when the status does."""
    old = find(conditions, new.type)
    since = old.last_transition_time if old and old.status == new.status else new.last_transition_time
    kept = [c for c in conditions if c.type != new.type]
    return tuple(sorted([*kept, new.model_copy(update={"last_transition_time": since})], key=attrgetter("type")))


def find(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """The condition of a type, or None."""
    return next((c for c in conditions if c.type == kind), None)
