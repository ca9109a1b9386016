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
