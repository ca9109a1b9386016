"""What a person must have seen before they decide about more partitions. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from tidegate.api import AffectedGroup, Choice, Hazard, Method, PartitionProposal, Truth, format_duration, readable
from tidegate.cli.kubectl.output import Pair, pairs
from tidegate.cli.kubectl.sentences import ago
from tidegate.cluster.conditions import find
from tidegate.engine.words import rate, some

HOW = {
    Method.LIVE: "the group goes on while the topic grows",
    Method.PAUSED_GROUP: "the target is scaled to zero, the topic grows, the target is scaled back",
}


def case(
    proposal: PartitionProposal, choice: Choice, method: Method, now: datetime, width: int
) -> list[RenderableType]:
    """What is proposed, why, and what it can break."""
    meta = proposal.metadata
    head = f"{meta.name} in namespace {meta.namespace}, for the LagPolicy {proposal.spec.policy}"
    parts: list[RenderableType] = [Text(head), pairs([*_facts(proposal, method, now)], width)]
    if choice is Choice.APPROVE:
        found = _hazards(proposal.status.hazards, method)
        parts += ["", Text(f"What it can break by method {method}"), pairs(found, width)]
    return [*parts, ""]


def _facts(proposal: PartitionProposal, method: Method, now: datetime) -> Iterator[Pair]:
    spec, evidence = proposal.spec, proposal.spec.evidence
    yield "topic", f"{spec.topic}: {spec.from_} to {spec.to} partitions. It cannot be undone"
    yield "why", evidence.message
    yield "figures", _figures(proposal)
    if evidence.lag is not None:
        oldest = f", the oldest {format_duration(evidence.age)} old" if evidence.age is not None else ""
        yield "then", f"{some(evidence.lag, 'record')} waited{oldest} ({ago(evidence.time, now)})"
    yield "groups", "; ".join(map(_group, evidence.groups)) or evidence.group
    yield "method", f"{method}: {HOW[method]}{_pause(proposal, method)}"
    left = (spec.expires - now).total_seconds()
    yield "expires", f"in {format_duration(readable(left))}" if left > 0 else "now: its time is over"


def _figures(proposal: PartitionProposal) -> str:
    evidence = proposal.spec.evidence
    return (
        f"{rate(evidence.arrival_rate)} arrived in a twentieth of the last {format_duration(evidence.looked_back)},"
        f" one replica does {rate(evidence.per_replica)}: {some(evidence.need, 'replica')} needed with head room,"
        f" {evidence.ceiling} can work now, {evidence.ceiling_after} after it"
    )


def _group(group: AffectedGroup) -> str:
    policy = f", policy {group.policy}" if group.policy else ", no policy"
    reset = f", offset reset {group.offset_reset}" if group.offset_reset else ""
    return f"{group.name} ({group.type}, {some(group.members, 'member')}{policy}{reset})"


def _pause(proposal: PartitionProposal, method: Method) -> str:
    if method is not Method.PAUSED_GROUP:
        return ""
    return f"; the group stops for about {format_duration(proposal.spec.evidence.pause)}"


def _hazards(found: Sequence[Hazard], method: Method) -> list[Pair]:
    """Those of this method, what blocks first."""
    mine = sorted((h for h in found if h.method in (None, method)), key=lambda h: not h.blocking)
    said = [(h.name, f"{'blocks' if h.blocking else 'warns'}: {h.message}") for h in mine]
    return said or [("nothing", "no hazard was found")]


def ended(proposal: PartitionProposal) -> str | None:
    """How it has ended, None while it is open."""
    found = (find(proposal.status.conditions, kind) for kind in ("Applied", "Failed", "Expired"))
    over = next((c for c in found if c and c.status is Truth.TRUE), None)
    return f"{over.reason}: {over.message}" if over else None
