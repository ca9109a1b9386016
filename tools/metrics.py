"""docs/metrics.md: a table of each kind of series, from the definitions that the operator serves them by."""

from collections.abc import Iterable

from tidegate.controllers.metrics import CONNECTION_METRICS, POLICY_METRICS, PROCESS_METRICS
from tidegate.controllers.metrics.definitions import Definition

_HEAD = """\
<!-- Generated from operator/tidegate/controllers/metrics by `make generate`. Do not edit. -->
# Metrics

`/metrics`, on the port of `/healthz`, is for Prometheus (as text, or as OpenMetrics for whoever asks for it). It is
made at each scrape from what the process knows: series vanish with their object, and **a number that is not known has
no series**: absent is never zero. [Alerts](runbooks/README.md) and a [Grafana dashboard](#the-dashboard) come with the
chart (`metrics.serviceMonitor.enabled`, `metrics.prometheusRule.enabled`, `metrics.dashboard.enabled`).

Series have a `namespace` of their own, that of the policy or connection. Scrape with `honorLabels: true`
(`honor_labels: true` in a scrape config), as the chart's ServiceMonitor does; else Prometheus renames it to
`exported_namespace`, and alerts and dashboard find nothing.
"""

_SECTIONS = (
    (
        "Policies",
        """\
Only the replica that acts has them, so two replicas never show two truths. Values are those of the policy's status,
which is written less often. Counters begin at 0 with the process: use `rate` and `increase`, and sum over replicas.
""",
        POLICY_METRICS,
    ),
    (
        "Broker connections",
        """\
Every replica has them, also the standby: it reads, too. `namespace` is empty for a ClusterBrokerConnection, and
Prometheus then fills in the operator's.
""",
        CONNECTION_METRICS,
    ),
    (
        "The process",
        """\
Every replica has them; beside them `process_cpu_seconds_total`, `process_resident_memory_bytes` and the other usual
ones.
""",
        PROCESS_METRICS,
    ),
)

_TAIL = """\
## The dashboard

![Panels of the dashboard with the flash crowd of the demo](images/dashboard.png)

*Its panels with the data of `make demo`. Grafana was not run for this picture: the demo asks a real Prometheus, which
scrapes both replicas, the dashboard's own queries, and draws the answers itself. For any other Prometheus
`python -m demo.monitoring --prometheus URL` does the same.*

`charts/tidegate/files/dashboard.json` can be imported into any Grafana. It asks for a Prometheus data source, and has
variables for namespace and policy.
"""


def metrics_page() -> str:
    """The whole page."""
    sections = (f"## {title}\n\n{words}\n{_table(rows)}" for title, words, rows in _SECTIONS)
    return "\n".join([_HEAD, *sections, _TAIL])


def _table(definitions: Iterable[Definition]) -> str:
    return "\n".join(["| metric | type | labels | what |", "|---|---|---|---|", *map(_row, definitions), ""])


def _row(metric: Definition) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"
