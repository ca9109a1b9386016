"""What the whole operator costs: `tidegate run` with a thousand LagPolicies on a real API server and a real broker.

Each policy has a Deployment with two pods, a group and a topic of its own choice; all are in DryRun, so that nothing is
scaled. Memory and CPU are the process's own, from the moment every policy has a whole reading, over some cycles.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.watch import group_name, make_groups, topic_name
from demo.stack import Stack

Json = dict[str, Any]

NAMESPACES = 10
PODS = 2
PERIOD = 5.0
CYCLES = 12
POLICIES = 1_000
BARS = {"rss_mb": 150.0}
RESULT = Path("build/bench/operator.json")
TOO_LONG = 900.0
CHECKOUT = Path(__file__).parents[1]


def main() -> int:
    """Measure a thousand policies and show it; 1 where a bar is missed."""
    result = measure(POLICIES)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2))
    table = Table("the whole operator", f"{POLICIES:,} policies", title="tidegate run")
    for name, value in result.items():
        most = BARS.get(name)
        bar = "" if most is None else f" (at most {most:.0f}{', MISSED' if value > most else ''})"
        table.add_row(name, f"{value:.2f}{bar}" if isinstance(value, float) else f"{value}")
    Console().print(table)
    return int(any(result[name] > most for name, most in BARS.items()))


def measure(policies: int) -> Json:
    """Set up so many policies, run the operator, and measure it."""
    with Stack.start(pods=False) as stack:
        assert stack.kafka
        make_groups(stack.kafka.bootstrap, policies)
        stack.apply(CHECKOUT / "crds")
        stack.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        create(stack, policies)
        with running(stack) as process:
            began = time.monotonic()
            settle(stack, process, policies)
            settled = time.monotonic() - began
            result = watch(process)
    return {"policies": policies, "pods": policies * PODS, "seconds_until_all_observed": settled, **result}


def create(stack: Stack, policies: int) -> None:
    """Namespaces, one connection for all, and for each policy its Deployment."""
    assert stack.kafka
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"ns-{n}"}} for n in range(NAMESPACES)]
    kafka = {"bootstrapServers": stack.kafka.bootstrap.split(",")}
    connection = resource("ClusterBrokerConnection", {"name": "kafka"}, {"kafka": kafka})
    stack.apply(*spaces, connection)
    several(stack, [deployment(number) for number in range(policies)])
    several(stack, [policy(number) for number in range(policies)])
    until("all pods exist", lambda: count(stack, "pods") >= policies * PODS)


def several(stack: Stack, objects: list[Json]) -> None:
    """Create many objects."""
    for start in range(0, len(objects), 500):
        whole = {"apiVersion": "v1", "kind": "List", "items": objects[start : start + 500]}
        stack.kubectl("create", "-f", "-", input=json.dumps(whole))


def deployment(number: int) -> Json:
    """A workload of two pods, with what pods usually have."""
    labels = {"app.kubernetes.io/name": f"consumer-{number}", "app.kubernetes.io/part-of": "bench", "team": "a"}
    container = {
        "name": "consumer",
        "image": f"registry.example.com/consumer-{number}:1.0",
        "env": [{"name": f"SETTING_{n}", "value": "x" * 40} for n in range(10)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    selector = {"matchLabels": {"app.kubernetes.io/name": f"consumer-{number}"}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": PODS, "selector": selector, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": place(number, "consumer"), "spec": spec}


def policy(number: int) -> Json:
    """The LagPolicy of that workload."""
    reference = {"kind": "ClusterBrokerConnection", "name": "kafka"}
    kafka = {"connectionRef": reference, "group": group_name(number), "topics": [topic_name(number)]}
    spec = {
        "targetRef": {"name": f"consumer-{number}"},
        "source": {"kafka": kafka},
        "objective": {"maxAge": "60s"},
        "replicas": {"max": 12},
        "mode": "DryRun",
    }
    return resource("LagPolicy", place(number, "policy"), spec)


def resource(kind: str, metadata: Json, spec: Json) -> Json:
    """One of Tidegate's resources."""
    return {"apiVersion": "tidegate.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def place(number: int, what: str) -> Json:
    """Its name and namespace."""
    return {"name": f"{what}-{number}", "namespace": f"ns-{number % NAMESPACES}"}


@contextmanager
def running(stack: Stack) -> Iterator[psutil.Process]:
    """The operator, until the end of the block."""
    command = [sys.executable, "-m", "tidegate", "run", "--kubeconfig", str(stack.kubeconfig)]
    command += ["--listen", "127.0.0.1:0", "--period", str(PERIOD), "--log-level", "warning"]
    process = subprocess.Popen(command, env={**os.environ, "TIDEGATE_STACK": str(stack.folder)}, cwd=CHECKOUT)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        if process.wait(20):
            raise SystemExit(f"tidegate run ended with {process.returncode}")


def settle(stack: Stack, process: psutil.Process, policies: int) -> None:
    """Wait until every policy shows a whole reading."""
    query = 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Observing")].status}{"\\n"}{end}'

    def all_observed() -> bool:
        if not process.is_running():
            raise SystemExit("tidegate run has ended")
        seen = stack.kubectl("get", "lagpolicies", "-A", "-o", query).splitlines()
        return seen.count("True") == policies

    until("all policies are observed", all_observed)


def watch(process: psutil.Process) -> Json:
    """RSS and CPU over some cycles."""
    before, began, peak = process.cpu_times(), time.monotonic(), 0
    while time.monotonic() - began < CYCLES * PERIOD:
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.5)
    after, seconds = process.cpu_times(), time.monotonic() - began
    cpu = after.user + after.system - before.user - before.system
    return {"rss_mb": peak / 2**20, "cpu_seconds_a_cycle": cpu / seconds * PERIOD, "cpu_share": cpu / seconds}


def count(stack: Stack, what: str) -> int:
    """How many there are in the cluster."""
    return len(stack.kubectl("get", what, "-A", "-o", "name").splitlines())


def until(what: str, holds: Any) -> None:
    """Wait for it."""
    deadline = time.monotonic() + TOO_LONG
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {TOO_LONG:.0f} s: {what}")
        time.sleep(2)
