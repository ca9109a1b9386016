"""The policy in the engine's units: seconds, records a second, replicas."""

from datetime import timedelta
from typing import NamedTuple

from tidegate.api.lagpolicy import LagPolicySpec, Mode, OffsetReset


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
        paused=spec.mode == Mode.PAUSED,
        dry_run=spec.mode == Mode.DRY_RUN,
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
