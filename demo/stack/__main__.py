"""`python -m demo.stack up | down | status`: a stack to play with by hand."""

import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from demo.stack import binaries, folders
from demo.stack.cache import cache_folder, tell
from demo.stack.processes import StackError
from demo.stack.stack import Stack

DEFAULT = cache_folder() / "stack"
ENVIRONMENT = "env.sh"
Folder = Annotated[Path, typer.Option(help="Where the stack keeps its data and logs.")]
app = typer.Typer(help="Real Kubernetes and Kafka on the loopback, without containers.", no_args_is_help=True)


@app.command()
def up(
    folder: Folder = DEFAULT,
    brokers: Annotated[int, typer.Option(min=1, max=3, help="Brokers of the Kafka cluster.")] = 1,
) -> None:
    """Start a stack and keep it until Ctrl-C (or `down`); the first time builds Kubernetes, about 6 minutes."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Stack.start(brokers=brokers, folder=folder) as stack:
            (stack.folder / ENVIRONMENT).write_text(_exports(stack))
            print(
                f"\n{_exports(stack)}\nThe stack runs. Export these lines elsewhere; Ctrl-C here ends it.", flush=True
            )
            while True:
                signal.pause()
    except KeyboardInterrupt:
        print("\nThe stack has ended.")
    except (StackError, binaries.BuildError) as error:
        raise typer.Exit(_complain(str(error))) from error


@app.command()
def down(folder: Folder = DEFAULT) -> None:
    """End the stack in the folder, and what is left of a stack whose `up` did not end well."""
    found = folders.owner(folder)
    if found and found.alive():
        os.kill(found.pid, signal.SIGTERM)
        while found.alive():
            time.sleep(0.1)
    folders.remove_stale(folder)
    print(f"No stack in {folder}." if found is None else f"The stack in {folder} has ended.")


@app.command()
def status(folder: Folder = DEFAULT) -> None:
    """Print what to export for the stack in the folder; exit 1 if there is none."""
    found = folders.owner(folder)
    if found is None or not found.alive():
        raise typer.Exit(_complain(f"No stack runs in {folder}."))
    environment = folder / ENVIRONMENT
    print(environment.read_text() if environment.exists() else "The stack is starting.", end="")


def _exports(stack: Stack) -> str:
    path = f"{binaries.kubernetes(tell)}:$PATH"  # kubectl of the very version
    return "".join(f"export {name}={value}\n" for name, value in {**stack.env, "PATH": path}.items())


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _complain(message: str) -> int:
    typer.echo(message, err=True)
    return 1


if __name__ == "__main__":
    app()
