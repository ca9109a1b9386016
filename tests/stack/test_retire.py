"""`tidegate retire` before an uninstallation: what was changed for a while is put back, by nobody but it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient

from demo.stack import Stack
from demo.stack.audit import requests
from tests.stack.cluster import ROOT, Space, workload
from tests.stack.kafka_world import KafkaWorld
from tests.stack.ladder_world import Process, document, flags, laddered
from tests.stack.mistakes import CONNECTION, PROPOSAL, with_
from tests.waiting import eventually
from tidegate.cluster.finalizer import FINALIZER

LEASE = "tidegate"
BROKEN = "{"
READS = ("get", "list", "watch")
PROPOSED = PROPOSAL["metadata"]["name"]


@pytest.fixture(autouse=True)
def crds(stack: Stack) -> None:
    stack.apply(ROOT / "crds")
    stack.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


class Command:
    """`tidegate …` as a process; its lines are in a file."""

    def __init__(self, stack: Stack, log: Path, *arguments: str) -> None:
        self._log = log
        command = [sys.executable, "-m", "tidegate", *arguments, "--kubeconfig", str(stack.kubeconfig)]
        env = {**os.environ, "TIDEGATE_STACK": str(stack.folder)}
        with log.open("wb") as lines:
            self.process = subprocess.Popen(command, stdout=lines, stderr=lines, env=env, cwd=ROOT)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def says(self, what: str) -> bool:
        if self.process.poll() is not None and what not in self.said:
            pytest.fail(f"it has ended without a word of {what!r}:\n{self.said}")
        return what in self.said

    def ended(self) -> int:
        return self.process.wait(240)


@contextmanager
def tidegate(stack: Stack, log: Path, *arguments: str) -> Iterator[Command]:
    command = Command(stack, log, *arguments)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.wait()


def lease(space: Space) -> dict[str, Any]:
    spec: dict[str, Any] = space.get("lease", LEASE)["spec"]
    return spec


def holder(space: Space) -> str:
    return space.kubectl("get", "lease", LEASE, "--ignore-not-found", "-o", "jsonpath={.spec.holderIdentity}")


async def degraded(api: ApiClient, space: Space, text: str = "") -> Process:
    """A policy at level 1 of its ladder."""
    space.apply(flags(), laddered())
    there = Process(api, space)
    await there.cycle(1)
    assert there.held
    if text:
        space.apply(flags(text=text))
    return there


def paused(space: Space, world: KafkaWorld, topic: str) -> None:
    """An increase that was cut off when its target was at zero, and the topic as it was."""
    world.create(topic, 6)
    bootstrap = world.bootstrap.split(",")
    body = with_(with_(PROPOSAL, "spec.evidence.topicId", ""), "spec.evidence.cluster", "")  # as where nobody may ask
    body = with_(with_(body, "spec.topic", topic), "spec.method", "PausedGroup")
    space.apply(
        workload(replicas=0),
        with_(CONNECTION, "spec.kafka.bootstrapServers", bootstrap),
        with_(body, "metadata.finalizers", [FINALIZER]),
    )
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    execution = {"step": "Paused", "since": now, "stepSince": now, "targetRef": {"name": "web"}, "replicas": 3}
    space.stack.kubectl(
        *("patch", "pprop", PROPOSED, "-n", space.name, "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": {"execution": execution}})),
    )


async def test_what_was_changed_for_a_while_is_put_back_by_the_only_one_that_acts(
    stack: Stack, api: ApiClient, space: Space, world: KafkaWorld, topic: str, tmp_path: Path
):
    there = await degraded(api, space)
    paused(space, world, topic)
    own = ("--lease", f"{space.name}/{LEASE}")
    elsewhere = ("--namespace", "default", "--listen", "127.0.0.1:0")  # what it would do here is what is to be shown
    with tidegate(stack, tmp_path / "leader", "run", *own, *elsewhere) as leader:
        eventually(lambda: leader.says(" leads") and holder(space), seconds=120)
        before = holder(space)
        with tidegate(stack, tmp_path / "retire", "retire", *own, "--namespace", space.name) as retire:
            assert retire.ended() == 0, retire.said
        assert leader.ended() == 1
    assert "has taken the Lease" in leader.said
    assert "All is put back" in retire.said
    assert there.document == document()
    assert not there.held
    assert space.replicas() == 3
    proposal = space.get("pprop", PROPOSED)
    assert not proposal["metadata"].get("finalizers")
    failed = next(c for c in proposal["status"]["conditions"] if c["type"] == "Failed")
    assert failed["status"] == "True"
    assert "Tidegate is taken away" in failed["message"]
    assert world.partitions(topic) == 6
    assert holder(space) == "retired"
    assert lease(space)["leaseDurationSeconds"] == 120
    if stack.control_plane:  # of the stack's own
        done = [one for one in requests(stack.control_plane.audit_log) if one.verb not in READS and one.code < 300]
        here = [one for one in done if one.namespace == space.name and one.user_agent.startswith("tidegate/")]
        took, *others = [at for at, one in enumerate(here) if before not in one.user_agent]
        assert here[took].resource == "leases"
        assert [took, *others] == list(range(took, len(here)))  # nothing of the one before comes after
        assert {"configmaps", "deployments/scale", "partitionproposals/status"} <= {one.resource for one in here[took:]}


async def test_what_cannot_be_put_back_is_told_and_tidegate_goes_on(
    stack: Stack, api: ApiClient, space: Space, tmp_path: Path
):
    there = await degraded(api, space, text=BROKEN)
    arguments = ("--lease", f"{space.name}/{LEASE}", "--namespace", space.name, "--within", "10m")
    with tidegate(stack, tmp_path / "retire", "retire", *arguments) as retire:
        eventually(lambda: retire.says("are not restored yet"), seconds=120)
        assert holder(space)
        retire.process.send_signal(signal.SIGTERM)
        assert retire.ended() == 1
    told = re.search(r"What is left:\n(.*)\n", retire.said)
    assert told
    assert told[1].startswith(f"LagPolicy {space.name}/points: features are off (recommendations was on): ")
    assert there.document == BROKEN
    assert there.held
    assert holder(space) == ""
    space.apply(flags(text=document(recommendations="off")))
    with tidegate(stack, tmp_path / "again", "retire", *arguments) as again:
        assert again.ended() == 0, again.said
    assert there.document == document()
    assert not there.held


async def test_where_nothing_is_left_nothing_is_written_but_the_lease(
    stack: Stack, api: ApiClient, space: Space, tmp_path: Path
):
    space.apply(flags(), laddered())
    before = [space.get(what, name)["metadata"]["resourceVersion"] for what, name in THERE]
    arguments = ("--lease", f"{space.name}/{LEASE}", "--namespace", space.name)
    with tidegate(stack, tmp_path / "retire", "retire", *arguments) as retire:
        assert retire.ended() == 0, retire.said
    assert [space.get(what, name)["metadata"]["resourceVersion"] for what, name in THERE] == before
    assert holder(space) == "retired"


THERE = (("lagp", "points"), ("configmap", "points-flags"))
