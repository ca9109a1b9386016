"""charts/tidegate/files/dashboard.json: the Grafana dashboard, from a description that people can read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

WIDTH = 24
"""Columns of a dashboard."""

MINE = 'namespace=~"$namespace",policy=~"$policy"'
BY_POLICY, WHO = "namespace, policy", "{{namespace}}/{{policy}}"
RATE = "$__rate_interval"
WAITING = ',state="AwaitingDecision"'

Json = dict[str, Any]
Query = tuple[str, str]
"""PromQL, and what its series are called."""


@dataclass(frozen=True)
class Panel:
    """One panel: its title, what it tells, its queries, a unit of Grafana's, and how it looks."""

    title: str
    about: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    alarming: bool = False
    """Whether anything above 0 is shown in red."""

    @property
    def height(self) -> int:
        """In rows of the grid."""
        return 4 if self.kind == "stat" else 8


def of(metric: str, more: str = "") -> str:
    """A metric of the chosen policies, whichever replica tells of them."""
    return f"max by ({BY_POLICY}) ({metric}{{{MINE}{more}}})"


def stat(title: str, about: str, query: str, *, alarming: bool = True) -> Panel:
    """A number."""
    return Panel(title, about, ((query, ""),), kind="stat", width=4, alarming=alarming)


def counted(condition: str) -> str:
    """How many of the chosen policies are in a state; 0 with none."""
    return f"count({of('tidegate_condition', condition)}) or vector(0)"


def quantiles(histogram: str, *by: str) -> tuple[Query, ...]:
    """Its 99th percentile and its median."""
    rates = f"sum by ({', '.join(('le', *by))}) (rate({histogram}_bucket[{RATE}]))"
    names = "/".join(f"{{{{{label}}}}}" for label in by)
    return tuple(
        (f"histogram_quantile({share}, {rates})", f"{names} {name}".strip())
        for share, name in (("0.99", "p99"), ("0.5", "median"))
    )


ROWS: dict[str, tuple[Panel, ...]] = {
    "At a glance": (
        stat("Policies", "LagPolicies in care.", f"count({of('tidegate_policy_info')})", alarming=False),
        stat("Late or nearly so", "AtRisk: a promise or unread data.", counted(',condition="AtRisk",status="True"')),
        stat("Not ready", "Tidegate cannot do its job there.", counted(',condition="Ready",status="False"')),
        stat("Degraded", "Features are off.", f"count({of('tidegate_degradation_level')} > 0) or vector(0)"),
        stat(
            "Proposals to decide",
            "Partition increases that wait for a person.",
            f"sum({of('tidegate_proposals', WAITING)}) or vector(0)",
        ),
        stat("Processes that act", "1, or something is wrong.", "sum(tidegate_leader)", alarming=False),
    ),
    "The promise": (
        Panel(
            "Age of the oldest waiting record",
            "Against the promise, dashed.",
            ((of("tidegate_age_seconds"), WHO), (of("tidegate_promise_seconds"), f"{WHO} promise")),
            unit="s",
        ),
        Panel("Lag", "Records that wait.", ((of("tidegate_lag_records"), WHO),)),
        Panel(
            "Rates",
            "What arrives, what is processed, and what the ready replicas could do.",
            (
                (of("tidegate_arrival_records_per_second"), f"{WHO} arriving"),
                (of("tidegate_service_records_per_second"), f"{WHO} processed"),
                (
                    f"{of('tidegate_ready_replicas')} * {of('tidegate_replica_capacity_records_per_second')}",
                    f"{WHO} capacity",
                ),
            ),
            unit="cps",
        ),
    ),
    "Replicas": (
        Panel(
            "Replicas",
            "What the promise asks for, what limits make of it, what there is, and the partition ceiling, dashed.",
            (
                (of("tidegate_need_replicas"), f"{WHO} need"),
                (of("tidegate_desired_replicas"), f"{WHO} desired"),
                (of("tidegate_ready_replicas"), f"{WHO} ready"),
                (of("tidegate_ceiling_replicas"), f"{WHO} ceiling"),
            ),
        ),
        Panel(
            "Decisions by reason",
            "docs/reasons.md has each word.",
            ((f"sum by (reason) (rate(tidegate_decisions_total{{{MINE}}}[{RATE}]))", "{{reason}}"),),
            unit="ops",
            stacked=True,
        ),
        Panel(
            "Times scaled",
            "Each costs a start or a rebalance.",
            (
                (
                    f"sum by ({BY_POLICY}, direction) (increase(tidegate_scalings_total{{{MINE}}}[{RATE}]))",
                    f"{WHO} {{{{direction}}}}",
                ),
            ),
        ),
        Panel(
            "What one replica does",
            "Records a second, learned or declared.",
            ((of("tidegate_replica_capacity_records_per_second"), WHO),),
            unit="cps",
        ),
        Panel(
            "What a change costs",
            "Time until a new replica consumes, and time that the group stops.",
            (
                (of("tidegate_startup_seconds"), f"{WHO} start-up"),
                (of("tidegate_rebalance_seconds"), f"{WHO} rebalance"),
            ),
            unit="s",
        ),
        Panel(
            "Jump it copes with",
            "How many times the present arrivals may come at once with every record still in time.",
            ((of("tidegate_copes_with_jump_ratio"), WHO),),
        ),
    ),
    "Partitions, features, data": (
        Panel(
            "Partitions",
            "And those that get more than one consumer can do.",
            ((of("tidegate_partitions"), WHO), (of("tidegate_hot_partitions"), f"{WHO} hot")),
        ),
        Panel(
            "Proposals by state",
            "Partition increases.",
            ((f"sum by (state) (max by ({BY_POLICY}, state) (tidegate_proposals{{{MINE}}}))", "{{state}}"),),
            stacked=True,
        ),
        Panel("Degradation level", "0: every feature is on.", ((of("tidegate_degradation_level"), WHO),)),
        Panel(
            "Time to drain",
            "Until the backlog is gone at these rates; nothing while it grows.",
            ((of("tidegate_drain_seconds"), WHO),),
            unit="s",
        ),
        Panel(
            "Time until retention deletes what waits",
            "Only where a topic deletes by time.",
            ((of("tidegate_retention_margin_seconds"), WHO),),
            unit="s",
        ),
        Panel(
            "Conditions",
            "Policies by condition that asks for attention.",
            (
                (
                    f"sum by (condition, reason) (max by ({BY_POLICY}, condition, reason) (tidegate_condition{{{MINE},"
                    'condition=~"AtRisk|PartitionBound|ScalingLimited|Degraded|FlagDrift",status="True"}))',
                    "{{condition}} {{reason}}",
                ),
                (
                    f"sum by (condition, reason) (max by ({BY_POLICY}, condition, reason) (tidegate_condition{{{MINE},"
                    'condition=~"Ready|Observing",status!="True"}))',
                    "not {{condition}} {{reason}}",
                ),
            ),
            stacked=True,
        ),
    ),
    "Broker connections": (
        Panel(
            "Answers",
            "1 while the brokers answer, by replica of Tidegate.",
            (("tidegate_connection_up", "{{namespace}}/{{connection}} {{instance}}"),),
        ),
        Panel(
            "Time of a reading",
            "99th percentile and median, of all groups of a connection.",
            quantiles("tidegate_reading_duration_seconds", "namespace", "connection"),
            unit="s",
        ),
        Panel(
            "Broker errors",
            "Cycles with something that could not be read, by reason.",
            (
                (
                    f"sum by (namespace, connection, reason) (rate(tidegate_broker_errors_total[{RATE}]))",
                    "{{namespace}}/{{connection}} {{reason}}",
                ),
            ),
            unit="ops",
        ),
    ),
    "Tidegate itself": (
        Panel("Who acts", "1: this process; 0: it stands by.", (("tidegate_leader", "{{instance}}"),)),
        Panel(
            "CPU",
            "Cores.",
            ((f"rate(process_cpu_seconds_total[{RATE}]) and on (job, instance) tidegate_build_info", "{{instance}}"),),
        ),
        Panel(
            "Memory",
            "Resident.",
            (("process_resident_memory_bytes and on (job, instance) tidegate_build_info", "{{instance}}"),),
            unit="bytes",
        ),
        Panel(
            "Time from a reading to its decision carried out",
            "99th percentile and median, of one policy.",
            quantiles("tidegate_reconcile_duration_seconds"),
            unit="s",
        ),
        Panel(
            "Statuses written",
            "By result, and how many wait.",
            (
                (f"sum by (result) (rate(tidegate_status_writes_total[{RATE}]))", "{{result}} a second"),
                ("sum(tidegate_status_writes_waiting)", "waiting"),
            ),
        ),
        Panel("Version", "That runs.", (("count by (version) (tidegate_build_info)", "{{version}}"),)),
    ),
}


def dashboard_json() -> str:
    """As Grafana imports it."""
    return json.dumps(_dashboard(), indent=2) + "\n"


def _dashboard() -> Json:
    return {
        "title": "Tidegate",
        "uid": "tidegate",
        "description": "Generated from tools/dashboard.py by `make generate`. The metrics: docs/metrics.md.",
        "tags": ["tidegate", "kafka"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": list(_panels()),
    }


def _variables() -> list[Json]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    return [source, _variable("namespace", ""), _variable("policy", 'namespace=~"$namespace"')]


def _variable(name: str, within: str) -> Json:
    query = f"label_values(tidegate_policy_info{{{within}}}, {name})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _panels() -> Iterator[Json]:
    """Rows one below the other, the panels of each from left to right."""
    top, number = 0, 0
    for title, panels in ROWS.items():
        number += 1
        place = {"gridPos": _at(0, top, WIDTH, 1)}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": []} | place
        top, left = top + 1, 0
        for panel in panels:
            if left + panel.width > WIDTH:
                top, left = top + panel.height, 0
            number += 1
            yield _panel(panel, number) | {"gridPos": _at(left, top, panel.width, panel.height)}
            left += panel.width
        top += panels[-1].height


def _at(x: int, y: int, w: int, h: int) -> Json:
    return {"x": x, "y": y, "w": w, "h": h}


def _panel(panel: Panel, number: int) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "targets": [_target(panel, place, *query) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, **_look(panel)}, "overrides": _dashed(panel)},
        "options": _options(panel),
    }


def _target(panel: Panel, place: int, expression: str, legend: str) -> Json:
    return {
        "refId": chr(ord("A") + place),
        "datasource": _SOURCE,
        "expr": expression,
        "legendFormat": legend or "__auto",
        "instant": panel.kind == "stat",
        "range": panel.kind != "stat",
    }


def _look(panel: Panel) -> Json:
    if panel.kind == "stat":
        steps = [{"color": "green", "value": None}, *([{"color": "red", "value": 1}] if panel.alarming else [])]
        return {"thresholds": {"mode": "absolute", "steps": steps}}
    stacking = {"mode": "normal", "group": "A"} if panel.stacked else {"mode": "none"}
    opacity = 30 if panel.stacked else 10
    return {"custom": {"drawStyle": "line", "lineWidth": 1, "fillOpacity": opacity, "stacking": stacking}}


def _dashed(panel: Panel) -> list[Json]:
    """Limits are dashed."""
    if not any(legend.endswith(("promise", "ceiling")) for _, legend in panel.queries):
        return []
    style = {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}}
    unfilled = {"id": "custom.fillOpacity", "value": 0}
    return [{"matcher": {"id": "byRegexp", "options": "/(promise|ceiling)$/"}, "properties": [style, unfilled]}]


def _options(panel: Panel) -> Json:
    if panel.kind == "stat":
        return {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
