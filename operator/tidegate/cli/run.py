"""`tidegate run`: the operator. It is imported when it runs: the other commands need none of it."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.settings import ContextFlag, KubeconfigFlag, LogFormatFlag, LogLevelFlag, read_settings

_Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        "-n",
        help="Serve this namespace only; repeat for more. TIDEGATE_NAMESPACES takes a comma-separated list."
        " Default: all namespaces.",
    ),
]

_Listen = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Where /healthz and /readyz are served; no host: all interfaces, port 0: a free one (TIDEGATE_LISTEN)."
        " Default: :8080.",
    ),
]

_OfrepListen = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Where applications may ask for their flags by OFREP (TIDEGATE_OFREP_LISTEN). Default: nowhere.",
    ),
]

_OfrepTokenFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the bearer token that they must send; several, one a line, while it is renewed"
        " (TIDEGATE_OFREP_TOKEN_FILE). Default: none is needed."
    ),
]

_Lease = Annotated[
    str | None,
    typer.Option(
        metavar="NAMESPACE/NAME",
        help="Lease (coordination.k8s.io) that decides which of several replicas acts; the others stand by"
        " (TIDEGATE_LEASE). Default: none, so there must be one replica only.",
    ),
]


def run(
    namespace: _Namespaces = None,
    lease: _Lease = None,
    period: Annotated[
        float | None,
        typer.Option(help="Seconds from one reading of a broker to the next, 1 to 60 (TIDEGATE_PERIOD). Default: 5."),
    ] = None,
    listen: _Listen = None,
    ofrep_listen: _OfrepListen = None,
    ofrep_token_file: _OfrepTokenFile = None,
    log_level: LogLevelFlag = None,
    log_format: LogFormatFlag = None,
    kubeconfig: KubeconfigFlag = None,
    context: ContextFlag = None,
) -> None:
    """Run the operator until SIGTERM or SIGINT: watch LagPolicies, read their brokers, scale their targets.

    Flags go before TIDEGATE_* variables of the environment. /healthz answers 503 and names what has stalled, /readyz
    answers 503 and names what is still missing.
    """
    from tidegate.cluster.access import AccessError
    from tidegate.controllers.logs import set_up
    from tidegate.controllers.operator import OperatorError, operate

    settings = read_settings(
        "run",
        namespaces=tuple(namespace or ()),
        lease=lease,
        period=period,
        listen=listen,
        ofrep_listen=ofrep_listen,
        ofrep_token_file=ofrep_token_file,
        log_level=log_level,
        log_format=log_format,
        kubeconfig=kubeconfig,
        context=context,
    )
    set_up(settings.log_level, settings.log_format)
    try:
        asyncio.run(operate(settings))
    except (AccessError, OperatorError) as error:
        typer.echo(f"tidegate: {error}", err=True)
        raise typer.Exit(1) from None
