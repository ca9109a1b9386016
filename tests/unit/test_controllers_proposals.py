"""What is done about proposals beside the cycles: a broker that is slow, two policies, increases one at a time."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import pytest
from kubernetes.aio.client import ApiClient, ApiException

from tests.unit.controllers_world import KAFKA, Watching, body, policy
from tests.unit.test_controllers_proposing import FACTS, INCREASE, NOW, TOPIC, executing
from tidegate.api import (
    ConnectionKind,
    LagPolicy,
    OffsetReset,
    PartitionProposal,
    PartitionProposalSpec,
    PartitionProposalStatus,
    Reason,
)
from tidegate.cluster.discovery import Discovery
from tidegate.cluster.events import Event
from tidegate.cluster.flags import FlagStore
from tidegate.controllers import connections, proposals
from tidegate.controllers.connections import Client
from tidegate.controllers.errands import REFUSED_FOR
from tidegate.controllers.filed import is_open
from tidegate.controllers.health import Pulses
from tidegate.controllers.proposals import Proposals, Shown
from tidegate.controllers.services import Services
from tidegate.controllers.settings import Settings
from tidegate.controllers.shelf import Name
from tidegate.controllers.thread import Worker
from tidegate.controllers.world import CONNECTIONS, POLICIES, PROPOSALS
from tidegate.engine import Decision, GroupState, Reading
from tidegate.engine.facts import TopicFacts

READING = Reading({}, {TOPIC: "id"}, NOW, NOW, GroupState.STABLE)
DECISION = Decision(None, Reason.ON_TIME, "", increase=INCREASE)


class Source:
    """Shows the same topic, once it is let to."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.let.set()
        self.looks = 0

    def inspect(self, topic: str, groups: object = None) -> TopicFacts:
        self.let.wait(30)
        self.looks += 1
        return FACTS

    def validate_increase(self, topic: str, to: int, groups: object = ()) -> None:
        return None

    def close(self) -> None:
        pass


class Stage:
    """Proposals with an API server that keeps what it is given, and the world that is told of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.source, self.watching, self.events = NOW, Source(), Watching(), list[Event]()
        self.carried_out: list[tuple[str, str | None]] = []
        self.going_on = asyncio.Event()
        self.forbidden = False
        monkeypatch.setattr(connections, "open_source", lambda spec, secrets: self.source)
        monkeypatch.setattr(proposals, "create_proposal", self._create)
        monkeypatch.setattr(proposals, "write_proposal", self._write)
        api = cast(ApiClient, None)
        self.services = Services(
            api=api,
            discovery=Discovery(api),
            recorder=cast(Any, self),
            statuses=cast(Any, self),
            world=self.watching.world,
            pulses=Pulses(),
            settings=Settings(period=60),
            proposals=Proposals(self._execute),
            flags=FlagStore(api),
            clock=lambda: self.now,
        )
        self.client = Client(KAFKA, self.services, Worker("test"))
        connection = body("kafka", kind="BrokerConnection", spec={"kafka": {"bootstrapServers": ["a:9092"]}})
        self.watching.see(
            CONNECTIONS[ConnectionKind.BROKER_CONNECTION], {**connection, "status": {"clusterId": "cluster"}}
        )

    def tell(self, *events: Event) -> None:
        self.events += events

    async def _create(
        self, api: object, policy: LagPolicy, name: str, spec: PartitionProposalSpec
    ) -> Mapping[str, Any] | None:
        if self.forbidden:
            error = ApiException(status=403, reason="Forbidden")
            said = 'User "tidegate" cannot create resource "partitionproposals" in API group "tidegate.dev"'
            error.body = json.dumps({"message": said})
            raise error
        if name in self.proposals:
            return None
        return body(name, kind="PartitionProposal", spec=spec.wire())

    async def _write(
        self, api: object, proposal: PartitionProposal, status: PartitionProposalStatus
    ) -> Mapping[str, Any] | None:
        return body(proposal.metadata.name, kind="PartitionProposal", spec=proposal.spec.wire(), status=status.wire())

    async def _execute(
        self,
        services: Services,
        client: Client,
        proposal: PartitionProposal,
        policy: LagPolicy | None,
        others: Mapping[str, OffsetReset],
    ) -> PartitionProposalStatus:
        self.carried_out.append((proposal.metadata.name, policy and policy.metadata.name))
        await self.going_on.wait()
        return proposal.status

    @property
    def proposals(self) -> dict[str, PartitionProposal]:
        filed = (self.services.world.proposals.of_policy(Name("shop", name)) for name in ("points", "audit"))
        return {p.metadata.name: p for of_one in filed for p in of_one}

    def policy(self, name: str = "points", **spec: Any) -> LagPolicy:
        source = {"kafka": {"connectionRef": {"name": "kafka"}, "group": name, "topics": [TOPIC]}}
        self.watching.see(POLICIES, policy(name, spec={"source": source, **spec}))
        found = self.services.world.policy(Name("shop", name))
        assert found
        return found

    async def tend(self, of: LagPolicy, decision: Decision = DECISION) -> Shown:
        return await self.services.proposals.tend(self.client, of, decision, READING)

    def decide(self, name: str, decision: str) -> None:
        """As a person, who acknowledges what there is."""
        proposal = self.proposals[name]
        hazards = [hazard.name for hazard in proposal.status.hazards]
        spec = {**proposal.spec.wire(), "decision": decision, "acknowledge": hazards}
        seen = body(
            name, kind="PartitionProposal", spec=spec, status=proposal.status.wire(), metadata={"generation": 2}
        )
        self.watching.see(PROPOSALS, seen)


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


async def until(condition: Callable[[], object], turn: Callable[[], Awaitable[object]] | None = None) -> None:
    """Let the tasks work, with a cycle now and then, until it is so."""
    async with asyncio.timeout(20):
        while not condition():
            if turn:
                await turn()
            await asyncio.sleep(0.01)


async def test_a_broker_that_is_slow_holds_up_no_cycle_and_is_asked_once(stage: Stage):
    points = stage.policy()
    stage.source.let.clear()
    for _ in range(5):
        assert await asyncio.wait_for(stage.tend(points), 1) == Shown(None, None)
    stage.source.let.set()
    await until(lambda: stage.proposals)
    [proposal] = stage.proposals.values()
    assert stage.source.looks == 1
    assert (await stage.tend(points)).name == proposal.metadata.name
    assert {event.reason for event in stage.events} == {Reason.PARTITIONS_PROPOSED}
    assert {event.about.kind for event in stage.events} == {"LagPolicy", "PartitionProposal"}


async def test_a_second_policy_on_the_topic_shows_the_firsts_proposal_and_makes_none(stage: Stage):
    points, audit = stage.policy(), stage.policy("audit")
    await asyncio.gather(stage.tend(points), stage.tend(audit))
    await until(lambda: stage.proposals)
    [first] = stage.proposals.values()
    await until(lambda: stage.source.looks == 2, lambda: stage.tend(audit))
    stage.now += 60
    assert (await stage.tend(audit)).name == first.metadata.name
    await until(lambda: stage.source.looks == 3, lambda: stage.tend(points))
    assert list(stage.proposals) == [first.metadata.name]
    groups = first.spec.evidence.groups
    assert [(group.name, group.policy) for group in groups] == [("points", "shop/points")]


async def test_a_missing_right_is_told_and_tried_again_after_a_minute(stage: Stage):
    points = stage.policy()
    stage.forbidden = True
    await stage.tend(points)
    await until(lambda: stage.events)
    problem = (await stage.tend(points)).problem
    assert problem
    assert "may not create partitionproposals" in problem.message
    stage.forbidden = False
    stage.now += REFUSED_FOR - 1
    assert (await stage.tend(points)).problem == problem
    assert stage.source.looks == 1
    stage.now += 1
    await stage.tend(points)
    await until(lambda: stage.proposals)
    await until(lambda: stage.services.proposals.executing(stage.services, points) is None)
    await asyncio.sleep(0)
    assert (await stage.tend(points)).problem is None


async def test_what_is_approved_is_carried_out_once_and_holds_the_target_until_it_lets_go(stage: Stage):
    points = stage.policy()
    await stage.tend(points)
    await until(lambda: stage.proposals)
    [name] = stage.proposals
    assert not stage.services.proposals.executing(stage.services, points)
    stage.decide(name, "Approve")
    await until(lambda: stage.carried_out, lambda: stage.tend(points))
    for _ in range(3):
        await stage.tend(points)
        await asyncio.sleep(0)
    assert stage.carried_out == [(name, "points")]
    assert stage.services.proposals.executing(stage.services, points)
    stage.services.proposals.release(stage.proposals[name])
    assert not stage.services.proposals.executing(stage.services, points)
    await stage.services.proposals.stop()


async def test_a_policy_has_one_target_so_its_topics_are_enlarged_one_after_the_other(stage: Stage):
    points = stage.policy()
    await stage.tend(points)
    await until(lambda: stage.proposals)
    [first] = stage.proposals
    spec = {**stage.proposals[first].spec.wire(), "topic": "points.add"}
    half = body("half", kind="PartitionProposal", spec=spec, status=executing("Paused"))
    stage.watching.see(PROPOSALS, half)
    stage.decide(first, "Approve")
    await until(lambda: stage.carried_out, lambda: stage.tend(points))
    for _ in range(20):
        stage.now += 1
        await stage.tend(points)
        await asyncio.sleep(0.01)
    assert stage.carried_out == [("half", "points")]
    stage.watching.see(PROPOSALS, half, "DELETED")
    await until(lambda: len(stage.carried_out) == 2, lambda: stage.tend(points))
    await stage.services.proposals.stop()


async def test_of_two_open_ones_of_a_topic_the_older_stays(stage: Stage):
    """Two processes with different readings may have made one each."""
    points, audit = stage.policy(), stage.policy("audit")
    await stage.tend(points)
    await until(lambda: stage.proposals)
    [older] = stage.proposals.values()
    spec = {**older.spec.wire(), "policy": "audit", "to": 30}
    spec["evidence"] = {**spec["evidence"], "group": "audit"}
    stage.watching.see(PROPOSALS, body("younger", kind="PartitionProposal", spec=spec, created="2026-01-02T00:00:00Z"))
    await until(lambda: not is_open(stage.proposals["younger"]), lambda: stage.tend(audit))
    await stage.tend(points)
    assert is_open(stage.proposals[older.metadata.name])


async def test_an_increase_whose_policy_is_gone_is_brought_to_its_end(stage: Stage):
    points = stage.policy()
    await stage.tend(points)
    await until(lambda: stage.proposals)
    [half] = stage.proposals.values()
    spec, status = half.spec.wire(), executing("Paused")
    stage.watching.see(PROPOSALS, body(half.metadata.name, kind="PartitionProposal", spec=spec, status=status))
    stage.services.proposals.sweep(stage.services, {KAFKA})
    await asyncio.sleep(0)
    assert stage.carried_out == []  # its policy is tended
    stage.watching.see(POLICIES, policy("points"), "DELETED")
    stage.services.proposals.sweep(stage.services, {KAFKA})
    stage.services.proposals.sweep(stage.services, set())
    await until(lambda: stage.carried_out)
    assert stage.carried_out == [(half.metadata.name, None)]
    await stage.services.proposals.stop()
