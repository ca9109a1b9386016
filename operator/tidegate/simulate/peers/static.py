"""A fixed number of replicas."""

import numpy as np

from tidegate.simulate.ages import NEGLIGIBLE
from tidegate.simulate.regime import Regime
from tidegate.simulate.trace import Curve
from tidegate.simulate.world import View


class Static:
    """Always the same."""

    def __init__(self, replicas: int, name: str = "static") -> None:
        self.name, self.replicas = name, replicas

    def decide(self, view: View) -> int | None:
        """The fixed number."""
        return self.replicas


def static_peak(arrivals: Curve, regime: Regime) -> int:
    """The fewest replicas that, always on, keep the promise; nobody knows them before the trace is over."""
    ticks = np.arange(len(arrivals) + 1)
    total = np.concatenate([[0.0], np.cumsum(arrivals)])
    due = np.interp(ticks - regime.max_age / regime.tick, ticks, total)
    for replicas in range(max(1, regime.least), regime.ceiling):
        # served by t is the least, over all s <= t, of what had come by s and could be served since
        able = regime.capacity(replicas) * regime.tick * ticks
        served = np.minimum.accumulate(total - able) + able
        if np.all(np.minimum(served, total) >= due - NEGLIGIBLE):
            return replicas
    return regime.ceiling
