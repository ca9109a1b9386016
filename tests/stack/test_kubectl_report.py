"""`kubectl tidegate report` on the real API server, with secrets planted wherever people put them."""

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stack import Stack
from tests.kubectl_world import BOUND, policy, proposal, seen
from tests.stack.kubectl_world import Plugin, serve
from tests.waiting import eventually

PLANTED = "hunter2-Xq9"
LOGGED = f"connecting with password={PLANTED}, the whole value {PLANTED} again, then all is seen"
CODE = f"import time; print({LOGGED!r}, flush=True); time.sleep(600)"
Body = dict[str, Any]


def operator_pod() -> Body:
    """A pod as the chart's, with what does not belong there."""
    env = [{"name": "TIDEGATE_LOG_LEVEL", "value": "info"}, {"name": "EXTRA", "value": PLANTED}]
    container = {"name": "tidegate", "image": "none", "command": ["python", "-c", CODE], "env": env}
    container["ports"] = [{"name": "http", "containerPort": 8080}]
    meta = {"name": "tidegate-0", "labels": {"app.kubernetes.io/name": "tidegate"}, "annotations": {"note": PLANTED}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}


def secret() -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "kafka-user"},
        "stringData": {"password": PLANTED},
    }


def connection() -> Body:
    ref = {"secretKeyRef": {"name": "kafka-user", "key": "password"}}
    user = {"secretKeyRef": {"name": "kafka-user", "key": "user"}}
    sasl = {"mechanism": "PLAIN", "credentials": {"username": user, "password": ref}}
    spec = {"kafka": {"bootstrapServers": ["kafka:9092"], "sasl": sasl}}
    meta = {"name": "shop-kafka", "annotations": {"vault": PLANTED}}
    return {"apiVersion": "tidegate.dev/v1alpha1", "kind": "BrokerConnection", "metadata": meta, "spec": spec}


def event(namespace: str) -> Body:
    about = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "LagPolicy", "name": "points", "namespace": namespace}
    said = {"reason": "ConnectionFailed", "type": "Warning", "message": f"the broker said: sasl.password={PLANTED}"}
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "said"}, "involvedObject": about, **said}


@pytest.fixture
def plugin(stack: Stack, namespace: str, tmp_path: Path) -> Plugin:
    """A namespace where Tidegate seems to run, full of secrets."""
    serve(stack)
    plugin = Plugin(stack, tmp_path, namespace)
    for body in (secret(), connection(), event(namespace), operator_pod()):
        stack.apply(body | {"metadata": {**body["metadata"], "namespace": namespace}})
    failed = {"type": "Connected", "status": "False", "reason": "ConnectionFailed", "observedGeneration": 1}
    failed |= {"message": f"refused: Authorization: Basic {PLANTED}", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    told = json.dumps({"status": {"conditions": [failed]}})
    where = ("brokerconnection", "shop-kafka", "-n", namespace)
    stack.kubectl("patch", *where, "--subresource=status", "--type=merge", "-p", told)
    plugin.put(seen(policy(), BOUND))
    plugin.put(proposal())
    eventually(lambda: "all is seen" in stack.kubectl("logs", "tidegate-0", "-n", namespace, check=False), 180)
    return plugin


def unpacked(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        files = {member.name.partition("/")[2]: archive.extractfile(member) for member in archive.getmembers()}
        return {name: file.read().decode() for name, file in files.items() if file}


def test_a_report_has_what_helps_and_no_secret(plugin: Plugin, tmp_path: Path):
    path = tmp_path / "report.tar.gz"
    out = plugin("report", "--operator-namespace", plugin.namespace, "-f", str(path))
    assert f"{path}: " in out
    assert path.stat().st_mode & 0o077 == 0
    files = unpacked(path)
    assert [name for name, text in files.items() if PLANTED in text] == []
    space = plugin.namespace
    assert yaml.safe_load(files[f"lagpolicies/{space}_points.yaml"])["status"]["backlog"]["lag"] == 9503
    assert f"partitionproposals/{space}_{proposal().metadata.name}.yaml" in files
    kafka = yaml.safe_load(files[f"brokerconnections/{space}_shop-kafka.yaml"])
    assert kafka["spec"]["kafka"]["sasl"]["credentials"]["password"]["secretKeyRef"]["name"] == "kafka-user"
    assert "the broker said: sasl.password=REDACTED" in files["events.yaml"]
    assert files["operator/tidegate-0.tidegate.log"].startswith("connecting with password=REDACTED")
    assert files["operator/tidegate-0.tidegate.log"].rstrip().endswith("then all is seen")
    pod = yaml.safe_load(files["operator/tidegate-0.yaml"])
    assert pod["spec"]["containers"][0]["env"][0] == {"name": "TIDEGATE_LOG_LEVEL", "value": "info"}
    assert "gitVersion" in files["versions.yaml"]
    assert yaml.safe_load(files["crds.yaml"])["lagpolicies.tidegate.dev"]["spec"] == {"versions": ["v1alpha1"]}


def test_what_may_not_be_read_is_told_and_hides_nothing_else(stack: Stack, plugin: Plugin, tmp_path: Path):
    role = ("--verb=get,list", "--resource=lagpolicies.tidegate.dev")
    stack.kubectl("create", "role", "reads", *role, "-n", plugin.namespace)
    stack.kubectl("create", "rolebinding", "reads", "--role=reads", "--user=rita", "-n", plugin.namespace)
    may = ("auth", "can-i", "list", "lagpolicies.tidegate.dev", "--as=rita", "-n", plugin.namespace)
    eventually(lambda: stack.kubectl(*may, check=False).startswith("yes"))
    path = tmp_path / "report.tar.gz"
    words = (
        "report",
        "-n",
        plugin.namespace,
        "--operator-namespace",
        plugin.namespace,
        "--as",
        "rita",
        "-f",
        str(path),
    )
    told = plugin.run(*words)
    assert told.code == 0
    files = unpacked(path)
    assert f"lagpolicies/{plugin.namespace}_points.yaml" in files
    for name in ("events", "logs", "partitionproposals"):
        assert f"missing: {name}: user rita may not" in told.err
        assert f"{name}: user rita may not" in files["README.txt"]
    assert not [name for name in files if name.startswith("operator/")]


def test_a_file_that_is_there_is_not_written_over(plugin: Plugin, tmp_path: Path):
    path = tmp_path / "report.tar.gz"
    path.write_text("mine")
    told = plugin.refused(1, "report", "--operator-namespace", plugin.namespace, "-f", str(path))
    assert f"{path} cannot be written: {os.strerror(17)}" in told
    assert path.read_text() == "mine"
