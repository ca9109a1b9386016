"""By which name this program was called: `tidegate`, or `kubectl tidegate` where kubectl found it as its plugin."""

import sys
from pathlib import Path

PLUGIN = "kubectl-tidegate"


def called() -> str:
    """The words that a person types before a command."""
    return "kubectl tidegate" if Path(sys.argv[0]).name.startswith(PLUGIN) else "tidegate"
