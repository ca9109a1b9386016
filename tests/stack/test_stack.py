"""The stack itself: real parts that come up together, do not disturb each other and leave nothing behind."""

import json
import signal
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from demo.stack import Stack, StackError, folders
from demo.stack.processes import CHECKOUT, marked
from tests.waiting import eventually


def test_a_user_has_the_rights_given_and_no_others(stack: Stack, namespace: str):
    alice = stack.user_kubeconfig("alice", groups=("devs",))
    may = ["auth", "can-i", "list", "pods", "-n", namespace, "--kubeconfig", alice]
    assert stack.kubectl(*may, check=False).startswith("no")
    stack.kubectl("create", "rolebinding", "devs", "--clusterrole=view", "--group=devs", "-n", namespace)
    eventually(lambda: stack.kubectl(*may, check=False).startswith("yes"))
    who = json.loads(stack.kubectl("auth", "whoami", "-o", "json", "--kubeconfig", alice))["status"]["userInfo"]
    assert (who["username"], "devs" in who["groups"]) == ("alice", True)


def test_who_did_what_is_in_the_audit_log(stack: Stack, namespace: str):
    stack.kubectl("create", "configmap", "audited", "-n", namespace)
    assert stack.control_plane

    def written() -> list[dict[str, Any]]:
        events = [json.loads(line) for line in stack.control_plane.audit_log.read_text().splitlines()]
        mine = [event for event in events if event.get("objectRef", {}).get("namespace") == namespace]
        return [event for event in mine if event["objectRef"].get("name") == "audited" and event["verb"] == "create"]

    assert eventually(written)[0]["user"]["username"] == "admin"


def test_kubectl_says_why_it_failed(stack: Stack):
    with pytest.raises(StackError, match=r"get nonsense: .*nonsense"):
        stack.kubectl("get", "nonsense")


PARENT = """
import sys, time
from demo.stack import Stack
stack = Stack.start(progress=lambda line: None)
stack.kubectl("create", "deployment", "left", "--image=none", "--", "python", "-c", "import time; time.sleep(3600)")
stack.kubectl("rollout", "status", "deployment/left", "--timeout=60s")
print(stack.folder, flush=True)
time.sleep(3600)
"""


def test_a_killed_owner_leaves_nothing_and_its_neighbour_alone(stack: Stack, namespace: str):
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        folder = Path(parent.stdout.readline().strip())
        names = {name for process in marked(folder) for name in process.cmdline()[:3]}
        for part in ("etcd", "kube-apiserver", "java", "demo.stack.kubelet", "import time; time.sleep(3600)"):
            assert any(name.endswith(part) for name in names), (part, names)
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: not folder.exists())
    assert not list(marked(folder))
    stack.kubectl("create", "configmap", "still-here", "-n", namespace)
    assert stack.folder.exists()


GUARDLESS = """
import os, signal, psutil
from demo.stack import Stack
stack = Stack.start(kubernetes=False, progress=lambda line: None)
print(stack.folder, flush=True)
guard, = (child for child in psutil.Process().children() if "demo.stack.guard" in child.cmdline())
guard.kill()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_even_the_guard_could_not_clean_up_goes_with_the_next_start():
    killed = subprocess.run([sys.executable, "-c", GUARDLESS], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    folder = Path(killed.stdout.strip())
    assert killed.returncode == -signal.SIGKILL
    assert folder.name.startswith(folders.PREFIX)
    with Stack.start(kubernetes=False, kafka=False):
        assert not folder.exists()
        assert not list(marked(folder))


def test_a_stack_by_hand(tmp_path: Path):
    folder = ["--folder", str(tmp_path / "stack")]
    command = [sys.executable, "-m", "demo.stack"]
    with subprocess.Popen([*command, "up", *folder], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout
        told = takewhile(lambda line: not line.startswith("The stack runs"), up.stdout)
        exports = "".join(line for line in told if line.startswith("export "))
        status = subprocess.run([*command, "status", *folder], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
        assert status.stdout == exports
        script = f"{exports}\n[ -n $KAFKA_BOOTSTRAP ] && kubectl get nodes -o name"
        assert subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, text=True).stdout == "node/local\n"
        second = subprocess.run([*command, "up", *folder], cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
        assert second.returncode == 1
        assert f"process {up.pid} is running" in second.stderr
        down = subprocess.run([*command, "down", *folder], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
        assert "has ended" in down.stdout
        assert up.wait(30) == 0
    assert not (tmp_path / "stack").exists()
    status = subprocess.run([*command, "status", *folder], cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
    assert (status.returncode, "No stack runs" in status.stderr) == (1, True)


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("months of work")
    with pytest.raises(StackError, match="holds no stack"):
        Stack.start(kubernetes=False, kafka=False, folder=tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "months of work"


def test_a_cluster_and_brokers_of_the_users_own_are_used_and_left_alone(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    for name, value in stack.env.items():
        monkeypatch.setenv(name, value)
    with Stack.start(external=True) as theirs:
        assert theirs.external
        assert theirs.kafka.bootstrap == stack.kafka.bootstrap
        assert theirs.kubectl("get", "nodes", "-o", "name") == "node/local\n"
        with pytest.raises(StackError, match="not started by this stack"):
            theirs.kafka.stop()
    assert stack.kubectl("get", "nodes", "-o", "name") == "node/local\n"
