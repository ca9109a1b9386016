"""The process kubelet: pods behave as users of Kubernetes know them."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from demo.stack import Stack, binaries
from demo.stack.cache import tell
from tests.waiting import eventually

Spec = dict[str, Any]


def pod(
    name: str, code: str, *, annotations: dict[str, str] | None = None, container: Spec | None = None, **spec: Any
) -> Spec:
    """A pod that runs Python code."""
    main = {"name": "main", "image": "none", "command": ["python", "-c", code], **(container or {})}
    meta = {"name": name, "labels": {"app": name}, "annotations": annotations or {}}
    spec = {"containers": [main], "terminationGracePeriodSeconds": 5, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


class Pods:
    """Pods of one namespace."""

    def __init__(self, stack: Stack, namespace: str) -> None:
        self.stack = stack
        self.namespace = namespace

    def apply(self, *manifests: Spec) -> None:
        for manifest in manifests:
            manifest["metadata"]["namespace"] = self.namespace
        self.stack.apply(*manifests)

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        return self.stack.kubectl(*arguments, "-n", self.namespace, check=check)

    def get(self, name: str) -> Spec:
        return json.loads(self.kubectl("get", "pod", name, "-o", "json"))

    def container(self, name: str) -> Spec:
        statuses = self.get(name)["status"].get("containerStatuses")
        assert statuses, "no status yet"
        return statuses[0]

    def conditions(self, name: str) -> dict[str, str]:
        return {one["type"]: one["status"] for one in self.get(name)["status"].get("conditions", ())}

    def root(self, name: str) -> Path:
        """Its POD_ROOT, which is also where its process runs."""
        return self.stack.folder / "kubelet" / "pods" / self.get(name)["metadata"]["uid"] / "root"

    def wait(self, name: str, condition: str) -> None:
        self.kubectl("wait", f"pod/{name}", f"--for={condition}", "--timeout=180s")

    @contextmanager
    def following(self, name: str) -> Iterator[IO[str]]:
        """What `kubectl logs -f` prints, until the container has ended."""
        kubectl = binaries.kubernetes(tell) / "kubectl"
        command = [kubectl, "--kubeconfig", self.stack.kubeconfig, "logs", "-f", name, "-n", self.namespace]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout
            yield follower.stdout

    def logged(self, name: str, text: str) -> str:
        def log_with_text() -> str | None:
            log = self.kubectl("logs", name, check=False)
            assert text in log, log
            return log

        return eventually(log_with_text) or ""


@pytest.fixture
def pods(stack: Stack, namespace: str) -> Pods:
    return Pods(stack, namespace)


FOREVER = "import time; time.sleep(3600)"


def test_a_container_sees_its_environment(pods: Pods):
    pods.kubectl("create", "configmap", "settings", "--from-literal=COLOUR=blue", "--from-literal=size=9")
    pods.kubectl("create", "secret", "generic", "login", "--from-literal=password=s3cret")
    env = [
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "SIZE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "size"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}},
        {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "login", "key": "nothing", "optional": True}}},
        {"name": "ALL", "value": "$(WHO)/$(COLOUR)/$(SIZE) $$(WHO) $(UNKNOWN)"},
    ]
    seen = "os.environ.get(name) for name in ('APP', 'PASSWORD', 'ABSENT', 'ALL')"
    code = f"import os, sys; print(*({seen}), sys.argv[1], sep='|')"
    container = {"env": env, "envFrom": [{"configMapRef": {"name": "settings"}}], "args": ["$(WHO)"]}
    pods.apply(pod("seer", code, container=container, restartPolicy="Never"))
    assert "seer|s3cret|None|seer/blue/9 $(WHO) $(UNKNOWN)|seer" in pods.logged("seer", "seer")


def test_a_pod_that_asks_for_resources_and_for_a_folder_at_tmp_runs(pods: Pods):
    container = {
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
    }
    volumes = [{"name": "scratch", "emptyDir": {}}]
    pods.apply(
        pod("careful", f"import tempfile; tempfile.mkstemp('.mine'); {FOREVER}", container=container, volumes=volumes)
    )
    pods.wait("careful", "condition=Ready")
    assert pods.get("careful")["status"]["qosClass"] == "Burstable", "as the API server judged it"
    eventually(lambda: list((pods.root("careful") / "tmp").glob("*.mine")))
    assert (pods.root("careful") / "tmp").is_symlink(), "it is the volume"


def test_a_container_waits_for_the_secret_it_names_and_says_so(pods: Pods):
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "later", "key": "key"}}}]
    pods.apply(pod("patient", FOREVER, container={"env": env}))
    eventually(lambda: "'later' not found" in pods.container("patient")["state"].get("waiting", {}).get("message", ""))
    assert pods.conditions("patient")["Ready"] == "False"
    pods.kubectl("create", "secret", "generic", "later", "--from-literal=key=1")
    pods.wait("patient", "condition=Ready")


def test_a_mounted_config_map_follows_its_edits_in_one_step(pods: Pods):
    pods.kubectl("create", "configmap", "flags", "--from-literal=flags.json=old", "--from-literal=gone=1")
    code = (
        "import os, time, pathlib\n"
        "folder = pathlib.Path(os.environ['POD_ROOT'] + '/etc/flags')\n"
        "while True: print(sorted(p.name for p in folder.iterdir() if not p.name.startswith('.')),"
        " (folder / 'flags.json').read_text()); time.sleep(0.1)"
    )
    mounts = {"volumeMounts": [{"name": "flags", "mountPath": "/etc/flags"}]}
    pods.apply(pod("reader", code, container=mounts, volumes=[{"name": "flags", "configMap": {"name": "flags"}}]))
    pods.logged("reader", "['flags.json', 'gone'] old")
    edit = [{"op": "replace", "path": "/data", "value": {"flags.json": "new"}}]
    pods.kubectl("patch", "configmap", "flags", "--type=json", "-p", json.dumps(edit))
    pods.logged("reader", "['flags.json'] new")
    assert "Traceback" not in pods.kubectl("logs", "reader")


def test_a_renewed_config_map_is_another_folder_behind_the_same_path_and_a_sub_path_never_changes(pods: Pods):
    pods.kubectl("create", "configmap", "flags", "--from-literal=flags.json=old")
    code = (
        "import os, time\n"
        "while True: print(os.readlink('flags/..data'), os.readlink('flags/flags.json'),"
        " open('flags/flags.json').read(), open('pinned.json').read()); time.sleep(0.1)"
    )
    mounts = [
        {"name": "flags", "mountPath": "flags"},  # relative: to where the process starts
        {"name": "flags", "mountPath": "pinned.json", "subPath": "flags.json"},
    ]
    volumes = [{"name": "flags", "configMap": {"name": "flags"}}]
    pods.apply(pod("reader", code, container={"volumeMounts": mounts}, volumes=volumes))
    before = pods.logged("reader", " old old").split()
    pods.kubectl("patch", "configmap", "flags", "--type=merge", "-p", '{"data": {"flags.json": "new"}}')
    after = pods.logged("reader", " new old").split()
    assert before[1] == after[1] == "..data/flags.json"
    assert before[0] != after[-4]
    assert "Traceback" not in " ".join(after)


def test_a_pod_speaks_to_the_api_server_as_its_service_account(pods: Pods):
    code = (
        "import asyncio, os\n"
        "from kubernetes import client, config\n"
        "config.load_kube_config()\n"
        "print(len(client.CoreV1Api().list_namespaced_config_map(os.environ['NAMESPACE']).items))\n"
        "try: client.CoreV1Api().list_namespaced_secret(os.environ['NAMESPACE'])\n"
        "except client.ApiException as error: print(error.status, error.body)"
    )
    pods.kubectl("create", "serviceaccount", "reader")
    pods.kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps")
    pods.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={pods.namespace}:reader")
    env = [{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]
    pods.apply(pod("clerk", code, container={"env": env}, serviceAccountName="reader", restartPolicy="Never"))
    log = pods.logged("clerk", "403")
    assert log.startswith("1\n")  # kube-root-ca.crt
    assert f"system:serviceaccount:{pods.namespace}:reader" in log


def test_a_pod_is_ready_when_it_says_so_by_its_file(pods: Pods):
    code = (
        "import pathlib, time\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.1)\n"
        "pathlib.Path('ready').touch(); print('said so'); time.sleep(3600)"
    )
    pods.apply(pod("herald", code, annotations={"tidegate.dev/ready-file": "ready"}))
    pods.wait("herald", "jsonpath={.status.phase}=Running")
    assert pods.conditions("herald")["Ready"] == "False"
    (pods.root("herald") / "go").touch()
    pods.wait("herald", "condition=Ready")
    assert "said so" in pods.kubectl("logs", "herald")


@pytest.mark.parametrize(
    "probe",
    [
        {"tcpSocket": {"port": "web"}},
        {"httpGet": {"path": "/", "port": "web"}},
        {"exec": {"command": ["python", "-c", "open('open')"]}},
    ],
    ids=lambda probe: next(iter(probe)),
)
def test_a_readiness_probe_decides(pods: Pods, probe: Spec):
    code = (
        "import os, pathlib, time\n"
        "from http.server import HTTPServer, SimpleHTTPRequestHandler\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.1)\n"
        "pathlib.Path('open').touch()\n"
        "HTTPServer((os.environ['POD_IP'], 8080), SimpleHTTPRequestHandler).serve_forever()"
    )
    container = {
        "ports": [{"name": "web", "containerPort": 8080}],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "readinessProbe": {**probe, "periodSeconds": 1, "timeoutSeconds": 5},
    }
    pods.apply(pod("server", code, container=container))
    pods.wait("server", "jsonpath={.status.phase}=Running")
    assert pods.conditions("server")["Ready"] == "False"
    (pods.root("server") / "go").touch()
    pods.wait("server", "condition=Ready")


def test_two_pods_listen_on_the_same_port_each_at_its_own_ip(pods: Pods):
    code = (
        "import os\n"
        "from http.server import HTTPServer, SimpleHTTPRequestHandler\n"
        "HTTPServer((os.environ['POD_IP'], 8080), SimpleHTTPRequestHandler).serve_forever()"
    )
    container = {
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 5},
    }
    names = ("one", "two")
    pods.apply(*(pod(name, code, container=container) for name in names))
    for name in names:
        pods.wait(name, "condition=Ready")
    ips = {pods.get(name)["status"]["podIP"] for name in names}
    assert len(ips) == 2
    for ip in ips:
        with urllib.request.urlopen(f"http://{ip}:8080/", timeout=30) as answer:
            assert answer.status == 200


def test_a_liveness_probe_restarts(pods: Pods):
    probe = {"exec": {"command": ["python", "-c", "import os; os.stat('healthy')"]}, "timeoutSeconds": 5}
    code = "import pathlib, time; pathlib.Path('healthy').touch(); time.sleep(3600)"
    container = {"livenessProbe": {**probe, "periodSeconds": 1, "failureThreshold": 1, "initialDelaySeconds": 1}}
    pods.apply(pod("frail", code, container=container))
    pods.wait("frail", "condition=Ready")
    (pods.root("frail") / "healthy").unlink()
    eventually(lambda: pods.container("frail")["restartCount"] >= 1)


def test_a_start_delay_keeps_a_pod_pending(pods: Pods):
    pods.apply(pod("slow", FOREVER, annotations={"tidegate.dev/start-delay": "3s"}), pod("quick", FOREVER))
    pods.wait("quick", "condition=Ready")
    pods.wait("slow", "condition=Ready")
    bound = transition(pods.get("slow"), "PodScheduled")
    assert transition(pods.get("slow"), "Ready") - bound >= timedelta(seconds=2)  # times are whole seconds


def transition(found: Spec, kind: str) -> datetime:
    times = {one["type"]: one["lastTransitionTime"] for one in found["status"]["conditions"]}
    return datetime.fromisoformat(times[kind])


def test_a_crash_is_counted_restarted_and_remembered(pods: Pods):
    pods.apply(pod("shaky", "print('oh no'); raise SystemExit(3)"))
    container = eventually(lambda: pods.container("shaky") if pods.container("shaky")["restartCount"] >= 2 else None)
    assert container["lastState"]["terminated"]["exitCode"] == 3
    eventually(lambda: pods.container("shaky")["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    assert pods.conditions("shaky")["Ready"] == "False"
    assert "oh no" in pods.kubectl("logs", "shaky", "--previous")


@pytest.mark.parametrize(("code", "phase"), [("print(1)", "Succeeded"), ("raise SystemExit(1)", "Failed")])
def test_a_pod_that_may_not_restart_ends(pods: Pods, code: str, phase: str):
    pods.apply(pod("once", code, restartPolicy="Never"))
    pods.wait("once", f"jsonpath={{.status.phase}}={phase}")


def test_init_containers_go_first(pods: Pods):
    init = {"name": "before", "image": "none", "command": ["python", "-c", "open('made', 'w').write('by init')"]}
    pods.apply(pod("main", "print(open('made').read())", initContainers=[init], restartPolicy="Never"))
    pods.logged("main", "by init")


GRACEFUL = """
import signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "3600"])
def stop(*_):
    print("stopping", flush=True)
    if sys.argv[1] == "ends": raise SystemExit
signal.signal(signal.SIGTERM, stop)
print("child", child.pid, flush=True)
while True: time.sleep(0.1)
"""


@pytest.mark.parametrize("manner", ["ends", "stays"])
def test_deletion_asks_first_then_insists_and_leaves_nothing(pods: Pods, manner: str):
    pods.apply(pod("worker", GRACEFUL, container={"args": [manner]}, terminationGracePeriodSeconds=2))
    pods.logged("worker", "child")
    own = int(pods.container("worker")["containerID"].removeprefix("process://"))
    with pods.following("worker") as log:
        child = int(log.readline().split()[1])
        pods.kubectl("delete", "pod", "worker", "--timeout=180s")
        assert log.read() == "stopping\n"
    assert not psutil.pid_exists(own)
    eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_a_stateful_set_and_a_deployment_scale(pods: Pods):
    template = pod("web", FOREVER)
    template = {"metadata": {"labels": {"app": "web"}}, "spec": template["spec"]}
    common = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    for kind, more in (("StatefulSet", {"serviceName": "web"}), ("Deployment", {})):
        pods.apply({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": {**common, **more}})
        pods.kubectl("wait", f"{kind}/web", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=180s")
        pods.kubectl("scale", f"{kind}/web", "--replicas=1")
        pods.kubectl("wait", f"{kind}/web", "--for=jsonpath={.status.replicas}=1", "--timeout=180s")
        pods.kubectl("delete", f"{kind}/web")
