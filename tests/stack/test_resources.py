"""The resources on the real API server: what it explains, fills in, shows, accepts and refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import stamina
import yaml

from demo.stack import Stack, StackError
from tests.stack.degradation_mistakes import RIGHT as RIGHT_LADDERS
from tests.stack.mistakes import (
    CLUSTER_CONNECTION,
    CONNECTION,
    EVERY,
    POD_A_MINUTE,
    POLICY,
    POLICY_MISTAKES,
    PROPOSAL,
    with_,
)

ROOT = Path(__file__).parents[2]
CRDS = ("lagpolicies", "partitionproposals", "brokerconnections", "clusterbrokerconnections")


@pytest.fixture(scope="module", autouse=True)
def crds(stack: Stack) -> None:
    stack.apply(ROOT / "crds")
    names = [f"crd/{plural}.tidegate.dev" for plural in CRDS]
    stack.kubectl("wait", "--for=condition=Established", "--timeout=180s", *names)
    for attempt in stamina.retry_context(on=StackError, attempts=None, timeout=30, wait_max=0.5):
        with attempt:  # what kubectl explain reads is published a moment later
            for plural in CRDS:
                stack.kubectl("explain", plural)


def create(stack: Stack, namespace: str, body: dict[str, Any], *options: str) -> str:
    return stack.kubectl("create", "-n", namespace, "-f", "-", *options, input=json.dumps(body))


def show(stack: Stack, namespace: str, *what: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(stack.kubectl("get", *what, "-n", namespace, "-o", "json"))
    return read


def forget(stack: Stack, *bodies: dict[str, Any]) -> None:
    """Delete what no namespace takes along."""
    for body in bodies:
        stack.kubectl("delete", body["kind"].lower(), body["metadata"]["name"], "--ignore-not-found")


# What it explains, fills in and shows


def test_kubectl_explain_teaches(stack: Stack):
    told = " ".join(stack.kubectl("explain", "lagpolicy.spec.objective").split())
    assert "Every record is processed within this time of its arrival. From 1s to 24h. Example: 60s." in told
    assert "-required-" in told
    assert "must match to count" in " ".join(stack.kubectl("explain", "lagp.spec.source.kafka.topicPattern").split())
    assert "SCRAM-SHA-512" in stack.kubectl("explain", "brokerconnection.spec.kafka.sasl.mechanism")
    assert "Namespace of the Secret" in stack.kubectl("explain", "cbconn.spec.kafka.tls.ca.secretKeyRef.namespace")


def test_a_minimal_policy_is_stored_with_its_defaults_and_no_status(stack: Stack, namespace: str):
    create(stack, namespace, POLICY)
    policy = show(stack, namespace, "lagp", "points")
    spec = policy["spec"]
    assert spec["targetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "points-consumer"}
    assert spec["source"]["kafka"]["connectionRef"]["kind"] == "BrokerConnection"
    assert spec["source"]["kafka"]["offsetReset"] == "latest"
    assert spec["source"]["kafka"]["isolation"] == "read_uncommitted"
    assert spec["replicas"] == {"min": 1, "max": 12}
    assert spec["capacity"] == {"consumersPerReplica": 1}
    assert spec["mode"] == "Active"
    assert "behavior" not in spec
    assert "status" not in policy


STATUS = """
observedGeneration: 1
conditions:
- {type: Ready, status: "True", reason: Ready, message: fine, lastTransitionTime: "2026-01-02T03:04:05Z"}
backlog: {lag: 4200, age: 42s, arrivalRate: "118", serviceRate: "96.5", drainTime: 3m10s}
replicas: {current: 4, ready: 3, need: 6, desired: 6}
degradation: {level: 1, name: NoRecommendations}
lastDecision: {time: "2026-01-02T03:04:05Z", reason: Surge, message: 118 records/s need 6 replicas}
history: [{time: "2026-01-02T03:04:05Z", from: 1, to: 4, reason: Surge, message: up}]
memory: "{}"
"""


def test_kubectl_get_lagp_answers_the_question_of_whoever_is_on_call(stack: Stack, namespace: str):
    create(stack, namespace, POLICY)
    patch = json.dumps({"status": yaml.safe_load(STATUS)})
    stack.kubectl("patch", "lagp", "points", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    header, row = stack.kubectl("get", "lagp", "-n", namespace).splitlines()
    assert " ".join(header.split()) == "NAME TARGET LAG BEHIND IN/S OUT/S REPLICAS DESIRED LEVEL READY REASON AGE"
    assert " ".join(row.split()).startswith("points points-consumer 4200 42s 118 96.5 4 6 1 True Surge ")
    wide = stack.kubectl("get", "lagp", "-n", namespace, "-o", "wide")
    assert "points-service" in wide
    assert "Deployment" in wide


def test_status_is_not_written_through_the_object_itself(stack: Stack, namespace: str):
    create(stack, namespace, POLICY | {"status": yaml.safe_load(STATUS)})
    assert "status" not in show(stack, namespace, "lagp", "points")


@pytest.mark.parametrize("name", ["lagp", "lagpolicy", "lagpolicies", "bconn", "cbconn", "tidegate"])
def test_names_short_and_long(stack: Stack, namespace: str, request: pytest.FixtureRequest, name: str):
    create(stack, namespace, POLICY)
    create(stack, namespace, CONNECTION)
    stack.apply(CLUSTER_CONNECTION)
    request.addfinalizer(lambda: forget(stack, CLUSTER_CONNECTION))
    found = stack.kubectl("get", name, "-n", namespace, "-o", "name")
    assert "tidegate.dev/" in found
    assert name != "tidegate" or ("points" in found and "shop-kafka" in found and "elsewhere-kafka" in found)


# What it accepts

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def test_there_are_examples():
    assert len(EXAMPLES) >= 13
    listed = (ROOT / "examples" / "README.md").read_text()
    assert all(f"({path.name})" in listed for path in EXAMPLES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_accepted_as_it_is(stack: Stack, namespace: str, request: pytest.FixtureRequest, path: Path):
    documents = list(yaml.safe_load_all(path.read_text()))
    request.addfinalizer(lambda: forget(stack, *(d for d in documents if d["kind"].startswith("Cluster"))))
    told = stack.kubectl("apply", "--validate=strict", "-n", namespace, "-f", path)
    assert told.count(" created") + told.count(" configured") + told.count(" unchanged") == len(documents)


@pytest.mark.parametrize("page", ["from-keda", "install"])
def test_what_a_page_has_people_apply_is_accepted(stack: Stack, namespace: str, page: str):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    blocks = re.findall(r"^(?:```yaml|\$ kubectl apply .*<<END)\n(.*?)^(?:```|END)$", text, re.M | re.S)
    ours = [body for block in blocks for body in yaml.safe_load_all(block) if body["apiVersion"].startswith("tidegate")]
    assert [body["kind"] for body in ours] == ["BrokerConnection", "LagPolicy"]
    for body in ours:
        body["metadata"].pop("namespace", None)
        assert create(stack, namespace, body, "--validate=strict").endswith("created\n")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.objective.maxAge", "24h"),
        ("spec.objective.maxAge", "1h30m"),
        ("spec.objective.maxAge", "1500ms"),
        ("spec.replicas.min", 0),
        ("spec.replicas.min", 12),
        ("spec.capacity.recordsPerSecond", 120),
        ("spec.capacity.recordsPerSecond", "0.001"),
        ("spec.capacity.startup", "0s"),
        ("spec.source.kafka.topics", ["points.deduct", "_Points-2"]),
        ("spec.source.kafka.topicPattern", "points[.](deduct|refund).*"),
        ("spec.source.kafka.topicPattern", "(?i)points"),
        ("spec.source.kafka.topicPattern", "never|matches the empty name"),
        ("spec.source.kafka.group", "any Group: with blanks"),
        ("spec.targetRef.apiVersion", "argoproj.io/v1alpha1"),
        ("spec.targetRef.apiVersion", "v1"),
        ("spec.partitions", {}),
        ("spec.partitions", {"mode": "Apply", "max": 1, "maxFactor": 2, "keyed": False}),
        ("spec.behavior", {}),
        ("spec.behavior.scaleUp", {}),
        ("spec.behavior.scaleUp", {"selectPolicy": "Disabled"}),
        ("spec.behavior.scaleDown", {"stabilizationWindowSeconds": 3600}),
        ("spec.behavior.scaleUp", {"policies": [POD_A_MINUTE | {"periodSeconds": 1800}], "selectPolicy": "Min"}),
        ("spec.behavior.scaleUp", {"policies": [{"type": "Percent", "value": 900, "periodSeconds": 1}] * 16}),
    ],
)
def test_an_edge_of_what_is_right_is_accepted(stack: Stack, path: str, value: Any):
    assert "created" in create(stack, "default", with_(POLICY, path, value), "--dry-run=server")


@pytest.mark.parametrize("degradation", RIGHT_LADDERS.values(), ids=list(RIGHT_LADDERS))
def test_a_ladder_is_accepted(stack: Stack, degradation: dict[str, Any]):
    assert "created" in create(stack, "default", with_(POLICY, "spec.degradation", degradation), "--dry-run=server")


def test_the_behavior_of_an_hpa_can_be_pasted(stack: Stack, namespace: str):
    """As the API server shows it in an HPA, where it has filled in its defaults."""
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "elsewhere"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "elsewhere"},
            "maxReplicas": 12,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }
    create(stack, namespace, hpa)
    behavior = show(stack, namespace, "hpa", "elsewhere")["spec"]["behavior"]
    assert {policy["value"] for policy in behavior["scaleUp"]["policies"]} == {4, 100}
    create(stack, namespace, with_(POLICY, "spec.behavior", behavior))
    assert show(stack, namespace, "lagp", "points")["spec"]["behavior"] == behavior


def test_an_absent_part_of_a_behavior_is_shown_as_no_limit(stack: Stack, namespace: str):
    create(stack, namespace, with_(POLICY, "spec.behavior.scaleUp", {"policies": [POD_A_MINUTE]}))
    none = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max"}
    behavior = show(stack, namespace, "lagp", "points")["spec"]["behavior"]
    assert behavior == {"scaleUp": none | {"policies": [POD_A_MINUTE]}, "scaleDown": none}


@pytest.mark.parametrize(
    "server", ["b:1", "b:65535", "10.0.0.1:9092", "[2001:db8::1]:9092", "a-b.c_d.example.com:9092"]
)
def test_an_address_is_accepted(stack: Stack, server: str):
    body = with_(CONNECTION, "spec.kafka.bootstrapServers", [server])
    assert "created" in create(stack, "default", body, "--dry-run=server")


# What it refuses


@pytest.mark.parametrize("base", [POLICY, PROPOSAL, CONNECTION, CLUSTER_CONNECTION], ids=lambda base: base["kind"])
def test_without_a_mistake_it_would_be_accepted(stack: Stack, base: dict[str, Any]):
    assert "created" in create(stack, "default", base, "--dry-run=server")


def test_the_table_of_mistakes_is_long():
    assert len(POLICY_MISTAKES) >= 30
    assert len(EVERY) >= 70


@pytest.mark.parametrize(
    ("base", "path", "value", "told"), [pytest.param(*mistake, id=name) for name, *mistake in EVERY]
)
def test_a_mistake_is_refused_by_its_field(stack: Stack, base: dict[str, Any], path: str, value: Any, told: str):
    with pytest.raises(StackError) as refused:
        create(stack, "default", with_(base, path, value), "--dry-run=server")
    assert told in str(refused.value)


def test_a_policy_that_works_cannot_be_edited_into_one_that_does_not(stack: Stack, namespace: str):
    create(stack, namespace, POLICY)
    with pytest.raises(StackError, match=r"spec.replicas.min must not be above spec.replicas.max"):
        stack.kubectl(
            "patch", "lagp", "points", "-n", namespace, "--type=merge", "-p", '{"spec":{"replicas":{"min":99}}}'
        )
    assert show(stack, namespace, "lagp", "points")["spec"]["replicas"]["min"] == 1


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {"history": [yaml.safe_load(STATUS)["history"][0]] * 21},
            "status.history: Too many: 21: must have at most 20",
        ),
        ({"conditions": yaml.safe_load(STATUS)["conditions"] * 2}, "status.conditions[1]: Duplicate value"),
        ({"memory": "m" * 4097}, "status.memory: Too long: may not be more than 4096"),
    ],
)
def test_a_status_stays_small(stack: Stack, namespace: str, status: dict[str, Any], told: str):
    create(stack, namespace, POLICY)
    patch = json.dumps({"status": status})
    with pytest.raises(StackError) as refused:
        stack.kubectl("patch", "lagp", "points", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    assert told in str(refused.value)
