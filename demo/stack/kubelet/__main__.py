"""`python -m demo.stack.kubelet SETTINGS`: run the kubelet until it is ended."""

import asyncio
import json
import logging
import ssl
import sys
from pathlib import Path

from aiohttp import web

from demo.stack.kubelet import node
from demo.stack.kubelet.client import Client
from demo.stack.kubelet.kubelet import Kubelet, Settings
from demo.stack.kubelet.logs import application


async def run(settings: Settings) -> None:
    """Serve logs, become a Node, run its pods."""
    async with Client(settings.server, settings.ca, settings.certificate, settings.key) as client:
        kubelet = Kubelet(client, settings)
        await serve(application(kubelet.container), settings)
        await node.register(client, settings.node, settings.port, settings.version)
        await asyncio.gather(node.stay_ready(client, settings.node), kubelet.run())


async def serve(served: web.Application, settings: Settings) -> None:
    """Serve on the loopback, to the API server alone: it shows a certificate of the cluster's authority."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.ca)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(settings.certificate, settings.key)
    runner = web.AppRunner(served, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", settings.port, ssl_context=tls).start()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(run(Settings(**json.loads(Path(sys.argv[1]).read_text()))))
