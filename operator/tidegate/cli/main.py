"""`tidegate`: the entry point."""

from typing import Annotated

import typer

from tidegate import __version__
from tidegate.cli.calling import called
from tidegate.cli.kubectl import commands
from tidegate.cli.retire import retire
from tidegate.cli.run import run
from tidegate.cli.simulate import simulate

PEOPLE = "For people, also as kubectl tidegate"

app = typer.Typer(
    name="tidegate",
    no_args_is_help=True,
    add_completion=called() == "tidegate",  # kubectl completes its plugins by kubectl_complete-tidegate
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tidegate {__version__}")
        raise typer.Exit


@app.callback()
def tidegate(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tidegate keeps message consumers on time: it scales them so that every record is processed within its promise."""


app.command(name="run")(run)
app.command(name="retire")(retire)
app.command(name="simulate")(simulate)
for command in commands.ALL:
    app.command(rich_help_panel=PEOPLE)(command)


def main() -> None:
    """Run the program under the name by which it was called."""
    app(prog_name=called())
