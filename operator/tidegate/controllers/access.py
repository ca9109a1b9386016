"""One way to the API server for both clients of this process: kubernetes.aio (writes, lists) and kopf (watches)."""

import os
from pathlib import Path

import kopf
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from tidegate.controllers.settings import Settings

NOWHERE = (
    "No Kubernetes API server to talk to: {problem}. Give --kubeconfig or set KUBECONFIG, or run inside a cluster"
    " with a ServiceAccount."
)


class AccessError(Exception):
    """There is no usable way to an API server; the message says what to give."""


def kubeconfig_path(settings: Settings) -> str | None:
    """The flag, else $KUBECONFIG, else ~/.kube/config where there is one; None is the pod's ServiceAccount."""
    if settings.kubeconfig:
        return str(settings.kubeconfig)
    if os.environ.get("KUBECONFIG"):
        return os.environ["KUBECONFIG"]
    default = Path.home() / ".kube" / "config"
    return str(default) if default.is_file() else None


async def load(settings: Settings) -> Configuration:
    """The client's configuration; AccessError where there is none."""
    configuration = Configuration()
    path = kubeconfig_path(settings)
    try:
        if path is None:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await load_kube_config(path, settings.context, configuration, persist_config=False)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise AccessError(NOWHERE.format(problem=error)) from error
    return configuration


async def connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """The same for kopf; called again by it whenever the API server answers 401, so a rotated token is picked up."""
    scheme, _, token = (await configuration.get_api_key_with_prefix("BearerToken") or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )
