"""Facts of a policy's status in sentences that `status NAME` and `explain` share. Pure."""

import re
from datetime import datetime, timedelta

from tidegate.api import BacklogStatus, Choice, LagPolicy, PartitionProposal, format_duration, readable
from tidegate.engine.words import rate, seconds, some

_LINK = re.compile(r"\[[^\]]+\]\(([^)#]+)[^)]*\)")

UNDECIDED = ("AwaitingDecision", "WouldSucceed", "Pending")


def plain(markdown: str) -> str:
    """What docs/reasons.md says, for a terminal."""
    return _LINK.sub(r"docs/\1", markdown).replace("`", "")


def ago(time: datetime, now: datetime) -> str:
    """`3m10s ago`."""
    return f"{format_duration(readable((now - time).total_seconds()))} ago"


def lasting(value: timedelta | None) -> str:
    """A duration of the status."""
    return "not known" if value is None else format_duration(value)


def promise(policy: LagPolicy) -> str:
    """What is promised, and how far it is used up."""
    said = f"every record is processed within {format_duration(policy.spec.objective.max_age)} of its arrival"
    age = policy.status.backlog.age
    if age is None:
        return f"{said}; how old the oldest is, is not known"
    if not age:
        return f"{said}; nothing waits"
    return f"{said}; the oldest waiting record is {format_duration(age)} old ({_used(policy)} of it)"


def _used(policy: LagPolicy) -> str:
    age = policy.status.backlog.age or timedelta()
    return f"{100 * (age / policy.spec.objective.max_age):.0f} %"


def waiting(backlog: BacklogStatus) -> str:
    """What waits, and where that goes."""
    if backlog.lag is None:
        return "how many records wait is not known"
    drain = f"; at these rates they are gone in {format_duration(backlog.drain_time)}" if backlog.drain_time else ""
    margin = backlog.retention_margin
    kept = f"; retention deletes none of them for {format_duration(margin)}" if margin is not None else ""
    return f"{some(backlog.lag, 'record')} wait{'s' if backlog.lag == 1 else ''}{drain}{kept}"


def flow(backlog: BacklogStatus) -> str:
    """What comes and goes."""
    arrive, serve = backlog.arrival_rate, backlog.service_rate
    if arrive is None or serve is None:
        return "not known yet"
    return f"{rate(arrive)} arrive, {rate(serve)} are processed{_balance(arrive, serve)}"


def _balance(arrive: float, serve: float) -> str:
    if abs(arrive - serve) <= 0.05 * max(arrive, serve, 1.0):
        return ""
    return f": what waits {'grows' if arrive > serve else 'shrinks'} by {rate(abs(arrive - serve))}"


def capacity(policy: LagPolicy) -> str:
    """What one replica can do, and how that is known."""
    known = policy.status.capacity
    if known.per_replica is None:
        return "not known yet: it shows when the replicas have to work"
    basis = {"Learned": "learned while they had work waiting", "Declared": "declared in spec.capacity"}
    return f"{rate(known.per_replica)}, {basis.get(known.basis or '', 'basis not known')}"


def change_costs(policy: LagPolicy) -> str:
    """What a change of their number costs."""
    known = policy.status.capacity
    lead = (known.startup or timedelta()) + (known.rebalance or timedelta())
    if not lead:
        return "not known yet"
    said = f"start-up {lasting(known.startup)}, rebalance pause {lasting(known.rebalance)}"
    return f"{said}: new replicas work {seconds(lead.total_seconds())} after they are asked for"


def there(policy: LagPolicy) -> str:
    """The replicas there are."""
    replicas = policy.status.replicas
    if replicas.current is None:
        return "not known"
    ready = "all ready" if replicas.ready == replicas.current else f"{replicas.ready or 0} ready"
    return f"{replicas.current} asked for, {ready}" if replicas.current else "0: it sleeps"


def bounds(policy: LagPolicy) -> str:
    """Between which limits they are."""
    allowed, partitions = policy.spec.replicas, policy.status.partitions
    said = f"spec.replicas allows {allowed.min} to {allowed.max}"
    if partitions.ceiling is None:
        return said
    each = policy.spec.capacity.consumers_per_replica
    threads = f" of {each} consumers" if each > 1 else ""
    feed = f"{some(partitions.count or 0, 'partition')} feed at most {some(partitions.ceiling, 'replica')}{threads}"
    return f"{said}; {feed}"


def ladder(policy: LagPolicy, now: datetime) -> str | None:
    """Where the degradation ladder stands; None where there is none."""
    status, spec = policy.status.degradation, policy.spec.degradation
    if spec is None and not (status and status.level):
        return None
    levels = f" of {len(spec.levels)}" if spec else ""
    if status is None or not status.level:
        return f"0{levels}: every feature is on"
    since = f" since {format_duration(readable((now - status.since).total_seconds()))}" if status.since else ""
    flags = ", ".join(f"{one.flag} is {one.variant}" for one in status.flags)
    return f"{status.level}{levels}, {status.name or 'unnamed'}{since}: {flags or 'no flag is switched'}"


def state(one: PartitionProposal) -> str:
    """How far a proposal is; a decision counts before Tidegate has taken note of it."""
    told = one.status.state or "Pending"
    if one.spec.decision is Choice.APPROVE and told in UNDECIDED:
        return "Approved"
    return told


def proposed(one: PartitionProposal) -> str:
    """A proposal: what of, and how far it is."""
    spec, names = one.spec, one.status.unacknowledged
    what = f"{spec.topic}: {spec.from_} to {spec.to} partitions, {state(one)}"
    undecided = spec.decision is Choice.PENDING and state(one) in UNDECIDED
    return f"{what}; to acknowledge: {', '.join(names)}" if names and undecided else what
