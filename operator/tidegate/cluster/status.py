"""A LagPolicy's status from one cycle's outcome, and what of it is worth a write."""

from collections.abc import Hashable
from datetime import timedelta
from enum import IntEnum
from functools import singledispatch
from typing import NamedTuple

from tidegate.api import (
    BacklogStatus,
    BrokerConnectionStatus,
    CapacityStatus,
    Condition,
    DecisionStatus,
    HotPartition,
    LagPolicyStatus,
    PartitionsStatus,
    Reason,
    ReplicasStatus,
    ScaleChange,
    cut,
    readable,
)
from tidegate.cluster.judgement import Outcome, conditions_of
from tidegate.cluster.scaling import Scaled
from tidegate.cluster.times import moment
from tidegate.engine.decision import Backlog, Capacity

HISTORY = 20
"""Changes of the replicas that are kept."""


def build_status(outcome: Outcome, old: LagPolicyStatus) -> LagPolicyStatus:
    """What to show after this cycle; `old` is what the last one made (or what the API server has)."""
    decision = outcome.decision
    return LagPolicyStatus(
        observed_generation=outcome.generation,
        conditions=conditions_of(outcome, old),
        backlog=_backlog(decision.backlog),
        capacity=_capacity(decision.capacity),
        replicas=_replicas(outcome),
        partitions=_partitions(outcome),
        degradation=outcome.ladder.status if outcome.ladder else None,
        last_decision=_last_decision(outcome, old),
        history=_history(outcome, old),
    )


def _backlog(backlog: Backlog) -> BacklogStatus:
    return BacklogStatus(
        lag=backlog.lag,
        age=_duration(backlog.age),
        arrival_rate=backlog.arrival_rate,
        service_rate=backlog.service_rate,
        drain_time=_duration(backlog.drain_time),
        retention_margin=_duration(backlog.retention_margin),
    )


def _capacity(capacity: Capacity) -> CapacityStatus:
    return CapacityStatus(
        per_replica=capacity.per_replica,
        basis=capacity.basis,
        startup=_duration(capacity.startup),
        rebalance=_duration(capacity.rebalance),
    )


def _replicas(outcome: Outcome) -> ReplicasStatus:
    decision, target = outcome.decision, outcome.observation.target
    asked = outcome.scaled.workload if isinstance(outcome.scaled, Scaled) else target
    return ReplicasStatus(
        current=asked.replicas if asked else None,
        ready=target.ready if target else None,
        need=decision.need,
        desired=decision.desired,
        limited_by=decision.limited_by,
        copes_with_jump=decision.copes_with,
    )


def _partitions(outcome: Outcome) -> PartitionsStatus:
    decision = outcome.decision
    hot = tuple(
        HotPartition(
            topic=one.topic,
            partition=one.partition,
            arrival_rate=one.arrival_rate,
            per_consumer=one.per_consumer,
            lag=one.lag,
            message=cut(one.message),
        )
        for one in decision.hot
    )
    return PartitionsStatus(count=decision.partitions, ceiling=decision.ceiling, proposal=outcome.proposal, hot=hot)


def _last_decision(outcome: Outcome, old: LagPolicyStatus) -> DecisionStatus:
    reason: Reason = outcome.problem.reason if outcome.problem else outcome.decision.reason
    message = outcome.problem.message if outcome.problem else outcome.decision.message
    last = old.last_decision
    repeated = last and last.reason == reason and old.replicas.desired == outcome.decision.desired
    time = last.time if last and repeated else moment(outcome.now)
    return DecisionStatus(time=time, reason=reason, message=cut(message))


def _history(outcome: Outcome, old: LagPolicyStatus) -> tuple[ScaleChange, ...]:
    scaled, target = outcome.scaled, outcome.observation.target
    if not isinstance(scaled, Scaled) or not scaled.written or target is None:
        return old.history
    change = ScaleChange(
        time=moment(outcome.now),
        **{"from": target.replicas},
        to=scaled.workload.replicas,
        reason=outcome.decision.reason,
        message=cut(outcome.decision.message),
    )
    return (*old.history, change)[-HISTORY:]


def _duration(measured: float | None) -> timedelta | None:
    return None if measured is None else readable(measured)


class Worth(IntEnum):
    """How much a new status deserves a write."""

    NOTHING = 0
    ROUTINE = 1  # numbers: when there is room, see `writing`
    AT_ONCE = 2  # something that people, alerts or `kubectl wait` act on


NUMBERS_AFTER = 10.0
"""Seconds after a write until numbers that changed a lot are worth another one: a surge can be followed by kubectl."""

HEARTBEAT_AFTER = 60.0
"""Seconds after a write until any change is worth another one."""

A_LOT = 1 / 3
"""A number has changed a lot when it moved by this share of the larger value, and by its least step."""


class Digest(NamedTuple):
    """What is remembered of a written status: the things that matter, the numbers, and a hash of it all."""

    meaning: Hashable
    numbers: "Numbers"
    whole: int


Numbers = tuple[tuple[float | None, float], ...]
"""(value, least step that counts)."""


def digest(status: LagPolicyStatus | BrokerConnectionStatus) -> Digest:
    """What to remember of a status."""
    return Digest(meaning(status), numbers(status), hash(status))


def worth_writing(old: Digest, new: LagPolicyStatus | BrokerConnectionStatus, since: float) -> Worth:
    """Whether to write `new` where `old` was written `since` seconds ago. No write only says "still here".

    A thousand statuses are judged every few seconds, so what costs more is asked for last.
    """
    if old.meaning != meaning(new):
        return Worth.AT_ONCE
    if since < NUMBERS_AFTER:
        return Worth.NOTHING
    if any(_moved(*pair) for pair in zip(old.numbers, numbers(new), strict=True)):
        return Worth.ROUTINE
    return Worth.ROUTINE if since >= HEARTBEAT_AFTER and old.whole != hash(new) else Worth.NOTHING


def _moved(old: tuple[float | None, float], new: tuple[float | None, float]) -> bool:
    before, (after, step) = old[0], new
    if before is None or after is None:
        return before is not after
    return abs(after - before) >= max(step, A_LOT * max(before, after))


@singledispatch
def meaning(status: object) -> Hashable:
    """What people, alerts or `kubectl wait` act on."""
    raise TypeError(f"no status of ours: {type(status).__name__}")


@meaning.register
def _(status: LagPolicyStatus) -> Hashable:
    replicas, decision = status.replicas, status.last_decision
    return (
        status.observed_generation,
        _states(status.conditions),
        decision.reason if decision else None,
        (replicas.current, replicas.desired, replicas.limited_by),
        status.history[-1:],
        _state_of_partitions(status.partitions),
        status.capacity.basis,
    )


@meaning.register
def _(status: BrokerConnectionStatus) -> Hashable:
    found = (status.cluster_id, status.brokers, status.kafka_version, status.features)
    return status.observed_generation, _states(status.conditions), found


def numbers(status: LagPolicyStatus | BrokerConnectionStatus) -> Numbers:
    """The numbers that are worth a write of their own where they change a lot."""
    if isinstance(status, BrokerConnectionStatus):
        return ()
    replicas, backlog = status.replicas, status.backlog
    return (
        (backlog.lag, 100.0),
        (None if backlog.age is None else backlog.age.total_seconds(), 5.0),
        (backlog.arrival_rate, 5.0),
        (backlog.service_rate, 5.0),
        (replicas.need, 1.0),
        (replicas.ready, 1.0),
    )


def _state_of_partitions(shown: PartitionsStatus) -> Hashable:
    """Which partitions are hot is news; their numbers change with every reading."""
    hot = frozenset((one.topic, one.partition) for one in shown.hot)
    return shown.count, shown.ceiling, shown.proposal, hot


def _states(conditions: tuple[Condition, ...]) -> Hashable:
    """The messages are left out: they have the numbers, which change all the time."""
    return tuple((c.type, c.status, c.reason) for c in conditions)
