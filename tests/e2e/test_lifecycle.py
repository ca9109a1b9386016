"""Uninstalled, installed for some namespaces, installed in an older version and upgraded: with policies at work."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stack import Stack
from demo.stack.release import CHART, Release
from tests.e2e.operator_process import PERIOD, VALUES, Operator
from tests.e2e.scene import FLAGS, NAME, Scene
from tests.waiting import eventually

FLAG = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
ON = json.dumps({"flags": {"receipts": FLAG}})
OFF = json.dumps({"flags": {"receipts": FLAG | {"defaultVariant": "off"}}})
LADDER = {"flagsRef": {"name": FLAGS}, "levels": [{"name": "NoReceipts", "flags": {"receipts": "off"}}]}


@pytest.fixture
def bare(shared_operator: Operator) -> Operator:
    """The release is not installed, and what stays of it is deleted: its Lease, which nobody gets for a while."""
    if shared_operator.release.installed:
        shared_operator.uninstall()
    shared_operator.release.kubectl("delete", "lease", shared_operator.release.name, "--ignore-not-found")
    return shared_operator


class Degraded(Scene):
    """A scene whose policy is held at level 1, where its one flag is off."""

    def degrade(self, **more: Any) -> None:
        metadata = {"name": FLAGS, "namespace": self.namespace}
        flags = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"flags.json": ON}}
        self.stack.apply(flags)
        self.connect()
        self.deploy(replicas=2, rate=100)
        self.promise(degradation=LADDER, replicas={"min": 2, "max": 2}, **more)
        eventually(lambda: self.ready == 2)
        self.observed()
        self.kubectl("annotate", "lagp", NAME, "tidegate.dev/force-level=1; until=2100-01-01T00:00:00Z")
        eventually(lambda: self.flags["data"]["flags.json"] == OFF and self.level == 1)

    @property
    def flags(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", "configmap", FLAGS, "-o", "json"))
        return found

    @property
    def level(self) -> int:
        return int((self.status.get("degradation") or {}).get("level", 0))

    def finalizers(self, *where: str) -> list[str]:
        """Of all that is Tidegate's."""
        kinds = "lagp,pprop,brokerconnections,clusterbrokerconnections"
        items = json.loads(self.stack.kubectl("get", kinds, *where, "-o", "json"))["items"]
        return [name for item in items for name in item["metadata"].get("finalizers", ())]


@pytest.fixture
def degraded(installed: Stack, namespace: str, topic: str) -> Iterator[Degraded]:
    with Degraded(installed, namespace, topic) as scene:
        yield scene


def test_uninstalled_at_a_level_it_restores_the_flags_and_nothing_is_stuck(operator: Operator, degraded: Degraded):
    """(That a paused target is put back as well is in tests/stack/test_retire.py.)"""
    release = operator.release
    degraded.degrade()
    assert "tidegate.dev/degradation" in degraded.finalizers("-A")

    operator.uninstall()
    assert degraded.flags["data"]["flags.json"] == ON
    assert degraded.finalizers("-A") == []
    assert degraded.scales == [2]
    kinds = "all,serviceaccounts,roles,rolebindings,poddisruptionbudgets,configmaps,secrets"
    ours = ("-l", f"app.kubernetes.io/instance={release.name}", "-o", "name")
    eventually(lambda: release.kubectl("get", kinds, *ours).strip() == "")  # a Job's pod goes a moment after it
    kinds = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"
    assert release.kubectl("get", kinds, *ours).strip() == ""
    assert degraded.kubectl("get", "lagp", "-o", "name").strip() == f"lagpolicy.tidegate.dev/{NAME}"  # crds.keep
    degraded.kubectl("delete", "lagp", NAME, "--timeout=180s")  # nobody is needed for that


def test_installed_for_one_namespace_it_serves_that_and_asks_for_nothing_elsewhere(
    bare: Operator, scene: Scene, installed: Stack
):
    away, home = f"{scene.namespace}-away", f"{scene.namespace}-home"
    installed.kubectl("create", "namespace", away)
    release = Release(installed, namespace=home)
    one = {"watchNamespaces": [scene.namespace], "crds": {"enabled": False}, "operator": {"period": PERIOD}}
    try:
        release.install(one)
        spec = {"kafka": {"bootstrapServers": scene.bootstrap.split(",")}}
        elsewhere = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "BrokerConnection"}
        installed.apply({**elsewhere, "metadata": {"name": "kafka", "namespace": away}, "spec": spec})
        scene.connect()
        scene.deploy(rate=20)
        scene.promise(replicas={"min": 2, "max": 6})
        eventually(lambda: scene.replicas == 2)
        scene.observed()
        assert "status" not in json.loads(installed.kubectl("get", "bconn", "kafka", "-n", away, "-o", "json"))
        asked = [each for each in bare.asked if each.user == release.account]
        # whether it may read what has no namespace (rbac.clusterConnections) it finds out by asking, once a start
        assert {(each.verb, each.resource) for each in asked if each.refused} <= {("list", "clusterbrokerconnections")}
        assert {each.namespace for each in asked if each.resource and not each.refused} == {scene.namespace, home}
    finally:
        release.uninstall()
        installed.kubectl("delete", "namespace", away, home, "--wait=false")


def older(folder: Path) -> Path:
    """This chart as if it were a version before: its CRDs lack a column."""
    chart = shutil.copytree(CHART, folder / "tidegate")
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": "0.0.1", "appVersion": "0.0.1"}))
    for file in (chart / "files" / "crds").glob("*lagpolicies*"):
        crd = yaml.safe_load(file.read_text())
        crd["spec"]["versions"][0]["additionalPrinterColumns"].pop()
        file.write_text(yaml.safe_dump(crd))
    return chart


def columns(stack: Stack) -> int:
    path = "jsonpath={.spec.versions[0].additionalPrinterColumns[*].name}"
    return len(stack.kubectl("get", "crd", "lagpolicies.tidegate.dev", "-o", path).split())


def test_upgraded_from_the_packaged_version_before_it_keeps_policies_state_and_levels(
    bare: Operator, degraded: Degraded, installed: Stack, tmp_path: Path
):
    release = bare.release
    installed.helm("package", older(tmp_path), "--destination", tmp_path)
    release.install(VALUES, chart=tmp_path / "tidegate-0.0.1.tgz")
    eventually(lambda: release.leader)
    degraded.degrade()
    before, version, had = degraded.status, degraded.flags["metadata"]["resourceVersion"], columns(installed)
    old = {replica.name for replica in release.replicas}

    release.upgrade(VALUES)
    leader = bare.leader
    assert leader.name not in old
    assert columns(installed) == had + 1
    assert degraded.level == 1
    assert degraded.status["degradation"] == before["degradation"]
    assert degraded.flags["metadata"]["resourceVersion"] == version  # no flag was written
    assert degraded.scales == [2]
    released = json.loads(release.stack.helm("history", release.name, "-n", release.namespace, "-o", "json"))
    assert [each["chart"] for each in released] == ["tidegate-0.0.1", f"tidegate-{chart_version()}"]

    degraded.kubectl("annotate", "lagp", NAME, "tidegate.dev/force-level-")  # the new ones know what the flag was
    eventually(lambda: degraded.flags["data"]["flags.json"] == ON)
    eventually(lambda: degraded.finalizers("-n", degraded.namespace) == [])
    assert degraded.status["capacity"].get("basis") == before["capacity"].get("basis")


def chart_version() -> str:
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text())["version"])
