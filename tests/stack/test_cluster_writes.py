"""Statuses, Events and Secrets on the real API server, and the rights they need."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from kubernetes.aio.client import ApiClient, ApiException

from demo.stack import Stack
from tests.stack.cluster import OPERATOR, ROOT, Space, client_of, grant, install, install_rights, policy
from tests.stack.mistakes import CONNECTION
from tests.waiting import eventually
from tidegate.api import (
    BrokerConnection,
    BrokerConnectionStatus,
    ClusterBrokerConnection,
    LagPolicy,
    LagPolicyStatus,
    Reason,
)
from tidegate.cluster.events import About, Event, EventType, Recorder
from tidegate.cluster.judgement import Outcome
from tidegate.cluster.secrets import Secrets, read_secrets
from tidegate.cluster.status import Worth, build_status
from tidegate.cluster.writing import Key, StatusWriter, gone, write_status
from tidegate.engine.decision import Backlog, Decision
from tidegate.engine.observation import GroupState, Objection, Observation, Reading, Target

READING = Reading(partitions={}, topic_ids={}, committed_at=0, ended_at=0, state=GroupState.STABLE)


@pytest.fixture(scope="module", autouse=True)
def crds(stack: Stack) -> None:
    install(stack, ROOT / "crds")


@pytest.fixture
def space(stack: Stack, namespace: str) -> Space:
    found = Space(stack, namespace)
    found.apply(policy())
    return found


@asynccontextmanager
async def running(worker: StatusWriter | Recorder) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        task.cancel()


def status(
    of: LagPolicy, now: float = 1000.0, lag: int | None = 10, reason: Reason = Reason.ON_TIME
) -> LagPolicyStatus:
    backlog = Backlog(lag=lag, age=None if lag is None else 4.0)
    decision = Decision(
        None, reason, f"{lag} records wait", need=1, desired=1, ceiling=12, partitions=12, backlog=backlog
    )
    return build_status(Outcome(of, Observation(READING, Target(1, ())), decision, now), of.status)


# Statuses


async def test_a_status_is_what_kubectl_shows_and_unknown_numbers_go_away(api: ApiClient, space: Space):
    points = space.policy()
    await write_status(api, Key.of(points), status(points, lag=10))
    shown = space.get("lagp", "points")["status"]
    assert shown["backlog"] == {"lag": 10, "age": "4s"}
    assert [c["type"] for c in shown["conditions"]] == [
        "AtRisk",
        "Observing",
        "PartitionBound",
        "Ready",
        "ScalingLimited",
    ]
    space.kubectl("wait", "lagp/points", "--for=condition=Ready", "--timeout=180s")

    await write_status(api, Key.of(points), status(space.policy(), lag=None))
    assert (
        "backlog" not in space.get("lagp", "points")["status"] or not space.get("lagp", "points")["status"]["backlog"]
    )
    assert space.policy().status == status(space.policy(), lag=None)


async def test_a_status_says_no_more_than_is_new(api: ApiClient, space: Space):
    clock = count(0, 5)  # each look at it is five seconds later
    writer = StatusWriter(api, clock=lambda: float(next(clock)))
    points = space.policy()
    async with running(writer):
        assert writer.offer(points, status(points)) is Worth.AT_ONCE
        await asyncio.wait_for(writer.drain(), 20)
        version = space.policy().metadata.resource_version
        assert writer.offer(points, status(points)) is Worth.NOTHING
        assert writer.offer(points, status(points, lag=12)) is Worth.NOTHING
        await asyncio.wait_for(writer.drain(), 20)
        assert space.policy().metadata.resource_version == version
        assert writer.offer(points, status(points, lag=5, reason=Reason.DRAINING)) is Worth.AT_ONCE
        await asyncio.wait_for(writer.drain(), 20)
    assert space.policy().status.backlog.lag == 5


async def test_only_the_newest_of_statuses_that_wait_is_written(api: ApiClient, space: Space):
    writer, points = StatusWriter(api), space.policy()
    generation = space.policy().metadata.resource_version
    for lag in range(10):
        writer.offer(points, status(points, lag=lag))
    async with running(writer):
        await asyncio.wait_for(writer.drain(), 20)
    assert space.policy().status.backlog.lag == 9
    assert space.policy().metadata.resource_version != generation
    managers = space.get("lagp", "points")["metadata"]["managedFields"]
    assert [(m["manager"], m.get("subresource")) for m in managers if m["manager"] == "tidegate"] == [
        ("tidegate", "status")
    ]


async def test_a_deleted_policy_is_no_trouble(api: ApiClient, space: Space, caplog: pytest.LogCaptureFixture):
    writer, points = StatusWriter(api), space.policy()
    space.kubectl("delete", "lagp", "points")
    async with running(writer):
        writer.offer(points, status(points))
        await asyncio.wait_for(writer.drain(), 20)
    assert not caplog.records


async def test_a_status_never_reaches_a_policy_that_was_made_anew(
    api: ApiClient, space: Space, caplog: pytest.LogCaptureFixture
):
    writer, points = StatusWriter(api), space.policy()
    space.kubectl("delete", "lagp", "points")
    space.apply(policy())
    with pytest.raises(ApiException) as refused:
        await write_status(api, Key.of(points), status(points))
    assert gone(refused.value)
    async with running(writer):
        writer.offer(points, status(points))
        await asyncio.wait_for(writer.drain(), 20)
    assert "status" not in space.get("lagp", "points")
    assert not caplog.records


async def test_a_missing_right_to_write_statuses_is_logged_once(
    stack: Stack, space: Space, caplog: pytest.LogCaptureFixture
):
    space.apply(policy(name="second"))
    grant(space, "reader", {"apiGroups": ["tidegate.dev"], "resources": ["lagpolicies"], "verbs": ["get"]})
    async with client_of(stack, space.name, "reader") as reader:
        writer = StatusWriter(reader)
        async with running(writer):
            for name in ("points", "second"):
                writer.offer(space.policy(name), status(space.policy(name)))
            await asyncio.wait_for(writer.drain(), 20)
    [line] = [record.getMessage() for record in caplog.records if record.name.startswith("tidegate")]
    assert f"may not patch lagpolicies/status in namespace {space.name}" in line


async def test_the_status_of_a_connection_is_written_the_same_way(api: ApiClient, space: Space):
    space.apply(CONNECTION)
    connection = BrokerConnection.parse(space.get("bconn", "shop-kafka"))
    writer = StatusWriter(api)
    async with running(writer):
        writer.offer(connection, BrokerConnectionStatus(observed_generation=1, cluster_id="abc", brokers=3))
        await asyncio.wait_for(writer.drain(), 20)
    assert space.get("bconn", "shop-kafka")["status"]["clusterId"] == "abc"


# Events


def event(about: LagPolicy, message: str = "it did") -> Event:
    return Event(About.resource(about), EventType.WARNING, Reason.PROMISE_BROKEN, message)


async def test_events_are_shown_by_kubectl_and_repeats_are_dropped(api: ApiClient, space: Space):
    now = [1_700_000_000.0]
    recorder = Recorder(api, "tidegate-0", clock=lambda: now[0])
    points = space.policy()
    long = "ü" * 2000
    async with running(recorder):
        for message in ("first", "second"):
            recorder.tell(event(points, message))
        recorder.tell(replace(event(points, long), dedupe_key="another"))
        now[0] += timedelta(minutes=16).total_seconds()
        recorder.tell(event(points, "third"))
        await asyncio.wait_for(recorder.drain(), 20)
    events = space.events("points")
    assert sorted(e["message"] for e in events)[:2] == ["first", "third"]
    [cut] = [e["message"] for e in events if "ü" in e["message"]]
    assert 1020 <= len(cut.encode()) <= 1024
    assert len(events) == 3
    [first] = [e for e in events if e["message"] == "first"]
    assert (first["type"], first["reason"], first["reportingComponent"]) == (
        "Warning",
        "PromiseBroken",
        "tidegate.dev/operator",
    )
    assert first["involvedObject"]["uid"] == points.metadata.uid
    assert "PromiseBroken" in space.kubectl("describe", "lagp", "points")


async def test_events_about_objects_of_the_whole_cluster(stack: Stack, api: ApiClient, space: Space):
    stack.apply({**CONNECTION, "kind": "ClusterBrokerConnection", "metadata": {"name": space.name}})
    try:
        body = json.loads(stack.kubectl("get", "cbconn", space.name, "-o", "json"))
        about = About.resource(ClusterBrokerConnection.parse(body))
        recorder = Recorder(api, "tidegate-0")
        async with running(recorder):
            recorder.tell(Event(about, EventType.WARNING, Reason.CONNECTION_FAILED, "no route to host"))
            await asyncio.wait_for(recorder.drain(), 20)
        assert "no route to host" in stack.kubectl("describe", "cbconn", space.name)
    finally:
        stack.kubectl("delete", "cbconn", space.name)


async def test_events_that_cannot_be_written_are_only_logged(
    stack: Stack, space: Space, caplog: pytest.LogCaptureFixture
):
    grant(space, "nobody", {"apiGroups": ["tidegate.dev"], "resources": ["lagpolicies"], "verbs": ["get"]})
    async with client_of(stack, space.name, "nobody") as nobody:
        recorder = Recorder(nobody, "tidegate-0", capacity=1)
        async with running(recorder):
            for key in range(3):
                recorder.tell(replace(event(space.policy()), dedupe_key=key))
            await asyncio.wait_for(recorder.drain(), 20)
    assert space.events("points") == []
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("tidegate")]
    assert sum("too many Events wait" in line for line in lines) == 2
    assert sum("cannot create resource" in line for line in lines) == 1


# Secrets


def connection_with(ca: str, password: str, **extra: str) -> dict[str, object]:
    def ref(name: str, key: str) -> dict[str, object]:
        return {"secretKeyRef": {"name": name, "key": key, **extra}}

    credentials = {"username": ref("login", "username"), "password": ref("login", password)}
    sasl = {"mechanism": "PLAIN", "credentials": credentials}
    return {"kafka": {"bootstrapServers": ["kafka:9093"], "tls": {"ca": ref(ca, "ca.crt")}, "sasl": sasl}}


def secret(name: str, **values: str) -> dict[str, object]:
    data = {key.replace("_", "."): b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


async def test_secrets_are_read_whole_and_a_change_is_seen(api: ApiClient, space: Space):
    space.apply(secret("authority", ca_crt="PEM"), secret("login", username="alice", password="one"))
    space.apply({**CONNECTION, "spec": connection_with("authority", "password")})
    spec = BrokerConnection.parse(space.get("bconn", "shop-kafka")).spec
    first, again = await read_secrets(api, spec, space.name), await read_secrets(api, spec, space.name)
    assert isinstance(first, Secrets)
    assert first == again
    assert spec.kafka.tls
    assert spec.kafka.tls.ca
    assert first[spec.kafka.tls.ca.secret_key_ref] == "PEM"
    assert sorted(first.values.values()) == ["PEM", "alice", "one"]
    assert "one" not in repr(first)

    space.apply(secret("login", username="alice", password="two"))
    changed = await read_secrets(api, spec, space.name)
    assert isinstance(changed, Secrets)
    assert changed.fingerprint != first.fingerprint


async def test_a_cluster_connection_names_the_namespaces_of_its_secrets(api: ApiClient, space: Space):
    space.apply(secret("authority", ca_crt="PEM"), secret("login", username="alice", password="one"))
    body = {**CONNECTION, "spec": connection_with("authority", "password", namespace=space.name)}
    spec = ClusterBrokerConnection.parse({**body, "kind": "ClusterBrokerConnection"}).spec
    found = await read_secrets(api, spec, "")
    assert isinstance(found, Secrets)
    assert len(found.values) == 3


async def test_a_missing_secret_a_missing_key_and_a_missing_right_are_named(stack: Stack, api: ApiClient, space: Space):
    space.apply(secret("login", username="alice", pass_word="one"))
    spec = BrokerConnection.parse({**CONNECTION, "spec": connection_with("authority", "password")}).spec
    absent = await read_secrets(api, spec, space.name)
    assert absent == Objection(Reason.SECRET_NOT_FOUND, f"Secret authority does not exist in namespace {space.name}")

    space.apply(secret("authority", ca_crt="PEM"))
    keyless = await read_secrets(api, spec, space.name)
    message = f"key password of Secret {space.name}/login does not exist; its keys are: pass.word, username"
    assert keyless == Objection(Reason.SECRET_NOT_FOUND, message)

    grant(space, "nobody", {"apiGroups": ["tidegate.dev"], "resources": ["lagpolicies"], "verbs": ["get"]})
    async with client_of(stack, space.name, "nobody") as nobody:
        refused = await read_secrets(nobody, spec, space.name)
    assert isinstance(refused, Objection)
    assert refused.reason is Reason.FORBIDDEN
    assert f"may not get secrets in namespace {space.name}" in refused.message


# Rights


def test_the_operators_rights_are_enough_and_no_more(stack: Stack):
    install_rights(stack)

    def may(verb: str, what: str, sub: str = "") -> bool:
        options = (f"--subresource={sub}",) if sub else ()
        return (
            stack.kubectl("auth", "can-i", verb, what, *options, "-A", "--as", OPERATOR, check=False).strip() == "yes"
        )

    allowed = [
        ("watch", "lagpolicies.tidegate.dev", ""),
        ("patch", "lagpolicies.tidegate.dev", "status"),
        ("patch", "lagpolicies.tidegate.dev", ""),
        ("get", "configmaps", ""),
        ("patch", "configmaps", ""),
        ("patch", "clusterbrokerconnections.tidegate.dev", "status"),
        ("get", "statefulsets.apps", "scale"),
        ("patch", "replicasets.apps", "scale"),
        ("watch", "pods", ""),
        ("list", "horizontalpodautoscalers.autoscaling", ""),
        ("create", "events.events.k8s.io", ""),
        ("get", "secrets", ""),
        ("watch", "customresourcedefinitions.apiextensions.k8s.io", ""),
    ]
    denied = [
        ("patch", "deployments.apps", ""),
        ("update", "statefulsets.apps", ""),
        ("delete", "pods", ""),
        ("list", "secrets", ""),
        ("list", "configmaps", ""),
        ("get", "pods", ""),
        ("approve", "partitionproposals.tidegate.dev", ""),
        ("list", "leases.coordination.k8s.io", ""),
        ("update", "configmaps", ""),
        ("update", "lagpolicies.tidegate.dev", ""),
        ("create", "events", ""),
    ]
    eventually(lambda: [right for right in allowed if not may(*right)] == [])
    assert [right for right in denied if may(*right)] == []
