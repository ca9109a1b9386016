"""The demo as one watches it: a live picture in a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.shop.clock import clock
from demo.shop.cluster import Cluster
from demo.shop.recorder import Sample

BARS = " ▁▂▃▄▅▆▇█"
EVENTS = 5
PLAIN_EVERY = 5
"""Seconds between two plain lines."""


class View(Protocol):
    """Shows the samples so far, the newest last, of a play that lasts `seconds`."""

    def __call__(self, samples: Sequence[Sample], seconds: float) -> None: ...


@contextmanager
def view(console: Console, cluster: Cluster, start: float, promise: float) -> Iterator[View]:
    """The view that fits the console; `start` is the play's first second (since the epoch), `promise` in seconds."""
    if not console.is_terminal:
        yield Plain(lambda line: print(line, flush=True), cluster, start, promise)
        return
    with Live(console=console, auto_refresh=False, screen=False) as live:
        yield lambda samples, seconds: live.update(
            picture(samples, seconds, cluster, start, promise, console.width), refresh=True
        )


def spark(values: Sequence[float], width: int, span: float, top: float) -> str:
    """A line of bars, `width` for `span` seconds of one value each; `top` is a full bar."""
    per_bar = max(1.0, span / width)
    bars = [values[round(at * per_bar) : round((at + 1) * per_bar)] for at in range(width)]
    highest = [max(bar) for bar in bars if bar]
    return "".join(BARS[min(8, round(8 * value / top))] if top else " " for value in highest)


def picture(
    samples: Sequence[Sample], seconds: float, cluster: Cluster, start: float, promise: float, width: int
) -> RenderableType:
    """The whole live picture."""
    now = samples[-1]
    passed = f"{clock(now.at - start)} of {clock(seconds)}"
    return Group(
        Panel(
            _gauges(samples, cluster, seconds, promise, max(10, width - 40)),
            title=f"points-service · a flash crowd of 2015, 15 times faster · {passed}",
            border_style="red" if now.age > promise else "cyan",
        ),
        Panel(_decision(cluster), title="Tidegate's last decision", border_style="cyan", height=6),
        Panel(_events(cluster, start), title="events", border_style="cyan", height=EVENTS + 2),
    )


def _gauges(samples: Sequence[Sample], cluster: Cluster, seconds: float, promise: float, width: int) -> Table:
    now = samples[-1]
    top = max(max(s.arriving, s.served) for s in samples)
    late = "bold red" if now.age > promise else "bold green"
    missing = "bold yellow" if now.level else "bold"
    rows: list[tuple[str, str, str, list[float], float]] = [
        ("arriving", f"{now.arriving:.0f} records/s", "bold", [s.arriving for s in samples], top),
        ("served", f"{now.served:.0f} records/s", "bold", [s.served for s in samples], top),
        ("lag", f"{now.lag} records", "bold", [float(s.lag) for s in samples], max(s.lag for s in samples)),
        ("age", f"{now.age:.1f} s of {promise:.0f} s", late, [s.age for s in samples], promise),
        ("replicas", f"{now.ready} ready of {now.replicas}", "bold", [float(s.replicas) for s in samples], 8),
        ("partitions", f"{now.partitions}", "bold", [float(s.partitions) for s in samples], 8),
        ("features", level_words(cluster), missing, [float(s.level) for s in samples], 4),
    ]
    table = Table.grid(padding=(0, 2))
    for least in (10, 20, 0):
        table.add_column(min_width=least, no_wrap=True)
    for name, value, style, values, highest in rows:
        table.add_row(Text(name, style="dim"), Text(value, style=style), spark(values, width, seconds, highest))
    return table


def level_words(cluster: Cluster) -> str:
    """The level of the ladder: its number, and what is missing."""
    return f"{cluster.level} {cluster.degraded['name']}" if cluster.level else "all on"


def _decision(cluster: Cluster) -> Text:
    decision = cluster.decision
    if not decision:
        return Text("none yet", style="dim")
    said = Text.assemble((decision["reason"], "bold yellow"), "  ", decision["message"])
    if cluster.level:
        step = cluster.changes[-1]
        said.append_text(Text.assemble("\n", (step.reason, "bold yellow"), f"  level {step.level}: {step.message}"))
    return said


def _events(cluster: Cluster, start: float) -> Text:
    recent = cluster.happenings[-EVENTS:]
    return Text(
        "\n".join(f"{clock(max(0, h.at - start)):>5}  {h.what}" for h in recent), no_wrap=True, overflow="ellipsis"
    )


class Plain:
    """A line every few seconds, and one for each event and each new decision."""

    def __init__(self, write: Callable[[str], None], cluster: Cluster, start: float, promise: float) -> None:
        self._write, self._cluster, self._start, self._promise = write, cluster, start, promise
        self._told = len(cluster.happenings)
        self._decided = ""
        self._next = 0.0

    def __call__(self, samples: Sequence[Sample], seconds: float) -> None:
        """Write what is new."""
        now = samples[-1]
        at = clock(now.at - self._start)
        news = [happening.what for happening in self._cluster.happenings[self._told :]]
        self._told += len(news)
        decision = self._cluster.decision
        if decision and decision["reason"] != self._decided:
            self._decided = decision["reason"]
            if not any(decision["message"] in each for each in news):
                news.append(f"decision {decision['reason']}: {decision['message']}")
        for each in news:
            self._write(f"{at:>5}  {each}")
        if now.at >= self._next:
            self._next = now.at + PLAIN_EVERY - 0.5
            self._write(
                f"{at:>5} of {clock(seconds)}  arriving {now.arriving:3.0f}/s  served {now.served:3.0f}/s  "
                f"lag {now.lag:4d}  age {now.age:4.1f} s of {self._promise:.0f} s  "
                f"replicas {now.ready} ready of {now.replicas}, {now.partitions} partitions, "
                f"features {level_words(self._cluster)}"
            )
