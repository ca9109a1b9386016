"""The picture of a run: rates, the age against the promise, replicas, features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from demo.shop.features import COST
from demo.shop.levels import Ladder
from demo.shop.summary import Growth, Scale, Summary

INK, GREY, BLUE, ORANGE, GREEN, RED = "#1f2933", "#9aa5b1", "#1f6feb", "#f08c00", "#2b8a3e", "#d6336c"


class Course(NamedTuple):
    """What is drawn: seconds of the play (ascending), and by them records/s, seconds, replicas, partitions.

    `each` is what one consumer can do (records/s) with the features that are on.
    """

    at: Sequence[float]
    arriving: Sequence[float]
    served: Sequence[float]
    age: Sequence[float]
    ready: Sequence[int]
    partitions: Sequence[int]
    each: Sequence[float]


def draw(path: Path, course: Course, scales: Sequence[Scale], summary: Summary) -> None:
    """Write the PNG. `scales` and `course.at` are seconds since the start of the play."""
    style: Any = {
        "font.size": 10,
        "text.color": INK,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "xtick.color": INK,
    }
    with plt.rc_context(style):
        figure, (rates, age, replicas, features) = plt.subplots(
            4, 1, figsize=(10, 8.4), sharex=True, height_ratios=(3, 2, 2, 0.8), layout="constrained"
        )
        _rates(rates, course)
        _age(age, course, summary.promise_seconds)
        _replicas(replicas, course, scales)
        _features(features, summary.ladder, course.at[-1])
        for axes in (rates, age, replicas):
            _marks(axes, summary.growth)
            _bands(axes, summary.ladder, course.at[-1])
        _name_marks(age, summary.growth)
        features.set_xlim(course.at[0], course.at[-1])
        features.set_xlabel("seconds of the demo")
        figure.suptitle(_title(summary), x=0.01, ha="left", fontsize=12, fontweight="bold")
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _title(summary: Summary) -> str:
    late = "none late" if not summary.late_share else f"{summary.late_share:.2%} late"
    return (
        f"{summary.produced:,} messages, {summary.lost} lost, {summary.applied_twice} applied twice, {late}\n"
        f"{summary.replicas_start} → {summary.replicas_peak} replicas, "
        f"{summary.growth.partitions_before} → {summary.growth.partitions_after} partitions{_missed(summary.ladder)}"
    )


def _missed(ladder: Ladder) -> str:
    return f", {ladder.highest} features off for a while" if ladder.highest else ""


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.8)
    axes.set_ylim(bottom=0)


def _rates(axes: Axes, course: Course) -> None:
    axes.fill_between(course.at, course.arriving, color=ORANGE, alpha=0.25, linewidth=0)
    axes.plot(course.at, course.arriving, color=ORANGE, linewidth=1.6, label="arriving")
    axes.plot(course.at, course.served, color=BLUE, linewidth=1.6, label="processed")
    capacity = [ready * each for ready, each in zip(course.ready, course.each, strict=True)]
    axes.plot(
        course.at, capacity, color=GREY, linewidth=1, drawstyle="steps-post", label="capacity of the ready replicas"
    )
    axes.margins(y=0.18)  # room for the legend
    _plain(axes, "records a second (the mentions of Apple on Twitter on an evening in April 2015, 15 times faster)")
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
    axes.step(
        course.at, course.partitions, where="post", color=RED, linewidth=1.2, linestyle="--",
        label="partitions: the most that can work",
    )  # fmt: skip
    axes.margins(y=0.25)
    _plain(axes, "replicas")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper left", frameon=False, ncols=3)


def _features(axes: Axes, ladder: Ladder, end: float) -> None:
    """Each feature as a bar, off where it was off; the least valuable on top, as it goes first."""
    for row, flag in enumerate(COST):
        gone = off(ladder, flag, end)
        axes.barh(-row, end, color=GREEN, alpha=0.3, height=0.7)
        axes.broken_barh(gone, (-row - 0.35, 0.7), color="white")
        axes.broken_barh(gone, (-row - 0.35, 0.7), color=RED, alpha=0.35)
        for at, seconds in gone:
            axes.annotate(f"off: level {row + 1}", (at + seconds / 2, -row), ha="center", va="center", fontsize=9)
    seen = ", ".join(f"by {who} within {seconds:.1f} s" for who, seconds in sorted(ladder.slowest().items()))
    _plain(axes, "features" + (f" (each switch seen {seen})" if seen else ""))
    axes.set_ylim(0.5 - len(COST), 0.5)
    axes.set_yticks([-row for row in range(len(COST))], list(COST))
    axes.grid(visible=False)


def off(ladder: Ladder, flag: str, end: float) -> list[tuple[float, float]]:
    """When a feature was off, as (seconds of the play, how long); at `end` at the latest the play is over."""
    switches = [switch for switch in ladder.switches if switch.flag == flag]
    until = [*(switch.at for switch in switches[1:]), end][: len(switches)]
    return [(switch.at, to - switch.at) for switch, to in zip(switches, until, strict=True) if not switch.on]


def _bands(axes: Axes, ladder: Ladder, end: float) -> None:
    """The more features are off, the darker."""
    for flag in COST:
        for at, seconds in off(ladder, flag, end):
            axes.axvspan(at, at + seconds, color=RED, alpha=0.07, linewidth=0)


def _marks(axes: Axes, growth: Growth) -> None:
    for at in (growth.proposed_at, growth.approved_at, growth.increased_at):
        if at is not None:
            axes.axvline(at, color=INK, linewidth=0.8, linestyle=":")


def _name_marks(axes: Axes, growth: Growth) -> None:
    """Proposed to the left, what followed within seconds to the right."""
    for at, words, side in (
        (growth.proposed_at, "more partitions proposed ", "right"),
        (growth.increased_at, " approved, and there", "left"),
    ):
        if at is not None:
            axes.annotate(words, (at, 0.2), xycoords=("data", "axes fraction"), ha=side, va="top", fontsize=9)
