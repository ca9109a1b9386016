"""What `tidegate simulate` prints."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.api import LagPolicy
from tidegate.simulate.backtest import Result
from tidegate.simulate.regime import Regime
from tidegate.simulate.trace import Trace


class Load(NamedTuple):
    """Recorded load, the partitions it came in (None: not known), and what to know of the recording."""

    trace: Trace
    partitions: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The result, and what a reader must know to believe it."""

    policy: LagPolicy
    load: Load
    regime: Regime
    records: float
    results: list[Result]
    notes: tuple[str, ...]

    def json(self) -> str:
        """Everything, for machines."""
        spec, regime = self.policy.spec, self.regime
        return json.dumps(
            {
                "policy": self.policy.metadata.name,
                "load": self.load.trace.name,
                "load_seconds": self.load.trace.span,
                "records": round(self.records),
                "promise_seconds": regime.max_age,
                "replicas": {"min": spec.replicas.min, "max": spec.replicas.max},
                "partitions": regime.partitions,
                "service_rate": regime.service_rate,
                "startup_seconds": regime.startup,
                "rebalance_seconds": regime.rebalance,
                "notes": list(self.notes),
                "controllers": [result.keys() for result in self.results],
            },
            indent=2,
        )

    def table(self) -> str:
        """The figures in columns, and below them how each was set."""
        columns = COLUMNS | (LADDER if any(result.run.features for result in self.results) else {})
        rows = [list(columns), *([cell(result) for cell in columns.values()] for result in self.results)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        settings = [f"{result.outcome.controller}: {result.settings}" for result in self.results]
        return "\n".join([self.title(), "", *lines, "", *settings])

    def title(self) -> str:
        """What was played, in three lines."""
        regime, trace, name = self.regime, self.load.trace, self.policy.metadata.name
        hours = f"{self.records:,.0f} records in {trace.span / 3600:.1f} h"
        return "\n".join(
            [
                f"{name}: every record within {regime.max_age:g} s, {regime.least} to {regime.ceiling} replicas",
                f"{trace.name}: {hours}, {regime.partitions} partitions",
                f"a replica does {regime.service_rate:g} records/s and starts in {regime.startup:g} s;"
                f" a rebalance stops the group for {regime.rebalance:g} s",
            ]
        )


COLUMNS: dict[str, Callable[[Result], str]] = {
    "controller": lambda result: result.outcome.controller,
    "replica-hours": lambda result: f"{result.outcome.replica_hours:.1f}",
    "x optimum": lambda result: f"{result.outcome.ratio:.2f}" if result.outcome.ratio else "-",
    "late": lambda result: f"{100 * result.outcome.late_share:.3f} %",
    "p99 age": lambda result: f"{result.outcome.p99_age_seconds:.0f} s",
    "max age": lambda result: f"{result.outcome.max_age_seconds:.0f} s",
    "scale events": lambda result: str(result.outcome.scale_events),
    "rebalances": lambda result: str(result.outcome.rebalances),
}
LADDER: dict[str, Callable[[Result], str]] = {
    "level changes": lambda result: "-" if result.outcome.transitions is None else str(result.outcome.transitions),
    "features off": lambda result: f"{result.run.hours_off:.1f} h" if result.run.features else "-",
}
