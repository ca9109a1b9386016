"""What an inspection of the real cluster found about one topic, before it is enlarged. Nothing here is derived."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.engine.observation import GroupState


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """Where one partition lives: broker ids. `leader` is None where it has none now."""

    leader: int | None
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group that reads the topic: it has commits there, or members that are subscribed or assigned to it.

    `type` is Classic, Consumer (KIP-848), Share or Streams. `protocol` is the protocol type of a classic group, empty
    for one whose consumers assign partitions to themselves. `assignor` as the group tells it, such as range,
    cooperative-sticky, stream (Kafka Streams) or uniform. `static` members have a `group.instance.id`. `owned` are the
    topic's partitions that members have now; `commits` the group's commits in the topic, by partition.
    """

    name: str
    type: str
    state: GroupState
    protocol: str = ""
    assignor: str = ""
    members: int = 0
    static: int = 0
    owned: frozenset[int] = frozenset()
    commits: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """One topic as of `at` (epoch seconds). `load` has the replicas that each broker holds, of all topics.

    `min_in_sync` and `unclean` are None where the topic's configs may not be read.
    """

    at: float
    cluster: str
    topic: str
    id: str
    partitions: tuple[PartitionFacts, ...]
    load: Mapping[int, int]
    groups: tuple[GroupFacts, ...] = ()
    compacted: bool = False
    min_in_sync: int | None = None
    unclean: bool | None = None
