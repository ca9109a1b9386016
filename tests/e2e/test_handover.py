"""Two replicas of the installed operator: whoever ends, the other goes on, and never do both write."""

import json
import signal

import pytest

from bench.terms import double_writes, writes
from demo.stack.audit import requests
from tests.e2e.operator_process import Operator
from tests.e2e.scene import Scene
from tests.waiting import eventually

ALLOWED = 3
"""Replicas of the surge: fewer than it takes, so that there is no reason to have one less."""


@pytest.fixture
def surge(operator: Operator, scene: Scene) -> Scene:
    """More than all allowed consumers can do."""
    scene.connect()
    scene.deploy(rate=20)
    allow(scene, ALLOWED)
    scene.observed()
    scene.order((60, 600))
    scene.backlog(6000)
    eventually(lambda: scene.replicas == ALLOWED)
    eventually(lambda: scene.ready == ALLOWED, seconds=120)
    return scene


def allow(scene: Scene, replicas: int) -> None:
    scene.promise(replicas={"max": replicas}, capacity={"recordsPerSecond": 20})


def follows(operator: Operator, before: str) -> None:
    """Wait until another process holds the Lease than this one did."""
    eventually(lambda: operator.release.holder not in ("", before), seconds=120)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_leader_ends_in_a_surge_the_other_scales_on_and_nothing_in(
    operator: Operator, surge: Scene, number: signal.Signals
):
    before, told = operator.release.holder, len(surge.scales)
    operator.leader.signal(number)
    follows(operator, before)
    allow(surge, 2 * ALLOWED)
    eventually(lambda: surge.replicas > ALLOWED, seconds=120)
    assert min(surge.scales[told - 1 :]) >= ALLOWED
    assert out_of_turn(operator) == []


def test_a_leader_whose_lease_was_taken_ends_with_1_and_comes_back(operator: Operator):
    """As if another one had found it expired."""
    release, leader, before = operator.release, operator.leader, operator.release.holder
    taken = {"spec": {"holderIdentity": "intruder_0", "leaseDurationSeconds": 5}}
    release.kubectl("patch", "lease", "tidegate", "--type=merge", "-p", json.dumps(taken))
    eventually(lambda: last_exit(operator, leader.name) == 1, seconds=120)
    assert "tidegate: intruder_0 has taken the Lease" in operator.lines
    follows(operator, "intruder_0")
    operator.start()
    assert release.holder != before
    assert out_of_turn(operator) == []


def last_exit(operator: Operator, pod: str) -> int | None:
    """The exit code with which the process of a pod has ended the last time; None before."""
    (container,) = json.loads(operator.release.kubectl("get", "pod", pod, "-o", "json"))["status"]["containerStatuses"]
    found: int | None = container.get("lastState", {}).get("terminated", {}).get("exitCode")
    return found


def out_of_turn(operator: Operator) -> list[str]:
    """Scale and flag writes of a replica while another one held the Lease, in all tests so far."""
    control_plane = operator.release.stack.control_plane
    assert control_plane
    written = writes(requests(control_plane.audit_log))
    replicas = [write for write in written if write.process.startswith(f"{operator.release.name}-")]
    assert replicas
    return [f"{write.process} wrote {write.resource} {write.name} at {write.at}" for write in double_writes(replicas)]
