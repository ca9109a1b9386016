"""`/metrics`, for Prometheus: policies as they are at the moment of the scrape, and what this process has counted."""

from tidegate.controllers.metrics.meters import CONNECTION_METRICS, PROCESS_METRICS, Meters, ProcessMetrics
from tidegate.controllers.metrics.policies import POLICY_METRICS, PolicyMetrics
from tidegate.controllers.metrics.serving import metrics_route

__all__ = [
    "CONNECTION_METRICS",
    "POLICY_METRICS",
    "PROCESS_METRICS",
    "Meters",
    "PolicyMetrics",
    "ProcessMetrics",
    "metrics_route",
]
