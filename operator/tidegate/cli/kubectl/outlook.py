"""What limits and holds a consumer, what would change that, where its bottleneck is, and what to do. Pure."""

from collections.abc import Iterator
from datetime import datetime

from tidegate.api import (
    FORCE_LEVEL_ANNOTATION,
    Choice,
    LagPolicy,
    Mode,
    PartitionsMode,
    Reason,
    format_duration,
    parse_forced_level,
    readable,
)
from tidegate.api.advice import ADVICE
from tidegate.cli.kubectl.arithmetic import keeping_pace
from tidegate.cli.kubectl.sentences import plain, proposed
from tidegate.cli.kubectl.standing import LOSSES, false, true
from tidegate.cli.kubectl.summary import Consumer, command
from tidegate.cluster.judgement import NEEDS_A_PERSON, UNDECIDED
from tidegate.engine.words import rate, some

NOTHING = "nothing"

BEYOND: dict[str, str] = {
    Reason.PODS_NOT_STARTING: "the cluster: pods that were asked for do not start",
    Reason.NOT_EFFECTIVE: "what the consumers wait for, such as a database or a lock: more replicas did no more work",
    Reason.TRANSACTION_STALLED: "a producer: its open transaction holds back records that are there",
    Reason.CONSUMERS_DOWN: "the consumers: the replicas are ready, but the group has no member",
    Reason.BEHAVIOR: "spec.behavior: it allows a smaller change than the promise asks for",
    Reason.MAX_REPLICAS: "spec.replicas.max: the promise asks for more replicas than it allows",
    Reason.PARTITIONS: "the partitions: each has its consumer, so more replicas would be idle",
    Reason.STARTING: "the start-up of the replicas that are on their way",
}


def decided(policy: LagPolicy) -> str:
    """The word of the last decision."""
    return policy.status.last_decision.reason if policy.status.last_decision else Reason.PENDING


def meaning(policy: LagPolicy) -> Iterator[str]:
    """What that word means."""
    if advice := ADVICE.get(decided(policy)):
        yield f"{decided(policy)}: {plain(advice.meaning)}"


def limits(policy: LagPolicy) -> Iterator[str]:
    """What stands between the need and what is asked for."""
    limited = true(policy, "ScalingLimited")
    if limited:
        yield f"{limited.reason}: {limited.message}"
    bound = true(policy, "PartitionBound")
    if bound and not (limited and limited.reason == bound.reason):
        yield f"{bound.reason}: {bound.message}"
    elif bound and limited:
        yield bound.message
    for hot in policy.status.partitions.hot:
        yield hot.message
    if policy.status.replicas.need is None:
        yield "not known, as the need is not"
    elif not (limited or bound or policy.status.partitions.hot):
        yield "nothing: no limit stands between the need and what is asked for"


def holds(consumer: Consumer, now: datetime) -> Iterator[str]:
    """What keeps Tidegate from acting."""
    yield from list(_holds(consumer, now)) or ["nothing"]


def _holds(consumer: Consumer, now: datetime) -> Iterator[str]:
    policy, reason = consumer.policy, decided(consumer.policy)
    ready = false(policy, "Ready")
    if policy.mode is Mode.PAUSED:
        where = "spec.mode: Paused" if policy.spec.mode is Mode.PAUSED else "the annotation tidegate.dev/paused"
        yield f"a person paused it by {where}: it is measured, not scaled, and its level stays"
    elif policy.mode is Mode.DRY_RUN:
        yield "spec.mode: DryRun: it says what it would do, and writes nothing"
    if ready and ready.reason != Reason.PAUSED:
        yield f"{ready.reason}: {ready.message}"
    elif reason in UNDECIDED or (reason in NEEDS_A_PERSON and policy.mode is not Mode.PAUSED):
        yield f"{reason}: it waits, and scales again by itself"
    for one in consumer.proposals:
        if one.status.execution:
            yield f"{one.metadata.name}, {proposed(one)}: nothing else scales the target meanwhile"
    if until := _forced(policy, now):
        yield until


def _forced(policy: LagPolicy, now: datetime) -> str | None:
    text = policy.metadata.annotations.get(FORCE_LEVEL_ANNOTATION)
    if text is None:
        return None
    try:
        forced = parse_forced_level(text)
    except ValueError as error:
        return f"the annotation {FORCE_LEVEL_ANNOTATION} is ignored: {error}"
    left = (forced.until - now).total_seconds()
    if left <= 0:
        return None
    return f"a person holds the ladder at level {forced.level} for another {format_duration(readable(left))}"


def changes(consumer: Consumer, now: datetime) -> Iterator[str]:
    """What would lead to more replicas, to fewer, or to another level."""
    policy = consumer.policy
    if policy.mode is Mode.PAUSED:
        yield f"more or fewer: nothing, until {command('resume', policy.metadata.name, policy.metadata.namespace)}"
        return
    if policy.status.replicas.desired is None:
        yield f"more or fewer: nothing, until the need is known ({decided(policy)})"
        return
    yield f"more: {_more(policy)}"
    yield f"fewer: {_fewer(policy)}"
    for one in consumer.proposals:
        after = one.spec.evidence.ceiling_after
        yield f"the proposal {one.metadata.name} would let {some(after, 'replica')} work instead of {_ceiling(policy)}"
    degraded = true(policy, "Degraded")
    if degraded:
        yield f"the level: {degraded.message}"


def _ceiling(policy: LagPolicy) -> str:
    ceiling = policy.status.partitions.ceiling
    return "those there are" if ceiling is None else str(ceiling)


def _more(policy: LagPolicy) -> str:
    replicas, each = policy.status.replicas, policy.status.capacity.per_replica
    if replicas.limited_by in (Reason.MAX_REPLICAS, Reason.PARTITIONS, Reason.BEHAVIOR):
        above = {
            Reason.MAX_REPLICAS: f"a higher spec.replicas.max than {policy.spec.replicas.max}",
            Reason.PARTITIONS: "more partitions, or a consumer that does more",
            Reason.BEHAVIOR: "time, or a spec.behavior that allows larger steps up",
        }
        return above[Reason(replicas.limited_by)]
    if not each or not replicas.desired:
        return "records that wait longer than usual" if replicas.desired else "a record that arrives"
    fleet = f"{some(replicas.desired, 'replica')} x {rate(each)}"
    return f"arrivals above {rate(replicas.desired * each)} ({fleet}) for longer than the queue may bridge"


def _fewer(policy: LagPolicy) -> str:
    replicas, each, least = policy.status.replicas, policy.status.capacity.per_replica, policy.spec.replicas.min
    now = replicas.desired
    if now is not None and now <= least:
        return f"nothing: spec.replicas.min is {least}"
    if not each or now is None:
        return "a while with little to do"
    fleet = f"{some(now - 1, 'replica')} x {rate(each)}"
    return f"a backlog that is gone, and arrivals that fewer can do: below about {rate((now - 1) * each)} ({fleet})"


def bottleneck(policy: LagPolicy) -> Iterator[str]:
    """What keeps records from being processed sooner."""
    hot = policy.status.partitions.hot
    if observing := false(policy, "Observing"):
        yield f"not known, as the group cannot be read: {observing.message}"
        return
    if hot:
        names = ", ".join(f"{one.topic}/{one.partition}" for one in hot)
        yield f"single partitions ({names}): each gets more than its one consumer can do, whatever the others do"
    reasons = (decided(policy), policy.status.replicas.limited_by or "")
    found = [BEYOND[reason] for reason in dict.fromkeys(reasons) if reason in BEYOND]
    short = (policy.status.replicas.need or 0) > (policy.status.replicas.desired or 0)
    if policy.status.replicas.limited_by in BEYOND and not short:
        found = [each for each in found if each != BEYOND[policy.status.replicas.limited_by or ""]]
    yield from found
    if not found and not hot:
        yield _unbound(policy)


def _unbound(policy: LagPolicy) -> str:
    replicas, fleet = policy.status.replicas, keeping_pace(policy)
    current = replicas.current
    if policy.status.last_decision is None:
        return "not known yet"
    if current is not None and replicas.ready is not None and replicas.ready < current:
        return BEYOND[Reason.STARTING]
    if fleet is not None and current is not None and fleet > current:
        return "the number of replicas: what waits is let grow only as long as the promise holds"
    return "none: the replicas do what arrives"


def next_steps(consumer: Consumer) -> Iterator[str]:
    """What a person can do now, the most urgent first."""
    steps = list(dict.fromkeys(_steps(consumer)))
    yield from steps or ["nothing: Tidegate goes on by itself"]


def _steps(consumer: Consumer) -> Iterator[str]:
    policy = consumer.policy
    risk, limit = true(policy, "AtRisk"), policy.status.replicas.limited_by
    if risk and risk.reason in LOSSES:
        yield from _advised(risk.reason)
    decisions = [*_decisions(consumer)]
    yield from decisions
    told = (Reason.PARTITIONS, Reason.PAUSED) if decisions else ()
    for reason in (decided(policy), limit if risk else None):
        if reason and reason not in told:
            yield from _advised(reason)
    if true(policy, "PartitionBound") and policy.spec.partitions.mode is PartitionsMode.OFF:
        yield "spec.partitions.mode is Off: with Propose, Tidegate proposes more partitions with what that would break"
    for kind in ("Degraded", "FlagDrift"):
        if condition := true(policy, kind):
            yield from _advised(condition.reason)


def _decisions(consumer: Consumer) -> Iterator[str]:
    """What only a person can decide."""
    policy, meta = consumer.policy, consumer.policy.metadata
    if policy.mode is Mode.PAUSED and policy.spec.mode is not Mode.PAUSED:
        yield f"resume it when you are done:\n{command('resume', meta.name, meta.namespace)}"
    for one in consumer.proposals:
        if not one.status.execution and one.spec.decision is Choice.PENDING:
            yield f"decide about more partitions:\n{command('approve', one.metadata.name, one.metadata.namespace)}"


def _advised(reason: str) -> Iterator[str]:
    advice = ADVICE.get(reason)
    if advice and advice.to_do != NOTHING:
        yield f"{reason}: {plain(advice.to_do)}"
