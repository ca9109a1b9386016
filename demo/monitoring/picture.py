"""The dashboard's panels drawn from a Prometheus's answers: where there is no Grafana, what it would show."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from demo.monitoring.panels import Panel, Query
from tidegate.simulate.prometheus import Prometheus

COLUMNS = 3
POINTS = 240
"""Moments of each series."""
INK, GREY = "#1f2933", "#9aa5b1"
NAMES = 4
"""Series that a legend names; with more of them the lines must do."""


class Line(NamedTuple):
    """A series of a panel over the moments; not a number where it has none."""

    name: str
    values: "np.ndarray[Any, np.dtype[np.float64]]"

    @property
    def limit(self) -> bool:
        """Whether it is one that the dashboard dashes."""
        return self.name.endswith(("promise", "ceiling"))


Drawn = Mapping[Panel, Sequence[Line]]


def draw_panels(path: Path, found: Drawn, moments: Sequence[float], start: float) -> None:
    """Write the PNG. `moments` and `start`, the zero of the time axes, are seconds since the epoch."""
    rows = [(title, list(panels)) for title, panels in groupby(found, key=lambda panel: panel.row)]
    heights = [1.0 if panels[0].number else 2.3 * -(-len(panels) // COLUMNS) for _, panels in rows]
    style: Any = {"font.size": 8, "text.color": INK, "axes.edgecolor": GREY, "xtick.color": INK, "ytick.color": INK}
    with plt.rc_context(style):
        figure = plt.figure(figsize=(15, sum(heights) + 0.45 * len(rows)), layout="constrained")
        strips = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)
        for (title, panels), strip in zip(rows, strips[:, 0], strict=True):
            strip.suptitle(title, x=0.005, ha="left", fontsize=11, fontweight="bold")
            columns = len(panels) if panels[0].number else COLUMNS
            places = strip.subplots(-(-len(panels) // columns), columns, squeeze=False).flat
            for panel, axes in zip(panels, places, strict=False):
                (_number if panel.number else _lines)(axes, panel, found[panel], [at - start for at in moments])
        figure.savefig(path, dpi=100)
        plt.close(figure)


def asked(prometheus: Prometheus, panels: Sequence[Panel], moments: Sequence[float], rate: str) -> Drawn:
    """Every panel's series at these moments, equally far apart (seconds since the epoch)."""
    return {
        panel: [line for query in panel.queries for line in _course(prometheus, query, moments, rate)]
        for panel in panels
    }


def grid(start: float, end: float) -> list[float]:
    """Whole seconds, so that a Prometheus answers at these very moments."""
    step = max(1, round((end - start) / POINTS))
    return [float(at) for at in range(int(start), int(end) + 1, step)]


def _course(prometheus: Prometheus, query: Query, moments: Sequence[float], rate: str) -> list[Line]:
    first, last, step = moments[0], moments[-1], moments[1] - moments[0]
    answer = prometheus.over(query.filled(rate), first, last, step)
    return [Line(query.name(one["metric"]), _values(one["values"], moments)) for one in answer]


def _values(points: Sequence[Sequence[Any]], moments: Sequence[float]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    known = {round(float(at)): float(value) for at, value in points}
    return np.array([known.get(round(at), np.nan) for at in moments])


def _number(axes: Axes, panel: Panel, lines: Sequence[Line], at: Sequence[float]) -> None:
    """The last value, over its course."""
    axes.set_axis_off()
    values = lines[0].values if lines else np.array([np.nan])
    known = values[~np.isnan(values)]
    axes.text(
        0.5,
        0.62,
        f"{known[-1]:g}" if len(known) else "none",
        ha="center",
        va="center",
        fontsize=20,
        transform=axes.transAxes,
    )
    axes.text(0.5, 0.05, panel.title, ha="center", va="bottom", fontsize=9, transform=axes.transAxes)
    if len(known):
        axes.fill_between(at, values, color=GREY, alpha=0.25, linewidth=0, step="post")
        axes.set_ylim(0, max(1.0, float(known.max())) * 1.2)


def _lines(axes: Axes, panel: Panel, lines: Sequence[Line], at: Sequence[float]) -> None:
    if panel.stacked and lines:
        axes.stackplot(
            at,
            *(np.nan_to_num(line.values) for line in lines),
            labels=[line.name for line in lines],
            alpha=0.6,
            step="post",
        )
    for line in () if panel.stacked else lines:
        axes.plot(at, line.values, linewidth=1.2, linestyle="--" if line.limit else "-", label=line.name)
    axes.set_title(panel.title, loc="left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.8)
    axes.set_xlim(at[0], at[-1])
    axes.set_ylim(0, axes.dataLim.y1 * 1.3 if lines and axes.dataLim.y1 > 0 else 1)  # room for the legend
    axes.yaxis.set_major_formatter(FuncFormatter(_FORMATS.get(panel.unit, lambda value, _: f"{value:,.6g}")))
    if not lines:
        axes.text(0.5, 0.5, "no series", ha="center", va="center", color=GREY, transform=axes.transAxes)
    elif len(lines) <= 2 * NAMES:
        axes.legend(loc="upper left", fontsize=7, frameon=False, ncols=1 + (len(lines) > NAMES))


_FORMATS = {
    "s": lambda value, _: f"{value:,.6g} s",
    "cps": lambda value, _: f"{value:,.6g}/s",
    "ops": lambda value, _: f"{value:,.3g}/s",
    "bytes": lambda value, _: f"{value / 2**20:,.0f} MiB",
}
