"""The picture of a run: rates, the age against the promise, replicas."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from demo.shop.summary import Scale, Summary

INK, GREY, BLUE, ORANGE, GREEN, RED = "#1f2933", "#9aa5b1", "#1f6feb", "#f08c00", "#2b8a3e", "#d6336c"


class Course(NamedTuple):
    """What is drawn: seconds of the play (ascending), and by them records/s, seconds, replicas."""

    at: Sequence[float]
    arriving: Sequence[float]
    served: Sequence[float]
    age: Sequence[float]
    ready: Sequence[int]


def draw(path: Path, course: Course, scales: Sequence[Scale], summary: Summary, service_rate: float) -> None:
    """Write the PNG. `scales` and `course.at` are seconds since the start of the play."""
    style: Any = {
        "font.size": 10,
        "text.color": INK,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "xtick.color": INK,
    }
    with plt.rc_context(style):
        figure, (rates, age, replicas) = plt.subplots(
            3, 1, figsize=(10, 7.2), sharex=True, height_ratios=(3, 2, 2), layout="constrained"
        )
        _rates(rates, course, service_rate)
        _age(age, course, summary.promise_seconds)
        _replicas(replicas, course, scales)
        replicas.set_xlim(course.at[0], course.at[-1])
        replicas.set_xlabel("seconds of the demo")
        figure.suptitle(_title(summary), x=0.01, ha="left", fontsize=13, fontweight="bold")
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _title(summary: Summary) -> str:
    late = "none late" if not summary.late_share else f"{summary.late_share:.2%} late"
    return (
        f"{summary.produced:,} messages, {summary.lost} lost, {summary.applied_twice} applied twice, {late}: "
        f"{summary.replicas_start} → {summary.replicas_peak} → {summary.replicas_end} replicas"
    )


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.8)
    axes.set_ylim(bottom=0)


def _rates(axes: Axes, course: Course, service_rate: float) -> None:
    axes.fill_between(course.at, course.arriving, color=ORANGE, alpha=0.25, linewidth=0)
    axes.plot(course.at, course.arriving, color=ORANGE, linewidth=1.6, label="arriving")
    axes.plot(course.at, course.served, color=BLUE, linewidth=1.6, label="processed")
    capacity = [ready * service_rate for ready in course.ready]
    axes.plot(
        course.at, capacity, color=GREY, linewidth=1, drawstyle="steps-post", label="capacity of the ready replicas"
    )
    axes.margins(y=0.18)  # room for the legend
    _plain(axes, "records a second (the mentions of Apple on Twitter on an evening in April 2015, 60 times faster)")
    axes.legend(loc="upper right", frameon=False, ncols=3)


def _age(axes: Axes, course: Course, promise: float) -> None:
    axes.fill_between(course.at, course.age, color=GREEN, alpha=0.25, linewidth=0)
    axes.plot(course.at, course.age, color=GREEN, linewidth=1.6)
    axes.axhline(promise, color=RED, linewidth=1.2, linestyle="--")
    axes.annotate(
        f"promise: {promise:.0f} s", (1, promise), xycoords=("axes fraction", "data"), xytext=(-4, -4),
        textcoords="offset points", ha="right", va="top", color=RED,
    )  # fmt: skip
    _plain(axes, "age of the oldest unprocessed record, seconds")
    axes.set_ylim(0, max(promise * 1.1, *course.age))


def _replicas(axes: Axes, course: Course, scales: Sequence[Scale]) -> None:
    at = [max(scale.at, course.at[0]) for scale in scales] + [course.at[-1]]
    asked = [scale.replicas for scale in scales]
    axes.step(at, [*asked, asked[-1]], where="post", color=INK, linewidth=1.6, label="asked for by Tidegate")
    axes.fill_between(course.at, course.ready, step="post", color=BLUE, alpha=0.3, linewidth=0, label="ready")
    _plain(axes, "replicas")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper left", frameon=False)
