"""What the engine answers: a value that explains itself. Applying it is dumb."""

from dataclasses import dataclass
from enum import StrEnum

from tidegate.api.reasons import Reason


class Basis(StrEnum):
    """Where the capacity of a replica comes from."""

    LEARNED = "Learned"
    DECLARED = "Declared"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Backlog:
    """The work that waits: records, seconds, records a second. None where it is not known (never 0 instead)."""

    lag: int | None = None
    age: float | None = None
    arrival_rate: float | None = None
    service_rate: float | None = None
    drain_time: float | None = None
    retention_margin: float | None = None
    lost: int = 0  # records that retention deleted before the group read them, as seen in this reading


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one ready replica can do (records/s) and what changing their number costs (seconds)."""

    per_replica: float | None = None
    basis: Basis = Basis.UNKNOWN
    startup: float | None = None
    rebalance: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The replicas wanted and why.

    `replicas` is what to write, or None to leave the target alone (a hold, or already right). `need` is what the
    promise asks for before limits, `desired` after them; both None where they could not be computed. `limited_by` is
    the limit that made `desired` differ from `need`. `dry_run` says that the write is only to be shown.
    """

    replicas: int | None
    reason: Reason
    message: str
    need: int | None = None
    desired: int | None = None
    limited_by: Reason | None = None
    partitions: int | None = None
    ceiling: int | None = None
    at_risk: Reason | None = None  # PROMISE_BROKEN, PROMISE_AT_RISK, RETENTION_NEAR, DATA_LOST
    dry_run: bool = False
    backlog: Backlog = Backlog()
    capacity: Capacity = Capacity()
