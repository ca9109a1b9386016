"""What a real Prometheus gets of the running operator, and what the chart's dashboard and alerts make of it.

One scene for all tests of this module: a backlog that two consumers cannot drain in time, and a policy whose connection
does not exist.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest

from demo.monitoring import PANELS, Panel, Prometheus
from demo.monitoring.panels import Query
from demo.stack.release import Release
from tests.e2e.ladder import DOCUMENT, LEVELS
from tests.e2e.operator_process import Operator
from tests.e2e.scene import FLAGS, NAME, Scene
from tests.waiting import eventually
from tidegate.api.duration import parse_duration

pytestmark = pytest.mark.timeout(900)  # the first test plays the scene

NAMESPACE, LOST = "monitored", "lost"
ELSEWHERE = {
    "Proposals by state": "a proposal takes a need above the partitions for a minute: `make demo` has one",
}
"""Panels of the dashboard that have no series in this scene, and why."""


class Monitored(NamedTuple):
    """The scene, the Prometheus beside it, what it scrapes, and when it began (seconds since the epoch)."""

    scene: Scene
    prometheus: Prometheus
    release: Release
    began: float

    def values(self, query: str) -> dict[str, float]:
        """What an instant query answers, by the reason, instance or nothing that tells its series apart."""
        answer = self.prometheus.asked.now(query, time.time())
        return {one["metric"].get("instance", ""): float(one["value"][1]) for one in answer}

    def value(self, metric: str, policy: str = NAME) -> float | None:
        """A metric of one policy; None: it has no series now."""
        found = self.values(f'{metric}{{namespace="{self.scene.namespace}",policy="{policy}"}}')
        assert len(found) <= 1, "two replicas tell of one policy"
        return next(iter(found.values()), None)

    def json(self, path: str) -> Any:
        """An answer of Prometheus's API."""
        with urlopen(f"{self.prometheus.url}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]


@pytest.fixture(scope="module")
def monitored(
    shared_operator: Operator, prometheus_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitored]:
    shared_operator.start()
    release, installed = shared_operator.release, shared_operator.release.stack
    namespace = NAMESPACE
    installed.kubectl("create", "namespace", namespace)
    installed.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=60s")
    folder, began = tmp_path_factory.mktemp("prometheus"), time.time()
    with (
        Prometheus(release, folder, every="5s") as prometheus,
        Scene(installed, namespace, namespace) as scene,
    ):
        play(scene)
        yield Monitored(scene, prometheus, release, began)
    installed.kubectl("delete", "namespace", namespace, "--wait=false")


def play(scene: Scene) -> None:
    """Everything that the dashboard shows of policies, until the backlog is gone."""
    scene.connect()
    metadata = {"name": FLAGS, "namespace": scene.namespace}
    flags = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"flags.json": DOCUMENT}}
    scene.stack.apply(flags)
    scene.deploy(rate=20)
    ladder = {"flagsRef": {"name": FLAGS}, "levels": list(LEVELS), "maxLevel": 0}
    known = {"recordsPerSecond": 20}
    scene.promise(capacity=known, replicas={"min": 1, "max": 2}, degradation=ladder)
    scene.observed()
    kafka = {"connectionRef": {"name": "nowhere"}, "group": "nobody"}
    scene.promise(LOST, source={"kafka": kafka}, targetRef={"name": LOST})
    scene.backlog(1200)
    eventually(lambda: scene.condition("AtRisk").get("status") == "True", seconds=150)
    stop = scene.order((10.0, 120.0))
    eventually(lambda: 2 in scene.scales and scene.lag() < 50, seconds=300)
    stop()
    eventually(lambda: scene.lag() == 0, seconds=120)


def pods(monitored: Monitored) -> set[str]:
    """Where the replicas serve /metrics, as HOST:PORT."""
    return {f"{replica.ip}:8080" for replica in monitored.release.replicas}


def test_every_replica_is_scraped_and_one_acts(monitored: Monitored):
    eventually(lambda: set(monitored.values("up")) == pods(monitored), seconds=60)
    eventually(lambda: sorted(monitored.values("tidegate_leader").values()) == [0, 1], seconds=60)
    eventually(lambda: set(monitored.values("up").values()) == {1}, seconds=60)
    eventually(lambda: len(monitored.values("tidegate_policy_info")) == 1, seconds=60)  # of the one that acts
    both_read = f'tidegate_connection_up{{connection="kafka",namespace="{NAMESPACE}"}}'
    eventually(lambda: len(monitored.values(both_read)) == 2, seconds=60)


def test_promtool_has_nothing_against_the_names(monitored: Monitored, prometheus_programs: Path):
    for pod in pods(monitored):
        with urlopen(f"http://{pod}/metrics", timeout=10) as answer:
            text = answer.read()
        done = subprocess.run(
            [prometheus_programs / "promtool", "check", "metrics"], input=text, capture_output=True, timeout=60
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_the_values_are_those_of_the_status(monitored: Monitored):
    eventually(lambda: of_the_status(monitored.scene) == scraped(monitored), seconds=300)
    assert scraped(monitored)["tidegate_partitions"] == 6, "none of this is compared with nothing"


def of_the_status(scene: Scene) -> dict[str, float | None]:
    """What `kubectl get` has."""
    status = scene.policy(NAME)
    backlog, capacity, replicas = status["backlog"], status["capacity"], status["replicas"]

    def seconds(written: str | None) -> float | None:
        return parse_duration(written).total_seconds() if written else None

    def rate(written: str | None) -> float | None:
        return float(written) if written else None

    return {
        "tidegate_lag_records": backlog.get("lag"),
        "tidegate_age_seconds": seconds(backlog.get("age")),
        "tidegate_arrival_records_per_second": rate(backlog.get("arrivalRate")),
        "tidegate_replica_capacity_records_per_second": rate(capacity.get("perReplica")),
        "tidegate_startup_seconds": seconds(capacity.get("startup")),
        "tidegate_rebalance_seconds": seconds(capacity.get("rebalance")),
        "tidegate_need_replicas": replicas.get("need"),
        "tidegate_desired_replicas": replicas.get("desired"),
        "tidegate_current_replicas": replicas.get("current"),
        "tidegate_ready_replicas": replicas.get("ready"),
        "tidegate_partitions": status["partitions"].get("count"),
        "tidegate_ceiling_replicas": status["partitions"].get("ceiling"),
        "tidegate_degradation_level": status["degradation"].get("level", 0),
    }


def scraped(monitored: Monitored) -> dict[str, float | None]:
    """The same as Prometheus has it."""
    return {metric: monitored.value(metric) for metric in METRICS}


METRICS = (
    "tidegate_lag_records",
    "tidegate_age_seconds",
    "tidegate_arrival_records_per_second",
    "tidegate_replica_capacity_records_per_second",
    "tidegate_startup_seconds",
    "tidegate_rebalance_seconds",
    "tidegate_need_replicas",
    "tidegate_desired_replicas",
    "tidegate_current_replicas",
    "tidegate_ready_replicas",
    "tidegate_partitions",
    "tidegate_ceiling_replicas",
    "tidegate_degradation_level",
)


@pytest.mark.parametrize(
    ("panel", "query"),
    [(panel, query) for panel in PANELS for query in panel.queries],
    ids=lambda part: part.title if isinstance(part, Panel) else "",
)
def test_every_query_of_the_dashboard_has_data(monitored: Monitored, panel: Panel, query: Query):
    found = monitored.prometheus.asked.over(query.filled("30s"), monitored.began, time.time(), 2)
    assert bool(found) == (panel.title not in ELSEWHERE)
    for one in found:
        assert query.name(one["metric"]) or panel.number


def test_the_variables_of_the_dashboard_find_the_policies(monitored: Monitored):
    found = monitored.json("label/policy/values?match[]=tidegate_policy_info")
    assert {NAME, LOST} <= set(found)


def test_every_alert_is_judged_without_an_error(monitored: Monitored):
    eventually(lambda: all(rule["health"] != "unknown" for rule in rules(monitored)), seconds=60)
    assert {rule["name"]: rule.get("lastError", "") for rule in rules(monitored) if rule["health"] != "ok"} == {}
    eventually(lambda: "TidegateReadingStale" in noticed(monitored), seconds=60)  # of the policy without a connection


def noticed(monitored: Monitored) -> set[str]:
    """Alerts that fire, or will if it lasts."""
    return {rule["name"] for rule in rules(monitored) for alert in rule["alerts"] if alert["state"] != "inactive"}


def rules(monitored: Monitored) -> list[dict[str, Any]]:
    return [rule for group in monitored.json("rules")["groups"] for rule in group["rules"]]


def test_series_vanish_with_their_object(monitored: Monitored):
    scene = monitored.scene
    mine = f'{{namespace="{scene.namespace}",policy="{NAME}"}}'
    eventually(lambda: monitored.values(f"tidegate_lag_records{mine}"), seconds=60)
    scene.kubectl("delete", "lagp", NAME)
    eventually(lambda: not monitored.values(f'{{__name__=~"tidegate_.+",{mine[1:]}'), seconds=60)
    eventually(lambda: monitored.value("tidegate_promise_seconds", LOST), seconds=60)  # the other is still there
    scene.kubectl("delete", "bconn", "kafka")
    eventually(
        lambda: not monitored.values(f'tidegate_connection_up{{namespace="{scene.namespace}",connection="kafka"}}'),
        seconds=60,
    )
