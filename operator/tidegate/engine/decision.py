"""What the engine answers: a value that explains itself. Applying it is dumb."""

from enum import StrEnum
from typing import NamedTuple

from tidegate.api.reasons import Reason
from tidegate.engine.words import Said


class Basis(StrEnum):
    """Where the capacity of a replica comes from."""

    LEARNED = "Learned"
    DECLARED = "Declared"
    UNKNOWN = "Unknown"


class Backlog(NamedTuple):
    """The work that waits: records, seconds, records a second. None where it is not known (never 0 instead)."""

    lag: int | None = None
    age: float | None = None
    arrival_rate: float | None = None
    service_rate: float | None = None
    drain_time: float | None = None
    retention_margin: float | None = None
    lost: int = 0  # records that retention deleted before the group read them, as seen in this reading


class Capacity(NamedTuple):
    """What one ready replica can do (records/s) and what changing their number costs (seconds)."""

    per_replica: float | None = None
    basis: Basis = Basis.UNKNOWN
    startup: float | None = None
    rebalance: float | None = None


class Hot(NamedTuple):
    """A partition that gets more than its one consumer can do: records/s, records, and what that means in words."""

    topic: str
    partition: int
    arrival_rate: float
    per_consumer: float | None
    lag: int
    message: str


class Increase(NamedTuple):
    """A partition increase that the need asks for, within spec.partitions, and the figures it comes from.

    `rate` was reached or exceeded in a twentieth of the last `looked_back` seconds; the need has been above the ceiling
    for `bound_for` seconds. `need` is in replicas, for that rate with head room. `pause` is how long the group would
    stop if it were paused for it (seconds).
    """

    topic: str
    from_: int
    to: int
    rate: float
    looked_back: float
    per_replica: float
    bound_for: float
    need: int
    ceiling: int
    ceiling_after: int
    pause: float
    message: str


class Rung(NamedTuple):
    """Where the degradation ladder should stand, and why: a step where `level` is not the level that the flags show.

    `too_long` says that features have been off for longer than the policy allows.
    """

    level: int
    reason: Reason
    said: str | Said
    too_long: bool = False

    @property
    def message(self) -> str:
        """The why in one line, for people."""
        return str(self.said)


class Decision(NamedTuple):
    """The replicas wanted and why.

    `replicas` is what to write, or None to leave the target alone (a hold, or already right). `need` is what the
    promise asks for before limits, `desired` after them; both None where they could not be computed. `limited_by` is
    the limit that made `desired` differ from `need`. `bound` says that the need is above the partition ceiling, or was
    in the last minutes. `dry_run` says that the write is only to be shown.
    `copes_with` is the factor by which the arrivals may jump at once, from what they are and with the fleet there is:
    the largest useful fleet, ordered at the next reading, then just keeps the promise. At most 1,000; None where it is
    not known.
    """

    replicas: int | None
    reason: Reason
    said: str | Said
    need: int | None = None
    desired: int | None = None
    limited_by: Reason | None = None
    partitions: int | None = None
    ceiling: int | None = None
    bound: bool = False
    at_risk: Reason | None = None  # PROMISE_BROKEN, PROMISE_AT_RISK, RETENTION_NEAR, DATA_LOST
    copes_with: float | None = None
    dry_run: bool = False
    hot: tuple[Hot, ...] = ()
    increase: Increase | None = None
    rung: Rung | None = None  # None: there is no ladder
    backlog: Backlog = Backlog()
    capacity: Capacity = Capacity()

    @property
    def message(self) -> str:
        """The why in one line, for people."""
        return str(self.said)
