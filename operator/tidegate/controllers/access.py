"""One way to the API server for both clients of this process: kubernetes.aio (writes, lists) and kopf (watches)."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import kopf
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from tidegate import __version__
from tidegate.cluster.fence import Alone, FencedClient, Tenure
from tidegate.cluster.lease import Elector, LeaseObject
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


def host() -> str:
    """Which process this is, for people: the pod's name, or the machine's."""
    return os.environ.get("POD_NAME") or socket.gethostname()


@asynccontextmanager
async def standing(settings: Settings, configuration: Configuration) -> AsyncIterator[tuple[ApiClient, Tenure]]:
    """The client for all that the operator does, and what says whether it may write.

    The Lease has a client of its own, so that no number of other requests holds it up. Both name this process in the
    audit log.
    """
    identity = f"{host()}_{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        tenure: Tenure = Alone()
        if settings.lease:
            unfenced = await stack.enter_async_context(ApiClient(configuration))
            unfenced.user_agent = _user_agent(identity)
            tenure = Elector(LeaseObject(unfenced, settings.lease), identity)
        api = await stack.enter_async_context(FencedClient(configuration, tenure))
        api.user_agent = _user_agent(identity)
        yield api, tenure


def _user_agent(identity: str) -> str:
    return f"tidegate/{__version__} ({identity})"


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
