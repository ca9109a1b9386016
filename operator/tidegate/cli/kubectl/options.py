"""The options that commands share: the same words as kubectl has."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer


class Output(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class Where(NamedTuple):
    """Which cluster, as whom, and which namespace of it: None is that of the context."""

    namespace: str | None = None
    everywhere: bool = False
    context: str | None = None
    kubeconfig: Path | None = None
    user: str | None = None

    def also(self) -> str:
        """The options that a command to type next needs as well."""
        parts = {"--context": self.context, "--kubeconfig": self.kubeconfig, "--as": self.user}
        return "".join(f" {flag} {value}" for flag, value in parts.items() if value)


NamespaceFlag = Annotated[
    str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace. Default: that of the context.")
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
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
