"""The process itself: ready, healthy, confined to its namespaces, and gone when told to."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack import Stack
from tests.e2e.operator_process import Operator, Process
from tests.e2e.scene import Scene
from tests.waiting import eventually


@pytest.fixture
def confined(installed: Stack, namespace: str, tmp_path: Path) -> Iterator[Process]:
    """Another process, for the test's namespace only."""
    operator = Process(installed, tmp_path, "--namespace", namespace, "--log-format", "json")
    operator.start()
    yield operator
    if operator.running:
        operator.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_also_while_a_broker_does_not_answer(
    confined: Process, installed: Stack, namespace: str, number: int
):
    spec = {"kafka": {"bootstrapServers": ["127.0.0.1:1"]}}
    metadata = {"name": "nobody-there", "namespace": namespace}
    installed.apply(
        {"apiVersion": "tidegate.dev/v1alpha1", "kind": "BrokerConnection", "metadata": metadata, "spec": spec}
    )
    eventually(lambda: f"reading BrokerConnection {namespace}/nobody-there" in beats(confined))
    assert confined.ask("/healthz")[0] == 200
    assert confined.stop(number) == 0
    assert '"message": "stopped"' in confined.lines[-1]


def test_an_operator_of_one_namespace_leaves_the_others_alone(confined: Process, installed: Stack, namespace: str):
    installed.kubectl("create", "namespace", f"{namespace}-2")
    connection = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "BrokerConnection"}
    spec = {"kafka": {"bootstrapServers": ["127.0.0.1:1"]}}
    for where, name in ((f"{namespace}-2", "elsewhere"), (namespace, "here")):
        installed.apply({**connection, "metadata": {"name": name, "namespace": where}, "spec": spec})
    eventually(lambda: f"reading BrokerConnection {namespace}/here" in beats(confined))
    assert not any("elsewhere" in beat for beat in beats(confined))
    installed.kubectl("delete", "namespace", f"{namespace}-2", "--wait=false")


def beats(operator: Process) -> dict[str, float]:
    """The loops of an operator, by the names under which /healthz shows them."""
    loops: dict[str, float] = operator.ask("/healthz")[1].get("secondsSinceBeat", {})
    return loops


def test_a_missing_right_is_named_where_it_is_missed(operator: Operator, scene: Scene):
    """The role that lets Tidegate scale is taken away and given back."""
    scene.connect()
    scene.deploy(rate=20)
    scene.promise(mode="DryRun", replicas={"min": 2, "max": 6})
    scene.observed()
    with operator.without("patch", "deployments", "scale"):
        scene.stack.kubectl("delete", "clusterrolebinding", "tidegate-scale")
        scene.promise(mode="Active", replicas={"min": 2, "max": 6})
        eventually(lambda: scene.condition("Ready").get("reason") == "Forbidden")
        assert "may not patch deployments/scale" in scene.condition("Ready")["message"]
        assert scene.scales == [1]
    eventually(lambda: scene.replicas == 2)


def test_the_command_says_its_version():
    done = subprocess.run([sys.executable, "-m", "tidegate", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tidegate 0.")
