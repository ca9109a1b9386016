"""Events about proposals: told of the policy, where people look first, and of the proposal alike."""

from datetime import timedelta

from tidegate.api import LagPolicy, PartitionProposal, Reason
from tidegate.cluster.events import About, Event, EventType
from tidegate.engine.observation import Objection

NEWS = frozenset({Reason.APPLIED, Reason.REJECTED, Reason.SUPERSEDED})
"""Ends that want nobody's attention."""


def proposed(policy: LagPolicy, proposal: PartitionProposal) -> tuple[Event, ...]:
    """A new proposal: its figures, and where to look at it."""
    meta, spec = proposal.metadata, proposal.spec
    message = (
        f"{spec.topic} from {spec.from_} to {spec.to} partitions: {spec.evidence.message}; see it by: kubectl get "
        f"pprop {meta.name} -n {meta.namespace} -o yaml"
    )
    return _both(policy, proposal, EventType.NORMAL, Reason.PARTITIONS_PROPOSED, message)


def closed(policy: LagPolicy, proposal: PartitionProposal, reason: Reason, message: str) -> tuple[Event, ...]:
    """The end of one."""
    meta, spec = proposal.metadata, proposal.spec
    kind = EventType.NORMAL if reason in NEWS else EventType.WARNING
    text = f"proposal {meta.name} ({spec.topic} from {spec.from_} to {spec.to} partitions): {message}"
    return _both(policy, proposal, kind, reason, text)


def unproposed(policy: LagPolicy, problem: Objection) -> Event:
    """More partitions are needed and cannot be proposed."""
    message = f"proposing more partitions fails: {problem.message}"
    about = About.resource(policy)
    return Event(about, EventType.WARNING, problem.reason, message, "proposal", timedelta(hours=1), "Propose")


def _both(
    policy: LagPolicy, proposal: PartitionProposal, kind: EventType, reason: Reason, message: str
) -> tuple[Event, ...]:
    key = proposal.metadata.uid
    abouts = (About.resource(policy), About.resource(proposal))
    return tuple(Event(about, kind, reason, message, dedupe_key=key, action="Propose") for about in abouts)
