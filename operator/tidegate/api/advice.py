"""What each reason means and what to do, in Markdown: for docs/reasons.md and `kubectl tidegate explain`."""

from typing import NamedTuple

from tidegate.api.reasons import Reason


class Advice(NamedTuple):
    """What a reason means, and what a person does about it."""

    meaning: str
    to_do: str


ADVICE: dict[str, Advice] = {
    Reason.ON_TIME: Advice(
        "the replicas there are keep the promise",
        "nothing",
    ),
    Reason.SURGE: Advice(
        "the arrivals or the backlog need more replicas; they were asked for",
        "nothing",
    ),
    Reason.STARTING: Advice(
        "replicas asked for are on their way; asking again would only cost a rebalance",
        "nothing; if it lasts, see `PodsNotStarting`",
    ),
    Reason.DRAINING: Advice(
        "there is a backlog, and the ready replicas bring it back in time, or as soon as anything could",
        "nothing; with `AtRisk=True` look at `limitedBy`",
    ),
    Reason.DRAINED: Advice(
        "the backlog is gone and fewer replicas carried the recent peak",
        "nothing",
    ),
    Reason.DRY_RUN: Advice(
        "`spec.mode: DryRun`: the sentence says what would be done, also beside an HPA, KEDA or another policy on "
        "the target",
        "set `mode: Active` when you agree with it",
    ),
    Reason.PAUSED: Advice(
        "a person paused it, by `spec.mode` or the annotation `tidegate.dev/paused`",
        "resume when you are done",
    ),
    Reason.PENDING: Advice(
        "this policy has not been looked at yet",
        "wait for one cycle (5 s)",
    ),
    Reason.WARMING_UP: Advice(
        "too few readings since the start to know a rate",
        "wait for three cycles",
    ),
    Reason.REBALANCING: Advice(
        "the group is changing, its numbers move; after a while it scales out all the same, but not in",
        "if it never settles, look at the consumers' logs: `max.poll.interval.ms` exceeded, crash loops, deploys",
    ),
    Reason.READING_FAILED: Advice(
        "this group could not be read whole; the sentence has the broker's words",
        "see the sentence: a missing topic, a broker that is down",
    ),
    Reason.READING_STALE: Advice(
        "the last good reading is too old to act on",
        "look at the operator's log and at the broker's load",
    ),
    Reason.UNKNOWN_BACKLOG: Advice(
        "no partition has a commit and the consumers start at the latest record, so nobody can know the lag",
        "nothing, if the consumers are new; set `offsetReset: earliest` if that is what they do",
    ),
    Reason.OFFSETS_RESET: Advice(
        "a topic was recreated or cut, or commits moved backwards; waiting for a new history",
        "nothing, if somebody meant it",
    ),
    Reason.CONSUMERS_DOWN: Advice(
        "replicas are ready but the group has no member: more of them would not help",
        "consumers' logs; is `spec.source.kafka.group` their `group.id`?",
    ),
    Reason.TRANSACTION_STALLED: Advice(
        "an open transaction pins the last stable offset; `read_committed` consumers cannot pass it, however many "
        "there are",
        "find the producer that left it open: `kafka-transactions.sh find-hanging`",
    ),
    Reason.NOT_EFFECTIVE: Advice(
        "more replicas were tried and did no more work",
        "look at what the consumers wait for: a database, a lock, one hot partition",
    ),
    Reason.PODS_NOT_STARTING: Advice(
        "replicas asked for do not become ready; asking for more would not help",
        "`kubectl describe` the pods: unschedulable, image, crash loop, quota",
    ),
    Reason.TARGET_NOT_FOUND: Advice(
        "`spec.targetRef` names nothing in this namespace",
        "create it or mend the reference; it goes on by itself",
    ),
    Reason.TARGET_NOT_SCALABLE: Advice(
        "that kind has no `/scale`",
        "name a Deployment, a StatefulSet, or a kind with the scale subresource",
    ),
    Reason.TARGET_MANAGED_BY_HPA: Advice(
        "a HorizontalPodAutoscaler scales it; two autoscalers fight",
        "delete the one you do not want",
    ),
    Reason.TARGET_MANAGED_BY_KEDA: Advice(
        "a ScaledObject scales it",
        "the same",
    ),
    Reason.TARGET_ALREADY_MANAGED: Advice(
        "an older LagPolicy has this target",
        "delete one of them",
    ),
    Reason.REPLICAS_CONTENDED: Advice(
        "somebody else keeps writing `spec.replicas`; Tidegate backs off",
        "leave `replicas` out of what GitOps applies (the sentence names the manager)",
    ),
    Reason.FORBIDDEN: Advice(
        "the operator lacks a right; the sentence names it",
        "grant it; an ACL of the broker or a rule of RBAC",
    ),
    Reason.SCALE_FAILED: Advice(
        "the API server did not answer, or refused for a reason of its own",
        "see the sentence; it is tried again in the next cycle",
    ),
    Reason.INTERNAL_ERROR: Advice(
        "a fault of Tidegate itself; the other policies are not touched by it",
        "look at the operator's log, and report it",
    ),
    Reason.CONNECTION_NOT_FOUND: Advice(
        "`connectionRef` names no BrokerConnection",
        "create it or mend the reference",
    ),
    Reason.CONNECTION_FAILED: Advice(
        "the broker cannot be reached, or refuses the credentials; the sentence has its words",
        "`kubectl describe` the BrokerConnection",
    ),
    Reason.CLUSTER_CHANGED: Advice(
        "the addresses of a connection lead to another cluster than before",
        "if that is meant, nothing; else mend `bootstrapServers`",
    ),
    Reason.SECRET_NOT_FOUND: Advice(
        "a Secret of the connection, or its key, is missing",
        "create it; it is read again by itself",
    ),
    Reason.MIN_REPLICAS: Advice(
        "fewer would do, `spec.replicas.min` forbids it",
        "nothing",
    ),
    Reason.MAX_REPLICAS: Advice(
        "more are needed, `spec.replicas.max` forbids it",
        "raise `max`, if the cluster has room",
    ),
    Reason.PARTITIONS: Advice(
        "more are needed, but each partition has one consumer already (condition `PartitionBound`)",
        "a proposal follows if it lasts ([partitions.md](partitions.md)); or a faster consumer",
    ),
    Reason.REPARTITIONING: Advice(
        "a partition increase is under way, and nothing else scales the target meanwhile",
        "nothing; `kubectl get pprop` shows how far it is",
    ),
    Reason.BEHAVIOR: Advice(
        "`spec.behavior` allows a smaller change, or none yet; the sentence has its arithmetic",
        "nothing if you meant it; with `AtRisk=True` allow larger steps up, or give the promise more time",
    ),
    Reason.WITHIN_LIMITS: Advice(
        "no limit stands between need and desired",
        "nothing",
    ),
    Reason.PARTITIONS_PROPOSED: Advice(
        "the need stays above what the partitions can use: Tidegate proposes more of them",
        "decide the proposal, see [partitions.md](partitions.md)",
    ),
    Reason.AWAITING_DECISION: Advice(
        "nobody has approved or rejected it yet",
        "the same",
    ),
    Reason.WOULD_SUCCEED: Advice(
        "the broker would carry it out (its own dry run)",
        "nothing",
    ),
    Reason.REFUSED_BY_BROKER: Advice(
        "the broker would not; the sentence has its words",
        "a missing ACL, a quota, or a policy of the cluster",
    ),
    Reason.HAZARD_BLOCKS: Advice(
        "a hazard that nobody acknowledged forbids it",
        "mend what it names, or acknowledge it in `spec.acknowledge`",
    ),
    Reason.APPROVED: Advice(
        "a person approved it",
        "nothing",
    ),
    Reason.APPROVED_BY_POLICY: Advice(
        "`spec.partitions.mode: Apply`, and no hazard blocks",
        "nothing",
    ),
    Reason.REJECTED: Advice(
        "a person rejected it; the same or a smaller one is not made again before it would have expired",
        "nothing",
    ),
    Reason.EXECUTING: Advice(
        "the increase is under way",
        "nothing; `status.execution` shows the step",
    ),
    Reason.APPLIED: Advice(
        "the topic has its partitions, and the group owns them",
        "nothing",
    ),
    Reason.FAILED: Advice(
        "it could not be carried out; the sentence has the broker's words. The target is scaled back",
        "mend that; a new one is made once this one would have expired (or delete it)",
    ),
    Reason.EXPIRED: Advice(
        "nobody decided in time",
        "nothing: if it still is needed, a new one is made",
    ),
    Reason.SUPERSEDED: Advice(
        "the topic, the policy or the need is not any more what it was made for",
        "nothing: if it still is needed, a new one is made",
    ),
    Reason.SCALING_EXHAUSTED: Advice(
        "a level up: the promise breaks although all replicas run that may, and can own a partition",
        "raise `spec.replicas.max`, or decide the proposal; it comes back by itself when the surge is over",
    ),
    Reason.SCALING_INEFFECTIVE: Advice(
        "a level up: the promise breaks, and more replicas do not start or do no more work",
        "see `PodsNotStarting`, `NotEffective`",
    ),
    Reason.SCALING_TOO_LATE: Advice(
        "a level up: the replicas on their way start only when records have been late for long",
        "nothing; more `spec.replicas.min` avoids it",
    ),
    Reason.RESTORING: Advice(
        "a level down: what remains keeps the promise; the features that are back are watched before the next ones",
        "nothing",
    ),
    Reason.FORCED: Advice(
        "the annotation `tidegate.dev/force-level` holds the ladder at this level until its time",
        "remove the annotation to end it earlier",
    ),
    Reason.FORCE_ENDED: Advice(
        "the time of the annotation is over, or it was removed: the level is the one before it",
        "nothing",
    ),
    Reason.LADDER_CHANGED: Advice(
        "down to level 0: the policy was deleted, or `spec.degradation` was removed or names other flags; or the "
        "list of the level in force was edited, and its flags follow",
        "nothing",
    ),
    Reason.FEATURES_ON: Advice(
        "level 0: no feature is off",
        "nothing",
    ),
    Reason.SETTLING: Advice(
        "the last step does not show yet in the application",
        "nothing",
    ),
    Reason.NOT_YET_DISPENSABLE: Advice(
        "the promise needs this level, or has not been safe without it for `restoreAfter`",
        "nothing",
    ),
    Reason.HIGHEST_LEVEL: Advice(
        "the promise still breaks, and there is no further level",
        "the sentence has the numbers: raise `maxLevel` or `spec.replicas.max`, or a faster consumer",
    ),
    Reason.FLAPPING: Advice(
        "several restores did not hold within an hour: no further one for a while",
        "the capacity is just below the arrivals: raise `spec.replicas.max`",
    ),
    Reason.DEGRADED_TOO_LONG: Advice(
        "features are off for longer than `maxDuration`",
        "find out why capacity is missing; the ladder ends nothing by force",
    ),
    Reason.FLAGS_NOT_FOUND: Advice(
        "`flagsRef` names nothing, or its key is missing; no flag was written",
        "create it or mend the reference",
    ),
    Reason.FLAGS_INVALID: Advice(
        "not a flagd document, or a level names a flag or variant that is not in it, or that `targeting` would "
        "override; no flag was written",
        "the sentence names it",
    ),
    Reason.FLAGS_CONFLICT: Advice(
        "an older LagPolicy switches the same flag of the same document; what this one has switched comes back",
        "leave the flag to one of them",
    ),
    Reason.FLAGS_NOT_READ: Advice(
        "the API server did not answer, or refused for a reason of its own; no flag was written",
        "see the sentence; it is tried again in the next cycle",
    ),
    Reason.FLAGS_NOT_WRITTEN: Advice(
        "the API server did not answer, or refused for a reason of its own",
        "see the sentence; it is tried again in the next cycle",
    ),
    Reason.SINK_UNAVAILABLE: Advice(
        "FeatureFlags (`core.openfeature.dev`) are not installed in this cluster",
        "install the OpenFeature Operator, or use a ConfigMap",
    ),
    Reason.INVALID_FORCE_LEVEL: Advice(
        "the annotation `tidegate.dev/force-level` cannot be read and is ignored",
        'write it as `"1; until=2026-11-24T15:00:00Z"`',
    ),
    Reason.CHANGED_BY_OTHERS: Advice(
        "a person (or another controller) changed a flag while it was switched: it is left as it is, now and on "
        "restore",
        "nothing, if it was meant; if GitOps did it, leave `defaultVariant` of these flags out of what it applies",
    ),
    Reason.AS_WRITTEN: Advice(
        "every flag of the ladder is as the ladder left it",
        "nothing",
    ),
    Reason.PROMISE_KEPT: Advice(
        "no record is, or will be, older than `maxAge`",
        "nothing; where the sentence says for which jump of the arrivals it holds, new replicas take longer than "
        "`maxAge`: raise `spec.replicas.min` (or `maxAge`) if yours jump further",
    ),
    Reason.PROMISE_AT_RISK: Advice(
        "with all that may be done, some record will be late",
        "look at `limitedBy` and `lastDecision`",
    ),
    Reason.PROMISE_BROKEN: Advice(
        "the oldest record is older than `maxAge`",
        "the same",
    ),
    Reason.RETENTION_NEAR: Advice(
        "records will be deleted unread soon; `backlog.retentionMargin` says when",
        "raise the topic's `retention.ms` now, then find out why the consumers are slow",
    ),
    Reason.DATA_LOST: Advice(
        "retention deleted records that the group had not read",
        "raise the retention; the Event says how many",
    ),
}
