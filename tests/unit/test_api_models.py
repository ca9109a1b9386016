"""The resources: what is read, what is forgiven, and what the generated schema says about every field."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.api import (
    BacklogStatus,
    BrokerConnection,
    ClusterBrokerConnection,
    Condition,
    ConnectionKind,
    InvalidResourceError,
    LagPolicy,
    LagPolicyStatus,
    Mode,
    NamespacedSecretKeyRef,
    Resource,
    ScaleChange,
    ScalingRules,
    SelectPolicy,
    Truth,
    cut,
)
from tools.crds import RESOURCES, crd
from tools.generate import generated, stale

ROOT = Path(__file__).parents[2]
KINDS: dict[str, type[Resource]] = {resource.__name__: resource for resource in RESOURCES}
EXAMPLES = [
    pytest.param(document, id=f"{path.stem}-{document['kind']}")
    for path in sorted((ROOT / "examples").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] in KINDS
]


def minimal(**changes: Any) -> dict[str, Any]:
    spec = {
        "targetRef": {"name": "points-consumer"},
        "source": {"kafka": {"connectionRef": {"name": "shop-kafka"}, "group": "points-service"}},
        "objective": {"maxAge": "60s"},
        "replicas": {"max": 12},
    }
    return {"metadata": {"name": "points", "namespace": "shop"}, "spec": spec | changes}


def test_a_minimal_policy_gets_its_defaults():
    policy = LagPolicy.parse(minimal())
    kafka = policy.spec.source.kafka
    assert (policy.spec.target_ref.api_version, policy.spec.target_ref.kind) == ("apps/v1", "Deployment")
    assert (kafka.connection_ref.kind, kafka.topics, kafka.topic_pattern) == (
        ConnectionKind.BROKER_CONNECTION,
        None,
        None,
    )
    assert (kafka.offset_reset, kafka.isolation) == ("latest", "read_uncommitted")
    assert policy.spec.objective.max_age == timedelta(minutes=1)
    assert (policy.spec.replicas.min, policy.spec.capacity.consumers_per_replica) == (1, 1)
    assert policy.spec.capacity.records_per_second is None
    assert policy.mode is Mode.ACTIVE


def test_an_absent_part_of_a_behavior_is_no_limit():
    assert LagPolicy.parse(minimal()).spec.behavior is None
    behavior = LagPolicy.parse(minimal(behavior={"scaleUp": {"selectPolicy": "Disabled"}})).spec.behavior
    assert behavior is not None
    assert behavior.scale_up.select_policy is SelectPolicy.DISABLED
    assert behavior.scale_down == ScalingRules()
    assert (behavior.scale_down.stabilization_window_seconds, behavior.scale_down.policies) == (0, None)


def test_a_field_of_a_newer_version_is_ignored():
    newer = minimal(weather={"levels": []})
    newer["spec"]["replicas"]["surprise"] = {"deep": [1]}
    assert LagPolicy.parse(newer) == LagPolicy.parse(minimal())


def test_a_status_that_cannot_be_read_is_forgotten_and_the_spec_obeyed():
    body = minimal() | {"status": {"backlog": {"lag": "many"}, "observedGeneration": 3}}
    assert LagPolicy.parse(body).status == LagPolicyStatus()


def test_an_error_names_every_field_and_what_would_be_right():
    with pytest.raises(InvalidResourceError) as told:
        LagPolicy.parse(minimal(objective={"maxAge": "soon"}, replicas={"min": 1}))
    assert "spec.objective.maxAge: 'soon' is not a duration: write" in str(told.value)
    assert "spec.replicas.max: Field required" in str(told.value)


@pytest.mark.parametrize("document", EXAMPLES)
def test_an_example_is_read_written_and_read_the_same(document: dict[str, Any]):
    kind = KINDS[document["kind"]]
    read = kind.parse(document)
    assert kind.parse(read.wire()) == read
    assert hash(read.spec) == hash(kind.parse(document).spec)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("annotation", "mode"),
    [
        (None, Mode.DRY_RUN),
        ("true", Mode.PAUSED),
        ("yes, incident 42", Mode.PAUSED),
        ("", Mode.PAUSED),
        ("false", Mode.DRY_RUN),
    ],
)
def test_the_annotation_pauses_whatever_the_mode(annotation: str | None, mode: Mode):
    body = minimal(mode="DryRun")
    if annotation is not None:
        body["metadata"]["annotations"] = {"tidegate.dev/paused": annotation}
    assert LagPolicy.parse(body).mode is mode


def connection(**ref: str) -> dict[str, Any]:
    secrets = [{"secretKeyRef": {"name": "s", "key": key, **ref}} for key in ("ca", "crt", "key", "user", "password")]
    ca, certificate, key, username, password = secrets
    tls = {"ca": ca, "certificate": {"certificate": certificate, "key": key}}
    sasl = {"mechanism": "PLAIN", "credentials": {"username": username, "password": password}}
    return {"metadata": {"name": "k"}, "spec": {"kafka": {"bootstrapServers": ["b:9092"], "tls": tls, "sasl": sasl}}}


def test_a_connection_lists_the_secrets_of_its_own_namespace():
    refs = list(BrokerConnection.parse(connection()).spec.secret_refs())
    assert [ref.key for ref in refs] == ["ca", "crt", "key", "user", "password"]
    assert {ref.namespace_or("shop") for ref in refs} == {"shop"}


def test_a_namespaced_connection_cannot_reach_into_another_namespace():
    [ref, *_] = BrokerConnection.parse(connection(namespace="kube-system")).spec.secret_refs()
    assert ref.namespace_or("shop") == "shop"


def test_a_cluster_connection_names_the_namespace_of_each_secret():
    refs = list(ClusterBrokerConnection.parse(connection(namespace="kafka")).spec.secret_refs())
    assert len(refs) == 5
    assert all(isinstance(ref, NamespacedSecretKeyRef) and ref.namespace_or("") == "kafka" for ref in refs)
    with pytest.raises(InvalidResourceError, match=r"spec.kafka.tls.ca.secretKeyRef.namespace: Field required"):
        ClusterBrokerConnection.parse(connection())


def test_a_status_is_written_as_people_read_it():
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    status = LagPolicyStatus(
        observed_generation=2,
        conditions=(
            Condition(type="Ready", status=Truth.TRUE, last_transition_time=now, reason="Ready", message="ok"),
        ),
        backlog=BacklogStatus(lag=4200, age=timedelta(seconds=42), arrival_rate=118.37, service_rate=0),
        history=(ScaleChange(time=now, from_=1, to=4, reason="Surge", message="up"),),
    )
    written = status.wire()
    assert written["backlog"] == {"lag": 4200, "age": "42s", "arrivalRate": "118", "serviceRate": "0"}
    [change] = written["history"]
    assert change == {"time": "2026-01-02T03:04:05Z", "from": 1, "to": 4, "reason": "Surge", "message": "up"}
    assert "lastDecision" not in written


def test_a_long_message_is_cut_to_what_the_schema_holds():
    assert len(cut("x" * 5000)) == 1024
    assert cut("short") == "short"


# The generated files


def test_generated_files_are_current():
    assert stale(generated()) == []


def test_a_generated_file_that_was_edited_by_hand_is_noticed(tmp_path: Path):
    edited = tmp_path / "crd.yaml"
    edited.write_text("edited")
    assert edited in stale({edited: "generated"})


Field = tuple[str, dict[str, Any]]


def fields(schema: dict[str, Any], path: str) -> Iterator[Field]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from fields(schema["items"], f"{path}[]")


def schema_of(resource: type[Resource]) -> dict[str, Any]:
    schema: dict[str, Any] = crd(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


FIELDS = [
    pytest.param(field, id=path)
    for resource in RESOURCES
    for path, field in fields(schema_of(resource), resource.__name__)
]


def test_the_walk_sees_the_whole_schema():
    seen = {param.id for param in FIELDS}
    assert len(seen) > 120
    assert {"LagPolicy.spec.replicas.min", "ClusterBrokerConnection.spec.kafka.sasl.oauth.ca.secretKeyRef.key"} <= seen


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_teaches_and_is_bounded(request: pytest.FixtureRequest, field: dict[str, Any]):
    path = request.node.callspec.id
    if not path.endswith("[]"):
        assert len(field.get("description", "")) >= 5, "kubectl explain has nothing to say"
        assert field["description"].strip().endswith((".", "]", "+")), "a sentence ends with a period"
    if field.get("type") == "string":
        assert {"maxLength", "enum", "format"} & field.keys(), "a string without a bound"
    if field.get("type") == "array":
        assert "maxItems" in field, "a list without a bound"
    if field.get("type") == "integer" and ".spec." in path:
        assert {"minimum", "maximum"} <= field.keys(), "a number without bounds"
    assert "anyOf" not in field, "not structural"
    if ".status" in path:
        assert "default" not in field, "the API server would write it into every object"


WRITTEN = [param for param in FIELDS if ".spec" in str(param.id) and ".spec.evidence" not in str(param.id)]
"""What people write: evidence is Tidegate's own."""


@pytest.mark.parametrize("field", WRITTEN)
def test_every_pattern_of_a_spec_has_a_rule_that_says_what_would_be_right(field: dict[str, Any]):
    if "pattern" in field:
        assert all("must be" in rule["message"] for rule in field["x-kubernetes-validations"])


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_column_shows_a_field_that_exists(resource: type[Resource]):
    known = {path.removeprefix(resource.__name__) for path, _ in fields(schema_of(resource), resource.__name__)}
    for column in resource.names.columns:
        path = re.sub(r"""\[\?\(@\.type=="\w+"\)\]""", "[]", column.path)
        assert path.replace("[0]", "[]") in known


def test_the_operator_does_not_need_the_generator():
    code = "import tidegate.api, sys; sys.exit('kube_custom_resource' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
