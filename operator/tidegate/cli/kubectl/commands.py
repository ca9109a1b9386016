"""The commands that people give through kubectl. Everything heavy is imported when one of them runs."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from tidegate.api import LEVELS, Choice, HazardName, Method
from tidegate.cli.kubectl.failures import conduct
from tidegate.cli.kubectl.flags import (
    ContextFlag,
    EverywhereFlag,
    KubeconfigFlag,
    MaybePolicyName,
    NamespaceFlag,
    OutputFlag,
    PolicyName,
    PolicyNames,
    ProposalName,
    UserFlag,
    WaitFlag,
    YesFlag,
    lasting,
)
from tidegate.cli.kubectl.options import Output, Where


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


def top(
    namespace: NamespaceFlag = None,
    everywhere: EverywhereFlag = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, max=60, help="Seconds from one look to the next.")
    ] = 2,
    once: Annotated[bool, typer.Option("--once", help="One look, as without a terminal.")] = False,
    context: ContextFlag = None,
    kubeconfig: KubeconfigFlag = None,
    user: UserFlag = None,
) -> None:
    """The consumers live, the most dangerous first. q ends it."""
    from tidegate.cli.kubectl import top as room

    conduct(room.top(Where(namespace, everywhere, context, kubeconfig, user), every, once))


def approve(
    name: ProposalName,
    namespace: NamespaceFlag = None,
    acknowledge: Annotated[
        list[HazardName] | None,
        typer.Option(metavar="HAZARD", help="Accept what this hazard can break; repeat for more."),
    ] = None,
    method: Annotated[
        Method | None, typer.Option(help="Carry it out this way. Default: the one that is proposed.")
    ] = None,
    yes: YesFlag = False,
    output: OutputFlag = Output.TABLE,
    context: ContextFlag = None,
    kubeconfig: KubeconfigFlag = None,
    user: UserFlag = None,
) -> None:
    """Approve more partitions, after a look at why and at what that can break. It cannot be undone."""
    from tidegate.cli.kubectl import deciding as room

    wish = room.Wish(Choice.APPROVE, tuple(name.value for name in acknowledge or ()), method, yes)
    conduct(room.decide(Where(namespace, False, context, kubeconfig, user), name, wish, output))


def reject(
    name: ProposalName,
    namespace: NamespaceFlag = None,
    yes: YesFlag = False,
    output: OutputFlag = Output.TABLE,
    context: ContextFlag = None,
    kubeconfig: KubeconfigFlag = None,
    user: UserFlag = None,
) -> None:
    """Reject more partitions. The same increase is not proposed again before this proposal would have expired."""
    from tidegate.cli.kubectl import deciding as room

    wish = room.Wish(Choice.REJECT, yes=yes)
    conduct(room.decide(Where(namespace, False, context, kubeconfig, user), name, wish, output))


def pause(
    names: PolicyNames,
    namespace: NamespaceFlag = None,
    wait: WaitFlag = 10,
    context: ContextFlag = None,
    kubeconfig: KubeconfigFlag = None,
    user: UserFlag = None,
) -> None:
    """Pause policies in an incident: they are measured, not scaled (the annotation tidegate.dev/paused)."""
    from tidegate.cli.kubectl import marking as room

    conduct(room.pause(Where(namespace, False, context, kubeconfig, user), names, wait))


def resume(
    names: PolicyNames,
    namespace: NamespaceFlag = None,
    wait: WaitFlag = 10,
    context: ContextFlag = None,
    kubeconfig: KubeconfigFlag = None,
    user: UserFlag = None,
) -> None:
    """Let paused policies go on."""
    from tidegate.cli.kubectl import marking as room

    conduct(room.resume(Where(namespace, False, context, kubeconfig, user), names, wait))


def drill(
    name: PolicyName,
    namespace: NamespaceFlag = None,
    level: Annotated[
        int | None, typer.Option(min=0, max=LEVELS, help="Hold the ladder here; 0: every feature on.")
    ] = None,
    lasts: Annotated[
        timedelta | None, typer.Option("--for", parser=lasting, metavar="DURATION", help="For how long, such as 10m.")
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End it now.")] = False,
    yes: YesFlag = False,
    wait: WaitFlag = 10,
    context: ContextFlag = None,
    kubeconfig: KubeconfigFlag = None,
    user: UserFlag = None,
) -> None:
    """Hold the degradation ladder at a level for a while: a drill, or an emergency. It ends by itself."""
    from tidegate.cli.kubectl import marking as room

    where = Where(namespace, False, context, kubeconfig, user)
    if end and level is None and lasts is None:
        conduct(room.end_drill(where, name, wait))
    elif not end and level is not None and lasts is not None:
        conduct(room.drill(where, name, level, lasts, yes, wait))
    else:
        raise typer.BadParameter("give --level and --for, or --end alone", param_hint="--level, --for, --end")


def report(
    namespace: NamespaceFlag = None,
    operator: Annotated[
        str, typer.Option("--operator-namespace", metavar="NAME", help="Where Tidegate itself runs.")
    ] = "tidegate-system",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE.tar.gz", help="Default: one of this time, here.")
    ] = None,
    context: ContextFlag = None,
    kubeconfig: KubeconfigFlag = None,
    user: UserFlag = None,
) -> None:
    """Collect what somebody else needs to help, without secrets, in one archive. Of all namespaces, or of one."""
    from tidegate.cli.kubectl import report as room

    conduct(room.report(Where(namespace, namespace is None, context, kubeconfig, user), operator, file))


ALL = (status, explain, top, approve, reject, pause, resume, drill, report)
"""All of them, in the order of the help."""
