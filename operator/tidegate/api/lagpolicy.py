"""LagPolicy as users write it: the promise, where its records are, and what may be scaled to keep it."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, WrapValidator

from tidegate.api import duration, quantity
from tidegate.api.behavior import Behavior
from tidegate.api.degradation import DegradationSpec
from tidegate.api.duration import Duration
from tidegate.api.lagpolicy_status import LagPolicyStatus
from tidegate.api.model import (
    PAUSED_ANNOTATION,
    Column,
    Model,
    Resource,
    ResourceNames,
    forgetful,
    matches,
    object_name,
    rules,
    text,
)
from tidegate.api.partitions import PartitionsSpec
from tidegate.api.pattern import check_pattern
from tidegate.api.quantity import DeclaredRate


class Mode(StrEnum):
    """What Tidegate does with its decisions."""

    ACTIVE = "Active"
    DRY_RUN = "DryRun"
    PAUSED = "Paused"


class ConnectionKind(StrEnum):
    """Where the connection to the broker is described."""

    BROKER_CONNECTION = "BrokerConnection"
    CLUSTER_BROKER_CONNECTION = "ClusterBrokerConnection"


class OffsetReset(StrEnum):
    """What the consumers do where the group has no commit (Kafka's `auto.offset.reset`)."""

    LATEST = "latest"
    EARLIEST = "earliest"


class Isolation(StrEnum):
    """Which records the consumers see (Kafka's `isolation.level`)."""

    READ_UNCOMMITTED = "read_uncommitted"
    READ_COMMITTED = "read_committed"


class TargetRef(Model):
    """The workload to scale."""

    api_version: Annotated[
        str,
        text(
            "spec.targetRef.apiVersion",
            "group/version, such as apps/v1",
            r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$",
            longest=317,
        ),
    ] = Field(default="apps/v1", description="API version of the workload. Example: argoproj.io/v1alpha1.")
    kind: Annotated[
        str,
        text(
            "spec.targetRef.kind",
            "a kind in CamelCase, such as Deployment or StatefulSet",
            r"^[A-Z][A-Za-z0-9]*$",
            longest=63,
        ),
    ] = Field(
        default="Deployment",
        description="Kind of the workload: Deployment, StatefulSet, or any kind that has a /scale subresource.",
    )
    name: Annotated[str, object_name("spec.targetRef.name", "a workload")] = Field(
        description="Name of the workload, in the namespace of this policy. Example: points-consumer."
    )


class ConnectionRef(Model):
    """The broker connection to read through."""

    kind: ConnectionKind = Field(
        default=ConnectionKind.BROKER_CONNECTION,
        description="BrokerConnection (in the namespace of this policy) or ClusterBrokerConnection.",
    )
    name: Annotated[str, object_name("spec.source.kafka.connectionRef.name", "that object")] = Field(
        description="Name of that object. Example: shop-kafka."
    )


Topic = Annotated[
    str,
    text(
        "each of spec.source.kafka.topics",
        "the name of a topic: letters, digits, '.', '_' and '-' (for a regular expression there is topicPattern)",
        r"^[a-zA-Z0-9._-]+$",
        longest=249,
        also="self != '.' && self != '..'",
    ),
]
"""The name of a Kafka topic, by Kafka's own rule (`org.apache.kafka.common.internals.Topic`)."""


class KafkaSource(Model):
    """The consumer group whose backlog is kept short, and the topics that count."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!(has(self.topics) && has(self.topicPattern))",
                "spec.source.kafka.topics and spec.source.kafka.topicPattern exclude each other: keep one of them",
            )
        )
    )

    connection_ref: ConnectionRef = Field(description="Which broker connection to read through.")
    group: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        description="The consumer group (`group.id`) of the target's consumers. Example: points-service."
    )
    topics: Annotated[tuple[Topic, ...], Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description=(
            "Names of the topics that count. Example: [points.deduct]. Where neither this nor topicPattern is given, "
            "every topic counts that the group has commits for or is assigned."
        ),
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    topic_pattern: Annotated[str, Field(min_length=1, max_length=249), AfterValidator(check_pattern)] | None = Field(
        default=None,
        description=(
            "Regular expression (RE2 syntax) that the whole name of a topic must match to count. Example: points[.].+"
        ),
        json_schema_extra=rules(
            (
                "''.matches(self) in [true, false]",  # fails only by the error of an expression that cannot be read
                "spec.source.kafka.topicPattern must be a regular expression in RE2 syntax, such as points[.].+",
            )
        ),
    )
    offset_reset: OffsetReset = Field(
        default=OffsetReset.LATEST,
        description=(
            "What the consumers do in a partition without a commit (their `auto.offset.reset`). With earliest all its "
            "records are backlog; with latest (the default, as in Kafka) nobody can know: Tidegate waits for a commit."
        ),
    )
    isolation: Isolation = Field(
        default=Isolation.READ_UNCOMMITTED,
        description=(
            "The consumers' `isolation.level`: with `read_committed` only records up to the last stable offset count, "
            "as records of an open transaction cannot be consumed yet. Default read_uncommitted."
        ),
    )


class Source(Model):
    """Where the records wait."""

    kafka: KafkaSource = Field(description="A consumer group of an Apache Kafka cluster.")


class Objective(Model):
    """The promise."""

    max_age: Duration = Field(
        description="Every record is processed within this time of its arrival. From 1s to 24h. Example: 60s.",
        json_schema_extra=rules(
            (
                matches(duration.PATTERN, "duration(self) >= duration('1s') && duration(self) <= duration('24h')"),
                "spec.objective.maxAge must be a duration from 1s to 24h, such as 60s, 5m or 1h30m",
            )
        ),
    )


class Replicas(Model):
    """How many replicas there may be."""

    model_config = ConfigDict(
        json_schema_extra=rules(("self.min <= self.max", "spec.replicas.min must not be above spec.replicas.max"))
    )

    min: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=1,
        description="Never fewer replicas than this. Default 1; 0 scales to zero while there is nothing to do.",
    )
    max: Annotated[int, Field(ge=1, le=10_000)] = Field(description="Never more replicas than this. Example: 32.")


def _up_to_an_hour(field: str) -> dict[str, Any]:
    rule = matches(duration.PATTERN, "duration(self) <= duration('1h')")
    return rules((rule, f"spec.capacity.{field} must be a duration of at most 1h, such as 30s"))


class CapacitySpec(Model):
    """What you know about the consumers. Each value is learned where it is absent."""

    records_per_second: DeclaredRate | None = Field(
        default=None,
        description=(
            "Records a second that one ready replica can process. A whole number, or a decimal number in quotes. "
            'Examples: 120, "0.5". Learned where absent.'
        ),
        json_schema_extra=rules(
            (
                f"type(self) == int ? self > 0 : {matches(quantity.PATTERN, 'double(self) > 0.0')}",
                "spec.capacity.recordsPerSecond must be above 0, and in quotes if not whole: 120 or '0.5'",
            )
        ),
    )
    consumers_per_replica: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1,
        description="Consumers of the group that each replica runs, such as its consumer threads. Default 1.",
    )
    startup: Duration | None = Field(
        default=None,
        description="Time from asking for a replica until it consumes. Example: 30s. Learned where absent.",
        json_schema_extra=_up_to_an_hour("startup"),
    )
    rebalance: Duration | None = Field(
        default=None,
        description="Time the group stops when a consumer joins or leaves. Example: 10s. Learned where absent.",
        json_schema_extra=_up_to_an_hour("rebalance"),
    )


class LagPolicySpec(Model):
    """What you want."""

    target_ref: TargetRef = Field(description="The workload whose replicas are scaled.")
    source: Source = Field(description="Where the records wait that the workload processes.")
    objective: Objective = Field(description="The promise to keep.")
    replicas: Replicas = Field(description="The limits of scaling.")
    capacity: CapacitySpec = Field(default=CapacitySpec(), description="What is known of the consumers; else learned.")
    behavior: Behavior | None = Field(
        default=None,
        description=(
            "How fast the replicas may change, in the shape of an HPA's spec.behavior. What is absent sets no limit: "
            "Tidegate weighs by itself what a change costs. An edit of spec.replicas takes effect at once all the same."
        ),
    )
    partitions: PartitionsSpec = Field(
        default=PartitionsSpec(), description="What may be done where the topic has too few partitions for the need."
    )
    degradation: DegradationSpec | None = Field(
        default=None,
        description=(
            "Features that may be switched off while neither replicas nor partitions can keep the promise. They come "
            "back, exactly as they were, as soon as it is safe. Absent: none."
        ),
    )
    mode: Mode = Field(
        default=Mode.ACTIVE,
        description=(
            "Active (the default) scales; DryRun measures, decides and says what it would do; Paused only measures. "
            f'In an incident, the annotation {PAUSED_ANNOTATION}: "true" pauses, whatever this says.'
        ),
    )


class LagPolicy(Resource):
    """A promise that every record is processed within `maxAge` of its arrival, kept by scaling the consumers."""

    names: ClassVar[ResourceNames] = ResourceNames(
        plural="lagpolicies",
        short="lagp",
        namespaced=True,
        columns=(
            Column("Target", ".spec.targetRef.name", "The workload that is scaled."),
            Column("Lag", ".status.backlog.lag", "Records that wait.", type="integer"),
            Column("Behind", ".status.backlog.age", "How old the oldest waiting record is."),
            Column("In/s", ".status.backlog.arrivalRate", "Records that arrive each second."),
            Column("Out/s", ".status.backlog.serviceRate", "Records that are processed each second."),
            Column("Replicas", ".status.replicas.current", "Replicas the workload asks for now.", type="integer"),
            Column("Desired", ".status.replicas.desired", "Replicas it should have.", type="integer"),
            Column("Level", ".status.degradation.level", "Features switched off: the ladder's level.", type="integer"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether Tidegate does its job here."),
            Column(
                "Reason", ".status.lastDecision.reason", "Why, in one word; the sentence is in status.lastDecision."
            ),
            Column("Kind", ".spec.targetRef.kind", "Kind of the workload.", wide=True),
            Column("Group", ".spec.source.kafka.group", "The consumer group.", wide=True),
            Column("Max-Age", ".spec.objective.maxAge", "The promise.", wide=True),
            Column("Mode", ".spec.mode", "Active, DryRun or Paused.", wide=True),
        ),
    )

    kind: str = "LagPolicy"
    spec: LagPolicySpec = Field(description="What you want: the promise, the records, the workload and its limits.")
    status: Annotated[LagPolicyStatus, WrapValidator(forgetful)] = Field(
        default=LagPolicyStatus(), description="What Tidegate sees and does."
    )

    @property
    def mode(self) -> Mode:
        """The mode in force: the annotation pauses (any value but "false"), else it is `spec.mode`."""
        paused = self.metadata.annotations.get(PAUSED_ANNOTATION, "false")
        return self.spec.mode if paused == "false" else Mode.PAUSED
