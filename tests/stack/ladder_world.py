"""A LagPolicy with a ladder and its flags on the real API server, and the operator's part of it with its own rights."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from kubernetes.aio.client import ApiClient

from demo.stack import Stack
from tests.stack.cluster import OPERATOR_NAMESPACE, Space, client_of, policy
from tests.unit.controllers_world import Watching
from tidegate.api import DegradationStatus, FlagsRef, LagPolicy, LagPolicyStatus, Reason
from tidegate.cluster.discovery import Discovery
from tidegate.cluster.events import Event
from tidegate.cluster.flags import FlagStore
from tidegate.cluster.recording import FINALIZER
from tidegate.cluster.writing import Key, StatusWriter, write_status
from tidegate.controllers.charge import Charge
from tidegate.controllers.degrading import Departures, Look, carry_out, look
from tidegate.controllers.execution import execute
from tidegate.controllers.health import Pulses
from tidegate.controllers.proposals import Proposals
from tidegate.controllers.services import Services
from tidegate.controllers.settings import Settings
from tidegate.controllers.shelf import Name
from tidegate.controllers.world import POLICIES
from tidegate.engine.decision import Rung

ONOFF = {"on": True, "off": False}
FLAGS: dict[str, Any] = {
    name: {"state": "ENABLED", "variants": ONOFF, "defaultVariant": "on"}
    for name in ("recommendations", "email-receipts", "not-ours")
}
LEVELS = [
    {"name": "NoRecommendations", "flags": {"recommendations": "off"}},
    {"name": "NoReceipts", "flags": {"email-receipts": "off"}},
]
LADDER: dict[str, Any] = {"flagsRef": {"name": "points-flags"}, "levels": LEVELS}
ODD = "\n"  # the document ends as people's editors end it
CAUSE = "900/s arrive, all 8 replicas do 700/s"


def document(**variants: str) -> str:
    """The document with these flags at another variant, indented as nobody would."""
    flags = {name: {**flag, "defaultVariant": variants.get(name, "on")} for name, flag in FLAGS.items()}
    return json.dumps({"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": flags}, indent=3) + ODD


def flags(name: str = "points-flags", text: str = "") -> dict[str, Any]:
    """A ConfigMap with it."""
    data = {"flags.json": text or document(), "other": "untouched"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def laddered(name: str = "points", **parts: Any) -> dict[str, Any]:
    """A policy with a ladder."""
    made = policy(name)
    return {**made, "spec": {**made["spec"], "degradation": LADDER, **parts}}


class Told:
    """The Events of one process."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, *events: Event) -> None:
        self.events += events

    @property
    def reasons(self) -> list[str]:
        return [event.reason for event in self.events]


class Process:
    """What one operator's process does for the policies of one namespace, one step at a time."""

    def __init__(self, api: ApiClient, space: Space) -> None:
        self.space, self.told, self.watching = space, Told(), Watching()
        self.now = 1_800_000_000.0
        self.charges: dict[str, Charge] = {}
        self.services = Services(
            api=api,
            discovery=Discovery(api),
            recorder=cast(Any, self.told),
            statuses=StatusWriter(api),
            world=self.watching.world,
            pulses=Pulses(),
            settings=Settings(),
            proposals=Proposals(execute),
            flags=FlagStore(api),
            clock=lambda: self.now,
        )
        self.departures = Departures(self.charges)

    def watch(self, name: str = "points") -> LagPolicy:
        """See the policy as it is now."""
        self.watching.see(POLICIES, self.space.get("lagp", name))
        seen = self.services.world.policy(Name(self.space.name, name))
        assert seen
        return seen

    def charge(self, policy: LagPolicy) -> Charge:
        uid = policy.metadata.uid
        return self.charges.setdefault(uid, Charge.taken_over(policy))

    async def cycle(self, level: int | None = None, reason: Reason = Reason.SCALING_EXHAUSTED) -> Look | None:
        """One cycle in which the engine wants that level (None: the one that the flags show)."""
        policy = self.watch()
        charge = self.charge(policy)
        found = await look(self.services, charge, policy)
        if found is None:
            return None
        to = found.at.level if level is None or found.problem else level
        rung = Rung(to, reason, f"level {to}: {CAUSE}")
        after = await carry_out(self.services, charge, found, rung)
        # as report() does, only that the test waits for it
        shown = LagPolicyStatus(degradation=after.status if after else None)
        charge.status = charge.status.model_copy(update={"degradation": shown.degradation})
        await write_status(self.services.api, Key.of(policy), shown)
        return after

    def forget_flags(self) -> None:
        """What was read of the flags is old."""
        self.services.flags.forget(self.space.name, FlagsRef(name="points-flags"))

    async def sweep(self) -> None:
        """See to the policies that are deleted, as far as that goes now."""
        self.departures.sweep(self.services)
        await self.departures.idle()

    # what is there

    @property
    def document(self) -> str:
        return str(self.space.get("configmap", "points-flags")["data"]["flags.json"])

    @property
    def recorded(self) -> DegradationStatus | None:
        return self.space.policy().status.degradation

    @property
    def level(self) -> int | None:
        return self.recorded.level if self.recorded else None

    @property
    def held(self) -> bool:
        return FINALIZER in self.space.policy().metadata.finalizers


@asynccontextmanager
async def process(stack: Stack, space: Space) -> AsyncIterator[Process]:
    """A process of the operator."""
    async with client_of(stack, OPERATOR_NAMESPACE, "tidegate") as api:
        yield Process(api, space)


def variants(text: str) -> Mapping[str, str]:
    """Each flag's defaultVariant."""
    return {name: flag["defaultVariant"] for name, flag in json.loads(text)["flags"].items()}
