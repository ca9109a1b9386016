"""`make bench-ladder`: every trace with fewer replicas than its peak needs, with the degradation ladder and without.

And with as many replicas as it may need, where the ladder must never engage. Writes build/bench/ladder.json and
build/bench/ladder-<case>-<trace>.png; ends with 1 where a bar is missed.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.ladder_cases import CASES, Case
from bench.policy import BUILD, ROOT, absent, traces
from tidegate.simulate.backtest import unavoidable
from tidegate.simulate.features import Features
from tidegate.simulate.fleet import EPOCH
from tidegate.simulate.outcome import HOUR, outcome
from tidegate.simulate.plot import picture
from tidegate.simulate.steered import Tidegate
from tidegate.simulate.trace import FOLDER_VARIABLE, Curve, Trace
from tidegate.simulate.world import Run, play

BEGIN, END = "<!-- bench-ladder: written by make bench-ladder -->", "<!-- bench-ladder: end -->"
PICTURED = BUILD / "ladder-deep-tweets_aapl.png"
HALF = 0.5
TRANSITIONS = 4
"""At most so many a surge: two levels up, two down."""


@dataclass(frozen=True)
class Row:
    """One trace with the ladder and without. `cap` is what all replicas do, as a share of the busiest minute.

    `late_share_all_on` is what all replicas would leave late, always on and with every feature.
    """

    trace: str
    case: str
    cap: float | None
    late_share_with: float
    late_share_without: float
    transitions: int
    surges: int
    late_share_all_on: float
    replica_hours_with: float
    replica_hours_without: float
    hours_off: float

    def missed(self) -> Iterator[str]:
        """In words, the bars that it misses."""
        if self.cap is None:
            if self.transitions:
                yield f"{self.transitions} transitions, 0 allowed"
            return
        if self.late_share_with and self.late_share_with >= HALF * self.late_share_without:
            yield "not below half as late"
        if self.transitions > TRANSITIONS * self.surges:
            yield f"more than {TRANSITIONS} transitions a surge"

    def line(self) -> str:
        """For the terminal, as soon as it is known."""
        late = f"late {percent(self.late_share_with)} with, {percent(self.late_share_without)} without"
        return f"{self.case:10} {self.trace:11} {late}, {self.transitions} transitions, {self.surges} surges"


class Job(NamedTuple):
    """A case, by its place in CASES, to play on a trace."""

    case: int
    name: str
    trace: Trace


class Played(NamedTuple):
    """A row, and the ladder's steps in words."""

    row: Row
    steps: list[str]


def played(job: Job) -> Played:
    """The same load twice; draws both."""
    case, arrivals = CASES[job.case], CASES[job.case].arrivals(job.trace)
    with_ladder, steps = run(case, arrivals, case.features())
    without, _ = run(case, arrivals, None)
    better, worse = outcome(with_ladder), outcome(without)
    title = f"{job.name}: {case.words}"
    drawn = BUILD / f"ladder-{case.name.replace(' ', '-')}-{job.name}.png"
    picture(arrivals, [with_ladder, without], title).savefig(drawn, dpi=110)
    row = Row(
        job.name,
        case.name,
        case.cap,
        better.late_share,
        worse.late_share,
        better.transitions or 0,
        len(case.surges(arrivals)),
        unavoidable(case.regime, arrivals),
        better.replica_hours,
        worse.replica_hours,
        with_ladder.hours_off,
    )
    return Played(row, steps)


def run(case: Case, arrivals: Curve, features: Features | None) -> tuple[Run, list[str]]:
    """Play; with features a ladder switches them: its steps, in words."""
    name = "tidegate with ladder" if features else "tidegate without"
    steered = Tidegate(case.policy(ladder=features is not None), name, features)
    result = play(case.world(arrivals, features), steered, len(arrivals))
    result.features = features
    steps = [f"{(at - EPOCH) / HOUR:8.3f} h  level {r.level}  {r.reason}: {r.message}" for at, r in steered.rungs]
    return result, steps


def main() -> int:
    """Play, print, write."""
    options = parsed(sys.argv[1:])
    BUILD.mkdir(parents=True, exist_ok=True)
    found, began = traces(options.traces), time.monotonic()
    jobs = [
        Job(place, name, trace)
        for place, case in enumerate(CASES)
        for name, trace in found.items()
        if case.name in (options.case or [case.name]) and name in (options.trace or case.only or found)
    ]
    jobs.sort(key=lambda job: -CASES[job.case].cut(job.trace).span)  # the longest first: the pool then ends together
    results: list[Played] = []
    with ProcessPoolExecutor(options.processes) as pool:
        for ended in as_completed([pool.submit(played, job) for job in jobs]):
            results.append(ended.result())
            print(results[-1].row.line(), flush=True)
    results.sort(key=lambda done: _place(done.row, list(found)))
    rows = [done.row for done in results]
    show(rows)
    if options.steps:
        for done in results:
            print("\n".join([f"\n{done.row.case}, {done.row.trace}:", *done.steps]))
    print(f"{absent(found)}\n{len(rows)} rows in {(time.monotonic() - began) / 60:.1f} min")
    if not (options.case or options.trace):
        write(rows)
    return int(any(list(row.missed()) for row in rows))


def _place(row: Row, names: list[str]) -> tuple[int, int]:
    return [case.name for case in CASES].index(row.case), names.index(row.trace)


COLUMNS: dict[str, Callable[[Row], str]] = {
    "case": lambda row: row.case,
    "trace": lambda row: row.trace,
    "late with": lambda row: percent(row.late_share_with),
    "late without": lambda row: percent(row.late_share_without),
    "late, all replicas always on": lambda row: percent(row.late_share_all_on),
    "transitions": lambda row: str(row.transitions),
    "surges": lambda row: str(row.surges),
    "hours off": lambda row: f"{row.hours_off:.2f}",
    "replica-hours with, without": lambda row: f"{row.replica_hours_with:.1f}, {row.replica_hours_without:.1f}",
    "bars": lambda row: "; ".join(row.missed()) or "met",
}


def percent(share: float) -> str:
    """For people."""
    return f"{100 * share:.3f} %"


def show(rows: list[Row]) -> None:
    """The table."""
    table = Table(*COLUMNS, title="The degradation ladder")
    for row in rows:
        table.add_row(*(cell(row) for cell in COLUMNS.values()))
    Console(width=max(Console().width, 150)).print(table)


def write(rows: list[Row]) -> None:
    """The result, and the figures of the documentation: in the page, and in the words that it is made of."""
    (BUILD / "ladder.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if PICTURED.exists():
        shutil.copy(PICTURED, ROOT / "docs" / "images" / "ladder.png")
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(cell(row) for cell in COLUMNS.values()) + " |" for row in rows]
    for page in (ROOT / "bench" / "benchmark.md", ROOT / "docs" / "benchmark.md"):
        before, _, rest = page.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text("\n\n".join([before + BEGIN, "\n".join(lines), END + after]))


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; only a run that leaves nothing out writes build/bench/ladder.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.ladder", description=__doc__)
    parser.add_argument("--traces", default=os.environ.get(FOLDER_VARIABLE), help="folder with more traces")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="only this case")
    parser.add_argument("--trace", action="append", help="only this trace, such as nasa_sts70")
    parser.add_argument("--steps", action="store_true", help="print each step of the ladder with its reason")
    parser.add_argument("--processes", type=int, help="runs at a time (default: one for each core)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
