"""`make bench-policy`: every controller on every trace in every case, beside the clairvoyant optimum.

Writes build/bench/policy.json, build/bench/policy-<trace>.png, docs/benchmark.md and its picture. Optima are kept in
build/bench/optima.jsonl by what they depend on, as they take most of the time.
"""

import argparse
import hashlib
import inspect
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from bench.policy_cases import CASES, Case, Entrant, drift_curve, entrants
from bench.policy_report import Row, bars, page, table, wins
from tidegate.simulate import optimum as optimum_module
from tidegate.simulate.optimum import optimum
from tidegate.simulate.outcome import Outcome, outcome
from tidegate.simulate.plot import picture
from tidegate.simulate.trace import FOLDER_VARIABLE, Curve, Trace, load
from tidegate.simulate.world import Run, play

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "bench"
SHIPPED = ROOT / "bench" / "traces"
SHORT = {
    "twitter_2021-08_gapfree23h_1s": "twitter",
    "nasa_1995-07-13_sts70_24h_1s": "nasa_sts70",
    "wc98_flash_1998-06-29_72h_60s": "wc98_flash",
    "azure_llm2023_code_1s": "azure_code",
    "nab_nyc_taxi_1800s": "nyc_taxi",
    "nab_tweets_AAPL_300s": "tweets_aapl",
}
IN_EVERY_CASE = ("twitter", "nasa_sts70", "wc98_flash", "azure_code")
PICTURED = ("tidegate", "keda D/2", "flink tuned")


def traces(folder: str | None) -> dict[str, Trace]:
    """The traces of the repository and those of the folder that --traces or TIDEGATE_TRACES names."""
    folders = [SHIPPED, *([Path(folder)] if folder else [])]
    paths = {path.name.partition(".")[0]: path for where in folders for path in sorted(where.glob("*.csv*"))}
    found = {SHORT.get(stem, stem): load(path) for stem, path in paths.items()}
    return dict(sorted(found.items(), key=lambda item: [*IN_EVERY_CASE, item[0]].index(item[0])))


def absent(found: Iterable[str]) -> str:
    """In words: the traces that the benchmark knows and did not find, whose bars are therefore not checked."""
    names = sorted(set(SHORT.values()) - set(found))
    return f"Traces that were not there (bench/traces/README.md says why and whence): {', '.join(names) or 'none'}."


class Optima:
    """Optima already computed, by what they depend on: one to a line, so that processes may add theirs side by side."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, Any] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            self.known |= json.loads(line)
        self.code = inspect.getsource(optimum_module)

    def of(self, case: Case, arrivals: Curve) -> tuple[float, int]:
        """Replica-hours and scale events of the optimum."""
        pace = drift_curve(case, arrivals)
        what = (arrivals.tobytes(), pace.tobytes(), repr(case.regime).encode(), self.code.encode())
        key = hashlib.sha256(b"|".join(what)).hexdigest()
        if key not in self.known:
            found = optimum(arrivals, case.regime, case.drift(arrivals))
            self.known[key] = [found.replica_hours, found.scale_events]
            with self.path.open("a") as lines:
                lines.write(json.dumps({key: self.known[key]}) + "\n")
        hours, events = self.known[key]
        return hours, events


class Job(NamedTuple):
    """A case to play on a trace, by its place in CASES; `only` the controllers whose names begin so."""

    case: int
    name: str
    trace: Trace
    only: str | None


def played(case: Case, arrivals: Curve, entrant: Entrant, optimum_hours: float) -> tuple[Outcome, Run]:
    """The mean of an entrant's runs over its phases, and the first of them."""
    runs = [
        play(case.world(arrivals, entrant.replicas), entrant.make(phase), len(arrivals)) for phase in entrant.phases
    ]
    results = [outcome(run, optimum_hours) for run in runs]
    mean = replace(
        results[0],
        replica_hours=fmean(r.replica_hours for r in results),
        late_share=fmean(r.late_share for r in results),
        p99_age_seconds=fmean(r.p99_age_seconds for r in results),
        max_age_seconds=max(r.max_age_seconds for r in results),
        scale_events=round(fmean(r.scale_events for r in results)),
        rebalances=round(fmean(r.rebalances for r in results)),
    )
    return mean, runs[0]


def rows(job: Job) -> list[Row]:
    """One row for each controller; the main case also draws its picture."""
    case, name, trace, only = CASES[job.case], job.name, job.trace, job.only
    arrivals = case.arrivals(trace)
    hours, events = Optima(BUILD / "optima.jsonl").of(case, arrivals)
    result: list[Row] = []
    pictured: list[Run] = []
    for entrant in entrants(case, arrivals):
        if only and not entrant.name.startswith(only):
            continue
        measured, run = played(case, arrivals, entrant, hours)
        result.append(Row(name, case.name, entrant.name, entrant.family, events, measured))
        if entrant.name in PICTURED:
            pictured.append(run)
    if case.everyone and not only:
        picture(arrivals, pictured, f"{name}: {case.words}").savefig(BUILD / f"policy-{name}.png", dpi=110)
    return result


def main() -> int:
    """Play, print, write."""
    options = parsed(sys.argv[1:])
    BUILD.mkdir(parents=True, exist_ok=True)
    found, began = traces(options.traces), time.monotonic()
    jobs = [
        Job(CASES.index(case), name, trace, options.controller)
        for case in CASES
        for name, trace in found.items()
        if wanted(options, case, name)
    ]
    result: list[Row] = []
    with ProcessPoolExecutor() as pool:
        for some in pool.map(rows, jobs):
            print("\n".join(row.line() for row in some), flush=True)
            result += some
    print("\n" + "\n\n".join([absent(found), bars(result), wins(result)]))
    print(f"\n{len(result)} runs in {(time.monotonic() - began) / 60:.1f} min")
    if options.whole:
        (BUILD / "policy.json").write_text(json.dumps([row.keys() for row in result], indent=1))
        (ROOT / "docs").mkdir(exist_ok=True)
        (ROOT / "docs" / "benchmark.md").write_text(page(result, table(result), absent(found)))
        shutil.copy(BUILD / "policy-nasa_sts70.png", ROOT / "docs" / "images" / "benchmark.png")
    return 0


def wanted(options: argparse.Namespace, case: Case, name: str) -> bool:
    """Traces not in every case are played in the main one only."""
    if options.case and case.name not in options.case:
        return False
    if options.trace and name not in options.trace:
        return False
    return case.everyone or name in IN_EVERY_CASE


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; a run that leaves something out does not touch the documentation."""
    parser = argparse.ArgumentParser(prog="python -m bench.policy", description=__doc__)
    parser.add_argument("--traces", default=os.environ.get(FOLDER_VARIABLE), help="folder with more traces")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="only this case")
    parser.add_argument("--trace", action="append", help="only this trace, such as nasa_sts70")
    parser.add_argument("--controller", help="only controllers whose names begin so, such as tidegate")
    options = parser.parse_args(arguments)
    options.whole = not (options.case or options.trace or options.controller)
    return options


if __name__ == "__main__":
    sys.exit(main())
