"""The life of PartitionProposals: made where the need asks for it, looked after, decided, carried out, closed.

A cycle only asks what is next (see `proposing`). Whatever waits for a broker or for the API server is done in tasks of
its own, one for each proposal, so that it holds up no reading; those that ask the broker take turns on a connection.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from tidegate.api import (
    ConnectionKind,
    LagPolicy,
    Method,
    OffsetReset,
    PartitionProposal,
    PartitionProposalStatus,
    Reason,
    Resource,
)
from tidegate.cluster.proposals import (
    Topic,
    create_proposal,
    delete_proposal,
    proposal_name,
    proposal_spec,
    write_proposal,
)
from tidegate.controllers.connections import Client
from tidegate.controllers.errands import AGAIN_AFTER, Errands
from tidegate.controllers.filed import TopicKey, is_alive, is_open, is_under_way, owned_by
from tidegate.controllers.inquiry import Question, cluster_of, inquire, known_of, owners_of, resets_of
from tidegate.controllers.proposing import (
    Act,
    Case,
    Look,
    Step,
    next_step,
    proposes,
    stands_in_the_way,
    superfluous,
    told,
)
from tidegate.controllers.services import Services
from tidegate.controllers.shelf import Name
from tidegate.controllers.thread import Worker
from tidegate.controllers.tidings import closed, proposed
from tidegate.controllers.watching import sighting
from tidegate.controllers.world import PROPOSALS, ConnectionKey, connection_key, name_of
from tidegate.engine.decision import Decision, Increase
from tidegate.engine.facts import TopicFacts
from tidegate.engine.hazards import preset_method
from tidegate.engine.observation import Objection, Reading, ReadingError

logger = logging.getLogger(__name__)

KEPT = 10
"""Closed proposals of a policy that are kept."""


Execute = Callable[
    [Services, Client, PartitionProposal, LagPolicy | None, Mapping[str, OffsetReset]],
    Awaitable[PartitionProposalStatus],
]
"""Carries an approved proposal out."""


class Shown(NamedTuple):
    """What a policy's status has to say: its open proposal, and why it has none although it should."""

    name: str | None = None
    problem: Objection | None = None


class Turn(NamedTuple):
    """One policy in one cycle, and the client of its connection."""

    client: Client
    policy: LagPolicy
    decision: Decision
    reading: Reading | ReadingError

    @property
    def services(self) -> Services:
        """Of this process."""
        return self.client.services

    def topic_id(self, topic: str) -> str:
        """As just read; "" where it was not."""
        return self.reading.topic_ids.get(topic, "") if isinstance(self.reading, Reading) else ""


class Proposals:
    """All that this process does about proposals, and the last look at each."""

    def __init__(self, execute: Execute) -> None:
        self._carry_out = execute
        self._looks: dict[str, Look] = {}  # by uid
        self._errands = Errands()
        self._clients: dict[ConnectionKey, Client] = {}
        self._asking: defaultdict[ConnectionKey, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._executing: set[str] = set()  # uids
        self._released: set[str] = set()  # uids

    async def tend(
        self, client: Client, policy: LagPolicy, decision: Decision, reading: Reading | ReadingError
    ) -> Shown:
        """See to the proposals of a policy; what is to be done is begun, and not waited for."""
        turn, filed = Turn(client, policy, decision, reading), client.services.world.proposals
        mine = [p for p in filed.of_policy(name_of(policy)) if owned_by(p, policy)]
        for proposal in filter(is_alive, mine):
            if next_step(self._case(turn, proposal)).act is not Act.WAIT:
                self._errands.begin(turn.services, policy, proposal.metadata.uid, self._see_to(turn, proposal))
        if self._is_missing(turn):
            self._errands.begin(turn.services, policy, policy.metadata.uid, self._make(turn))
        if old := superfluous(mine, KEPT):
            self._errands.begin(turn.services, policy, f"tidy {policy.metadata.uid}", self._tidy(turn, old))
        uids = (policy.metadata.uid, *(p.metadata.uid for p in mine))
        problems = (self._errands.problems[uid] for uid in uids if uid in self._errands.problems)
        return Shown(_open_one(turn, mine), next(problems, None))

    def executing(self, services: Services, policy: LagPolicy) -> PartitionProposal | None:
        """The increase for this policy that is under way, while nothing else may scale its target."""
        mine = (p for p in services.world.proposals.of_policy(name_of(policy)) if owned_by(p, policy))
        held = (p for p in mine if self.holds(p) and (is_under_way(p) or p.metadata.uid in self._executing))
        return next(held, None)

    def holds(self, proposal: PartitionProposal) -> bool:
        """Whether its target may not be scaled by anything else, once it has begun."""
        return proposal.metadata.uid not in self._released

    def release(self, proposal: PartitionProposal) -> None:
        """From now on its target may be scaled again, although the increase is not done with."""
        self._released.add(proposal.metadata.uid)

    def forget(self, resource: Resource) -> None:
        """The proposal or policy is gone."""
        uid = resource.metadata.uid
        self._looks.pop(uid, None)
        self._errands.forget(uid)
        self._released.discard(uid)

    async def stop(self) -> None:
        """Give up what is under way: the next process goes on from what is written."""
        await self._errands.stop()

    # one proposal

    def _case(self, turn: Turn, proposal: PartitionProposal) -> Case:
        world, uid = turn.services.world, proposal.metadata.uid
        policy = world.policy(name_of(turn.policy))
        rivals = [p for p in world.proposals.of_topic(TopicKey.of(proposal)) if is_open(p)]
        first = next((p for p in rivals if is_under_way(p)), None) or next(iter(rivals), None)
        rival = first if first and first.metadata.uid != uid else None
        return Case(proposal, policy, turn.decision.increase, self._looks.get(uid), rival, turn.services.clock())

    async def _see_to(self, turn: Turn, proposal: PartitionProposal) -> None:
        if not is_under_way(proposal):
            async with self._asking[turn.client.key]:
                ready = await self._look_after(turn, proposal)
            if ready is None:
                return
            proposal = ready
        await self._execute(turn.services, turn.client.key, proposal, turn.policy)

    async def _look_after(self, turn: Turn, seen: PartitionProposal) -> PartitionProposal | None:
        """Look, say what was found, close it; gives it back where it is to be carried out."""
        case = self._case(turn, seen)
        step = next_step(case)
        if step.act is Act.LOOK:
            await self._look(turn, seen)
            case = self._case(turn, turn.services.world.proposals.get(name_of(seen)) or seen)
            step = next_step(case)
        proposal = await self._tell(turn.services, case.proposal, told(case, step))
        if proposal is not None and step.act is Act.CLOSE:
            logger.info("%s %s: %s", name_of(proposal), step.reason, step.message)
            turn.services.recorder.tell(*closed(turn.policy, proposal, step.reason, step.message))
        return proposal if step.act is Act.EXECUTE else None

    async def _look(self, turn: Turn, proposal: PartitionProposal) -> None:
        spec, meta = proposal.spec, proposal.metadata
        question = Question(turn.policy, turn.decision, spec.topic, spec.to, spec.method, meta.generation)
        self._looks[meta.uid] = await inquire(self._client(turn), question, self._looks.get(meta.uid))

    def _client(self, turn: Turn) -> Client:
        """One that looks at topics only: what it waits for holds up no reading."""
        key = turn.client.key
        if key not in self._clients:
            self._clients[key] = Client(key, turn.services, Worker(f"inspect {key}"))
        return self._clients[key]

    async def _tell(
        self, services: Services, proposal: PartitionProposal, status: PartitionProposalStatus
    ) -> PartitionProposal | None:
        """Write what is to be shown, if it differs; None where somebody else has just written, or we may not."""
        if not services.may_act():
            return None
        if status == proposal.status:
            return proposal
        body = await write_proposal(services.api, proposal, status)
        return None if body is None else _take_in(services, body)

    async def _execute(
        self, services: Services, key: ConnectionKey, proposal: PartitionProposal, policy: LagPolicy | None
    ) -> None:
        """Carry it out: one at a time of a topic, and of a policy, by a client of its own."""
        uid = proposal.metadata.uid
        if self._waits_its_turn(services, proposal) or not services.may_act():
            return
        self._executing.add(uid)
        client = Client(key, services, Worker(f"enlarge {proposal.spec.topic}"))
        try:
            resets = resets_of(services.world, key, proposal.spec.evidence.cluster)
            await self._carry_out(services, client, proposal, policy, resets)
        finally:
            client.end()
            self._executing.discard(uid)
            self._errands.postpone(uid, services.clock() + 1)  # until the watch has shown the end of it

    def _waits_its_turn(self, services: Services, proposal: PartitionProposal) -> bool:
        """Two of a topic would not find it as they were approved for; two of a policy would pause the same target."""
        filed, meta = services.world.proposals, proposal.metadata
        of_policy = filed.of_policy(Name(meta.namespace, proposal.spec.policy))
        others = (p for p in (*filed.of_topic(TopicKey.of(proposal)), *of_policy) if p.metadata.uid != meta.uid)
        begun = is_under_way(proposal)  # of several that were begun, one after the other is finished
        return any(p.metadata.uid in self._executing or (not begun and is_under_way(p)) for p in others)

    def sweep(self, services: Services, keys: Collection[ConnectionKey], *, tended: bool = True) -> None:
        """Finish increases whose policy is gone or on its way out: nobody tends it, and the target has to come back.

        `keys` are the connections that are read. Where no policy is `tended`, that is all of them.
        """
        for key in self._clients.keys() - keys:
            self._clients.pop(key).end()
        for proposal in services.world.proposals.under_way():
            policy = services.world.policy(Name(proposal.metadata.namespace, proposal.spec.policy))
            policy = policy if policy and owned_by(proposal, policy) else None
            leaves = policy is None or policy.metadata.deletion_timestamp or connection_key(policy) not in keys
            if leaves or not tended:
                work = self._execute(services, _way_to(services, keys, proposal, policy), proposal, policy)
                self._errands.begin(services, policy, proposal.metadata.uid, work)

    # a new one

    def _is_missing(self, turn: Turn) -> bool:
        """Whether a proposal should be made, as far as can be told without asking the broker."""
        increase = turn.decision.increase
        if increase is None or not proposes(turn.policy, increase):
            return False
        return self._way_is_free(turn, increase, cluster_of(turn.services.world, turn.client.key))

    @staticmethod
    def _way_is_free(turn: Turn, increase: Increase, cluster: str) -> bool:
        """Neither an open proposal of the topic, whatever its policy, nor one that was turned down not long ago."""
        world = turn.services.world
        own = (p for p in world.proposals.of_policy(name_of(turn.policy)) if p.spec.topic == increase.topic)
        filed = (*own, *world.proposals.of_topic(TopicKey(cluster, increase.topic)))
        topic_id, now = turn.topic_id(increase.topic), turn.services.clock()
        return stands_in_the_way(increase, topic_id, filed, now) is None

    async def _make(self, turn: Turn) -> None:
        """Look at the cluster, and propose."""
        increase, uid = turn.decision.increase, turn.policy.metadata.uid
        assert increase is not None
        self._errands.postpone(uid, turn.services.clock() + AGAIN_AFTER)
        async with self._asking[turn.client.key]:
            question = Question(turn.policy, turn.decision, increase.topic, increase.to)
            look = await inquire(self._client(turn), question, None)
            topic = _topic(turn, look, increase)
            if topic is None or not self._way_is_free(turn, increase, topic.cluster):
                return
            proposal = await self._create(turn, increase, topic, look)
            if proposal is None:
                return
            self._looks[proposal.metadata.uid] = look._replace(generation=proposal.metadata.generation)
            case = self._case(turn, proposal)
            await self._tell(turn.services, proposal, told(case, Step(Act.WAIT)))

    async def _create(self, turn: Turn, increase: Increase, topic: Topic, look: Look) -> PartitionProposal | None:
        """None: it may not be made any more, or somebody else has just made it."""
        services, policy = turn.services, turn.policy
        now_there = services.world.policy(name_of(policy))
        if now_there is None or now_there.spec != policy.spec or not services.may_act():
            return None
        before = services.world.proposals.of_policy(name_of(policy))
        name = proposal_name(policy, topic, increase, before[-1].metadata.uid if before else "")
        owners = owners_of(services.world, turn.client.key, topic.cluster)
        method = _method(turn, look)
        spec = proposal_spec(policy, increase, turn.decision.backlog, topic, owners, method, services.clock())
        body = await create_proposal(services.api, policy, name, spec)
        if body is None:
            return None
        proposal = _take_in(services, body)
        if proposal is not None:
            logger.info("%s proposed: %s", name_of(proposal), increase.message)
            services.recorder.tell(*proposed(policy, proposal))
        return proposal

    async def _tidy(self, turn: Turn, old: Iterable[PartitionProposal]) -> None:
        """Take away old ones."""
        for proposal in old:
            if turn.services.may_act():
                await delete_proposal(turn.services.api, proposal)


def _way_to(
    services: Services, keys: Collection[ConnectionKey], proposal: PartitionProposal, policy: LagPolicy | None
) -> ConnectionKey:
    """A connection to the proposal's Kafka cluster: its policy's, else another; else one that leads nowhere."""
    if policy and connection_key(policy) in keys:
        return connection_key(policy)
    cluster, namespace = proposal.spec.evidence.cluster, proposal.metadata.namespace
    same = [key for key in keys if cluster and cluster_of(services.world, key) == cluster]
    nowhere = ConnectionKey(ConnectionKind.BROKER_CONNECTION, name_of(proposal))
    return min(same, key=lambda key: (key.name.namespace != namespace, str(key)), default=nowhere)


def _take_in(services: Services, body: Mapping[str, Any]) -> PartitionProposal | None:
    """See what the API server answered as if the watch had shown it."""
    seen = sighting(PROPOSALS, "MODIFIED", body)
    services.world.tell(seen)
    return seen.value if isinstance(seen.value, PartitionProposal) else None


def _topic(turn: Turn, look: Look, increase: Increase) -> Topic | None:
    """What is known of the topic; None where it is not what was read, or nobody answered.

    Without the right to look at it a proposal is still good advice.
    """
    facts, read = look.facts, turn.topic_id(increase.topic)
    if isinstance(facts, ReadingError):
        cluster = cluster_of(turn.services.world, turn.client.key)
        return Topic(cluster, read) if facts.reason is Reason.FORBIDDEN else None
    if len(facts.partitions) != increase.from_ or read not in ("", facts.id):
        return None
    return Topic(facts.cluster, facts.id, facts.groups)


def _method(turn: Turn, look: Look) -> Method:
    """The one that Tidegate would take; where it may not look, its group is taken to have members."""
    if isinstance(look.facts, TopicFacts):
        return preset_method(look.facts, known_of(turn.client, turn.policy, turn.decision, look.facts))
    latest = turn.policy.spec.source.kafka.offset_reset is OffsetReset.LATEST
    return Method.PAUSED_GROUP if latest else Method.LIVE


def _open_one(turn: Turn, mine: Iterable[PartitionProposal]) -> str | None:
    """The open proposal to show: the policy's own, else one of the topics it reads, with its namespace if elsewhere."""
    own = next((p.metadata.name for p in mine if is_open(p)), None)
    if own or not isinstance(turn.reading, Reading):
        return own
    world = turn.services.world
    cluster = cluster_of(world, turn.client.key)
    filed = (p for topic in turn.reading.topic_ids for p in world.proposals.of_topic(TopicKey(cluster, topic)))
    other = next(filter(is_open, filed), None) if cluster else None
    if other is None:
        return None
    same = other.metadata.namespace == turn.policy.metadata.namespace
    return other.metadata.name if same else str(name_of(other))
