"""How a command ends where it cannot do what was asked: a sentence on stderr, and an exit code that scripts can use."""

import asyncio
from collections.abc import Coroutine
from enum import IntEnum
from typing import Any, NoReturn, TypeVar

import typer

T = TypeVar("T")


class Exit(IntEnum):
    """Exit codes; 0 is done, 130 is Ctrl-C."""

    FAILED = 1
    USAGE = 2
    FORBIDDEN = 3
    UNREACHABLE = 4


class CommandError(Exception):
    """The command cannot do what was asked; the message says why, and what would be right."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


def conduct(work: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end; what went wrong is said in a line."""
    try:
        return asyncio.run(work)
    except CommandError as error:
        end(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def end(error: CommandError) -> NoReturn:
    """Say what is wrong, and end with its code."""
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(int(error.code)) from None
