"""The commands that people give through kubectl. Everything heavy is imported when one of them runs."""

from typing import Annotated

import typer

from tidegate.cli.kubectl.failures import conduct
from tidegate.cli.kubectl.options import (
    ContextFlag,
    EverywhereFlag,
    KubeconfigFlag,
    NamespaceFlag,
    Output,
    OutputFlag,
    UserFlag,
    Where,
)

PolicyName = Annotated[str, typer.Argument(metavar="NAME", help="The LagPolicy.")]
MaybePolicyName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="One LagPolicy, in detail.")]


def status(
    name: MaybePolicyName = None,
    namespace: NamespaceFlag = None,
    everywhere: EverywhereFlag = False,
    output: OutputFlag = Output.TABLE,
    context: ContextFlag = None,
    kubeconfig: KubeconfigFlag = None,
    user: UserFlag = None,
) -> None:
    """How the consumers are: promise, backlog, replicas and limits, level, proposals, and what needs a person."""
    from tidegate.cli.kubectl import status as room

    conduct(room.status(Where(namespace, everywhere, context, kubeconfig, user), name, output))


def explain(
    name: PolicyName,
    namespace: NamespaceFlag = None,
    output: OutputFlag = Output.TABLE,
    context: ContextFlag = None,
    kubeconfig: KubeconfigFlag = None,
    user: UserFlag = None,
) -> None:
    """Why this many replicas: the arithmetic, what limits and holds, what would change it, and what to do next."""
    from tidegate.cli.kubectl import explain as room

    conduct(room.explain(Where(namespace, False, context, kubeconfig, user), name, output))
