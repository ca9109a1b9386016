"""The pods of one Deployment: ordered, starting, ready, gone, and paid for from creation to deletion."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from tidegate.engine.observation import Pod, Target

EPOCH = 1_000_000_000.0
"""Worlds count seconds from 0; observations say seconds since the epoch, which this is the start of."""

LONG_AGO = -3600.0


@dataclass(slots=True)
class SimulatedPod:
    """A pod; `ready_at` is when it will be (or became) ready, infinity for one that never will."""

    name: str
    created: float
    ready_at: float
    ready: bool = False


@dataclass
class Fleet:
    """A Deployment and its pods.

    `startup(now, share)` gives the start-up time of one pod of an order; `share` is its place in the order, 0 to 1.
    """

    startup: Callable[[float, float], float]
    pods: list[SimulatedPod] = field(default_factory=list)
    replicas: int = 0
    paid: float = 0.0  # pod-seconds of pods that are gone
    made: int = 0
    orders: list[tuple[float, int]] = field(default_factory=list)
    _seen: Target | None = None

    @classmethod
    def running(cls, replicas: int, startup: Callable[[float, float], float]) -> "Fleet":
        """A Deployment whose pods have been ready for long; they are paid for from time 0."""
        fleet = cls(startup, replicas=replicas, made=replicas)
        fleet.pods = [
            SimulatedPod(f"pod-{i}", LONG_AGO, LONG_AGO + startup(LONG_AGO, 0.0), ready=True) for i in range(replicas)
        ]
        return fleet

    @property
    def ready(self) -> list[SimulatedPod]:
        """The pods that are ready, oldest first."""
        return [pod for pod in self.pods if pod.ready]

    def next_ready(self) -> float:
        """When the next pod becomes ready; infinity where none will."""
        return min((pod.ready_at for pod in self.pods if not pod.ready), default=inf)

    def mature(self, now: float) -> list[SimulatedPod]:
        """Make the pods ready whose time has come, and return them."""
        due = [pod for pod in self.pods if not pod.ready and pod.ready_at <= now]
        for pod in due:
            pod.ready = True
        if due:
            self._seen = None
        return due

    def scale(self, replicas: int, now: float) -> list[SimulatedPod]:
        """Order a number of replicas; returns the ready pods that leave for it.

        Those that are not ready go first, then those that have been ready for the shortest time (the ReplicaSet
        controller's order).
        """
        if replicas == self.replicas:
            return []
        self.replicas, self._seen = replicas, None
        self.orders.append((now, replicas))
        more = replicas - len(self.pods)
        for position in range(more):
            share = position / (more - 1) if more > 1 else 0.0
            self.pods.append(SimulatedPod(f"pod-{self.made}", now, now + self.startup(now, share)))
            self.made += 1
        surplus = max(0, len(self.pods) - replicas)
        doomed = sorted(self.pods, key=lambda pod: (pod.ready, -pod.ready_at))[:surplus]
        for pod in doomed:
            self.pods.remove(pod)
            self.paid += now - max(pod.created, 0.0)
        return [pod for pod in doomed if pod.ready]

    def bill(self, now: float) -> float:
        """Pod-seconds paid for up to now."""
        return self.paid + sum(now - max(pod.created, 0.0) for pod in self.pods)

    def target(self) -> Target:
        """The Deployment as the API server shows it."""
        if self._seen is None:
            self._seen = Target(self.replicas, tuple(_shown(pod) for pod in self.pods), template="v1")
        return self._seen


def _shown(pod: SimulatedPod) -> Pod:
    return Pod(pod.name, EPOCH + pod.created, EPOCH + pod.ready_at if pod.ready else None, template="v1")
