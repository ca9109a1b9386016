"""The cluster as the watches have shown it. One thread: only the main loop touches it."""

from collections.abc import Callable, Collection, Iterator
from time import monotonic
from typing import Any, NamedTuple

from tidegate.api import (
    BrokerConnection,
    ClusterBrokerConnection,
    ConnectionKind,
    LagPolicy,
    LagPolicyStatus,
    TargetRef,
)
from tidegate.cluster.conflicts import Claim, TargetKey, claim_from
from tidegate.cluster.selectors import PodIndex, Selector
from tidegate.cluster.workloads import Workload, pod_from, workload_from
from tidegate.controllers.shelf import Name, Shelf
from tidegate.controllers.watching import Body, Sighting, Watched
from tidegate.engine.observation import Pod

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


def name_of(resource: LagPolicy | Connection) -> Name:
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
RIVALS = (
    Watched("autoscaling", "v2", "horizontalpodautoscalers", _claim),
    Watched("keda.sh", "v1alpha1", "scaledobjects", _claim, optional=True),
)
KINDS = (*WORKLOADS.values(), PODS, *RIVALS, *CONNECTIONS.values(), POLICIES)
"""All that is watched. Kinds that do not exist (KEDA's) are watched from the moment they do."""


class World:
    """What exists, small, and by the questions the reading loops ask.

    `edited` is called with the connection of a policy whose spec or annotations changed, that is new, or that is gone,
    and with a connection whose spec changed, is new or is gone; `gone` with a policy or connection that is no more.
    """

    def __init__(
        self,
        edited: Callable[[ConnectionKey], None],
        gone: Callable[[LagPolicy | Connection], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._edited = edited
        self._gone = gone
        self._clock = clock
        self.shelves: dict[str, Shelf[Any]] = {kind.plural: Shelf() for kind in KINDS}
        self._pods = PodIndex()
        self.claims: dict[TargetKey, tuple[Claim, ...]] = {}
        """All claims on each target."""
        self._adopted: set[str] = set()  # uids of policies
        self._by_connection: dict[ConnectionKey, set[Name]] = {}

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
        old, new = before and connection_key(before), after and connection_key(after)
        if old and old != new:
            self._by_connection[old].discard(name)
            if not self._by_connection[old]:
                del self._by_connection[old]
            self._edited(old)
        if new:
            self._by_connection.setdefault(new, set()).add(name)
            if _intent(before) != _intent(after):
                self._edited(new)

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


def _same(before: LagPolicy | Connection, after: LagPolicy | Connection | None) -> bool:
    return after is not None and after.metadata.uid == before.metadata.uid


def _intent(policy: LagPolicy | None) -> object:
    """What a person may have changed: the rest is our own status."""
    return policy and (policy.metadata.uid, policy.metadata.annotations, policy.spec)
