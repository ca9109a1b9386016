"""PartitionProposal: a partition increase with all that a person needs to decide it, and what became of it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, WrapValidator

from tidegate.api.deciding import CHECKS, FINAL, SPEC_CHECKS, fixed
from tidegate.api.duration import Duration
from tidegate.api.hazard import Hazard, HazardName, Method
from tidegate.api.lagpolicy import OffsetReset, TargetRef
from tidegate.api.model import Column, Condition, Count, Message, Model, Resource, ResourceNames, Rule, Word, forgetful
from tidegate.api.quantity import Rate


class Choice(StrEnum):
    """What a person said."""

    PENDING = "Pending"
    APPROVE = "Approve"
    REJECT = "Reject"


Figure = Annotated[int, Field(ge=0, le=2**53)]
"""A count in a spec, where every number has bounds."""

Name = Annotated[str, Field(min_length=1, max_length=255)]


class AffectedGroup(Model):
    """A consumer group that reads the topic: each is affected by an increase."""

    name: Name = Field(description="The group (`group.id`).")
    policy: Name | None = Field(
        default=None, description="The LagPolicy of it as namespace/name; absent where Tidegate has none."
    )
    type: Word = Field(description="Classic, Consumer (KIP-848), Share or Streams.")
    members: Figure = Field(description="Its members when this was made.")
    offset_reset: OffsetReset | None = Field(
        default=None, description="What its consumers do without a commit, as its policy says; absent where not known."
    )


class Evidence(Model):
    """The figures that the proposal was made from."""

    time: datetime = Field(description="When they were taken.")
    cluster: Annotated[str, Field(max_length=255)] = Field(description="The id of the Kafka cluster.")
    topic_id: Annotated[str, Field(max_length=64)] = Field(
        description="The id of the topic: one that is deleted and made anew is another."
    )
    group: Name = Field(description="The consumer group that needs more partitions.")
    groups: Annotated[tuple[AffectedGroup, ...], Field(max_length=100)] = Field(
        default=(), description="All groups found on the topic. Each is affected."
    )
    lag: Figure | None = Field(default=None, description="Records that waited for that group.")
    age: Duration | None = Field(default=None, description="How old the oldest of them was.")
    arrival_rate: Rate = Field(
        description="Records a second: the rate that was reached or exceeded in a twentieth of the time looked back on."
    )
    looked_back: Duration = Field(description="The time looked back on. Example: 4h.")
    per_replica: Rate = Field(description="Records a second that one replica can process.")
    bound_for: Duration = Field(description="For how long the need had been above the ceiling.")
    need: Figure = Field(description="Replicas that this rate asks for, with head room.")
    ceiling: Figure = Field(description="The most replicas that can own a partition, before.")
    ceiling_after: Figure = Field(description="The same after the increase.")
    pause: Duration = Field(
        description="How long the group is predicted to stop with method PausedGroup, until it consumes again."
    )
    message: Message = Field(description="The why in a sentence.")


class PartitionProposalSpec(Model):
    """What is proposed, why, and what a person decided. All but the decision is immutable."""

    model_config = ConfigDict(json_schema_extra=SPEC_CHECKS)

    policy: Name = Field(
        description="The LagPolicy it was made for, in the same namespace.", json_schema_extra=fixed("spec.policy")
    )
    topic: Annotated[str, Field(min_length=1, max_length=249)] = Field(
        description="The topic to enlarge.", json_schema_extra=fixed("spec.topic")
    )
    from_: Annotated[int, Field(ge=1, le=100_000)] = Field(
        alias="from", description="Its partitions now.", json_schema_extra=fixed("spec.from")
    )
    to: Annotated[int, Field(ge=2, le=100_000)] = Field(
        description="Its partitions after.", json_schema_extra=fixed("spec.to")
    )
    evidence: Evidence = Field(description="The figures it was made from.", json_schema_extra=fixed("spec.evidence"))
    expires: datetime = Field(
        description="When it is closed if nobody has decided.", json_schema_extra=fixed("spec.expires")
    )
    method: Method = Field(
        default=Method.LIVE,
        description=(
            "Live: the group goes on while the topic grows. PausedGroup: the target is scaled to zero, the topic "
            "grows, offset 0 is committed for the new partitions, the target is scaled back; evidence.pause says how "
            "long it takes. Tidegate sets the one it would take; whoever decides may choose the other."
        ),
    )
    decision: Choice = Field(
        default=Choice.PENDING,
        description=(
            "Pending, Approve or Reject: yours, if you have the right to (the verb approve on partitionproposals). "
            "Final once made."
        ),
        json_schema_extra=FINAL,
    )
    acknowledge: Annotated[tuple[HazardName, ...], Field(max_length=20)] = Field(
        default=(),
        description=(
            "Names of blocking hazards that are accepted: an approval must name each that status.unacknowledged has. "
            "Example: [KeyOrdering]. More can be added after it, if more is found."
        ),
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class ExecutionStep(StrEnum):
    """How far an increase has got. Each step can be repeated after a crash."""

    STARTED = "Started"
    PAUSED = "Paused"  # the target was asked for zero replicas
    INCREASED = "Increased"  # the topic has its new partitions
    RESUMED = "Resumed"  # the target was asked for its replicas again
    DONE = "Done"


class Execution(Model):
    """The increase under way, with all that another process needs to finish it."""

    step: Word = Field(description="Started, Paused, Increased, Resumed or Done.")
    since: datetime = Field(description="When the execution began.")
    step_since: datetime | None = Field(default=None, description="When it got to this step.")
    target_ref: TargetRef | None = Field(default=None, description="The workload that is paused.")
    replicas: Count | None = Field(default=None, description="Its replicas before.")
    pause: Duration | None = Field(default=None, description="How long the group stopped, as measured.")
    message: Message | None = Field(default=None, description="What was found while it went on.")


class PartitionProposalStatus(Model):
    """What Tidegate found and did."""

    observed_generation: Count = Field(
        default=0, description="The metadata.generation that this status was computed from."
    )
    hazards: Annotated[tuple[Hazard, ...], Field(max_length=20)] = Field(
        default=(),
        description="What the increase can break. One that blocks must be acknowledged by name in spec.acknowledge.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    unacknowledged: Annotated[tuple[Word, ...], Field(max_length=20)] = Field(
        default=(),
        description="Names of those that block spec.method and that spec.acknowledge does not have.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    state: Word | None = Field(
        default=None,
        description=(
            "What has become of it, in one word: the reason of the condition that says most, such as AwaitingDecision, "
            "Executing, Applied or Expired."
        ),
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = Field(
        default=(),
        description=(
            "Validated (the broker would carry it out), Approved, Applied (the topic has the partitions and the group "
            "owns them), Failed (in the broker's words), Expired (its time is over, or another took its place)."
        ),
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    execution: Execution | None = Field(default=None, description="The increase under way, or as it was.")


class PartitionProposal(Resource):
    """A partition increase that waits for a person, and its story."""

    names: ClassVar[ResourceNames] = ResourceNames(
        plural="partitionproposals",
        short="pprop",
        namespaced=True,
        columns=(
            Column("Topic", ".spec.topic", "The topic to enlarge."),
            Column("From", ".spec.from", "Its partitions now.", type="integer"),
            Column("To", ".spec.to", "Its partitions after.", type="integer"),
            Column("Method", ".spec.method", "Live or PausedGroup."),
            Column("Decision", ".spec.decision", "What a person said."),
            Column("State", ".status.state", "What has become of it."),
            Column(
                "Unacknowledged", ".status.unacknowledged", "Hazards that an approval must name in spec.acknowledge."
            ),
            Column("Expires", ".spec.expires", "When it is closed if nobody decides.", wide=True),
            Column("Policy", ".spec.policy", "The LagPolicy it was made for.", wide=True),
        ),
    )

    checks: ClassVar[tuple[Rule, ...]] = CHECKS

    kind: str = "PartitionProposal"
    spec: PartitionProposalSpec = Field(description="What is proposed, why, and what a person decided.")
    status: Annotated[PartitionProposalStatus, WrapValidator(forgetful)] = Field(
        default=PartitionProposalStatus(), description="What Tidegate found and did."
    )
