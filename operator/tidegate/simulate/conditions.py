"""What a world of records is like beyond the regime: keys, consumers, cluster, and how well it can be read."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tidegate.simulate.assignors import Assignor, by_range, sticky
from tidegate.simulate.regime import steady


class Protocol(StrEnum):
    """What stops when the members of a group change.

    EAGER: everything. COOPERATIVE (KIP-429): the partitions that change hands, and a further change during a rebalance
    makes them wait anew. CONSUMER (KIP-848): the same partitions, each for itself.
    """

    EAGER = "eager"
    COOPERATIVE = "cooperative"
    CONSUMER = "consumer"


ASSIGNORS: dict[str, Assignor] = {"range": by_range, "sticky": sticky, "uniform": sticky}


@dataclass(frozen=True)
class Conditions:
    """Times in seconds, shares from 0 to 1.

    `keys` records' keys of Zipf popularity with exponent `skew` are hashed to partitions; 0 keys: all partitions alike.
    `join_spread` is the time over which the pods of one order become ready, `startup_sd` the deviation of each one's
    start-up, `pod_sd` the relative deviation of pods' capacities. Pods above `schedulable` never become ready. A share
    `failed` of readings is an error, `lost` repeats the one before, and all come up to `jitter` late.
    """

    keys: int = 0
    skew: float = 0.0
    assignor: str = "range"
    protocol: Protocol = Protocol.EAGER
    commit_every: float = 5.0
    join_spread: float = 15.0
    startup_sd: float = 0.0
    pod_sd: float = 0.0
    schedulable: int | None = None
    failed: float = 0.0
    lost: float = 0.0
    jitter: float = 0.0
    drift: Callable[[float], float] = steady
