"""The way to an API server, as kubectl finds it: a kubeconfig, else the pod's ServiceAccount."""

import os
from pathlib import Path
from typing import NamedTuple

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

NOWHERE = (
    "No Kubernetes API server to talk to: {problem}. Give --kubeconfig or set KUBECONFIG, or run inside a cluster"
    " with a ServiceAccount."
)

POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class AccessError(Exception):
    """There is no usable way to an API server; the message says what to give."""


class Access(NamedTuple):
    """How to reach the API server, and the namespace that is meant where none is named."""

    configuration: Configuration
    namespace: str


def kubeconfig_path(given: Path | None) -> str | None:
    """The flag, else $KUBECONFIG, else ~/.kube/config where there is one; None is the pod's ServiceAccount."""
    if given:
        return str(given)
    if os.environ.get("KUBECONFIG"):
        return os.environ["KUBECONFIG"]
    default = Path.home() / ".kube" / "config"
    return str(default) if default.is_file() else None


async def load(kubeconfig: Path | None, context: str | None) -> Access:
    """What a client needs, by the context or else the current one; AccessError where there is none."""
    configuration = Configuration()
    path = kubeconfig_path(kubeconfig)
    if path and not any(map(os.path.exists, path.split(os.pathsep))):
        raise AccessError(NOWHERE.format(problem=f"{path} does not exist"))
    try:
        if path is None:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            return Access(configuration, POD_NAMESPACE.read_text().strip() or "default")
        loader = await load_kube_config(path, context, configuration, persist_config=False)  # type: ignore[no-untyped-call]
        return Access(configuration, loader.current_context["context"].get("namespace") or "default")
    except Exception as error:  # a kubeconfig can be wrong in more ways than the client has errors of its own for
        raise AccessError(NOWHERE.format(problem=_problem(error))) from error


def _problem(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or repr(error)
