"""`tidegate retire`: before Tidegate is uninstalled. The chart runs it as a hook."""

import asyncio
from typing import Annotated

import typer

from tidegate.api.duration import parse_duration
from tidegate.cli.settings import ContextFlag, KubeconfigFlag, LogFormatFlag, LogLevelFlag, read_settings


def _within(text: str) -> float:
    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not 15 <= seconds <= 3600:
        raise typer.BadParameter(f"{text} is not from 15s to 1h: the process that acts needs 10 s to stop for certain")
    return seconds


_Within = Annotated[
    float, typer.Option(parser=_within, metavar="DURATION", help="How long it may take, such as 90s or 5m.")
]

_Lease = Annotated[
    str | None,
    typer.Option(
        metavar="NAMESPACE/NAME",
        help="The Lease of the installation (TIDEGATE_LEASE). Default: none; then no other Tidegate may run.",
    ),
]

_Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        "-n",
        help="Namespace that the installation serves; repeat for more (TIDEGATE_NAMESPACES). Default: all.",
    ),
]


def retire(
    within: _Within = "2m",  # type: ignore[assignment]
    lease: _Lease = None,
    namespace: _Namespaces = None,
    log_level: LogLevelFlag = None,
    log_format: LogFormatFlag = None,
    kubeconfig: KubeconfigFlag = None,
    context: ContextFlag = None,
) -> None:
    """Put back what Tidegate has changed for a while, so that it can be uninstalled.

    Takes the Lease, so that no other process acts; brings back features that are off and targets that are paused;
    removes its finalizers. Then nobody acts for 2 minutes: delete the Deployment. Where something cannot be put back
    in time, what is left is told, the exit code is 1, and Tidegate goes on.
    """
    from tidegate.cluster.access import AccessError
    from tidegate.controllers.logs import set_up
    from tidegate.controllers.retirement import LINGER, retire

    settings = read_settings(
        "retire",
        namespaces=tuple(namespace or ()),
        lease=lease,
        log_level=log_level,
        log_format=log_format,
        kubeconfig=kubeconfig,
        context=context,
    )
    set_up(settings.log_level, settings.log_format)
    try:
        left = asyncio.run(retire(settings, within))
    except AccessError as error:
        typer.echo(f"tidegate: {error}", err=True)
        raise typer.Exit(1) from None
    if left:
        typer.echo("\n".join(["Not all could be put back, so Tidegate goes on. What is left:", *left]), err=True)
        raise typer.Exit(1)
    typer.echo(f"All is put back. Nobody acts for {LINGER:.0f} s: delete Tidegate now.")
