"""Pictures of runs: arrivals and capacity, the age of the oldest record against the promise, replicas of each.

Where one has a degradation ladder, its level too.
"""

from base64 import b64encode
from html import escape
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tidegate.simulate.outcome import HOUR
from tidegate.simulate.regime import steady
from tidegate.simulate.trace import Curve
from tidegate.simulate.world import Run

MINUTE_TICKS = 12
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>tidegate simulate</title>
<style>body {{ font-family: sans-serif; margin: 2em }} img {{ max-width: 100% }}</style>
<pre>{table}</pre>
<img alt="Arrivals and capacity, age of the oldest record, replicas" src="data:image/png;base64,{image}">
<p>{notes}</p>
</html>
"""


def oldest_ages(arrivals: Curve, run: Run) -> Curve:
    """The age (seconds) of the oldest record that waits, at each look; 0 where none waits."""
    times = np.arange(len(arrivals) + 1) * run.regime.tick
    total = np.concatenate([[0.0], np.cumsum(arrivals)])
    came = np.interp(np.asarray(run.served), total, times)
    ages: Curve = np.where(np.asarray(run.lag) > 1, np.asarray(run.times) - came, 0.0)
    return np.maximum(ages, 0.0)


def picture(arrivals: Curve, runs: list[Run], title: str = "") -> Figure:
    """Runs over the same trace, one picture below the other."""
    ladders = [run for run in runs if run.features]
    figure = Figure(figsize=(12, 10 if ladders else 9), layout="tight")
    axes = figure.subplots(4 if ladders else 3, 1, sharex=True, height_ratios=[2, 2, 1.5, *([0.7] if ladders else [])])
    regime = runs[0].regime
    hours = (np.arange(len(arrivals)) + 0.5) * regime.tick / HOUR
    rate = np.convolve(arrivals / regime.tick, np.ones(MINUTE_TICKS) / MINUTE_TICKS, mode="same")
    axes[0].plot(hours, rate, color="black", linewidth=0.8, label="arrivals (1 min)")
    for run in reversed(runs):  # the first one on top
        _draw(axes, arrivals, run)
    axes[1].axhline(regime.max_age, color="red", linestyle="--", linewidth=0.8, label="promise")
    for run in ladders:
        _draw_level(axes[3], run)
    names = ("records/s: arrivals, capacity", "age of the oldest, s", "replicas", "level")
    for axis, name in zip(axes, names, strict=False):
        axis.set_ylabel(name)
        axis.legend(loc="upper right", fontsize="small")
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("hours")
    axes[0].set_title(title, fontsize="medium")
    return figure


def page(arrivals: Curve, runs: list[Run], table: str, notes: str) -> str:
    """A page of HTML that needs nothing beside it: figures, picture, notes."""
    drawn = BytesIO()
    picture(arrivals, runs).savefig(drawn, format="png", dpi=110)
    image = b64encode(drawn.getvalue()).decode()
    return PAGE.format(table=escape(table), image=image, notes=escape(notes))


def _draw(axes: list[Axes], arrivals: Curve, run: Run) -> None:
    hours = np.asarray(run.times) / HOUR
    pace = run.features.pace if run.features else steady
    capacity = [run.regime.capacity(ready) * pace(time) for ready, time in zip(run.ready, run.times, strict=True)]
    axes[0].step(hours, capacity, where="post", linewidth=0.6, alpha=0.7, label=f"capacity of {run.controller}")
    axes[1].plot(hours, oldest_ages(arrivals, run), linewidth=0.6, alpha=0.7, label=run.controller)
    axes[2].step(hours, run.replicas, where="post", linewidth=0.7, alpha=0.8, label=run.controller)


def _draw_level(axis: Axes, run: Run) -> None:
    """The level that the flags show."""
    steps = [(0.0, 0), *run.features.steps] if run.features else []
    hours = [time / HOUR for time, _ in steps] + [run.times[-1] / HOUR]
    levels = [level for _, level in steps]
    axis.step(hours, [*levels, levels[-1]], where="post", linewidth=0.9, label=f"level of {run.controller}")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylim(-0.1, max(1, *levels) + 0.5)
