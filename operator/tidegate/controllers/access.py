"""One way to the API server for both clients of this process: kubernetes.aio (writes, lists) and kopf (watches)."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import kopf
from kubernetes.aio.client import ApiClient, Configuration

from tidegate import __version__
from tidegate.cluster.fence import Alone, FencedClient, Tenure
from tidegate.cluster.lease import Elector, LeaseObject
from tidegate.controllers.settings import Settings


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
