"""One scene: a topic, its orders, a Deployment of real consumers, its LagPolicy, and all that happens to them."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any, Self

from demo.shop.broker import Broker
from demo.shop.cluster import Cluster
from demo.shop.producer import Orders
from demo.stack import Stack
from tests.waiting import eventually

NAME, FLAGS = "consumer", "flags"
PARTITIONS = 6


class Scene:
    """Everything is called `consumer`, in a namespace of its own; a ConfigMap with flags is called `flags`."""

    def __init__(self, stack: Stack, namespace: str, topic: str, partitions: int = PARTITIONS) -> None:
        assert stack.kafka
        self.stack, self.namespace, self.topic = stack, namespace, topic
        self.bootstrap = stack.kafka.bootstrap
        self._closing = ExitStack()
        self.broker = self._closing.enter_context(closing(Broker(self.bootstrap, topic, topic)))
        self.broker.create_topic(partitions)
        self.cluster = Cluster(stack.kubeconfig, namespace, NAME, NAME, FLAGS)
        self._closing.callback(self.cluster.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    # what people do

    def connect(self) -> None:
        """Apply the BrokerConnection."""
        kafka = {"bootstrapServers": self.bootstrap.split(",")}
        self.apply("tidegate.dev/v1alpha1", "BrokerConnection", "kafka", {"kafka": kafka})

    def deploy(
        self,
        replicas: int = 1,
        rate: float = 20,
        more: Mapping[str, str] | None = None,
        flags: bool = False,
        name: str = NAME,
        kind: str = "Deployment",
        **labels: str,
    ) -> None:
        """Apply the Deployment, or another kind: consumers that do `rate` records/s each, with `more` in their
        environment, and where they have flags, with these mounted.
        """
        env = {
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "GROUP": self.topic,
            "TOPIC": self.topic,
            "SERVICE_RATE": str(rate),
            "READY_FILE": "ready",
            **(more or {}),
        }
        container = {
            "name": "consumer",
            "image": "consumer",
            "command": ["python", "-m", "demo.shop.consumer"],
            "env": [{"name": name, "value": value} for name, value in env.items()],
            "readinessProbe": {"exec": {"command": ["cat", "ready"]}, "periodSeconds": 1},
            "volumeMounts": [{"name": FLAGS, "mountPath": FLAGS}] if flags else [],
        }
        volumes = [{"name": FLAGS, "configMap": {"name": FLAGS}}] if flags else []
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, **labels}},
                "spec": {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 5},
            },
        }
        self.apply("apps/v1", kind, name, spec | ({"serviceName": name} if kind == "StatefulSet" else {}))

    def promise(
        self, name: str = NAME, capacity: dict[str, Any] | None = None, reset: str = "earliest", **spec: Any
    ) -> None:
        """Apply the LagPolicy, with the parts of its spec that matter here."""
        kafka = {"connectionRef": {"name": "kafka"}, "group": self.topic, "topics": [self.topic]}
        whole = {
            "targetRef": {"name": NAME},
            "source": {"kafka": {**kafka, "offsetReset": reset}},
            "objective": {"maxAge": "15s"},
            "replicas": {"min": 1, "max": PARTITIONS},
            "capacity": {"startup": "3s", "rebalance": "2s"} | (capacity or {}),
        }
        self.apply("tidegate.dev/v1alpha1", "LagPolicy", name, whole | spec)

    def apply(self, api_version: str, kind: str, name: str, spec: dict[str, Any]) -> None:
        """`kubectl apply` in this scene's namespace."""
        metadata = {"name": name, "namespace": self.namespace}
        self.stack.apply({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in this scene's namespace."""
        return self.stack.kubectl("-n", self.namespace, *arguments)

    def order(self, *phases: tuple[float, float]) -> Callable[[], None]:
        """Produce in the background: (records/s, seconds) one after the other. The end of the scene ends it, or what is
        given.
        """
        orders = Orders(self.bootstrap, self.topic)
        thread = threading.Thread(target=orders.play, args=(_times(phases),), daemon=True)
        thread.start()
        self._closing.callback(thread.join, 30)
        self._closing.callback(orders.stop)
        return orders.stop

    def backlog(self, records: int) -> None:
        """Produce so many records now."""
        orders = Orders(self.bootstrap, self.topic)
        orders.play([0.0] * records)
        assert len(orders.acknowledged) == records

    # what can be seen

    @property
    def replicas(self) -> int:
        """What the Deployment asks for."""
        return self.cluster.replicas

    @property
    def scales(self) -> list[int]:
        """All that it has ever asked for, in order."""
        return [scale.replicas for scale in self.cluster.scales]

    @property
    def ready(self) -> int:
        """Its ready pods."""
        return self.cluster.ready

    @property
    def status(self) -> dict[str, Any]:
        """Of the LagPolicy."""
        found: dict[str, Any] = self.cluster.policy.get("status") or {}
        return found

    @property
    def reason(self) -> str:
        """Of the last decision; empty before the first."""
        return str(self.cluster.decision.get("reason", ""))

    def condition(self, kind: str) -> dict[str, Any]:
        """One condition of the LagPolicy; empty before the first."""
        return next((c for c in self.status.get("conditions", ()) if c["type"] == kind), {})

    def policy(self, name: str) -> dict[str, Any]:
        """The status of another LagPolicy, asked for now."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "lagp", name, "-o", "json")).get("status") or {}
        return found

    @property
    def events(self) -> list[str]:
        """`Kind Reason: message` of all that happened."""
        return [happening.what for happening in self.cluster.happenings]

    def told(self, words: str) -> bool:
        """Whether an Event has these words."""
        return any(words in event for event in self.events)

    def lag(self) -> int:
        """Records that wait, as the broker says."""
        look = self.broker.look()
        return look.produced - look.committed

    def observed(self) -> None:
        """Wait until Tidegate has measured and decided."""
        eventually(lambda: self.reason and self.condition("Observing").get("status") == "True", seconds=40)

    def stays(self, seconds: float, replicas: Sequence[int]) -> None:
        """For so long the Deployment asks for nothing but what it has asked for already."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            assert self.scales == list(replicas)
            time.sleep(0.2)


Play = Callable[[Scene], None]
"""What happens in a scene. It asserts."""


def _times(phases: Iterable[tuple[float, float]]) -> Iterable[float]:
    """Evenly spaced times, in seconds from the start."""
    start = 0.0
    for rate, seconds in phases:
        yield from (start + number / rate for number in range(int(rate * seconds)))
        start += seconds
