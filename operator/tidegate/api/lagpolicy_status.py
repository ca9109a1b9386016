"""LagPolicy's status: what Tidegate measured, decided and learned, for `kubectl get` and whoever is on call.

Absent means unknown, never zero.
"""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from tidegate.api.degradation import DegradationStatus
from tidegate.api.duration import Duration
from tidegate.api.model import Condition, Count, Message, Model, Word
from tidegate.api.quantity import Rate


class BacklogStatus(Model):
    """The work that waits."""

    lag: Count | None = Field(default=None, description="Records that wait to be processed.")
    age: Duration | None = Field(default=None, description="How old the oldest waiting record is. Example: 42s.")
    arrival_rate: Rate | None = Field(default=None, description='Records that arrive each second. Example: "118".')
    service_rate: Rate | None = Field(
        default=None, description='Records that are processed each second. Example: "96.5".'
    )
    drain_time: Duration | None = Field(
        default=None,
        description="Time until the backlog is gone at these rates; absent while it grows. Example: 3m10s.",
    )
    retention_margin: Duration | None = Field(
        default=None,
        description="Time until retention deletes records that are still waiting; absent if no topic deletes by time.",
    )


class CapacityStatus(Model):
    """What one replica can do and what changing their number costs."""

    per_replica: Rate | None = Field(default=None, description="Records a second that one ready replica can process.")
    basis: Word | None = Field(
        default=None, description="Where that comes from: Learned, Declared (spec.capacity) or Unknown."
    )
    startup: Duration | None = Field(default=None, description="Time from asking for a replica until it consumes.")
    rebalance: Duration | None = Field(
        default=None, description="Time the group stops when a consumer joins or leaves."
    )


class ReplicasStatus(Model):
    """The replicas there are and those wanted."""

    current: Count | None = Field(default=None, description="Replicas the target asks for now.")
    ready: Count | None = Field(default=None, description="Replicas that are ready.")
    need: Count | None = Field(default=None, description="Replicas the promise asks for, before limits.")
    desired: Count | None = Field(default=None, description="Replicas it should have, after limits.")
    limited_by: Word | None = Field(
        default=None,
        description=(
            "The limit that made `desired` differ from `need`: MinReplicas, MaxReplicas, Partitions or Behavior."
        ),
    )
    copes_with_jump: Rate | None = Field(
        default=None,
        description=(
            "How many times the present arrivals may come all at once with every record still in time, given the "
            'replicas there are and the most there may be. Example: "2.4"; below 1, what arrives now is too much.'
        ),
    )


class HotPartition(Model):
    """A partition that gets more than one consumer can do: neither replicas nor more partitions help it."""

    topic: Annotated[str, Field(max_length=249)] = Field(description="The topic.")
    partition: Count = Field(description="The number of the partition.")
    arrival_rate: Rate = Field(description="Records a second that arrive there.")
    per_consumer: Rate | None = Field(default=None, description="Records a second that its one consumer can do.")
    lag: Count | None = Field(default=None, description="Records that wait there.")
    message: Message = Field(description="What that means, and how large the share of a single key would have to be.")


class PartitionsStatus(Model):
    """The partitions, which bound the useful replicas."""

    count: Count | None = Field(default=None, description="Partitions of the topics that count.")
    ceiling: Count | None = Field(default=None, description="The most replicas that can own a partition.")
    proposal: Annotated[str, Field(max_length=253)] | None = Field(
        default=None,
        description=(
            "The PartitionProposal that is open for one of the topics; namespace/name where another policy's namespace "
            "has it."
        ),
    )
    hot: Annotated[tuple[HotPartition, ...], Field(max_length=5)] = Field(
        default=(),
        description="The hottest partitions that get more than one consumer can do.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class DecisionStatus(Model):
    """The last decision."""

    time: datetime = Field(description="When it was taken first; a decision that only repeats itself keeps its time.")
    reason: Word = Field(description="Why, in one CamelCase word.")
    message: Message = Field(description="Why, in a sentence with the numbers.")


class ScaleChange(Model):
    """One change of the replicas that Tidegate made."""

    time: datetime = Field(description="When.")
    from_: Count = Field(alias="from", description="Replicas before.")
    to: Count = Field(description="Replicas after.")
    reason: Word = Field(description="Why, in one CamelCase word.")
    message: Message = Field(description="Why, in a sentence with the numbers.")


class LagPolicyStatus(Model):
    """What Tidegate sees and does."""

    observed_generation: Count = Field(
        default=0, description="The metadata.generation that this status was computed from."
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = Field(
        default=(),
        description=(
            "Ready (Tidegate does its job here), Observing (readings are fresh and whole), ScalingLimited (a limit of "
            "this policy keeps the replicas from the need), PartitionBound (too few partitions for the need), AtRisk "
            "(the promise is broken or about to be, or retention deletes waiting records), and with spec.degradation "
            "Degraded (features are off) and FlagDrift (somebody else changed a flag of the ladder meanwhile)."
        ),
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    backlog: BacklogStatus = Field(default=BacklogStatus(), description="The work that waits.")
    capacity: CapacityStatus = Field(default=CapacityStatus(), description="What one replica can do.")
    replicas: ReplicasStatus = Field(default=ReplicasStatus(), description="The replicas there are and those wanted.")
    partitions: PartitionsStatus = Field(
        default=PartitionsStatus(), description="The partitions that bound the replicas."
    )
    degradation: DegradationStatus | None = Field(
        default=None, description="Where the degradation ladder stands; absent without spec.degradation."
    )
    last_decision: DecisionStatus | None = Field(default=None, description="The last decision and why.")
    history: Annotated[tuple[ScaleChange, ...], Field(max_length=20)] = Field(
        default=(),
        description="The last 20 changes of the replicas, the newest last.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    memory: Annotated[str, Field(max_length=4096)] | None = Field(
        default=None,
        description="What the engine learned, so that a restart goes on where it stopped. Not an interface.",
    )
