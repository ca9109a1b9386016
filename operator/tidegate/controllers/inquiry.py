"""What the real cluster says about an increase: the topic and its groups, the broker's dry run, and the hazards."""

from typing import NamedTuple

from tidegate.api import LagPolicy, Method, OffsetReset, Reason
from tidegate.cluster.proposals import Owner
from tidegate.controllers.connections import Client
from tidegate.controllers.proposing import APART, Look
from tidegate.controllers.world import ConnectionKey, World, connection_key, name_of
from tidegate.engine.decision import Decision
from tidegate.engine.facts import TopicFacts
from tidegate.engine.hazards import Known, find_hazards
from tidegate.engine.observation import Objection, ReadingError


class Question(NamedTuple):
    """Whether a topic can be enlarged to `to` partitions for a policy, by this method (None: not chosen yet)."""

    policy: LagPolicy
    decision: Decision
    topic: str
    to: int
    method: Method | None = None
    generation: int = 0

    @property
    def starts(self) -> tuple[str, ...]:
        """The group that offset 0 would be committed for: its right to that is looked at, too."""
        kafka = self.policy.spec.source.kafka
        wanted = self.method is Method.PAUSED_GROUP or kafka.offset_reset is OffsetReset.LATEST
        return (kafka.group,) if wanted else ()


async def inquire(client: Client, question: Question, before: Look | None) -> Look:
    """Look at the topic and ask the broker whether it would enlarge it; `before` is the last look. Never raises."""
    topic, to, starts = question.topic, question.to, question.starts
    facts = await client.inspect(topic)
    earlier = _earlier(before, client.services.clock())
    if isinstance(facts, ReadingError):
        hazards = before.hazards if before else ()
        return Look(client.services.clock(), question.generation, facts, hazards=hazards, earlier=earlier)
    refusal: Objection | None = None
    if to > len(facts.partitions):
        refusal = await client.act(lambda actor: actor.validate_increase(topic, to, starts))
    refused = refusal if refusal and refusal.reason is Reason.REFUSED_BY_BROKER else None
    hazards = find_hazards(facts, earlier, to, known_of(client, question.policy, question.decision, facts), refused)
    return Look(client.services.clock(), question.generation, facts, refusal, hazards, earlier)


def _earlier(before: Look | None, now: float) -> TopicFacts | None:
    """What to compare with: far enough back that commits have had time to move."""
    if before is None:
        return None
    return before.facts if isinstance(before.facts, TopicFacts) and now - before.at >= APART else before.earlier


def known_of(client: Client, policy: LagPolicy, decision: Decision, facts: TopicFacts) -> Known:
    """What policies tell of the topic."""
    return Known(
        group=policy.spec.source.kafka.group,
        keyed=policy.spec.partitions.keyed,
        resets=resets_of(client.services.world, client.key, facts.cluster),
        uneven=any(hot.topic == facts.topic for hot in decision.hot),
    )


def cluster_of(world: World, key: ConnectionKey) -> str:
    """The id of the Kafka cluster behind a connection, as last seen; "" where none was."""
    connection = world.connection(key)
    return (connection.status.cluster_id if connection else None) or ""


def owners_of(world: World, key: ConnectionKey, cluster: str) -> dict[str, Owner]:
    """The policies of all groups of a Kafka cluster; of several for one group, one that says `latest`."""
    found: dict[str, Owner] = {}
    for policy in world.policies():
        there = connection_key(policy)
        if there != key and not (cluster and cluster_of(world, there) == cluster):
            continue
        kafka = policy.spec.source.kafka
        if kafka.group not in found or kafka.offset_reset is OffsetReset.LATEST:
            found[kafka.group] = Owner(str(name_of(policy)), kafka.offset_reset)
    return found


def resets_of(world: World, key: ConnectionKey, cluster: str) -> dict[str, OffsetReset]:
    """What consumers do without a commit, by group, where a policy tells."""
    return {group: owner.offset_reset for group, owner in owners_of(world, key, cluster).items()}
