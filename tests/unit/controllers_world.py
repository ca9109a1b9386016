"""Bodies as watches show them, and a world that is told of them."""

import itertools
from typing import Any

from tidegate.api import ConnectionKind
from tidegate.controllers.shelf import Name
from tidegate.controllers.watching import Watched, sighting
from tidegate.controllers.world import RIVALS, WORKLOADS, ConnectionKey, World

VERSIONS = itertools.count(1)
HPAS, SCALED_OBJECTS = RIVALS
DEPLOYMENTS = WORKLOADS["apps", "Deployment"]
KAFKA = ConnectionKey(ConnectionKind.BROKER_CONNECTION, Name("shop", "kafka"))
MIRROR = ConnectionKey(ConnectionKind.CLUSTER_BROKER_CONNECTION, Name(None, "kafka"))


def body(name: str, uid: str = "", created: str = "2026-01-01T00:00:00Z", **parts: Any) -> dict[str, Any]:
    meta = {"namespace": "shop", "name": name, "uid": uid or name, "resourceVersion": str(next(VERSIONS))}
    return {"metadata": {**meta, "creationTimestamp": created, **parts.pop("metadata", {})}, **parts}


def policy(name: str = "points", connection: dict[str, str] | None = None, **parts: Any) -> dict[str, Any]:
    return body(
        name,
        kind="LagPolicy",
        spec={
            "targetRef": {"name": "points-consumer"},
            "source": {"kafka": {"connectionRef": connection or {"name": "kafka"}, "group": "points"}},
            "objective": {"maxAge": "60s"},
            "replicas": {"max": 8},
            **parts.pop("spec", {}),
        },
        **parts,
    )


class Watching:
    """A world, told by events, and what it tells on."""

    def __init__(self) -> None:
        self.edited: list[ConnectionKey] = []
        self.gone: list[str] = []
        self.now = 0.0
        self.world = World(self.edited.append, lambda r: self.gone.append(r.metadata.uid), clock=lambda: self.now)

    def see(self, kind: Watched, seen: dict[str, Any], event: str | None = "MODIFIED") -> None:
        self.world.tell(sighting(kind, event, seen))

    def drain(self) -> list[ConnectionKey]:
        told, self.edited[:] = list(self.edited), []
        return told
