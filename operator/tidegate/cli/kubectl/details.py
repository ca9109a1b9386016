"""`status NAME`: one consumer on one screen. Pure."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from tidegate.api import LagPolicy, ScaleChange
from tidegate.cli.kubectl import sentences
from tidegate.cli.kubectl.output import Pair, pairs
from tidegate.cli.kubectl.standing import standing
from tidegate.cli.kubectl.summary import Consumer, noted, notes, number

CHANGES = 5
"""Of the last changes of the replicas, so many are shown."""


def picture(consumer: Consumer, written: datetime | None, now: datetime, width: int) -> list[RenderableType]:
    """All there is to know at a glance; `written` is when the status was written last."""
    policy = consumer.policy
    parts: list[RenderableType] = [Text(headline(policy, written, now)), pairs([*_facts(consumer, now)], width)]
    if said := notes(consumer):
        parts += ["", Text("To know"), pairs(noted(said), width)]
    if changes := policy.status.history[: -CHANGES - 1 : -1]:
        parts += ["", Text("Last changes"), pairs([_change(each, now) for each in changes], width)]
    return parts


def headline(policy: LagPolicy, written: datetime | None, now: datetime) -> str:
    """`points in namespace shop: Kept (status of 12s ago)`."""
    seen = f" (status of {sentences.ago(written, now)})" if written else ""
    return f"{policy.metadata.name} in namespace {policy.metadata.namespace}: {standing(policy).word}{seen}"


def _facts(consumer: Consumer, now: datetime) -> Iterator[Pair]:
    policy, status = consumer.policy, consumer.policy.status
    target = policy.spec.target_ref
    yield "consumer", f"{target.kind} {target.name}, group {policy.spec.source.kafka.group}"
    yield "promise", sentences.promise(policy)
    yield "rates", sentences.flow(status.backlog)
    yield "backlog", sentences.waiting(status.backlog)
    yield "one replica", sentences.capacity(policy)
    yield "replicas", _replicas(policy)
    yield "limits", sentences.bounds(policy)
    if ladder := sentences.ladder(policy, now):
        yield "level", ladder
    for one in consumer.proposals:
        yield "proposal", f"{one.metadata.name}: {sentences.proposed(one)}"
    yield "decision", decision(policy, now)


def _replicas(policy: LagPolicy) -> str:
    replicas = policy.status.replicas
    limited = f" ({replicas.limited_by})" if replicas.limited_by else ""
    return f"{sentences.there(policy)}; needed {number(replicas.need)}, desired {number(replicas.desired)}{limited}"


def decision(policy: LagPolicy, now: datetime) -> str:
    """The last decision: its word, since when, and its sentence."""
    last = policy.status.last_decision
    if last is None:
        return "none yet"
    return f"{last.reason} since {sentences.ago(last.time, now).removesuffix(' ago')}: {last.message}"


def _change(change: ScaleChange, now: datetime) -> Pair:
    return sentences.ago(change.time, now), f"{change.from_} -> {change.to} {change.reason}: {change.message}"
