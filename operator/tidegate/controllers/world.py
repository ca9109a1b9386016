"""The cluster as the watches have shown it. One thread: only the main loop touches it."""

from collections.abc import Callable, Collection, Iterator
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from tidegate.api import (
    BrokerConnection,
    ClusterBrokerConnection,
    ConnectionKind,
    LagPolicy,
    LagPolicyStatus,
    PartitionProposal,
    Resource,
    TargetRef,
)
from tidegate.cluster.conflicts import Claim, TargetKey, claim_from
from tidegate.cluster.flags import Place
from tidegate.cluster.recording import is_held
from tidegate.cluster.selectors import PodIndex, Selector
from tidegate.cluster.workloads import Workload, pod_from, workload_from
from tidegate.controllers.filed import Filed, distilled
from tidegate.controllers.shelf import Name, Shelf
from tidegate.controllers.watching import Body, Sighting, Watched
from tidegate.engine.observation import Pod

K = TypeVar("K")

Connection = BrokerConnection | ClusterBrokerConnection

NO_STATUS = LagPolicyStatus()
"""In place of the status of every policy that is in care."""


class ConnectionKey(NamedTuple):
    """Which connection: the key of a reading loop."""

    kind: ConnectionKind
    name: Name

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Claimed(NamedTuple):
    """An object that claims a target, and the whole of it where it is one of ours."""

    claim: Claim | None
    policy: LagPolicy | None = None


def connection_key(policy: LagPolicy) -> ConnectionKey:
    """The connection a policy reads through."""
    ref = policy.spec.source.kafka.connection_ref
    own = policy.metadata.namespace if ref.kind is ConnectionKind.BROKER_CONNECTION else None
    return ConnectionKey(ref.kind, Name(own, ref.name))


def place_of(policy: LagPolicy) -> Place | None:
    """Where the flags of its degradation ladder are; None: it has none."""
    ladder = policy.spec.degradation
    return Place.of(policy.metadata.namespace or "", ladder.flags_ref) if ladder else None


def name_of(resource: Resource) -> Name:
    """Its namespace and name."""
    return Name(resource.metadata.namespace, resource.metadata.name)


def _policy(body: Body) -> Claimed:
    return Claimed(claim_from(body), LagPolicy.parse(body))


def _claim(body: Body) -> Claimed:
    return Claimed(claim_from(body))


POLICIES = Watched("tidegate.dev", "v1alpha1", "lagpolicies", _policy)
CONNECTIONS = {
    ConnectionKind.BROKER_CONNECTION: Watched("tidegate.dev", "v1alpha1", "brokerconnections", BrokerConnection.parse),
    ConnectionKind.CLUSTER_BROKER_CONNECTION: Watched(
        "tidegate.dev", "v1alpha1", "clusterbrokerconnections", ClusterBrokerConnection.parse, namespaced=False
    ),
}
WORKLOADS = {
    ("apps", "Deployment"): Watched("apps", "v1", "deployments", workload_from),
    ("apps", "StatefulSet"): Watched("apps", "v1", "statefulsets", workload_from),
}
PODS = Watched("", "v1", "pods", pod_from)
PROPOSALS = Watched("tidegate.dev", "v1alpha1", "partitionproposals", distilled)
RIVALS = (
    Watched("autoscaling", "v2", "horizontalpodautoscalers", _claim),
    Watched("keda.sh", "v1alpha1", "scaledobjects", _claim, optional=True),
)
KINDS = (*WORKLOADS.values(), PODS, *RIVALS, *CONNECTIONS.values(), POLICIES, PROPOSALS)
"""All that is watched. Kinds that do not exist (KEDA's) are watched from the moment they do."""


class World:
    """What exists, small, and by the questions the reading loops ask.

    `edited` is called with the connection of a policy whose spec or annotations changed, that is new, or that is gone,
    or of which a person decided a proposal, and with a connection whose spec changed, is new or is gone; `gone` with a
    policy, connection or proposal that is no more.
    """

    def __init__(
        self,
        edited: Callable[[ConnectionKey], None],
        gone: Callable[[Resource], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._edited = edited
        self._gone = gone
        self._clock = clock
        self.shelves: dict[str, Shelf[Any]] = {kind.plural: Shelf() for kind in KINDS}
        self._pods = PodIndex()
        self.claims: dict[TargetKey, tuple[Claim, ...]] = {}
        """All claims on each target."""
        self.proposals = Filed()
        """All PartitionProposals."""
        self._adopted: set[str] = set()  # uids of policies
        self._by_connection: dict[ConnectionKey, set[Name]] = {}
        self._by_place: dict[Place, set[Name]] = {}
        self._leaving: set[Name] = set()

    # what the watches tell

    def tell(self, seen: Sighting) -> None:
        """Take in one event of a watch."""
        shelf = self.shelves[seen.plural]
        before = shelf.get(seen.name)
        if seen.plural == POLICIES.plural:
            seen = seen._replace(value=self._without_status(seen.value))  # type: ignore[arg-type]
        if seen.gone:
            changed = shelf.drop(seen.name, seen.uid)
        else:
            changed = shelf.put(seen.name, seen.uid, seen.version, seen.value, self._clock())
        if changed:
            self._follow(seen.plural, seen.name, before, seen.value)

    def adopt(self, policy: LagPolicy) -> None:
        """Its status is taken over: from now on it is our own writing, and not kept here a second time."""
        self._adopted.add(policy.metadata.uid)
        shelf = self.shelves[POLICIES.plural]
        claimed: Claimed | None = shelf.get(name_of(policy))
        if claimed and claimed.policy and claimed.policy.metadata.uid == policy.metadata.uid:
            shelf.change(name_of(policy), self._without_status(claimed))

    def is_adopted(self, policy: LagPolicy) -> bool:
        """Whether its status is our own writing."""
        return policy.metadata.uid in self._adopted

    def _without_status(self, claimed: Claimed | None) -> Claimed | None:
        if claimed is None or claimed.policy is None or claimed.policy.metadata.uid not in self._adopted:
            return claimed
        return claimed._replace(policy=claimed.policy.model_copy(update={"status": NO_STATUS}))

    def forget(self, plural: str, name: Name, uid: str) -> None:
        """A roll call found an object gone that no watch has reported."""
        self.tell(Sighting(plural, name, uid, 0, None, gone=True))

    def _follow(self, plural: str, name: Name, before: Any, after: Any) -> None:
        if plural == PODS.plural:
            self._pods.put(name.namespace or "", name.name, after)
        elif plural == PROPOSALS.plural:
            self._move_proposal(name, before, after)
        elif isinstance(before, Claimed) or isinstance(after, Claimed):
            self._move_claim(before.claim if before else None, after.claim if after else None)
            if plural == POLICIES.plural:
                self._move_policy(name, before.policy if before else None, after.policy if after else None)
        elif isinstance(before, Connection) or isinstance(after, Connection):
            self._move_connection(name, before, after)

    def _move_connection(self, name: Name, before: Connection | None, after: Connection | None) -> None:
        if before and not _same(before, after):
            self._gone(before)
        if (before and before.spec) != (after and after.spec):
            self._edited(ConnectionKey(ConnectionKind((before or after).kind), name))  # type: ignore[union-attr]

    def _move_claim(self, before: Claim | None, after: Claim | None) -> None:
        if before == after:
            return
        if before:
            left = tuple(claim for claim in self.claims[before.target] if claim != before)
            if left:
                self.claims[before.target] = left
            else:
                del self.claims[before.target]
        if after:
            self.claims[after.target] = (*self.claims.get(after.target, ()), after)

    def _move_policy(self, name: Name, before: LagPolicy | None, after: LagPolicy | None) -> None:
        if before and not _same(before, after):
            self._adopted.discard(before.metadata.uid)
            self._gone(before)
        _move(self._by_place, name, place_of(before) if before else None, place_of(after) if after else None)
        (self._leaving.add if after and _is_leaving(after) else self._leaving.discard)(name)
        old = connection_key(before) if before else None
        new = connection_key(after) if after else None
        _move(self._by_connection, name, old, new)
        if old and old != new:
            self._edited(old)
        if new and _intent(before) != _intent(after):
            self._edited(new)

    def _move_proposal(self, name: Name, before: PartitionProposal | None, after: PartitionProposal | None) -> None:
        self.proposals.put(name, after)
        if before and not _same(before, after):
            self._gone(before)
        if after and before and _said(after) != _said(before):
            policy = self.policy(Name(name.namespace, after.spec.policy))
            if policy:
                self._edited(connection_key(policy))

    # what the reading loops ask

    def connection_keys(self) -> set[ConnectionKey]:
        """Every connection that exists or that a policy names."""
        there = {
            ConnectionKey(kind, name_of(found))
            for kind, watched in CONNECTIONS.items()
            for found in self.shelves[watched.plural]
            if found
        }
        return there | set(self._by_connection)

    def connection(self, key: ConnectionKey) -> Connection | None:
        """The connection of this key, or None."""
        found: Connection | None = self.shelves[CONNECTIONS[key.kind].plural].get(key.name)
        return found

    def policies_of(self, key: ConnectionKey) -> list[LagPolicy]:
        """The policies that read through a connection and are not on their way out, by name."""
        found = (self.policy(name) for name in sorted(self._by_connection.get(key, ())))
        return [policy for policy in found if policy and policy.metadata.deletion_timestamp is None]

    def leaving(self) -> list[LagPolicy]:
        """The policies that are deleted as soon as their flags are as they were."""
        return [policy for name in sorted(self._leaving) if (policy := self.policy(name))]

    def sharing(self, policy: LagPolicy) -> list[LagPolicy]:
        """Other policies whose ladders are in the same flags."""
        place = place_of(policy)
        names = sorted(self._by_place.get(place, ())) if place else ()
        return [other for name in names if name != name_of(policy) and (other := self.policy(name))]

    def policy(self, name: Name) -> LagPolicy | None:
        """The policy of this name as last seen, or None."""
        claimed: Claimed | None = self.shelves[POLICIES.plural].get(name)
        return claimed.policy if claimed else None

    def policies(self) -> Iterator[LagPolicy]:
        """All policies."""
        return (claimed.policy for claimed in self.shelves[POLICIES.plural] if claimed and claimed.policy)

    def claim(self, name: Name) -> Claim | None:
        """What the policy of this name claims."""
        claimed: Claimed | None = self.shelves[POLICIES.plural].get(name)
        return claimed.claim if claimed else None

    def watches(self, ref: TargetRef) -> bool:
        """Whether targets of this kind are watched; others are to be read by /scale."""
        return _group_and_kind(ref) in WORKLOADS

    def workload(self, namespace: str, ref: TargetRef) -> Workload | None:
        """A watched target as last seen, or None where it does not exist."""
        found: Workload | None = self.shelves[WORKLOADS[_group_and_kind(ref)].plural].get(Name(namespace, ref.name))
        return found

    def pods(self, namespace: str, selector: Selector) -> tuple[Pod, ...]:
        """The pods of a namespace that a selector finds and that are neither finished nor on their way out."""
        return self._pods.select(namespace, selector)

    # what the roll calls ask

    def departed(self, plural: str, present: dict[str, Name], since: float) -> Collection[tuple[Name, str]]:
        """Objects kept here that a roll call which began at `since` did not find: (name, uid)."""
        return self.shelves[plural].departed(present, since)

    def missing(self, plural: str, present: dict[str, Name]) -> set[str]:
        """Uids that a roll call found and no watch has shown."""
        return self.shelves[plural].missing(present)


def _group_and_kind(ref: TargetRef) -> tuple[str, str]:
    return ref.api_version.rpartition("/")[0], ref.kind


def _said(proposal: PartitionProposal) -> object:
    """What a person decided."""
    spec = proposal.spec
    return proposal.metadata.uid, spec.decision, spec.method, spec.acknowledge


def _same(before: Resource, after: Resource | None) -> bool:
    return after is not None and after.metadata.uid == before.metadata.uid


def _is_leaving(policy: LagPolicy) -> bool:
    return policy.metadata.deletion_timestamp is not None and is_held(policy)


def _move(index: dict[K, set[Name]], name: Name, old: K | None, new: K | None) -> None:
    """File a name under another key; None: under none."""
    if old is not None and old != new:
        index[old].discard(name)
        if not index[old]:
            del index[old]
    if new is not None:
        index.setdefault(new, set()).add(name)


def _intent(policy: LagPolicy | None) -> object:
    """What a person may have changed: the rest is our own status."""
    if policy is None:
        return None
    meta = policy.metadata
    return meta.uid, meta.annotations, meta.deletion_timestamp, policy.spec
