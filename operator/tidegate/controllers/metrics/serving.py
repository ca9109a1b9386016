"""GET /metrics."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder


class Collected(NamedTuple):
    """What a scrape found, such that it can be written without looking at anything that changes."""

    families: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        """As of a registry."""
        return self.families


def metrics_route(registry: CollectorRegistry) -> web.RouteDef:
    """GET /metrics in the format that the scraper accepts.

    Written in a thread: the text of a thousand policies takes 0.3 s, and the loop has other work.
    """

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        text = await asyncio.to_thread(encode, Collected(tuple(registry.collect())))
        return web.Response(body=text, headers={"Content-Type": content_type})

    return web.get("/metrics", metrics)
