"""`kubectl_complete-tidegate`: kubectl asks it what could come next after `kubectl tidegate …`.

It prints a candidate a line, with its description behind a tab, and last a directive, as cobra's `__complete` does.
"""

import os
import shlex
import sys
from contextlib import redirect_stdout, suppress
from io import StringIO

import typer

from tidegate.cli.main import app

NO_FILES = ":4"
"""Cobra's ShellCompDirectiveNoFileComp: where nothing fits, files do not either."""


def main() -> None:
    """Answer for the words behind `kubectl tidegate`, of which the last is not complete yet."""
    *before, incomplete = sys.argv[1:] or [""]
    typed = shlex.join(["tidegate", *before]) + f" {shlex.quote(incomplete) if incomplete else ''}"
    os.environ |= {
        "_TIDEGATE_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": typed,
    }
    with redirect_stdout(StringIO()) as told, suppress(SystemExit):
        app(prog_name="tidegate", complete_var="_TIDEGATE_COMPLETE")
    for line in (*filter(None, told.getvalue().splitlines()), NO_FILES):
        typer.echo(line)
