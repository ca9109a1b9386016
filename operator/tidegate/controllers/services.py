"""What the controllers share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING

from kubernetes.aio.client import ApiClient

from tidegate.cluster.discovery import Discovery
from tidegate.cluster.events import Recorder
from tidegate.cluster.flags import FlagStore
from tidegate.cluster.writing import StatusWriter
from tidegate.controllers.health import Pulses
from tidegate.controllers.metrics import Meters
from tidegate.controllers.settings import Settings
from tidegate.controllers.world import World

if TYPE_CHECKING:  # it makes use of what is here
    from tidegate.controllers.proposals import Proposals


def always() -> bool:
    """A process that is alone needs no Lease."""
    return True


@dataclass(frozen=True, slots=True)
class Services:
    """One API server, one world, one set of settings.

    `may_act` is asked right before every write to a target: the place where a Lease will say that it is still held.
    """

    api: ApiClient
    discovery: Discovery
    recorder: Recorder
    statuses: StatusWriter
    world: World
    pulses: Pulses
    settings: Settings
    proposals: "Proposals"
    flags: FlagStore
    may_act: Callable[[], bool] = always
    clock: Callable[[], float] = field(default=time)
    meters: Meters = field(default_factory=Meters)
