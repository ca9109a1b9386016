"""The features of the shop that may be off for a while, and what its programs see of their flags.

Programs ask through the OpenFeature SDK, for each piece of work anew; where the answer comes from is the provider's
business. Whatever is wrong with the flags, a feature is on: only a document that says "off" switches it off.
"""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from openfeature import api
from openfeature.exception import OpenFeatureError
from openfeature.provider import FeatureProvider

log = logging.getLogger("features")

RECOMMENDATIONS, RECEIPTS = "recommendations", "email-receipts"
COST = {RECOMMENDATIONS: 0.20, RECEIPTS: 0.25}
"""The share of a record's service time that each feature takes."""


class Sighting(NamedTuple):
    """A process saw a flag for the first time, or another value of it than before; `at` in seconds since the epoch."""

    at: float
    service: str
    process: str
    flag: str
    on: bool


class Features:
    """What one process sees. Each change is logged and, where `sightings` is given, appended to that file."""

    def __init__(self, service: str, process: str, provider: FeatureProvider, sightings: Path | None = None) -> None:
        try:
            api.set_provider_and_wait(provider)
        except OpenFeatureError as error:
            log.warning("there are no flags yet, so every feature is on: %s", error.error_message or error.error_code)
        self._service, self._process, self._sightings = service, process, sightings
        self._client = api.get_client()
        self._seen: dict[str, bool] = {}

    def on(self, flag: str) -> bool:
        """Whether this feature is on now."""
        value = self._client.get_boolean_value(flag, True)
        if self._seen.get(flag) != value:
            self._seen[flag] = value
            self._note(flag, value)
        return value

    def _note(self, flag: str, value: bool) -> None:
        log.info("%s: %s", flag, "on" if value else "off")
        if self._sightings:
            seen = Sighting(time.time(), self._service, self._process, flag, value)
            with self._sightings.open("a") as file:  # one short write: lines of several processes do not mix
                file.write(json.dumps(seen._asdict()) + "\n")


def work(on: Callable[[str], bool]) -> float:
    """The part of a record's service time that is left with these features on: 1 with all of them."""
    return 1 - sum(cost for flag, cost in COST.items() if not on(flag))


def projected(document: Path) -> FeatureProvider:
    """Flags from a flagd document in a file (a mounted ConfigMap), which is looked at twice a second."""
    # imported by who has flags: it brings gRPC along
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType

    return FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(document))


def remote(url: str) -> FeatureProvider:
    """Flags from a server that speaks OFREP, such as Tidegate; it is asked each time."""
    from openfeature.contrib.provider.ofrep import OFREPProvider

    return OFREPProvider(url, timeout=2.0)


def sightings(file: Path) -> list[Sighting]:
    """All that were appended so far, in that order; none where there is no file."""
    lines = file.read_text().splitlines() if file.exists() else ()
    return [Sighting(**json.loads(line)) for line in lines]
