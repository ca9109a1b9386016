"""The stack itself: real parts that come up together, do not disturb each other and leave nothing behind."""

import json
import signal
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from demo.stack import Stack, StackError, binaries, folders
from demo.stack.audit import Request, requests
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

    def written() -> list[Request]:
        return [
            one
            for one in requests(stack.control_plane.audit_log)
            if (one.namespace, one.name) == (namespace, "audited")
        ]

    (found,) = eventually(written)
    assert (found.user, found.verb, found.group, found.resource) == ("admin", "create", "", "configmaps")
    assert (found.code, found.refused) == (201, False)
    assert found.user_agent.startswith("kubectl/")


def test_a_watch_counts_once_and_a_refusal_is_seen(stack: Stack, namespace: str):
    eve = stack.user_kubeconfig("eve")
    stack.kubectl("create", "rolebinding", "eve", "--clusterrole=view", "--user=eve", "-n", namespace)
    may = ["auth", "can-i", "watch", "configmaps", "-n", namespace, "--kubeconfig", eve]
    eventually(lambda: stack.kubectl(*may, check=False).startswith("yes"))
    for what in ("configmaps", "configmaps?watch=true&timeoutSeconds=1", "secrets"):
        path = f"/api/v1/namespaces/{namespace}/{what}"
        stack.kubectl("get", "--raw", path, "--kubeconfig", eve, check=False)

    def asked() -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = {}
        for one in requests(stack.control_plane.audit_log):
            if one.user == "eve" and one.namespace == namespace and one.resource in ("configmaps", "secrets"):
                found.setdefault((one.verb, one.resource), []).append(one.code)
        return found

    wanted = {("list", "configmaps"): [200], ("watch", "configmaps"): [200], ("list", "secrets"): [403]}
    eventually(lambda: asked() == wanted)


def test_helm_installs_lists_and_says_why_it_failed(stack: Stack, namespace: str, tmp_path: Path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: tiny, version: 1.2.3}")
    made = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "made"},
        "data": {"kube": "{{ .Capabilities.KubeVersion }}"},
    }
    (tmp_path / "templates" / "made.yaml").write_text(json.dumps(made))
    stack.helm("install", "tiny", tmp_path, "-n", namespace)
    assert [one["chart"] for one in json.loads(stack.helm("list", "-n", namespace, "-o", "json"))] == ["tiny-1.2.3"]
    asked = ("get", "configmap", "made", "-n", namespace, "-o", "jsonpath={.data.kube}")
    assert stack.kubectl(*asked) == binaries.kubernetes_version()
    with pytest.raises(StackError, match=r"helm install tiny .*cannot re-use a name"):
        stack.helm("install", "tiny", tmp_path, "-n", namespace)
    stack.helm("uninstall", "tiny", "-n", namespace)
    minor = ".".join(binaries.kubernetes_version().split(".")[:2])
    assert f'"{minor}.0"' in stack.helm("template", tmp_path)


def test_kubectl_says_why_it_failed(stack: Stack):
    with pytest.raises(StackError, match=r"get nonsense: .*nonsense"):
        stack.kubectl("get", "nonsense")


PARENT = """
import sys, time
from demo.stack import Stack
stack = Stack.start(progress=lambda line: None)
stack.kubectl("create", "deployment", "left", "--image=none", "--", "python", "-c", "import time; time.sleep(3600)")
stack.kubectl("rollout", "status", "deployment/left", "--timeout=180s")
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
