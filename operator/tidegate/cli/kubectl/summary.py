"""A consumer in one line, in its notes, and as a value for programs: all from the policy's status. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from tidegate.api import Choice, LagPolicy, Mode, PartitionProposal, format_duration, format_rate
from tidegate.cli.calling import called
from tidegate.cli.kubectl.output import Column
from tidegate.cli.kubectl.sentences import proposed, state
from tidegate.cli.kubectl.standing import false, standing, true
from tidegate.controllers.filed import is_open

UNKNOWN = "-"


class Consumer(NamedTuple):
    """A policy, and the proposals for more partitions that are open."""

    policy: LagPolicy
    proposals: tuple[PartitionProposal, ...] = ()


class Note(NamedTuple):
    """What a person should know of a consumer, and what can be typed about it."""

    word: str
    sentence: str
    command: str = ""


def consumers(policies: Sequence[LagPolicy], proposals: Sequence[PartitionProposal]) -> list[Consumer]:
    """Each policy with its open proposals."""
    still = [proposal for proposal in proposals if is_open(proposal)]
    return [Consumer(policy, tuple(p for p in still if _shown(policy, p))) for policy in policies]


def _shown(policy: LagPolicy, proposal: PartitionProposal) -> bool:
    """Made for it, or for another policy of the topic, as its status says then."""
    meta, its = policy.metadata, proposal.metadata
    if its.namespace == meta.namespace and proposal.spec.policy == meta.name:
        return True
    return policy.status.partitions.proposal in (f"{its.namespace}/{its.name}",)


def duration(value: timedelta | None) -> str:
    """As `kubectl get lagp` has it."""
    return UNKNOWN if value is None else format_duration(value)


def rate(value: float | None) -> str:
    """As `kubectl get lagp` has it."""
    return UNKNOWN if value is None else format_rate(value)


def number(value: int | None) -> str:
    """As `kubectl get lagp` has it."""
    return UNKNOWN if value is None else str(value)


def replicas(consumer: Consumer) -> str:
    """`4`, or `3/4` while not all that are asked for are ready."""
    there = consumer.policy.status.replicas
    if there.current is None or there.ready in (None, there.current):
        return number(there.current)
    return f"{there.ready}/{there.current}"


def limits(consumer: Consumer) -> str:
    """`1-12`, and what the partitions make of it: `1-4p`."""
    allowed, ceiling = consumer.policy.spec.replicas, consumer.policy.status.partitions.ceiling
    if ceiling is not None and ceiling < allowed.max:
        return f"{allowed.min}-{ceiling}p"
    return f"{allowed.min}-{allowed.max}"


def level(consumer: Consumer) -> str:
    """`1/2`: one level of two; `-` without a ladder."""
    ladder, spec = consumer.policy.status.degradation, consumer.policy.spec.degradation
    if spec is None:
        return number(ladder.level) if ladder and ladder.level else UNKNOWN
    return f"{ladder.level if ladder else 0}/{len(spec.levels)}"


def proposal(consumer: Consumer) -> str:
    """`4->8`: the increase that waits for a decision or is under way."""
    return ", ".join(f"{p.spec.from_}->{p.spec.to}" for p in consumer.proposals) or UNKNOWN


def reason(consumer: Consumer) -> str:
    """The word of the last decision."""
    decision = consumer.policy.status.last_decision
    return decision.reason if decision else "Pending"


NAMESPACE = Column[Consumer]("NAMESPACE", lambda c: c.policy.metadata.namespace or "")
COLUMNS: tuple[Column[Consumer], ...] = (
    Column("NAME", lambda c: c.policy.metadata.name),
    Column("STATE", lambda c: standing(c.policy).word),
    Column("PROMISE", lambda c: duration(c.policy.spec.objective.max_age)),
    Column("BEHIND", lambda c: duration(c.policy.status.backlog.age)),
    Column("LAG", lambda c: number(c.policy.status.backlog.lag)),
    Column("IN/S", lambda c: rate(c.policy.status.backlog.arrival_rate), rank=4),
    Column("OUT/S", lambda c: rate(c.policy.status.backlog.service_rate), rank=5),
    Column("REPLICAS", replicas),
    Column("NEED", lambda c: number(c.policy.status.replicas.need), rank=2),
    Column("LIMITS", limits, rank=3),
    Column("LEVEL", level, rank=1),
    Column("PROPOSAL", proposal, rank=6),
    Column("REASON", reason),
)


def command(verb: str, name: str, namespace: str | None) -> str:
    """What to type next."""
    return f"{called()} {verb} {name}" + (f" -n {namespace}" if namespace else "")


def notes(consumer: Consumer) -> list[Note]:
    """What a person should know, the gravest first, each said once; none where all is well."""
    said: dict[str, Note] = {}
    for note in _notes(consumer):
        said.setdefault(note.sentence, note)
    return list(said.values())


def noted(said: Sequence[Note]) -> list[tuple[str, str]]:
    """Notes as labels and sentences."""
    return [(note.word, f"{note.sentence}\n{note.command}" if note.command else note.sentence) for note in said]


def _notes(consumer: Consumer) -> Iterator[Note]:
    policy, status = consumer.policy, consumer.policy.status
    name, namespace = policy.metadata.name, policy.metadata.namespace
    if policy.mode is Mode.PAUSED:
        yield Note("Paused", *_paused(policy))
    if status.last_decision is None:
        yield Note(
            "New", "Tidegate has not looked at it yet: if that lasts, it does not run, or not for this namespace"
        )
    elif status.observed_generation < policy.metadata.generation:
        yield Note("Unseen", "the last edit is not obeyed yet: if that lasts, Tidegate does not run")
    for condition in (true(policy, "AtRisk"), false(policy, "Observing"), false(policy, "Ready")):
        if condition and condition.reason != "Paused":
            yield Note(condition.reason, condition.message)
    for kind in ("PartitionBound", "Degraded", "FlagDrift"):
        if condition := true(policy, kind):
            yield Note(kind, condition.message)
    for one in consumer.proposals:
        yield _proposed(one)
    if standing(policy).danger < 3 and not consumer.proposals:
        yield Note("Why", "the arithmetic, and what to do:", command("explain", name, namespace))


def _paused(policy: LagPolicy) -> tuple[str, str]:
    name, namespace = policy.metadata.name, policy.metadata.namespace
    if policy.spec.mode is Mode.PAUSED:
        return "spec.mode: Paused: it is measured, not scaled", ""
    return "by the annotation tidegate.dev/paused: it is measured, not scaled", command("resume", name, namespace)


def _proposed(one: PartitionProposal) -> Note:
    undecided = one.spec.decision is Choice.PENDING and not one.status.execution
    typed = command("approve", one.metadata.name, one.metadata.namespace) if undecided else ""
    return Note("Proposal", proposed(one), typed)


def value(consumer: Consumer) -> dict[str, Any]:
    """The same for programs; what is not known is absent."""
    policy, status = consumer.policy, consumer.policy.status
    decision = status.last_decision.wire() if status.last_decision else {"reason": "Pending"}
    ladder = status.degradation.wire() if status.degradation else None
    found = {
        "namespace": policy.metadata.namespace,
        "name": policy.metadata.name,
        "state": standing(policy).word,
        "target": policy.spec.target_ref.wire(),
        "group": policy.spec.source.kafka.group,
        "maxAge": duration(policy.spec.objective.max_age),
        "mode": policy.mode.value,
        "backlog": status.backlog.wire(),
        "capacity": status.capacity.wire(),
        "replicas": policy.spec.replicas.wire() | status.replicas.wire(),
        "partitions": status.partitions.wire(),
        "degradation": ladder,
        "proposals": [_proposal_value(one) for one in consumer.proposals],
        "decision": decision,
        "conditions": [c.wire() for c in status.conditions],
        "notes": [{"word": n.word, "sentence": n.sentence} for n in notes(consumer)],
    }
    return {key: each for key, each in found.items() if each is not None}


def _proposal_value(one: PartitionProposal) -> dict[str, Any]:
    spec, status = one.spec, one.status
    return {
        "namespace": one.metadata.namespace,
        "name": one.metadata.name,
        "topic": spec.topic,
        "from": spec.from_,
        "to": spec.to,
        "method": spec.method.value,
        "decision": spec.decision.value,
        "state": state(one),
        "unacknowledged": list(status.unacknowledged),
    }
