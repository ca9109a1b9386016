"""`top`: the consumers live, the most dangerous first."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from tidegate.api import LagPolicy
from tidegate.cli.kubectl.cluster import Cluster, in_words, listed, reached, readable
from tidegate.cli.kubectl.options import Where
from tidegate.cli.kubectl.output import console, show, table
from tidegate.cli.kubectl.standing import urgency
from tidegate.cli.kubectl.status import counted, proposals, style
from tidegate.cli.kubectl.summary import COLUMNS, NAMESPACE, Consumer, consumers
from tidegate.cluster.server import transient

ENDS = {"q", "Q", "\x1b", "\x04"}
"""Keys that end it: q, Escape and Ctrl-D; Ctrl-C does as well."""


async def top(where: Where, every: float, once: bool) -> None:
    """Draw until a key ends it; one frame with `once`, or where there is no terminal."""
    async with reached(where) as cluster:
        them = await _ranked(cluster)
        out = console()
        if once or not (out.is_terminal and sys.stdin.isatty()):
            show(*_frame(them, where.everywhere, out.width, len(them)))
            return
        with _keys() as pressed, Live(console=out, screen=True, auto_refresh=False) as live:
            problem = ""
            while not pressed.is_set():
                live.update(picture(them, where.everywhere, out.width, out.height, problem), refresh=True)
                try:
                    await asyncio.wait_for(pressed.wait(), every)
                except TimeoutError:
                    them, problem = await _again(cluster, them)


async def _ranked(cluster: Cluster) -> list[Consumer]:
    policies = sorted(readable(await listed(cluster, LagPolicy)), key=urgency)
    return consumers(policies, await proposals(cluster))


async def _again(cluster: Cluster, before: list[Consumer]) -> tuple[list[Consumer], str]:
    """What there is now; where the API server is away for a while, what there was, and that it is."""
    try:
        return await _ranked(cluster), ""
    except Exception as error:
        if not transient(error):
            raise
        said = in_words(error, cluster.api.configuration.host, cluster.namespace)
        return before, f"these numbers are old: {said}"


def picture(them: Sequence[Consumer], everywhere: bool, width: int, height: int, problem: str = "") -> RenderableType:
    """A frame with the time and how to end it; rows that the screen has no room for are counted."""
    head = Text(f"{datetime.now():%H:%M:%S}  {counted(them) if them else 'no LagPolicy here'}  (q ends)", no_wrap=True)
    parts = [head, Text(problem, "yellow", no_wrap=True)]
    return Group(*parts, *_frame(them, everywhere, width, max(1, height - 4)))


def _frame(them: Sequence[Consumer], everywhere: bool, width: int, room: int) -> list[RenderableType]:
    columns = (NAMESPACE, *COLUMNS) if everywhere else COLUMNS
    shown: list[RenderableType] = [table(columns, them[:room], width, style)] if them else []
    return shown + ([Text(f"and {len(them) - room} more")] if len(them) > room else [])


@contextmanager
def _keys() -> Iterator[asyncio.Event]:
    """An event that is set when a key is pressed that ends it; keys are read at once and not shown."""
    loop, pressed, stdin = asyncio.get_running_loop(), asyncio.Event(), sys.stdin.fileno()
    before = termios.tcgetattr(stdin)

    def read() -> None:
        typed = os.read(stdin, 64).decode(errors="replace")
        if not typed or ENDS & set(typed):
            pressed.set()

    tty.setcbreak(stdin)
    loop.add_reader(stdin, read)
    try:
        yield pressed
    finally:
        loop.remove_reader(stdin)
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
