"""How clients find and enter the API server."""

from typing import Any


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
