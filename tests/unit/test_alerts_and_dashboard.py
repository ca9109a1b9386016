"""What the chart's alerts and dashboard rest on exists, and every alert has a page."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.api import Reason
from tidegate.cluster.conditions import POLICY_CONDITIONS
from tidegate.cluster.laddering import LADDER_CONDITIONS
from tidegate.controllers.metrics import CONNECTION_METRICS, POLICY_METRICS, PROCESS_METRICS
from tidegate.controllers.metrics.definitions import Kind

ROOT = Path(__file__).parents[2]
FILES, RUNBOOKS = ROOT / "charts/tidegate/files", ROOT / "docs/runbooks"
ALERTS = [rule for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SERVED = {
    *(
        f"{metric.name}{suffix}"
        for metric in (*POLICY_METRICS, *CONNECTION_METRICS, *PROCESS_METRICS)
        for suffix in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
    ),
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
}
LABELS = {label for metric in (*POLICY_METRICS, *CONNECTION_METRICS, *PROCESS_METRICS) for label in metric.labels}


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in ALERTS)
    yield from (target["expr"] for panel in PANELS for target in panel["targets"])
    yield from (variable.get("definition", "") for variable in DASHBOARD["templating"]["list"])


@pytest.mark.parametrize("expression", list(expressions()))
def test_it_asks_for_nothing_that_is_not_served(expression: str):
    assert set(re.findall(r"\b(?:tidegate|process)_\w+", expression)) <= SERVED
    selectors = " ".join(re.findall(r"{(.*?)}", expression))
    assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selectors)) <= LABELS
    assert set(re.findall(r'reason!?="(\w+)"', expression)) <= set(Reason)
    conditions = {one for found in re.findall(r'condition=~?"([\w|]+)"', expression) for one in found.split("|")}
    assert conditions <= {*POLICY_CONDITIONS, *LADDER_CONDITIONS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_a_page_that_says_what_to_do(alert: dict[str, Any]):
    page = RUNBOOKS / f"{alert['alert']}.md"
    assert alert["annotations"]["runbook_url"].endswith(str(page.relative_to(ROOT)))
    assert re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE) == [
        *(alert["alert"], "What it means", "How to look", "What to do")
    ]
    assert (
        f"| [{alert['alert']}]({page.name}) | {alert['labels']['severity']} |" in (RUNBOOKS / "README.md").read_text()
    )


def test_no_page_is_left_over():
    assert {page.stem for page in RUNBOOKS.glob("Tidegate*.md")} == {alert["alert"] for alert in ALERTS}


def test_every_metric_of_a_policy_is_shown_or_named_here_with_its_reason():
    shown = " ".join(expressions())
    left_out = {
        "tidegate_current_replicas",  # beside desired and ready it says nothing
        "tidegate_min_replicas",  # a wish, not a measurement
        "tidegate_max_replicas",
        "tidegate_degraded_since_timestamp_seconds",  # the level's panel shows it
    }
    assert {metric.name for metric in POLICY_METRICS if metric.name not in shown} == left_out


def test_panels_do_not_overlap_and_all_have_words():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert all(panel["title"] and panel["description"] for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
