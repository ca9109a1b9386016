"""Events from statuses: what changed between two cycles is told, in the same words."""

from collections.abc import Mapping
from datetime import timedelta

from tidegate.api import Condition, LagPolicy, LagPolicyStatus, LevelChange, Reason, ScaleChange, Truth
from tidegate.cluster.conditions import find
from tidegate.cluster.events import About, Event, EventType

NEWS = {
    ("Ready", Truth.FALSE): EventType.WARNING,
    ("Ready", Truth.TRUE): EventType.NORMAL,
    ("ScalingLimited", Truth.TRUE): EventType.WARNING,
    ("PartitionBound", Truth.TRUE): EventType.WARNING,
    ("PartitionBound", Truth.FALSE): EventType.NORMAL,
    ("AtRisk", Truth.TRUE): EventType.WARNING,
    ("AtRisk", Truth.FALSE): EventType.NORMAL,
    ("Degraded", Truth.TRUE): EventType.WARNING,
    ("FlagDrift", Truth.TRUE): EventType.WARNING,
}
"""The states that are told when a condition gets there. Observing is not: Ready says the same."""

ENDS = frozenset({("AtRisk", Truth.FALSE), ("PartitionBound", Truth.FALSE)})
"""The end of a trouble is told to those who were told of its begin."""

OLD_HAT = frozenset({("ScalingLimited", Reason.MIN_REPLICAS), ("ScalingLimited", Reason.PARTITIONS)})
"""Not told: a quiet group at its minimum is no news, and PartitionBound tells of partitions."""


STEPS_TOLD = frozenset({Reason.HIGHEST_LEVEL, Reason.FLAPPING, Reason.DEGRADED_TOO_LONG})
"""Of Degraded only these are told as a state: each step of the ladder is told by itself."""


def announce(policy: LagPolicy, before: LagPolicyStatus, after: LagPolicyStatus) -> tuple[Event, ...]:
    """What to tell about a policy whose status went from `before` to `after`."""
    about = About.resource(policy)
    scaled = (_scaled(about, change) for change in after.history[-1:] if change not in before.history)
    changed = (_changed(about, c) for c in after.conditions if _is_news(c, find(before.conditions, c.type)))
    return (*scaled, *changed)


def _is_news(now: Condition, before: Condition | None) -> bool:
    if (now.type, now.status) not in NEWS or (now.type, now.reason) in OLD_HAT:
        return False
    if now.type == "Degraded" and now.reason not in STEPS_TOLD:
        return False
    first = before is None or before.status is Truth.UNKNOWN
    if first and (now.type, now.status) in ENDS:
        return False  # of what never was
    return before is None or (before.status, before.reason) != (now.status, now.reason)


def _changed(about: About, now: Condition) -> Event:
    kind = EventType.NORMAL if now.reason == Reason.PAUSED else NEWS[now.type, now.status]
    lasting = now.type == "PartitionBound"  # such a state lasts: each one is news, and a repeat would hide its end
    dedupe = timedelta(minutes=1 if lasting else 15)
    return Event(about, kind, Reason(now.reason), now.message, dedupe_key=now.type, dedupe_for=dedupe)


def _scaled(about: About, change: ScaleChange) -> Event:
    key = change.time, change.to
    return Event(about, EventType.NORMAL, Reason(change.reason), change.message, dedupe_key=key, action="Scale")


def stepped(policy: LagPolicy, change: LevelChange) -> Event:
    """A step of the degradation ladder. Its message begins with the level that it leads to."""
    kind, action = (EventType.WARNING, "Degrade") if change.to > change.from_ else (EventType.NORMAL, "Restore")
    message, key = f"from level {change.from_} to {change.message}", (change.time, change.to)
    return Event(About.resource(policy), kind, Reason(change.reason), message, dedupe_key=key, action=action)


def mended(policy: LagPolicy, level: int, variants: Mapping[str, str]) -> Event:
    """Flags were switched at the same level, since its list was edited."""
    switched = ", ".join(f"{flag} is {variant}" for flag, variant in sorted(variants.items()))
    message = f"level {level} is as spec.degradation.levels has it now: {switched}"
    about = About.resource(policy)
    return Event(about, EventType.NORMAL, Reason.LADDER_CHANGED, message, dedupe_key=switched, action="Degrade")
