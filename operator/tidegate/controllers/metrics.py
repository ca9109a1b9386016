"""`/metrics`, for Prometheus: made at each scrape from what is known, so a cycle does nothing for it."""

from collections.abc import Iterable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tidegate.controllers.charge import Charge
from tidegate.controllers.world import World


class LadderMetrics(Collector):
    """The level of each degradation ladder. `charges` are this process's, by the uid of the policy."""

    def __init__(self, world: World, charges: Mapping[str, Charge]) -> None:
        self._world = world
        self._charges = charges

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client wants it."""
        level = GaugeMetricFamily(
            "tidegate_degradation_level",
            "Level of the policy's degradation ladder; 0: every feature is on.",
            labels=("namespace", "policy"),
        )
        for policy in self._world.policies():
            charge = self._charges.get(policy.metadata.uid)
            recorded = (charge.status if charge else policy.status).degradation
            if recorded or policy.spec.degradation:
                labels = (policy.metadata.namespace or "", policy.metadata.name)
                level.add_metric(labels, recorded.level if recorded else 0)
        yield level


def registry_of(*collectors: Collector) -> CollectorRegistry:
    """A registry of our own: the library's global one would add what it finds in the process."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry


def metrics_route(registry: CollectorRegistry) -> web.RouteDef:
    """GET /metrics in the format that the scraper accepts."""

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    return web.get("/metrics", metrics)
