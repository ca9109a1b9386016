"""The benchmark's results in words: rows, bars, who wins where, and the page of the documentation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from tidegate.simulate.outcome import Outcome

PROMISED = 0.0005
"""A share of late records that counts as a kept promise: the bar of the fluid cases."""


@dataclass(frozen=True)
class Row:
    """One controller on one trace in one case."""

    trace: str
    case: str
    controller: str
    family: str
    optimum_events: int
    result: Outcome

    @property
    def ratio(self) -> float:
        """Cost as a multiple of the optimum's."""
        return self.result.ratio or float("nan")

    def keys(self) -> dict[str, Any]:
        """Flat, for JSON."""
        where = {"trace": self.trace, "case": self.case, "optimum_scale_events": self.optimum_events}
        return where | self.result.keys() | {"controller": self.controller}

    def line(self) -> str:
        """One line for a terminal."""
        r = self.result
        return (
            f"{self.case:12} {self.trace:12} {self.controller:20} {r.replica_hours:7.1f} h {self.ratio:6.3f}x "
            f"late {100 * r.late_share:7.3f} %  p99 {r.p99_age_seconds:6.1f} s  max {r.max_age_seconds:6.1f} s  "
            f"events {r.scale_events:5d} (optimum {self.optimum_events})  rebalances {r.rebalances:5d}"
        )


def best_keda(kedas: list[Row]) -> Row:
    """KEDA tuned to a trace: the cheapest threshold that is late for at most 0.1 %; none such: the least late one."""
    punctual = [row for row in kedas if row.result.late_share <= 2 * PROMISED]
    if punctual:
        return min(punctual, key=lambda row: row.result.replica_hours)
    return min(kedas, key=lambda row: row.result.late_share)


@dataclass(frozen=True)
class Bar:
    """A figure that was promised."""

    case: str
    trace: str
    words: str
    measured: str
    met: bool


Limit = tuple[str, str, float, float]
LIMITS: tuple[Limit, ...] = (  # case, trace, cost as a multiple of the optimum's, late share
    ("fine", "twitter", 1.08, PROMISED),
    ("fine", "wc98_flash", 1.07, PROMISED),
    ("fine", "nasa_sts70", 1.15, PROMISED),
    ("packed", "twitter", 1.08, PROMISED),  # against the optimum that knows of whole partitions too
    ("packed", "wc98_flash", 1.125, PROMISED),
    ("packed", "nasa_sts70", 1.155, PROMISED),
    ("records", "twitter", 1.25, 0.003),
    ("records", "wc98_flash", 1.25, 0.003),
    ("records", "nasa_sts70", 1.35, 0.003),
    ("records-848", "twitter", 1.25, 0.003),
    ("records-848", "wc98_flash", 1.25, 0.003),
    ("records-848", "nasa_sts70", 1.35, 0.003),
    ("halved", "twitter", 1.15, 0.001),
    ("halved", "wc98_flash", 1.15, 0.001),
    ("halved", "nasa_sts70", 1.15, 0.001),
)
OPTIMA = dict.fromkeys(("packed", "records", "records-848"), "the packing-aware optimum") | {
    "fine": "the optimum where every replica counts in full"
}
COMMIT_COST = 0.03
EVENTS = 3


def all_bars(rows: list[Row]) -> Iterator[Bar]:
    """Every bar for which there is a result."""
    ours = {(row.case, row.trace): row for row in rows if row.controller == "tidegate"}
    for (case, trace), mine in ours.items():
        kedas = [row for row in rows if (row.case, row.trace, row.family) == (case, trace, "keda")]
        yield from _promised(mine)
        if case == "fine":
            yield from _frugal(mine)
            yield from _beyond_keda(mine, kedas)
        if case == "commits-5" and ("fine", trace) in ours:
            yield _commits(mine, ours["fine", trace])
        if case == "pause-1" and kedas:
            yield _quieter_than_keda(mine, kedas)


def _promised(mine: Row) -> Iterator[Bar]:
    for case, trace, ratio, late in LIMITS:
        if (case, trace) == (mine.case, mine.trace):
            kept = mine.ratio <= ratio and mine.result.late_share <= late
            words = f"≤ {ratio}× {OPTIMA.get(case, 'the optimum')}, late ≤ {100 * late:g} %"
            yield Bar(case, trace, words, _short(mine), kept)


def _frugal(mine: Row) -> Iterator[Bar]:
    events, most = mine.result.scale_events, EVENTS * mine.optimum_events
    if mine.trace in {limit[1] for limit in LIMITS}:
        yield Bar(mine.case, mine.trace, f"≤ {EVENTS} × the optimum's events", f"{events} ≤ {most}", events <= most)


def _beyond_keda(mine: Row, kedas: list[Row]) -> Iterator[Bar]:
    """Cheaper and less late than KEDA at the threshold that is its best on the trace."""
    if kedas:
        best = best_keda(kedas)
        cheaper = mine.result.replica_hours < best.result.replica_hours
        better = cheaper and mine.result.late_share <= best.result.late_share
        yield Bar(mine.case, mine.trace, "cheaper and less late than KEDA at its best", _versus(mine, best), better)


def _commits(mine: Row, main: Row) -> Bar:
    more = mine.ratio - main.ratio
    measured = f"{more:+.3f}×; {_short(mine)}"
    return Bar(mine.case, mine.trace, f"≤ + {COMMIT_COST}× for commits in jumps", measured, more <= COMMIT_COST)


def _quieter_than_keda(mine: Row, kedas: list[Row]) -> Bar:
    best = best_keda(kedas)
    quiet = 4 * mine.result.rebalances <= best.result.rebalances
    cheap = mine.result.replica_hours <= 1.05 * best.result.replica_hours
    measured = f"{mine.result.rebalances} v {best.result.rebalances}; {_versus(mine, best)}"
    words = "a quarter of the best KEDA's rebalances, ≤ 1.05 of its cost"
    return Bar(mine.case, mine.trace, words, measured, quiet and cheap)


def _versus(mine: Row, best: Row) -> str:
    return f"{_short(mine)} v {best.controller} {_short(best)}"


def _short(row: Row) -> str:
    return f"{row.ratio:.3f}× {100 * row.result.late_share:.3f} %"


def bars(rows: list[Row]) -> str:
    """The bars as a table in Markdown."""
    lines = ["| bar | case | trace | measured | met |", "|---|---|---|---|---|"]
    lines += [
        f"| {bar.words} | {bar.case} | {bar.trace} | {bar.measured} | {'yes' if bar.met else '**no**'} |"
        for bar in all_bars(rows)
    ]
    return "\n".join(lines)


def wins(rows: list[Row]) -> str:
    """Where a peer is cheaper than Tidegate and no more late, or as late as a kept promise allows."""
    ours = {(row.case, row.trace): row for row in rows if row.controller == "tidegate"}
    lost = [
        f"- {row.case}, {row.trace}: {row.controller} {_short(row)} against {_short(mine)}"
        for row in rows
        if (mine := ours.get((row.case, row.trace))) and row is not mine and _beats(row, mine)
    ]
    title = "Where a peer wins (cheaper, and no more late or late within the bar):"
    return "\n".join([title, "", *(lost or ["- nowhere"])])


def _beats(row: Row, mine: Row) -> bool:
    punctual = row.result.late_share <= max(mine.result.late_share, PROMISED)
    return punctual and row.result.replica_hours < mine.result.replica_hours


COLUMNS: dict[str, Callable[[Row], str]] = {
    "trace": lambda row: row.trace,
    "controller": lambda row: row.controller,
    "replica-hours": lambda row: f"{row.result.replica_hours:.1f}",
    "× optimum": lambda row: f"{row.ratio:.3f}",
    "late %": lambda row: f"{100 * row.result.late_share:.3f}",
    "p99 age s": lambda row: f"{row.result.p99_age_seconds:.0f}",
    "max age s": lambda row: f"{row.result.max_age_seconds:.0f}",
    "scale events (optimum)": lambda row: f"{row.result.scale_events} ({row.optimum_events})",
    "rebalances": lambda row: f"{row.result.rebalances}",
}


def table(rows: list[Row]) -> str:
    """One table for each case, in Markdown."""
    parts = []
    for case in dict.fromkeys(row.case for row in rows):
        lines = [f"### {case}", "", "| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
        lines += ["| " + " | ".join(cell(row) for cell in COLUMNS.values()) + " |" for row in rows if row.case == case]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def page(rows: list[Row], tables: str, absent: str) -> str:
    """docs/benchmark.md: its words are in bench/benchmark.md, its numbers from this run."""
    words = (Path(__file__).parent / "benchmark.md").read_text()
    parts = {"{absent}": absent, "{bars}": bars(rows), "{wins}": wins(rows), "{tables}": tables}
    return reduce(lambda text, part: text.replace(*part), parts.items(), words)
