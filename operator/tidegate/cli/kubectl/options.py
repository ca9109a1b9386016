"""What the options that all commands share mean."""

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


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
