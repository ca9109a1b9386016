"""The circumstances of one experiment: what the promise is and what the consumers and the cluster are like."""

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Regime:
    """Times in seconds, rates in records a second.

    `service_rate` is what one replica can do, `startup` the time from order to ready, `rebalance` how long the group
    stops when its members change, `consumers` how many members of the group a replica is. `packed` says that whole
    partitions are handed out, so that the busiest consumer sets the pace: n consumers then serve like `partitions` /
    ceil(`partitions` / n) of them.
    """

    partitions: int = 32
    service_rate: float = 100.0
    max_age: float = 60.0
    startup: float = 30.0
    rebalance: float = 10.0
    tick: float = 5.0
    least: int = 1
    most: int | None = None
    packed: bool = False
    consumers: int = 1

    @property
    def ceiling(self) -> int:
        """The most replicas that may run."""
        useful = ceil(self.partitions / self.consumers)
        return useful if self.most is None else min(self.most, useful)

    def capacity(self, replicas: int) -> float:
        """Records a second that this many ready replicas can serve together."""
        working = min(replicas * self.consumers, self.partitions)
        if self.packed and working:
            return self.service_rate * self.partitions / ceil(self.partitions / working) / self.consumers
        return self.service_rate * working / self.consumers

    def replicas_for(self, rate: float) -> int:
        """The fewest replicas that can serve a rate, within the limits."""
        enough = (n for n in range(max(self.least, 1), self.ceiling + 1) if self.capacity(n) >= rate)
        return next(enough, self.ceiling)


def steady(time: float) -> float:
    """A pace that does not change."""
    return 1.0
