"""kubectl, and the kubeconfigs by which it and others find and enter the API server."""

import subprocess
from pathlib import Path
from typing import Any


def kubectl(
    binary: Path,
    config: Path,
    *arguments: str | Path,
    input: str | None = None,  # noqa: A002
) -> "subprocess.CompletedProcess[str]":
    """Run kubectl. What it learns of the server it keeps beside the kubeconfig, as with ~/.kube/config."""
    command = [binary, "--kubeconfig", config, "--cache-dir", config.parent / "cache", *arguments]
    return subprocess.run(command, input=input, text=True, capture_output=True, check=False)


def kubeconfig(cluster: dict[str, str], user: dict[str, str], name: str, namespace: str = "default") -> dict[str, Any]:
    """A kubeconfig with one context."""
    context = {"cluster": "tidegate", "user": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tidegate", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "tidegate", "context": context}],
        "current-context": "tidegate",
    }
