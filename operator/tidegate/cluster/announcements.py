"""Events from statuses: what changed between two cycles is told, in the same words."""

from tidegate.api import Condition, LagPolicy, LagPolicyStatus, Reason, ScaleChange, Truth
from tidegate.cluster.conditions import find
from tidegate.cluster.events import About, Event, EventType

NEWS = {
    ("Ready", Truth.FALSE): EventType.WARNING,
    ("Ready", Truth.TRUE): EventType.NORMAL,
    ("ScalingLimited", Truth.TRUE): EventType.WARNING,
    ("PartitionBound", Truth.TRUE): EventType.WARNING,
    ("AtRisk", Truth.TRUE): EventType.WARNING,
    ("AtRisk", Truth.FALSE): EventType.NORMAL,
}
"""The states that are told when a condition gets there. Observing is not: Ready says the same."""

OLD_HAT = frozenset({("ScalingLimited", Reason.MIN_REPLICAS), ("ScalingLimited", Reason.PARTITIONS)})
"""Not told: a quiet group at its minimum is no news, and PartitionBound tells of partitions."""


def announce(policy: LagPolicy, before: LagPolicyStatus, after: LagPolicyStatus) -> tuple[Event, ...]:
    """What to tell about a policy whose status went from `before` to `after`."""
    about = About.resource(policy)
    scaled = (_scaled(about, change) for change in after.history[-1:] if change not in before.history)
    changed = (_changed(about, c) for c in after.conditions if _is_news(c, find(before.conditions, c.type)))
    return (*scaled, *changed)


def _is_news(now: Condition, before: Condition | None) -> bool:
    if (now.type, now.status) not in NEWS or (now.type, now.reason) in OLD_HAT:
        return False
    first = before is None or before.status is Truth.UNKNOWN
    if first and now.type == "AtRisk" and now.status is Truth.FALSE:
        return False  # a promise that was never in danger
    return before is None or (before.status, before.reason) != (now.status, now.reason)


def _changed(about: About, now: Condition) -> Event:
    kind = EventType.NORMAL if now.reason == Reason.PAUSED else NEWS[now.type, now.status]
    return Event(about, kind, Reason(now.reason), now.message, dedupe_key=now.type)


def _scaled(about: About, change: ScaleChange) -> Event:
    key = change.time, change.to
    return Event(about, EventType.NORMAL, Reason(change.reason), change.message, dedupe_key=key, action="Scale")
