"""The settings of a process, from flags and the environment, and the flags that several commands have."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from tidegate.controllers.settings import LogFormat, LogLevel, Settings

LogLevelFlag = Annotated[
    LogLevel | None, typer.Option(help="Least severe lines to write (TIDEGATE_LOG_LEVEL). Default: info.")
]
LogFormatFlag = Annotated[
    LogFormat | None, typer.Option(help="text, or json: one object a line (TIDEGATE_LOG_FORMAT). Default: text.")
]
KubeconfigFlag = Annotated[
    Path | None,
    typer.Option(
        help="Kubeconfig file (TIDEGATE_KUBECONFIG). Default: $KUBECONFIG, else ~/.kube/config where there is one,"
        " else the pod's ServiceAccount."
    ),
]
ContextFlag = Annotated[
    str | None, typer.Option(help="Context of the kubeconfig (TIDEGATE_CONTEXT). Default: its current one.")
]


def read_settings(command: str, **flags: object) -> Settings:
    """Settings from the flags that were given; wrong ones end the command with a message that names them."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value not in (None, ())})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = (_sentence(part, flags) for part in error.errors())
        typer.echo("\n".join(f"tidegate {command}: {line}" for line in lines), err=True)
        raise typer.Exit(2) from None


def _sentence(part: object, flags: dict[str, object]) -> str:
    """`--period: Input should be …`, or the variable's name where the value came from the environment."""
    assert isinstance(part, dict)
    name = str(part["loc"][0])
    flag = "--namespace" if name == "namespaces" else f"--{name.replace('_', '-')}"
    where = flag if flags.get(name) not in (None, ()) else f"TIDEGATE_{name.upper()}"
    return f"{where}: {str(part['msg']).removeprefix('Value error, ')}"
