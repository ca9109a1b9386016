"""The policy in the engine's units: seconds, records a second, replicas."""

from datetime import timedelta
from typing import NamedTuple

from tidegate.api.behavior import Behavior
from tidegate.api.degradation import DegradationSpec
from tidegate.api.lagpolicy import LagPolicySpec, Mode, OffsetReset
from tidegate.api.partitions import PartitionsSpec


class LadderTerms(NamedTuple):
    """The degradation ladder: what is missing at each level from 1 on, and the highest it may take by itself."""

    levels: tuple[str, ...]
    highest: int
    escalate_after: float
    restore_after: float
    max_duration: float


class Terms(NamedTuple):
    """What the user promised, allowed and declared. Declared values are None where they are to be learned."""

    max_age: float
    least: int
    most: int
    from_start: bool  # without a commit the consumers begin at the first record (auto.offset.reset=earliest)
    consumers: int  # consumers of the group in each replica
    rate: float | None
    startup: float | None
    rebalance: float | None
    behavior: Behavior | None  # None: no limits on how fast
    partitions: PartitionsSpec
    ladder: LadderTerms | None  # None: no feature is ever switched off
    paused: bool
    dry_run: bool


def terms_of(spec: LagPolicySpec) -> Terms:
    """Flatten a policy once a step, so that no rule reads the resource."""
    capacity = spec.capacity
    return Terms(
        max_age=spec.objective.max_age.total_seconds(),
        least=spec.replicas.min,
        most=spec.replicas.max,
        from_start=spec.source.kafka.offset_reset == OffsetReset.EARLIEST,
        consumers=capacity.consumers_per_replica,
        rate=capacity.records_per_second,
        startup=_seconds(capacity.startup),
        rebalance=_seconds(capacity.rebalance),
        behavior=spec.behavior,
        partitions=spec.partitions,
        ladder=_ladder(spec.degradation) if spec.degradation is not None else None,
        paused=spec.mode == Mode.PAUSED,
        dry_run=spec.mode == Mode.DRY_RUN,
    )


def _ladder(spec: DegradationSpec) -> LadderTerms:
    return LadderTerms(
        levels=tuple(level.name for level in spec.levels),
        highest=spec.highest,
        escalate_after=spec.escalate_after.total_seconds(),
        restore_after=spec.restore_after.total_seconds(),
        max_duration=spec.max_duration.total_seconds(),
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
