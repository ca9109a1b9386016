"""Other autoscalers as exact rules, each with the interface of a controller."""

from tidegate.simulate.peers.brandwatch import Brandwatch
from tidegate.simulate.peers.flink import Flink, FlinkSettings
from tidegate.simulate.peers.hpa import Hpa, hpa_behavior
from tidegate.simulate.peers.keda import Keda
from tidegate.simulate.peers.numaflow import Numaflow
from tidegate.simulate.peers.static import Static, static_peak

__all__ = ["Brandwatch", "Flink", "FlinkSettings", "Hpa", "Keda", "Numaflow", "Static", "hpa_behavior", "static_peak"]
