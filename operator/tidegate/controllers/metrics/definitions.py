"""What a metric is called, what it means, and which labels it has: the only place that says so, also for the docs."""

from enum import StrEnum
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


class Kind(StrEnum):
    """How its numbers are to be read."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Definition(NamedTuple):
    """A metric by the name that queries use, so a counter's ends in `_total`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.GAUGE

    def family(self) -> GaugeMetricFamily | CounterMetricFamily:
        """An empty one of a scrape."""
        make = CounterMetricFamily if self.kind is Kind.COUNTER else GaugeMetricFamily
        return make(self.name, self.help, labels=self.labels)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """One that is set."""
        return Gauge(self.name, self.help, self.labels, registry=registry)

    def counter(self, registry: CollectorRegistry) -> Counter:
        """One that is counted up."""
        return Counter(self.name, self.help, self.labels, registry=registry)

    def histogram(self, registry: CollectorRegistry, buckets: tuple[float, ...]) -> Histogram:
        """One that is given durations in seconds."""
        return Histogram(self.name, self.help, self.labels, registry=registry, buckets=buckets)
