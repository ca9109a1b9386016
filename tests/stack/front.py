"""A front before the real API server that refuses what it is told to, and loses answers."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration


class Front:
    """Passes requests on. Each write takes the next of `faults` first: a status to answer instead, or "lost"."""

    def __init__(self, settings: Configuration) -> None:
        self.faults: list[int | str] = []
        self.reads = self.writes = 0
        self._server = settings.host
        self._tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
        if settings.cert_file:
            self._tls.load_cert_chain(settings.cert_file, settings.key_file)

    async def handle(self, got: web.Request) -> web.Response:
        fault = None
        if got.method == "GET":
            self.reads += 1
        else:
            self.writes += 1
            fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            return web.json_response({"message": f"told to say {fault}"}, status=fault)
        status, body = await self._pass_on(got)
        if fault == "lost" and got.transport is not None:
            got.transport.abort()
        return web.json_response(text=body, status=status)

    async def _pass_on(self, got: web.Request) -> tuple[int, str]:
        kept = ("Accept", "Content-Type", "Authorization")
        headers = {name: got.headers[name] for name in kept if name in got.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                got.method, f"{self._server}{got.path_qs}", headers=headers, data=await got.read(), ssl=self._tls
            ) as answer,
        ):
            return answer.status, await answer.text()


@asynccontextmanager
async def behind(front: Front) -> AsyncIterator[ApiClient]:
    """A client whose requests go through the front."""
    runner = web.AppRunner(app := web.Application(), shutdown_timeout=0.1)
    app.router.add_route("*", "/{path:.*}", front.handle)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = Configuration()
    settings.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with ApiClient(settings) as opened:
        yield opened
    await runner.cleanup()
