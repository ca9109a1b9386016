"""Brokers, read: every source answers with the engine's Reading, or says in words why it cannot."""

from collections.abc import Mapping
from typing import Any

from tidegate.api import BrokerConnectionSpec, SecretKeyRef
from tidegate.sources.kafka import open_kafka
from tidegate.sources.shape import Actor, ConnectionInfo, Increased, Source, WantedGroup

__all__ = ["Actor", "ConnectionInfo", "Increased", "Source", "WantedGroup", "open_source"]


def open_source(spec: BrokerConnectionSpec[Any], secrets: Mapping[SecretKeyRef, str]) -> Source:
    """The source that a connection describes; `secrets` has the value of every reference in it.

    Connects to nothing yet. A value that cannot be used (a certificate that is none) shows in what it answers.
    """
    return open_kafka(spec.kafka, secrets)
