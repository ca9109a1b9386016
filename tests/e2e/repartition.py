"""What tests of partition increases need: a proposal to approve, orders to every partition, and who got them."""

import json
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from demo.shop.message import Deduction
from tests.e2e.scene import NAME, PARTITIONS, Scene
from tests.waiting import eventually
from tidegate.api import Evidence, Method, PartitionProposalSpec

TO = 2 * PARTITIONS


class Ordering:
    """Orders to all partitions in turn, to new ones from the moment they are there; keeps what was acknowledged."""

    def __init__(self, bootstrap: str, topic: str, rate: float) -> None:
        self.acknowledged: dict[str, int] = {}
        """Partition by the id of the order."""
        self._topic, self._rate, self._run = topic, rate, f"{time.time_ns():x}"
        self._client = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "log_level": 2,
                "linger.ms": 5,
                "topic.metadata.refresh.interval.ms": 100,
                "partitioner": "random",
            }
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Order nothing more, and wait for what was ordered."""
        self._stopping.set()
        self._thread.join(30)
        self._client.flush(30)

    def _play(self) -> None:
        number = 0
        while not self._stopping.wait(1 / self._rate):
            number += 1
            order = Deduction(f"{self._run}-{number:06d}", "somebody", 1)
            self._client.produce(self._topic, order.encode(), on_delivery=self._answer(order.id))
            self._client.poll(0)

    def _answer(self, order: str) -> Any:
        def answered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                self.acknowledged[order] = message.partition() or 0

        return answered

    def reached(self, partitions: set[int]) -> bool:
        """Whether each of these partitions has got an order."""
        return partitions <= set(self.acknowledged.values())


class Outsider:
    """A member of the group that is no pod: it keeps the group from being empty, and commits nothing."""

    def __init__(self, bootstrap: str, group: str, topic: str) -> None:
        self._client = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 500,
                "auto.offset.reset": "latest",
            }
        )
        self._leaving, joined = threading.Event(), threading.Event()
        self._client.subscribe([topic], on_assign=lambda *_: joined.set())
        self._thread = threading.Thread(target=self._stay, daemon=True)
        self._thread.start()
        assert joined.wait(90)

    def _stay(self) -> None:
        while not self._leaving.is_set():
            self._client.poll(0.1)
        self._client.close()

    def leave(self) -> None:
        """Leave the group."""
        self._leaving.set()
        self._thread.join(20)


class Increase:
    """A proposal for the scene's topic, and its story."""

    def __init__(self, scene: Scene, method: Method) -> None:
        self.scene = scene
        self.name = "more"
        policy = json.loads(scene.kubectl("get", "lagp", NAME, "-o", "json"))
        owner = {
            "apiVersion": policy["apiVersion"],
            "kind": "LagPolicy",
            "name": NAME,
            "uid": policy["metadata"]["uid"],
        }
        self._metadata = {
            "name": self.name,
            "namespace": scene.namespace,
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        }
        self._spec = _spec(scene, method)

    def propose(self) -> None:
        """Make it as Tidegate would, and wait until it has said what it thinks of it."""
        whole = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "PartitionProposal", "metadata": self._metadata}
        self.scene.stack.apply({**whole, "spec": self._spec.wire()})
        eventually(lambda: self.condition("Validated").get("status") == "True", seconds=40)

    def approve(self) -> None:
        """As a person would who has read what it can break, and bears it."""
        hazards = sorted({hazard["name"] for hazard in self.status["hazards"] if hazard["blocking"]})
        said = {"spec": {"decision": "Approve", "acknowledge": hazards}}
        self.scene.kubectl("patch", "pprop", self.name, "--type=merge", "-p", json.dumps(said))

    @property
    def found(self) -> dict[str, Any]:
        """The whole of it; {} where it is gone."""
        answer = self.scene.kubectl("get", "pprop", self.name, "-o", "json", "--ignore-not-found")
        return json.loads(answer) if answer.strip() else {}

    @property
    def status(self) -> dict[str, Any]:
        return self.found.get("status") or {}

    @property
    def step(self) -> str:
        return str((self.status.get("execution") or {}).get("step", ""))

    def condition(self, kind: str) -> dict[str, Any]:
        return next((c for c in self.status.get("conditions", ()) if c["type"] == kind), {})

    def told(self, reason: str) -> bool:
        """Whether an Event about it has this reason."""
        about = f"reason={reason},involvedObject.kind=PartitionProposal,involvedObject.name={self.name}"
        return bool(self.scene.kubectl("get", "events", "--field-selector", about, "-o", "name").strip())

    @property
    def ended(self) -> str:
        """Applied or Failed, once it is so."""
        return next((kind for kind in ("Applied", "Failed") if self.condition(kind).get("status") == "True"), "")


def _spec(scene: Scene, method: Method) -> PartitionProposalSpec:
    admin, described = _described(scene)
    now = datetime.now(UTC).replace(microsecond=0)
    evidence = Evidence(
        time=now,
        cluster=admin.describe_cluster().result(60).cluster_id,
        topic_id=_as_uuid(described.topic_id),
        group=scene.topic,
        arrival_rate=40.0,
        looked_back=timedelta(hours=1),
        per_replica=20.0,
        bound_for=timedelta(minutes=5),
        need=8,
        ceiling=PARTITIONS,
        ceiling_after=TO,
        pause=timedelta(seconds=10),
        message="made by a test",
    )
    return PartitionProposalSpec(
        policy=NAME,
        topic=scene.topic,
        **{"from": PARTITIONS},
        to=TO,
        evidence=evidence,
        expires=now + timedelta(hours=24),
        method=method,
    )


def _described(scene: Scene) -> tuple[AdminClient, Any]:
    admin = AdminClient({"bootstrap.servers": scene.bootstrap})
    return admin, admin.describe_topics(TopicCollection([scene.topic]))[scene.topic].result(60)


def _as_uuid(topic_id: Any) -> str:
    """Kafka's tools write it in base64, Tidegate as RFC 9562 does."""
    high, low = topic_id.get_most_significant_bits(), topic_id.get_least_significant_bits()
    return str(UUID(int=(high % 2**64 << 64) + low % 2**64))


def partitions(scene: Scene) -> int:
    """How many the scene's topic has."""
    return len(_described(scene)[1].partitions)


def applied(ledger: Path) -> dict[str, int]:
    """How often each order has been applied."""
    with sqlite3.connect(ledger, timeout=30) as db:
        return dict(db.execute("SELECT id, count(*) FROM postings GROUP BY id"))
