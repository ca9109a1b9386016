"""What a partition increase can break, and the two ways to carry it out."""

from enum import StrEnum

from pydantic import Field

from tidegate.api.model import Message, Model, Word


class Method(StrEnum):
    """How an increase is carried out."""

    LIVE = "Live"
    PAUSED_GROUP = "PausedGroup"


class HazardName(StrEnum):
    """What a partition increase can break. docs/partitions.md has a section for each."""

    KEY_ORDERING = "KeyOrdering"
    OFFSET_RESET_LATEST = "OffsetResetLatest"
    COMPACTED = "Compacted"
    STREAMS = "Streams"
    STATIC_ASSIGNMENT = "StaticAssignment"
    REPLICATION_BELOW_TWO = "ReplicationBelowTwo"
    MIN_ISR_BELOW_TWO = "MinIsrBelowTwo"
    UNCLEAN_LEADER_ELECTION = "UncleanLeaderElection"
    UNDER_REPLICATED = "UnderReplicated"
    CLUSTER_PARTITION_LIMIT = "ClusterPartitionLimit"


class Hazard(Model):
    """Something that the increase can break, as found in the real cluster."""

    name: Word = Field(description="One CamelCase word, such as KeyOrdering; docs/partitions.md explains each.")
    blocking: bool = Field(description="Whether an approval must acknowledge it.")
    method: Method | None = Field(default=None, description="The only method that it concerns; absent: either.")
    message: Message = Field(description="What was found, what it breaks, and what to do about it.")
