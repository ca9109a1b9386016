"""What the controllers share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Self

from kubernetes.aio.client import ApiClient

from tidegate.cluster.discovery import Discovery
from tidegate.cluster.events import Recorder
from tidegate.cluster.fence import Alone, Tenure
from tidegate.cluster.flags import FlagStore
from tidegate.cluster.writing import StatusWriter
from tidegate.controllers.access import host
from tidegate.controllers.health import Pulses
from tidegate.controllers.metrics import Meters
from tidegate.controllers.settings import Settings
from tidegate.controllers.world import World

if TYPE_CHECKING:  # it makes use of what is here
    from tidegate.controllers.proposals import Proposals


@dataclass(frozen=True, slots=True)
class Services:
    """One API server, one world, one set of settings. `api` writes only while this process may act."""

    api: ApiClient
    discovery: Discovery
    recorder: Recorder
    statuses: StatusWriter
    world: World
    pulses: Pulses
    settings: Settings
    proposals: "Proposals"
    flags: FlagStore
    tenure: Tenure = field(default_factory=Alone)
    clock: Callable[[], float] = field(default=time)
    meters: Meters = field(default_factory=Meters)

    @classmethod
    def of(cls, api: ApiClient, world: World, settings: Settings, proposals: "Proposals", tenure: Tenure) -> Self:
        """Those of one process, which tells of itself by its host's name."""
        return cls(
            api=api,
            discovery=Discovery(api),
            recorder=Recorder(api, host()),
            statuses=StatusWriter(api),
            world=world,
            pulses=Pulses(),
            settings=settings,
            proposals=proposals,
            flags=FlagStore(api),
            tenure=tenure,
        )

    @property
    def leads(self) -> bool:
        """Whether this process decides and acts; one that stands by watches, reads, and writes nothing."""
        return self.tenure.leads

    def may_act(self) -> bool:
        """Asked right before whatever changes anything: the Lease is held, with time to spare."""
        return self.tenure.may_act()
