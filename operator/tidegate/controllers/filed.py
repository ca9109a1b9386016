"""PartitionProposals by the questions that are asked of them."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from tidegate.api import Choice, ExecutionStep, LagPolicy, PartitionProposal, Truth
from tidegate.cluster.finalizer import FINALIZER
from tidegate.controllers.shelf import Name

K = TypeVar("K", bound=Hashable)

CLOSING = {"Applied": Truth.TRUE, "Failed": Truth.TRUE, "Expired": Truth.TRUE, "Approved": Truth.FALSE}
"""The states of conditions that say that nothing will come of a proposal any more."""


def is_settled(proposal: PartitionProposal) -> bool:
    """Its end is told: it was applied, failed, expired, was superseded or rejected."""
    return any(CLOSING.get(c.type) is c.status for c in proposal.status.conditions)


def is_under_way(proposal: PartitionProposal) -> bool:
    """An increase has begun and is not done with: not told to its end, or its target not let go."""
    execution = proposal.status.execution
    if execution is None:
        return False
    return FINALIZER in proposal.metadata.finalizers or execution.step != ExecutionStep.DONE or not is_settled(proposal)


def is_open(proposal: PartitionProposal) -> bool:
    """Something may still come of it. A rejection counts at once, told or not."""
    if is_under_way(proposal):
        return True
    return not is_settled(proposal) and proposal.spec.decision is not Choice.REJECT


def is_alive(proposal: PartitionProposal) -> bool:
    """Something is still to be done or told about it."""
    return is_under_way(proposal) or not is_settled(proposal)


def owned_by(proposal: PartitionProposal, policy: LagPolicy) -> bool:
    """Whether it was made for this very policy, not for another that had its name."""
    owners = proposal.metadata.owner_references
    return not owners or any(owner.uid == policy.metadata.uid for owner in owners)


def distilled(body: Mapping[str, Any]) -> PartitionProposal:
    """What a watch showed, small: of a closed one the long lists are not needed any more."""
    proposal = PartitionProposal.parse(body)
    if is_alive(proposal):
        return proposal
    evidence = proposal.spec.evidence.model_copy(update={"groups": ()})
    spec = proposal.spec.model_copy(update={"evidence": evidence})
    status = proposal.status.model_copy(update={"hazards": ()})
    return proposal.model_copy(update={"spec": spec, "status": status})


class TopicKey(NamedTuple):
    """A topic of a Kafka cluster."""

    cluster: str
    topic: str

    @classmethod
    def of(cls, proposal: PartitionProposal) -> "TopicKey":
        """The one that a proposal would enlarge."""
        return cls(proposal.spec.evidence.cluster, proposal.spec.topic)


class Filed:
    """All proposals, found by their policy and by their topic; each time the oldest first."""

    def __init__(self) -> None:
        self._all: dict[Name, PartitionProposal] = {}
        self._by_policy = _Index[Name]()
        self._by_topic = _Index[TopicKey]()
        self._under_way: set[Name] = set()

    def put(self, name: Name, proposal: PartitionProposal | None) -> None:
        """Follow one; None: it is gone, or cannot be read."""
        before = self._all.pop(name, None)
        if before:
            self._by_policy.drop(_policy_of(before), name)
            self._by_topic.drop(TopicKey.of(before), name)
            self._under_way.discard(name)
        if proposal:
            self._all[name] = proposal
            self._by_policy.add(_policy_of(proposal), name)
            self._by_topic.add(TopicKey.of(proposal), name)
            if is_under_way(proposal):
                self._under_way.add(name)

    def get(self, name: Name) -> PartitionProposal | None:
        """As last seen."""
        return self._all.get(name)

    def of_policy(self, name: Name) -> list[PartitionProposal]:
        """All that were made for a policy of this name."""
        return self._sorted(self._by_policy.get(name))

    def of_topic(self, key: TopicKey) -> list[PartitionProposal]:
        """All of a topic, whatever their policy."""
        return self._sorted(self._by_topic.get(key))

    def under_way(self) -> list[PartitionProposal]:
        """Those with an increase that has begun and is not done with."""
        return self._sorted(self._under_way)

    def _sorted(self, names: Iterable[Name]) -> list[PartitionProposal]:
        return sorted((self._all[name] for name in names), key=age_key)


def age_key(proposal: PartitionProposal) -> tuple[datetime, str, str]:
    """The oldest comes first; of equal age (whole seconds), by name."""
    meta = proposal.metadata
    return meta.creation_timestamp or datetime.max.replace(tzinfo=UTC), meta.namespace or "", meta.name


def _policy_of(proposal: PartitionProposal) -> Name:
    return Name(proposal.metadata.namespace, proposal.spec.policy)


class _Index(Generic[K]):
    """Names by what they have in common."""

    def __init__(self) -> None:
        self._names: defaultdict[K, set[Name]] = defaultdict(set)

    def add(self, key: K, name: Name) -> None:
        self._names[key].add(name)

    def drop(self, key: K, name: Name) -> None:
        self._names[key].discard(name)
        if not self._names[key]:
            del self._names[key]

    def get(self, key: K) -> Iterable[Name]:
        return self._names.get(key, ())
