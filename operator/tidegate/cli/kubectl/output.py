"""Printing: tables that fit the screen, sentences that wrap, JSON and YAML. Without a terminal nothing is cut."""

import json
import os
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import Any, Generic, NamedTuple, TypeVar

import typer
import yaml
from rich.console import Console, Group, RenderableType
from rich.text import Text

from tidegate.cli.calling import called
from tidegate.cli.kubectl.options import Output

T = TypeVar("T")
Pair = tuple[str, str]

UNLIMITED = 10_000
"""Characters of a line where nobody looks at it: the next program decides what to do with it."""


class Column(NamedTuple, Generic[T]):
    """A column of a table. Where the screen is narrow those of the highest rank go first; 0 stays."""

    title: str
    cell: Callable[[T], str]
    rank: int = 0


def console() -> Console:
    """Where results go: as wide as the terminal, as COLUMNS says, or without limit."""
    out = Console(highlight=False, emoji=False, markup=False)
    if not out.is_terminal and not os.environ.get("COLUMNS"):
        return Console(width=UNLIMITED, highlight=False, emoji=False, markup=False)
    return out


def show(*parts: RenderableType) -> None:
    """Print; without a terminal lines end where their words do."""
    out = console()
    if out.is_terminal:
        out.print(Group(*parts), crop=False)
        return
    with out.capture() as printed:
        out.print(Group(*parts), crop=False)
    typer.echo("\n".join(line.rstrip() for line in printed.get().rstrip("\n").split("\n")))


def dump(value: Any, output: Output) -> None:
    """Print what a program reads."""
    if output is Output.JSON:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=UNLIMITED), nl=False)


def table(
    columns: Sequence[Column[T]], rows: Sequence[T], width: int, style: Callable[[T], str] = lambda _: ""
) -> Group:
    """A table as kubectl prints it, of the columns that fit; a name is never cut, even if it does not fit."""
    fitting = _fitting(columns, rows, width)
    widths = [_width(column, rows) for column in fitting]
    head = _line([column.title for column in fitting], widths)
    return Group(head, *(_line([column.cell(row) for column in fitting], widths, style(row)) for row in rows))


def _line(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    text = "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
    return Text(text, style, no_wrap=True, overflow="ignore")


def _fitting(columns: Sequence[Column[T]], rows: Sequence[T], width: int) -> list[Column[T]]:
    kept = list(columns)
    while sum(_width(column, rows) for column in kept) - 2 > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    return kept


def _width(column: Column[T], rows: Sequence[T]) -> int:
    return 2 + max(map(len, [column.title, *map(column.cell, rows)]))


def pairs(said: Sequence[Pair], width: int) -> Group:
    """Labels and what is said to each, side by side; sentences wrap beside their label."""
    column = 4 + max((len(label) for label, _ in said), default=0)
    return Group(*(_beside(f"  {label}".ljust(column), sentence, width) for label, sentence in said))


def lines(sentences: Sequence[str], width: int) -> Group:
    """Sentences one below the other, each wrapped with its indentation."""
    return Group(*(_beside("  ", sentence, width) for sentence in sentences))


def _beside(label: str, sentence: str, width: int) -> Text:
    parts = [part for line in sentence.split("\n") for part in _wrapped(line, max(width - len(label), 20))]
    return Text(label + f"\n{' ' * len(label)}".join(parts), no_wrap=True, overflow="ignore")


def _wrapped(line: str, width: int) -> list[str]:
    """What is there to be typed stays in one piece."""
    return [line] if line.startswith(called()) else wrap(line, width, break_long_words=False, break_on_hyphens=False)
