"""Prometheus beside Tidegate: it scrapes the pods, judges the chart's alerts, and answers the dashboard's queries."""

from demo.monitoring.panels import PANELS, Panel
from demo.monitoring.picture import asked, draw_panels, grid
from demo.monitoring.server import Prometheus

__all__ = ["PANELS", "Panel", "Prometheus", "asked", "draw_panels", "grid"]
