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
