"""What `tidegate simulate` does: policy and load are read, everyone is played, the result is put into words."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import Progress

from tidegate.api import LagPolicy
from tidegate.api.lagpolicy import KafkaSource, Mode
from tidegate.cli.policy_file import PolicyFileError, policy_in
from tidegate.cli.simulation_report import Load, Report
from tidegate.cluster.flags.sinks import propagation_of
from tidegate.simulate.backtest import COMPARABLE, OPTIMUM, backtest, optimum_fits, unavoidable
from tidegate.simulate.features import Features
from tidegate.simulate.plot import page, picture
from tidegate.simulate.prometheus import Prometheus, PrometheusError, Recorded, Span, Wanted, recorded
from tidegate.simulate.regime import Regime
from tidegate.simulate.trace import Curve, Trace, TraceError, find, load

WEEK, STEP = 7 * 86_400.0, 60.0
STARTUP, REBALANCE = 30.0, 10.0
SEED = 1
PICTURES = (".png", ".html")


class SimulationError(ValueError):
    """What was asked for cannot be done; the message names the flag or field and what would be right."""


class Source(NamedTuple):
    """Where the load comes from. Times in seconds; None where a flag was not given."""

    trace: str | None
    prometheus: str | None
    group: str | None
    since: float | None
    step: float | None
    match: str | None


class World(NamedTuple):
    """What consumers and cluster are really like: records a second, seconds; None where a flag was not given.

    `level_saves` is the share of a record's service time that each level of the ladder saves beyond those before it.
    """

    partitions: int | None
    service_rate: float | None
    startup: float | None
    rebalance: float | None
    level_saves: tuple[float, ...] | None


class Request(NamedTuple):
    """The flags."""

    policy: Path
    source: Source
    world: World
    compare: tuple[str, ...]
    plot: Path | None


Told = Callable[[str, int], None]
"""Told who plays and which tick is done."""


def simulated(request: Request) -> Report:
    """Read, play, draw. Raises SimulationError."""
    _check(request)
    policy = _policy(request)
    features = _features(request, policy)
    with _progress() as begin:
        load = _load(request, policy, begin)
        regime = _regime(request, policy, load)
        arrivals = _arrivals(load.trace, regime)
        notes = [*load.notes, *_notes(request, policy, load, regime, arrivals)]
        compare = [name for name in request.compare if name != OPTIMUM or optimum_fits(regime, len(arrivals))]
        results = backtest(policy.spec, regime, arrivals, compare, begin(len(arrivals)), features)
    report = Report(policy, load, regime, float(arrivals.sum()), results, tuple(notes))
    if request.plot:
        _draw(request.plot, report, arrivals)
    return report


def _check(request: Request) -> None:
    """Flags that contradict each other, found before anything takes time."""
    _check_source(request.source)
    unknown = sorted(set(request.compare) - set(COMPARABLE))
    if unknown:
        raise SimulationError(f"--compare: {', '.join(unknown)} not known; choose from {', '.join(COMPARABLE)}")
    if request.plot is not None and request.plot.suffix not in PICTURES:
        raise SimulationError(f"--plot: {request.plot} must end with .png or .html")
    if request.plot is not None and not request.plot.parent.is_dir():
        raise SimulationError(f"--plot: there is no folder {request.plot.parent}")


def _check_source(source: Source) -> None:
    if (source.trace is None) == (source.prometheus is None):
        raise SimulationError("give either --trace CSV or --prometheus URL: where the load comes from")
    given = [f"--{name}" for name in ("group", "since", "step", "match") if getattr(source, name) is not None]
    if source.trace is not None and given:
        raise SimulationError(f"{', '.join(given)}: only with --prometheus")
    for flag, value in {"--since": source.since, "--step": source.step}.items():
        if value is not None and value < 1:
            raise SimulationError(f"{flag} must be 1s or more")
    if (source.since or WEEK) < 2 * (source.step or STEP):
        raise SimulationError(f"--since must be at least two steps of {source.step or STEP:g} s (--step)")


def _policy(request: Request) -> LagPolicy:
    try:
        return policy_in(request.policy)
    except PolicyFileError as error:
        raise SimulationError(f"--policy: {error}") from error


def _load(request: Request, policy: LagPolicy, begin: Callable[[int], Told]) -> Load:
    try:
        if request.source.trace is not None:
            return Load(load(find(request.source.trace)))
        found = _recorded(request.source, policy.spec.source.kafka, begin)
        return Load(found.trace, found.partitions, found.notes)
    except TraceError as error:
        raise SimulationError(f"--trace: {error}") from error
    except PrometheusError as error:
        raise SimulationError(f"--prometheus: {error}") from error


def _recorded(asked: Source, kafka: KafkaSource, begin: Callable[[int], Told]) -> Recorded:
    span = Span.until(time.time(), asked.since or WEEK, asked.step or STEP)
    client = Prometheus(asked.prometheus or "")
    return recorded(client, Wanted(asked.group or kafka.group, kafka, asked.match or ""), span, begin(span.points))


def _regime(request: Request, policy: LagPolicy, load: Load) -> Regime:
    """The world as it really is: by the flags, else by what the policy declares."""
    spec = policy.spec
    capacity, consumers = spec.capacity, spec.capacity.consumers_per_replica
    rate = request.world.service_rate or capacity.records_per_second
    if not rate:
        raise SimulationError(
            "--service-rate: how many records a second can one replica process? The policy does not declare it"
            " (spec.capacity.recordsPerSecond) and the load does not say it; such as --service-rate 120"
        )
    return Regime(
        partitions=request.world.partitions or load.partitions or spec.replicas.max * consumers,
        service_rate=rate,
        max_age=spec.objective.max_age.total_seconds(),
        startup=_first(request.world.startup, capacity.startup, STARTUP),
        rebalance=_first(request.world.rebalance, capacity.rebalance, REBALANCE),
        least=spec.replicas.min,
        most=spec.replicas.max,
        packed=True,
        consumers=consumers,
    )


def _features(request: Request, policy: LagPolicy) -> Features | None:
    """What the ladder of the policy may switch off; None where it has none, or nobody says what that saves."""
    degradation, saves = policy.spec.degradation, request.world.level_saves
    if saves is None:
        return None
    if degradation is None:
        raise SimulationError("--level-saves: the policy has no ladder (spec.degradation) whose levels could save")
    if len(saves) != len(degradation.levels):
        levels = ", ".join(level.name for level in degradation.levels)
        raise SimulationError(f"--level-saves: {len(saves)} shares for {len(degradation.levels)} levels ({levels})")
    return Features(saves, propagation_of(degradation.flags_ref))


def _first(flag: float | None, declared: timedelta | None, default: float) -> float:
    if flag is not None:
        return flag
    return default if declared is None else declared.total_seconds()


def _arrivals(trace: Trace, regime: Regime) -> Curve:
    try:
        arrivals = trace.arrivals(regime.tick, SEED)
    except TraceError as error:
        raise SimulationError(str(error)) from error
    if not arrivals.sum():
        raise SimulationError(f"{trace.name}: nothing arrives in it; take load that has records")
    return arrivals


def _notes(request: Request, policy: LagPolicy, load: Load, regime: Regime, arrivals: Curve) -> Iterator[str]:
    """What was assumed, and what makes the figures mean less."""
    if not (request.world.partitions or load.partitions):
        yield f"{regime.partitions} partitions are assumed, one for each consumer of spec.replicas.max (--partitions)"
    yield from _notes_on_the_ladder(request, policy)
    if policy.spec.mode != Mode.ACTIVE:
        yield f"spec.mode is {policy.spec.mode}; played is what the policy does when Active"
    if load.trace.step > regime.tick:
        yield f"the load is recorded every {load.trace.step:g} s; within that it is played as a steady random flow"
    late = unavoidable(regime, arrivals)
    if late > 1e-5:
        yield f"{100 * late:.3f} % of the records are late even with all {regime.ceiling} replicas always on"
    if load.trace.span < 20 * regime.max_age:
        yield "the load is short beside the promise: what still waits at its end is not paid for, least by the optimum"
    if OPTIMUM in request.compare and not optimum_fits(regime, len(arrivals)):
        yield "the optimum is left out, its search would need too much memory: take shorter load or fewer replicas"
    if OPTIMUM in request.compare and regime.least == 0:
        yield "the optimum keeps at least one replica; a policy with spec.replicas.min 0 can be cheaper"


def _notes_on_the_ladder(request: Request, policy: LagPolicy) -> Iterator[str]:
    if policy.spec.degradation is None:
        return
    if request.world.level_saves is None:
        yield "spec.degradation is left out: what its levels save is not known (--level-saves, such as 0.2,0.15)"
    elif request.compare:
        yield "all others keep every feature on"


def _draw(path: Path, report: Report, arrivals: Curve) -> None:
    runs = [result.run for result in report.results]
    try:
        if path.suffix == ".html":
            path.write_text(page(arrivals, runs, report.table(), "; ".join(report.notes)), "utf-8")
        else:
            picture(arrivals, runs, report.title()).savefig(path, dpi=110)
    except OSError as error:
        raise SimulationError(f"--plot: {path} cannot be written: {error}") from error


@contextmanager
def _progress() -> Iterator[Callable[[int], Told]]:
    """A bar for each who plays, on standard error, where that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:

        def begin(total: int) -> Told:
            tasks: dict[str, Any] = {}

            def told(name: str, done: int) -> None:
                if name not in tasks:
                    tasks[name] = bars.add_task(name, total=total)
                bars.update(tasks[name], completed=done + 1)

            return told

        yield begin
