"""The chart's dashboard: its panels, and the queries with the variables filled in as Grafana would."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARD = Path(__file__).parents[2] / "charts/tidegate/files/dashboard.json"
ALL = {"namespace": ".*", "policy": ".*"}


class Query(NamedTuple):
    """PromQL, and the name of its series with the labels in braces."""

    expression: str
    legend: str

    def filled(self, rate: str, variables: Mapping[str, str] = ALL) -> str:
        """For a Prometheus; `rate` is the range of rates, at least four times the time between scrapes."""
        known = {**variables, "__rate_interval": rate}
        return re.sub(r"\$(\w+)", lambda found: known[found[1]], self.expression)

    def name(self, labels: Mapping[str, str]) -> str:
        """What one of its series is called."""
        return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), self.legend).strip(" /")


class Panel(NamedTuple):
    """One panel; `number` where it shows one, else it draws lines (on top of each other if `stacked`)."""

    row: str
    title: str
    unit: str
    number: bool
    stacked: bool
    queries: tuple[Query, ...]


def panels(dashboard: Mapping[str, Any]) -> Iterator[Panel]:
    """All panels of a Grafana dashboard, row by row."""
    row = ""
    for found in dashboard["panels"]:
        if found["type"] == "row":
            row = found["title"]
            continue
        defaults = found["fieldConfig"]["defaults"]
        yield Panel(
            row,
            found["title"],
            defaults["unit"],
            found["type"] == "stat",
            defaults.get("custom", {}).get("stacking", {}).get("mode") == "normal",
            tuple(Query(target["expr"], target["legendFormat"]) for target in found["targets"]),
        )


PANELS = tuple(panels(json.loads(DASHBOARD.read_text())))
"""Those of the chart."""
