"""The options and arguments of commands, in the same words as kubectl has."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from tidegate.api import parse_duration
from tidegate.cli.kubectl import names
from tidegate.cli.kubectl.options import Output

NamespaceFlag = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        autocompletion=names.namespaces,
        help="Namespace. Default: that of the context.",
    ),
]
EverywhereFlag = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]
ContextFlag = Annotated[
    str | None, typer.Option(metavar="NAME", help="Context of the kubeconfig. Default: its current one.")
]
KubeconfigFlag = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Kubeconfig. Default: $KUBECONFIG, else ~/.kube/config.")
]
UserFlag = Annotated[str | None, typer.Option("--as", metavar="USER", help="Act as this user (impersonation).")]
OutputFlag = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]
WaitFlag = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0, max=600, help="Wait so long until Tidegate has taken note; 0: do not wait."),
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def lasting(text: str) -> timedelta:
    """A duration as policies have it, above 0s."""
    try:
        lasts = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not lasts:
        raise typer.BadParameter("it must be longer than 0s, such as 10m")
    return lasts


PolicyName = Annotated[str, typer.Argument(metavar="NAME", autocompletion=names.policies, help="The LagPolicy.")]
PolicyNames = Annotated[
    list[str], typer.Argument(metavar="NAME...", autocompletion=names.policies, help="The LagPolicies.")
]
MaybePolicyName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", autocompletion=names.policies, help="One LagPolicy, in detail.")
]
ProposalName = Annotated[
    str, typer.Argument(metavar="PROPOSAL", autocompletion=names.proposals, help="The PartitionProposal.")
]
