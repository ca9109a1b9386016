"""`tidegate simulate`: what a policy would have done with recorded load, before it is applied.

Everything heavy is imported when the command runs: `tidegate run` needs none of it.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.api.duration import parse_duration
from tidegate.api.quantity import parse_rate


class Output(StrEnum):
    """How the result is printed."""

    TABLE = "table"
    JSON = "json"


def _seconds(text: str) -> float:
    """A duration as in policies, days allowed too (`7d`, `1d12h`)."""
    days, rest = re.fullmatch(r"(?:([0-9]{1,4})d)?(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    try:
        return int(days or 0) * 86_400 + (parse_duration(rest).total_seconds() if rest or not days else 0.0)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _rate(text: str) -> float:
    try:
        rate = parse_rate(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if rate <= 0:
        raise typer.BadParameter(f"{text} is not above 0: give the records a second that one replica can process")
    return rate


class Shares(tuple[float, ...]):
    """What each level saves; a class of its own, as a plain tuple would be an option with so many values."""

    __slots__ = ()


def _shares(text: str) -> Shares:
    try:
        shares = Shares(float(share) for share in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a list of shares: write one such as 0.2,0.15") from None
    if not (all(share >= 0 for share in shares) and sum(shares) < 1):
        raise typer.BadParameter(f"{text}: each must be 0 or more, and all together below 1, such as 0.2,0.15")
    return shares


def _duration(help_text: str) -> Any:
    return typer.Option(parser=_seconds, metavar="DURATION", help=help_text)


PolicyFlag = Annotated[Path, typer.Option(metavar="FILE.yaml", help="The LagPolicy, as you will apply it.")]
TraceFlag = Annotated[
    str | None,
    typer.Option(
        metavar="CSV",
        help="Recorded load: timestamp_s,count[,gap_flag], plain or gzipped; or the beginning of a file's name in the"
        " folder that TIDEGATE_TRACES names.",
    ),
]
PrometheusFlag = Annotated[
    str | None, typer.Option(metavar="URL", help="Take the load from where kafka_exporter or KMinion is recorded.")
]
GroupFlag = Annotated[str | None, typer.Option(help="Consumer group in Prometheus. Default: spec.source.kafka.group.")]
SinceFlag = Annotated[float | None, _duration("How far back Prometheus is asked, such as 12h or 7d. Default: 7d.")]
StepFlag = Annotated[
    float | None, _duration("Resolution of what Prometheus is asked; not below its scrape interval. Default: 60s.")
]
MatchFlag = Annotated[
    str | None, typer.Option(metavar="MATCHERS", help="More label matchers for Prometheus, such as 'cluster=\"prod\"'.")
]
PartitionsFlag = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100_000,
        help="Partitions of the topics. Default: what Prometheus shows; for a CSV, one for each consumer of"
        " spec.replicas.max.",
    ),
]
ServiceRateFlag = Annotated[
    float | None,
    typer.Option(
        parser=_rate,
        metavar="RATE",
        help="Records a second that one replica can really process. Default: spec.capacity.recordsPerSecond.",
    ),
]
StartupFlag = Annotated[
    float | None,
    _duration("Time from asking for a replica until it consumes. Default: spec.capacity.startup, else 30s."),
]
RebalanceFlag = Annotated[
    float | None,
    _duration("Time the group stops when its members change. Default: spec.capacity.rebalance, else 10s."),
]
LevelSavesFlag = Annotated[
    Shares | None,
    typer.Option(
        parser=_shares,
        metavar="SHARES",
        help="The share of a record's service time that each level of spec.degradation saves beyond the levels before"
        " it, such as 0.2,0.15. Without it the ladder is left out.",
    ),
]
CompareFlag = Annotated[
    str,
    typer.Option(
        metavar="NAMES", help="Of keda, flink, numaflow, brandwatch, static, optimum; empty: the policy alone."
    ),
]
OutputFlag = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]
PlotFlag = Annotated[
    Path | None,
    typer.Option(metavar="out.png|out.html", help="Draw arrivals, capacity, ages and replicas of everyone."),
]


def simulate(
    policy: PolicyFlag,
    trace: TraceFlag = None,
    prometheus: PrometheusFlag = None,
    group: GroupFlag = None,
    since: SinceFlag = None,
    step: StepFlag = None,
    match: MatchFlag = None,
    partitions: PartitionsFlag = None,
    service_rate: ServiceRateFlag = None,
    startup: StartupFlag = None,
    rebalance: RebalanceFlag = None,
    level_saves: LevelSavesFlag = None,
    compare: CompareFlag = "keda,static,optimum",
    output: OutputFlag = Output.TABLE,
    plot: PlotFlag = None,
) -> None:
    """Backtest a policy: play the operator's own engine, and others, against recorded load.

    In this world whole partitions are handed out, pods take time to start, and the group stops when its members change.
    The engine is told what the policy says and nothing else; --service-rate, --startup, --rebalance and --level-saves
    say how the world really is.
    """
    try:
        from tidegate.cli import simulation
    except ModuleNotFoundError as error:
        typer.echo(f"tidegate simulate needs {error.name}: pip install 'tidegate[simulate]'", err=True)
        raise typer.Exit(1) from None
    request = simulation.Request(
        policy=policy,
        source=simulation.Source(trace, prometheus, group, since, step, match),
        world=simulation.World(partitions, service_rate, startup, rebalance, level_saves),
        compare=tuple(name.strip() for name in compare.split(",") if name.strip()),
        plot=plot,
    )
    try:
        report = simulation.simulated(request)
    except simulation.SimulationError as error:
        typer.echo(f"tidegate simulate: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(report.json() if output == Output.JSON else report.table())
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
