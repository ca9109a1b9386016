"""Policies in numbers: made at each scrape from what is known, so a cycle does nothing for it.

A policy that is gone has no series any more, and a number that is not known has none either: absent is never zero.
Only the process that acts tells of policies, or two replicas would show two truths.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from tidegate.api import LagPolicy, LagPolicyStatus, Reason
from tidegate.controllers.charge import Charge
from tidegate.controllers.metrics.definitions import Definition, Kind
from tidegate.controllers.tally import Tally
from tidegate.controllers.world import World, connection_key, name_of

POLICY = ("namespace", "policy")


class Shown(NamedTuple):
    """A policy with its newest status, what was counted of it, and its proposals by state."""

    policy: LagPolicy
    status: LagPolicyStatus
    tally: Tally
    proposals: Mapping[str, int]


Numbers = Iterable[tuple[tuple[str, ...], float | None]]
"""Values of the labels that a metric has beside namespace and policy, and the number; None: not known."""


class PolicyMetric(NamedTuple):
    """A metric of policies, and how it is read off one."""

    definition: Definition
    numbers: Callable[[Shown], Numbers]


def _one(
    name: str, help_: str, value: Callable[[Shown], float | timedelta | datetime | None], kind: Kind = Kind.GAUGE
) -> PolicyMetric:
    """A metric with one series a policy."""
    return PolicyMetric(Definition(name, help_, POLICY, kind), lambda shown: [((), _number(value(shown)))])


def _many(
    name: str, help_: str, labels: tuple[str, ...], numbers: Callable[[Shown], Numbers], kind: Kind = Kind.GAUGE
) -> PolicyMetric:
    return PolicyMetric(Definition(name, help_, (*POLICY, *labels), kind), numbers)


def _number(value: float | timedelta | datetime | None) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.timestamp() if isinstance(value, datetime) else value


def _info(shown: Shown) -> Numbers:
    policy = shown.policy
    spec, key = policy.spec, connection_key(policy)
    labels = (spec.target_ref.kind, spec.target_ref.name, key.kind, key.name.name, spec.source.kafka.group, policy.mode)
    return [(labels, 1)]


def _conditions(shown: Shown) -> Numbers:
    return (((c.type, c.status, c.reason), 1) for c in shown.status.conditions)


def _level(shown: Shown) -> float | None:
    recorded = shown.status.degradation
    return (recorded.level if recorded else 0) if recorded or shown.policy.spec.degradation else None


def _degraded_since(shown: Shown) -> datetime | None:
    return shown.status.degradation.degraded_since if shown.status.degradation else None


def _counted(counts: Mapping[str, int]) -> Numbers:
    return (((label,), count) for label, count in counts.items())


METRICS: tuple[PolicyMetric, ...] = (
    _many(
        "tidegate_policy_info",
        "1, and what the policy is about: its target, connection, consumer group and mode.",
        ("target_kind", "target", "connection_kind", "connection", "group", "mode"),
        _info,
    ),
    # the promise
    _one("tidegate_promise_seconds", "The promise: objective.maxAge.", lambda s: s.policy.spec.objective.max_age),
    _one("tidegate_age_seconds", "How old the oldest waiting record is.", lambda s: s.status.backlog.age),
    _one("tidegate_lag_records", "Records that wait to be processed.", lambda s: s.status.backlog.lag),
    _one(
        "tidegate_arrival_records_per_second",
        "Records that arrive each second.",
        lambda s: s.status.backlog.arrival_rate,
    ),
    _one(
        "tidegate_service_records_per_second",
        "Records that are processed each second.",
        lambda s: s.status.backlog.service_rate,
    ),
    _one(
        "tidegate_drain_seconds",
        "Time until the backlog is gone at these rates; absent while it grows.",
        lambda s: s.status.backlog.drain_time,
    ),
    _one(
        "tidegate_retention_margin_seconds",
        "Time until retention deletes records that still wait; absent if no topic deletes by time.",
        lambda s: s.status.backlog.retention_margin,
    ),
    _one(
        "tidegate_lost_records_total",
        "Records that retention deleted before the group had read them.",
        lambda s: s.tally.lost,
        Kind.COUNTER,
    ),
    # what a replica can do
    _one(
        "tidegate_replica_capacity_records_per_second",
        "Records a second that one ready replica can process.",
        lambda s: s.status.capacity.per_replica,
    ),
    _one(
        "tidegate_startup_seconds",
        "Time from asking for a replica until it consumes.",
        lambda s: s.status.capacity.startup,
    ),
    _one(
        "tidegate_rebalance_seconds",
        "Time the group stops when a consumer joins or leaves.",
        lambda s: s.status.capacity.rebalance,
    ),
    # replicas
    _one("tidegate_need_replicas", "Replicas the promise asks for, before limits.", lambda s: s.status.replicas.need),
    _one("tidegate_desired_replicas", "Replicas it should have, after limits.", lambda s: s.status.replicas.desired),
    _one("tidegate_current_replicas", "Replicas the target asks for.", lambda s: s.status.replicas.current),
    _one("tidegate_ready_replicas", "Replicas that are ready.", lambda s: s.status.replicas.ready),
    _one("tidegate_min_replicas", "The least there may be: replicas.min.", lambda s: s.policy.spec.replicas.min),
    _one("tidegate_max_replicas", "The most there may be: replicas.max.", lambda s: s.policy.spec.replicas.max),
    _one(
        "tidegate_copes_with_jump_ratio",
        "How many times the present arrivals may come all at once with every record still in time.",
        lambda s: s.status.replicas.copes_with_jump,
    ),
    # partitions
    _one("tidegate_partitions", "Partitions of the topics that count.", lambda s: s.status.partitions.count),
    _one(
        "tidegate_ceiling_replicas",
        "The most replicas that can own a partition.",
        lambda s: s.status.partitions.ceiling,
    ),
    _one(
        "tidegate_hot_partitions",
        "Partitions that get more than one consumer can do, at most 5 are counted.",
        lambda s: len(s.status.partitions.hot),
    ),
    _many(
        "tidegate_proposals",
        "PartitionProposals of the policy by their state, such as AwaitingDecision or Applied.",
        ("state",),
        lambda s: _counted(s.proposals),
    ),
    # features
    _one("tidegate_degradation_level", "Level of the policy's degradation ladder; 0: every feature is on.", _level),
    _one(
        "tidegate_degraded_since_timestamp_seconds",
        "When level 0 was left; absent while every feature is on.",
        _degraded_since,
    ),
    # what Tidegate does
    _many(
        "tidegate_condition",
        "1 for the state of each condition of the policy: status True, False or Unknown, and its reason.",
        ("condition", "status", "reason"),
        _conditions,
    ),
    _many(
        "tidegate_decisions_total",
        "Decisions by reason, one each cycle.",
        ("reason",),
        lambda s: _counted(s.tally.decisions),
        Kind.COUNTER,
    ),
    _many(
        "tidegate_scalings_total",
        "Times that the target was scaled, by direction: out or in.",
        ("direction",),
        lambda s: _counted(s.tally.scalings),
        Kind.COUNTER,
    ),
    _one(
        "tidegate_last_success_timestamp_seconds",
        "When the group was last read whole.",
        lambda s: s.tally.read_at,
    ),
)
POLICY_METRICS = tuple(metric.definition for metric in METRICS)
"""The series of each LagPolicy."""


class PolicyMetrics(Collector):
    """All policies of a world. `charges` are this process's, by the uid of the policy; `leads` whether it acts."""

    def __init__(self, world: World, charges: Mapping[str, Charge], leads: Callable[[], bool]) -> None:
        self._world, self._charges, self._leads = world, charges, leads

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client wants it."""
        families = [(metric.definition.family(), metric.numbers) for metric in METRICS]
        for shown in self._shown() if self._leads() else ():
            meta = shown.policy.metadata
            for family, numbers in families:
                _add(family, (meta.namespace or "", meta.name), numbers(shown))
        return [family for family, _ in families]

    def describe(self) -> Iterable[Metric]:
        """Their names alone: the registry asks before there is a world."""
        return [definition.family() for definition in POLICY_METRICS]

    def _shown(self) -> Iterator[Shown]:
        for policy in self._world.policies():
            charge = self._charges.get(policy.metadata.uid)
            proposals = self._world.proposals.of_policy(name_of(policy))
            states = Counter(proposal.status.state or Reason.PENDING for proposal in proposals)
            yield Shown(policy, charge.status if charge else policy.status, charge.tally if charge else Tally(), states)


def _add(family: GaugeMetricFamily | CounterMetricFamily, labels: tuple[str, ...], numbers: Numbers) -> None:
    for more, value in numbers:
        if value is not None:
            family.add_metric((*labels, *more), value)
