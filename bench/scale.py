"""`make bench-scale`: what one `tidegate run` costs that acts for a thousand LagPolicies, and how soon it obeys.

A real API server, a real broker with a thousand groups of 12 partitions whose records and commits move, and the
operator as a process with the rights of the chart's ServiceAccount and no others; a second one stands by. CPU and
memory are those of the process that acts. What was asked of the API server is counted in its audit log, which also has
the moment of each edit and of the change of replicas that it led to. No pod ever starts, which must not lead to a storm
of changes. Writes build/bench/scale.json.
"""

import argparse
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from rich.console import Console
from rich.table import Table

from bench.fleet import REPLICAS, create, place
from bench.traffic import Traffic
from bench.watch import PARTITIONS, make_groups
from demo.stack import Stack
from demo.stack.audit import Request, requests
from tests.e2e.operator_process import Process

Json = dict[str, Any]

POLICIES = 1_000
SETTLE = 180.0
"""Seconds from the first whole reading of all to the measurement: so that all is judged, and has found its size."""
STEADY = 150.0
"""Seconds that are measured without an edit."""
EDITS, EVERY = 120, 0.7
"""Edits, and seconds between two on an average."""
SCRAPE_EVERY = 30.0
"""Seconds between two scrapes of /metrics, as Prometheus would."""
TOO_LONG = 900.0
BARS = {"cpu_cores": 0.3, "rss_mb": 300.0, "status_writes_per_second": 20.0, "edit_seconds_p99": 10.0}
"""At most."""
FEWEST = 0.9
"""Of the readings that belong into the time: with fewer the machine was too busy, and CPU looks better than it is."""
RESULT = Path("build/bench/scale.json")
LOG = Path("build/bench/scale.log")
"""What each process logged is beside it."""
CHART = Path(__file__).parents[1] / "charts" / "tidegate"
PERIOD = 5.0
ACCOUNT = "system:serviceaccount:tidegate-system:tidegate"
READINGS = re.compile(r"^tidegate_reading_duration_seconds_count{.*} (\S+)$", re.MULTILINE)


class Edit(NamedTuple):
    """A policy's `replicas.min` was raised to `least`, above what its target had."""

    number: int
    least: int


class Bench(NamedTuple):
    """What is measured: the process that acts, and the one that stands by."""

    stack: Stack
    leader: Process
    standby: Process
    policies: int


def main() -> int:
    """Measure and show it; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--policies", type=int, default=POLICIES)
    parser.add_argument("--seconds", type=float, default=STEADY, help="to measure without an edit")
    parser.add_argument("--edits", type=int, default=EDITS)
    given = parser.parse_args()
    result = measure(given.policies, given.seconds, given.edits)
    RESULT.write_text(json.dumps(result | {"bars": BARS}, indent=2))
    show(result)
    return int(any(result[name] > most for name, most in BARS.items()) or result["readings_share"] < FEWEST)


def measure(policies: int, seconds: float, edits: int) -> Json:
    """Set up so many policies, run the operator, and measure it: in peace, then while policies are edited."""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with Stack.start(pods=False) as stack, tempfile.TemporaryDirectory() as folder:
        assert stack.kafka
        make_groups(stack.kafka.bootstrap, policies)
        stack.helm(
            "install", "tidegate", CHART, "-n", "tidegate-system", "--create-namespace", "--set", "replicaCount=0"
        )
        create(stack, stack.kafka.bootstrap, policies)
        until("all pods exist", lambda: count(stack, "pods") >= policies * REPLICAS)
        with Traffic(stack.kafka.bootstrap, policies) as traffic, ExitStack() as processes:
            leader = processes.enter_context(running(stack, Path(folder), "leader"))
            began = time.monotonic()
            until("all policies are observed", lambda: observed(stack) == policies)
            settled = time.monotonic() - began
            standby = processes.enter_context(running(stack, Path(folder), "standby"))
            time.sleep(SETTLE)
            bench = Bench(stack, leader, standby, policies)
            result = window(bench, lambda: scraped(bench, seconds))
            editing = window(bench, lambda: edited(bench, edits))
            slowest = traffic.slowest
    head = {"policies": policies, "partitions_per_group": PARTITIONS, "seconds_until_all_observed": settled}
    while_editing = {name if "edit" in name else f"{name}_while_editing": value for name, value in editing.items()}
    return {**head, **result, **while_editing, "slowest_second_of_traffic": slowest}


@contextmanager
def running(stack: Stack, folder: Path, role: str) -> Iterator[Process]:
    """An operator, until the end of the block; it must end in order."""
    (folder / role).mkdir()
    operator = Process(stack, folder / role, "--period", f"{PERIOD}", "--lease", "tidegate-system/tidegate")
    operator.start()
    try:
        yield operator
        if operator.stop():
            raise SystemExit(f"tidegate run ({role}) did not end in order")
    finally:
        LOG.with_stem(f"scale-{role}").write_text("\n".join(operator.lines))


def window(bench: Bench, work: Callable[[], Json]) -> Json:
    """What the processes do while `work` goes on; the load of the machine is told beside it."""
    processes = [psutil.Process(one.pid) for one in (bench.leader, bench.standby)]
    since, began, before, reads = datetime.now(UTC), time.monotonic(), [*map(spent, processes)], readings(bench)
    found = work()
    seconds, reads = time.monotonic() - began, readings(bench) - reads
    cores = [(spent(process) - then) / seconds for process, then in zip(processes, before, strict=True)]
    memory = [process.memory_info().rss / 2**20 for process in processes]
    asked = [one for one in audit(bench.stack, since) if one.user == ACCOUNT]
    kinds = Counter((one.verb, one.resource) for one in asked)
    scaled = Counter((one.namespace, one.name) for one in asked if one.resource == "deployments/scale")
    return {
        "cpu_cores": cores[0],
        "rss_mb": memory[0],
        "status_writes_per_second": kinds["patch", "lagpolicies/status"] / seconds,
        "events_per_second": kinds["create", "events"] / seconds,
        "requests_per_second": len(asked) / seconds,
        "scale_writes": scaled.total(),
        "most_scale_writes_of_a_target": max(scaled.values(), default=0),
        "refused_requests": sum(one.refused for one in asked),
        "standby_cpu_cores": cores[1],
        "standby_rss_mb": memory[1],
        "readings_share": reads / (seconds / PERIOD),
        "load_of_the_machine": os.getloadavg()[1],
        **found,
    }


def scraped(bench: Bench, seconds: float) -> Json:
    """So much time goes by; meanwhile the metrics are scraped."""
    process, took, size = psutil.Process(bench.leader.pid), 0.0, 0
    over = time.monotonic() + seconds
    while (left := over - time.monotonic()) > 0:
        before = spent(process)
        size = len(bench.leader.get("/metrics")[1])
        took = spent(process) - before
        time.sleep(min(left, SCRAPE_EVERY))
    return {"scrape_cpu_seconds": took, "scrape_mb": size / 2**20}


def spent(process: psutil.Process) -> float:
    """Seconds of CPU so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def edited(bench: Bench, edits: int) -> Json:
    """Raise the least replicas of policies, one after the other, and tell how long each change took to be made."""
    since, random_ = datetime.now(UTC), random.Random(8)
    made = [edit(bench.stack, number) for number in random_.sample(range(bench.policies), edits) if pause(random_)]
    until("every edit has taken effect", lambda: len(effects(bench.stack, since, made)) == edits)
    seconds = sorted(effects(bench.stack, since, made).values())
    return {
        "edits": edits,
        "edit_seconds_median": seconds[edits // 2],
        "edit_seconds_p99": seconds[min(edits - 1, edits * 99 // 100)],
        "edit_seconds_max": seconds[-1],
    }


def pause(random_: random.Random) -> bool:
    """As people edit: at any moment."""
    time.sleep(random_.expovariate(1 / EVERY))
    return True


def edit(stack: Stack, number: int) -> Edit:
    """Ask for one replica more than there is."""
    target, policy = place(number, "consumer"), place(number, "policy")
    where = ("-n", target["namespace"], "-o", "jsonpath={.spec.replicas}")
    least = int(stack.kubectl("get", "deployment", target["name"], *where)) + 1
    change = json.dumps({"spec": {"replicas": {"min": least, "max": max(least, PARTITIONS)}}})
    stack.kubectl("patch", "lagpolicy", policy["name"], "-n", policy["namespace"], "--type=merge", "-p", change)
    return Edit(number, least)


def effects(stack: Stack, since: datetime, edits: list[Edit]) -> dict[int, float]:
    """Seconds from an edit to the change of its target, for each where the target has as many replicas by now."""
    query = 'jsonpath={range .items[*]}{.metadata.name} {.spec.replicas}{"\\n"}{end}'
    lines = stack.kubectl("get", "deployments", "-A", "-o", query).splitlines()
    replicas = {name: int(there) for name, there in map(str.split, lines)}
    told: dict[str, datetime] = {}
    seconds: dict[int, float] = {}
    there = {f"consumer-{one.number}": one for one in edits if replicas[f"consumer-{one.number}"] >= one.least}
    for one in audit(stack, since):
        if one.resource == "lagpolicies" and one.verb == "patch":
            told[one.name.replace("policy", "consumer")] = one.time
        elif one.resource == "deployments/scale" and one.verb == "patch" and one.name in there and one.name in told:
            seconds.setdefault(there[one.name].number, (one.time - told[one.name]).total_seconds())
    return seconds


def readings(bench: Bench) -> float:
    """How often the broker has been read."""
    found = READINGS.search(bench.leader.get("/metrics")[1])
    return float(found[1]) if found else 0.0


def audit(stack: Stack, since: datetime) -> list[Request]:
    """What the API server has answered since then."""
    assert stack.control_plane
    return [one for one in requests(stack.control_plane.audit_log) if one.time >= since]


def observed(stack: Stack) -> int:
    """How many policies show a whole reading."""
    query = 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Observing")].status}{"\\n"}{end}'
    return stack.kubectl("get", "lagpolicies", "-A", "-o", query).splitlines().count("True")


def count(stack: Stack, what: str) -> int:
    """How many there are in the cluster."""
    return len(stack.kubectl("get", what, "-A", "-o", "name").splitlines())


def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + TOO_LONG
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {TOO_LONG:.0f} s: {what}")
        time.sleep(2)


def show(result: Json) -> None:
    """Print a table, the bars beside what they are for."""
    table = Table("tidegate run", f"{result['policies']:,} policies")
    for name, value in result.items():
        most = BARS.get(name)
        bar = "" if most is None else f" (at most {most:g}{', MISSED' if value > most else ''})"
        table.add_row(name, (f"{value:,}" if isinstance(value, int) else f"{value:,.2f}") + bar)
    Console().print(table)
    if result["readings_share"] < FEWEST:
        Console().print("The machine was too busy: readings came late, so CPU looks better than it is.", style="red")


if __name__ == "__main__":
    sys.exit(main())
