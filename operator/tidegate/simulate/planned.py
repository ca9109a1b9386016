"""The optimum's plan played by the book, so that it can be measured and drawn like everybody else's run."""

import numpy as np

from tidegate.simulate.ages import pieces
from tidegate.simulate.optimum import HOUR, Optimum
from tidegate.simulate.regime import Regime
from tidegate.simulate.trace import Curve
from tidegate.simulate.world import Run


def planned(plan: Optimum, arrivals: Curve, regime: Regime) -> Run:
    """What happens under a plan of the optimum: after each change nothing is served for the pause."""
    changes = np.flatnonzero(np.diff(plan.replicas)) + 1
    able = np.array([regime.capacity(n) for n in plan.replicas]) * regime.tick
    for tick in changes:
        able[tick : tick + int(regime.rebalance / regime.tick + 1e-9)] = 0.0
    times: Curve = np.arange(len(arrivals) + 1, dtype=np.float64) * regime.tick
    total = np.concatenate([[0.0], np.cumsum(arrivals)])
    served = _served(total, able)
    return Run(
        "optimum",
        regime,
        pieces(times, total, served),
        plan.replica_hours * HOUR,
        [(float(times[tick]), plan.replicas[tick]) for tick in changes],
        len(changes),
        times[:-1].tolist(),
        plan.replicas,
        plan.replicas,
        (total - served)[:-1].tolist(),
        served[:-1].tolist(),
    )


def _served(total: Curve, able: Curve) -> Curve:
    """Records served so far, by who can serve `able` in each tick of what has come."""
    could = np.concatenate([[0.0], np.cumsum(able)])
    served: Curve = np.minimum.accumulate(total - could) + could
    return served
