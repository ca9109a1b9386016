"""Recorded load: counts of records over time, made into arrivals per tick of a world.

A trace is a CSV file with the columns `timestamp_s,count[,gap_flag]`: seconds from its start, records in [t, t + step).
"""

import csv
import gzip
import os
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import IO

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

MINUTE = 60.0
DAY = 86_400.0
FOLDER_VARIABLE = "TIDEGATE_TRACES"


class TraceError(ValueError):
    """A trace that cannot be used, and why."""


@dataclass(frozen=True)
class Trace:
    """Records that arrived in each `step` seconds."""

    name: str
    step: float
    counts: Curve

    @property
    def span(self) -> float:
        """Seconds from the first count to the end of the last."""
        return self.step * len(self.counts)

    def first(self, seconds: float) -> "Trace":
        """The trace up to a time."""
        return replace(self, counts=self.counts[: max(1, round(seconds / self.step))])

    def scaled(self, factor: float) -> "Trace":
        """The same shape with `factor` times the records."""
        return replace(self, counts=self.counts * factor)

    def busy_minute(self, quantile: float = 0.999) -> float:
        """The rate (records/s) that only 1 - `quantile` of all minutes exceed, wherever a minute begins.

        Bins longer than a minute count as one.
        """
        width = min(max(1, round(MINUTE / self.step)), len(self.counts))
        total = np.concatenate([[0.0], np.cumsum(self.counts)])
        rates = (total[width:] - total[:-width]) / (width * self.step)
        return float(np.quantile(rates, quantile))

    def at_busy_minute(self, rate: float) -> "Trace":
        """Scaled so that the busy minute has this rate (records/s)."""
        busy = self.busy_minute()
        if busy <= 0:
            raise TraceError(f"trace {self.name}: nothing arrives in it; a trace needs counts above 0")
        return self.scaled(rate / busy)

    def arrivals(self, tick: float, seed: int) -> Curve:
        """Records that arrive in each tick.

        Bins longer than a tick are filled by a Poisson process of the bin's rate (fixed by `seed`); shorter ones are
        summed and keep the noise they were recorded with.
        """
        ticks = int(self.span / tick)
        if ticks < 1:
            raise TraceError(f"trace {self.name}: {self.span:g} s long; it must last at least one tick of {tick:g} s")
        total = np.concatenate([[0.0], np.cumsum(self.counts)])
        marks = np.interp(np.arange(ticks + 1) * tick, np.arange(len(total)) * self.step, total)
        even: Curve = np.diff(marks)
        if self.step <= tick:
            return even
        return np.random.default_rng(seed).poisson(even).astype(np.float64)


def load(path: Path) -> Trace:
    """Read a trace (plain or gzipped). Raises TraceError that names the file, the line and what would be right."""
    try:
        with _opened(path) as lines:
            rows = [_row(path, number, row) for number, row in enumerate(csv.reader(lines), 1) if _is_data(number, row)]
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"trace {path}: cannot be read: {error}") from error
    if len(rows) < 2:
        raise TraceError(f"trace {path}: {len(rows)} rows of data; at least 2 are needed (timestamp_s,count)")
    step = median_low(after[0] - before[0] for before, after in pairwise(rows))
    if step <= 0:
        raise TraceError(f"trace {path}: timestamps do not rise; they must be seconds from the start, one row a step")
    return Trace(path.name.partition(".")[0], step, _on_grid(path, rows, step))


def _opened(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _is_data(number: int, row: list[str]) -> bool:
    header = number == 1 and not row[0].replace(".", "", 1).isdigit() if row else False
    return bool(row) and not header and not row[0].startswith("#")


def _row(path: Path, number: int, row: list[str]) -> tuple[float, float]:
    try:
        time, count = float(row[0]), float(row[1])
    except (IndexError, ValueError):
        time = count = -1.0
    if not (time >= 0 and 0 <= count < float("inf")):
        raise TraceError(f"trace {path}, line {number}: {','.join(row)!r}; expected timestamp_s,count, both 0 or more")
    return time, count


def _on_grid(path: Path, rows: list[tuple[float, float]], step: float) -> Curve:
    """Counts on an even grid; a step without a row had no arrivals."""
    start, end = rows[0][0], rows[-1][0]
    places = [round((time - start) / step) for time, _ in rows]
    if min(places) < 0 or any(after <= before for before, after in pairwise(places)):
        raise TraceError(f"trace {path}: timestamps do not rise by {step:g} s; sort the rows and keep one a step")
    counts = np.zeros(round((end - start) / step) + 1)
    counts[places] = [count for _, count in rows]
    return counts


def find(name: str, folder: Path | None = None) -> Path:
    """The file of a trace: a path, or the beginning of a name in `folder` or in the one TIDEGATE_TRACES names."""
    if Path(name).is_file():
        return Path(name)
    where = folder or (Path(os.environ[FOLDER_VARIABLE]) if FOLDER_VARIABLE in os.environ else None)
    found = sorted(where.glob(f"{name}*.csv*")) if where else []
    if len(found) == 1:
        return found[0]
    looked = f"{where} has {len(found)} files that begin with it" if where else f"{FOLDER_VARIABLE} is not set"
    raise TraceError(f"trace {name}: no such file, and {looked}; give a path, or a folder and the beginning of a name")
