"""Why Tidegate did what it did: one CamelCase word each, the same in conditions, Events, history and metric labels."""

from enum import StrEnum


class Reason(StrEnum):
    """The reason of a decision or a condition."""

    # scaling
    SURGE = "Surge"  # the need rose above what is there
    DRAINED = "Drained"  # the backlog is gone and fewer replicas carry the arrivals
    ON_TIME = "OnTime"  # what is there keeps the promise
    DRAINING = "Draining"  # late or nearly so, but the ready replicas already catch up in time
    STARTING = "Starting"  # replicas asked for are on their way
    # holds
    PAUSED = "Paused"
    DRY_RUN = "DryRun"
    WARMING_UP = "WarmingUp"  # too few readings to know a rate
    READING_FAILED = "ReadingFailed"
    READING_STALE = "ReadingStale"
    UNKNOWN_BACKLOG = "UnknownBacklog"  # no commits yet and offsetReset=latest: nobody can know the lag
    OFFSETS_RESET = "OffsetsReset"  # a topic was recreated or a commit moved backwards
    REBALANCING = "Rebalancing"
    CONSUMERS_DOWN = "ConsumersDown"  # replicas are ready but the group has no members
    TRANSACTION_STALLED = "TransactionStalled"  # an open transaction pins the last stable offset
    NOT_EFFECTIVE = "NotEffective"  # more replicas were tried and did not help
    PODS_NOT_STARTING = "PodsNotStarting"
    # who else writes, what is missing
    TARGET_NOT_FOUND = "TargetNotFound"
    TARGET_NOT_SCALABLE = "TargetNotScalable"
    TARGET_MANAGED_BY_HPA = "TargetManagedByHPA"
    TARGET_MANAGED_BY_KEDA = "TargetManagedByKEDA"
    TARGET_ALREADY_MANAGED = "TargetAlreadyManaged"  # an older LagPolicy has it
    REPLICAS_CONTENDED = "ReplicasContended"
    FORBIDDEN = "Forbidden"
    INTERNAL_ERROR = "InternalError"  # a fault of Tidegate itself
    SCALE_FAILED = "ScaleFailed"  # the API server did not answer, or refused for a reason of its own
    CONNECTION_NOT_FOUND = "ConnectionNotFound"
    CONNECTION_FAILED = "ConnectionFailed"
    CLUSTER_CHANGED = "ClusterChanged"  # the addresses of a connection lead to another cluster than before
    SECRET_NOT_FOUND = "SecretNotFound"  # a Secret of the connection, or its key, is missing
    # limits
    MIN_REPLICAS = "MinReplicas"
    MAX_REPLICAS = "MaxReplicas"
    PARTITIONS = "Partitions"
    REPARTITIONING = "Repartitioning"  # a partition increase is under way: nothing else scales the target
    BEHAVIOR = "Behavior"  # spec.behavior allows a smaller change, or none yet
    # states of conditions
    READY = "Ready"
    CONNECTED = "Connected"
    OBSERVED = "Observed"
    WITHIN_LIMITS = "WithinLimits"
    PROMISE_KEPT = "PromiseKept"
    PROMISE_BROKEN = "PromiseBroken"
    PROMISE_AT_RISK = "PromiseAtRisk"
    RETENTION_NEAR = "RetentionNear"
    DATA_LOST = "DataLost"  # retention deleted records the group had not read
    PENDING = "Pending"
    # partition proposals
    PARTITIONS_PROPOSED = "PartitionsProposed"
    AWAITING_DECISION = "AwaitingDecision"
    WOULD_SUCCEED = "WouldSucceed"  # the broker's own dry run
    REFUSED_BY_BROKER = "RefusedByBroker"
    HAZARD_BLOCKS = "HazardBlocks"  # one that nobody acknowledged
    APPROVED = "Approved"
    APPROVED_BY_POLICY = "ApprovedByPolicy"  # spec.partitions.mode: Apply
    REJECTED = "Rejected"
    EXECUTING = "Executing"
    APPLIED = "Applied"
    FAILED = "Failed"
    EXPIRED = "Expired"
    SUPERSEDED = "Superseded"  # the topic, the policy or the need is not what it was made for
    # the degradation ladder: steps, each with its cause
    SCALING_EXHAUSTED = "ScalingExhausted"  # a level up: all replicas that may run do run
    SCALING_INEFFECTIVE = "ScalingIneffective"  # a level up: more replicas do not start, or do no more work
    SCALING_TOO_LATE = "ScalingTooLate"  # a level up: the replicas on their way come when records are late
    RESTORING = "Restoring"  # a level down: it is dispensable, and what comes back is watched
    FORCED = "Forced"  # a person holds the ladder at a level, by the annotation
    FORCE_ENDED = "ForceEnded"  # that is over
    LADDER_CHANGED = "LadderChanged"  # down to 0: the policy is deleted, or its ladder is not the one that was used
    # the degradation ladder: where it stays
    FEATURES_ON = "FeaturesOn"  # level 0
    SETTLING = "Settling"  # the last step does not show yet
    NOT_YET_DISPENSABLE = "NotYetDispensable"  # the promise needs the level, or has not been safe for long enough
    HIGHEST_LEVEL = "HighestLevel"  # the promise still breaks, and there is no further level
    FLAPPING = "Flapping"  # too many restores did not hold: no more for a while
    DEGRADED_TOO_LONG = "DegradedTooLong"  # longer than spec.degradation.maxDuration
    # the degradation ladder: its flags
    FLAGS_NOT_FOUND = "FlagsNotFound"
    FLAGS_INVALID = "FlagsInvalid"  # not a flagd document, or a level names what is not in it or would have no effect
    FLAGS_CONFLICT = "FlagsConflict"  # an older LagPolicy switches the same flag
    FLAGS_NOT_READ = "FlagsNotRead"  # the API server did not answer
    FLAGS_NOT_WRITTEN = "FlagsNotWritten"  # the API server did not answer, or refused for a reason of its own
    SINK_UNAVAILABLE = "SinkUnavailable"  # FeatureFlags are not installed in the cluster
    INVALID_FORCE_LEVEL = "InvalidForceLevel"  # the annotation cannot be read: it is ignored
    CHANGED_BY_OTHERS = "ChangedByOthers"  # a flag of the ladder: it is left as it is
    AS_WRITTEN = "AsWritten"  # all flags of the ladder are as it left them
