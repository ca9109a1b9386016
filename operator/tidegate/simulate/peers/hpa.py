"""The HorizontalPodAutoscaler's rules for an external metric with an AverageValue (Kubernetes 1.36)."""

from math import ceil

from tidegate.api.behavior import Behavior, PolicyType, ScalingPolicy, ScalingRules
from tidegate.engine.behavior import Past, Recommendations, Until, allowed, longest_period, remembered

TOLERANCE = 0.1
SYNC = 15.0
DOWN_WINDOW = 300


def hpa_behavior(down_window: int = DOWN_WINDOW) -> Behavior:
    """`spec.behavior` with the API server's defaults: up 4 pods or 100 % per 15 s, down 100 % per 15 s."""
    pods, percent = (
        ScalingPolicy(type=kind, value=value, period_seconds=15)
        for kind, value in ((PolicyType.PODS, 4), (PolicyType.PERCENT, 100))
    )
    return Behavior(
        scale_up=ScalingRules(policies=(pods, percent)),
        scale_down=ScalingRules(stabilization_window_seconds=down_window, policies=(percent,)),
    )


class Hpa:
    """Turns a metric into replicas, sync by sync. Without a behavior it takes the older path, as KEDA leaves it."""

    def __init__(self, least: int, most: int, behavior: Behavior | None = None) -> None:
        self.least, self.most, self.behavior = max(1, least), most, behavior
        self._proposals = Recommendations()
        self._past: Past = ()

    def sync(self, now: float, current: int, metric: float, target: float) -> int:
        """Replicas to have from now on; `metric` is the total, `target` the AverageValue."""
        proposal = propose(current, metric, target)
        if self.behavior is None:
            return self._without_behavior(now, current, proposal)
        return self._with_behavior(now, current, proposal, self.behavior)

    def _without_behavior(self, now: float, current: int, proposal: int) -> int:
        """The greatest proposal of the last 300 s, at most doubled (or 4) in one sync, in one jump down."""
        self._proposals = self._proposals.after(proposal, now)
        stable = int(self._proposals.largest(now - DOWN_WINDOW))
        return min(max(stable, self.least), min(self.most, max(2 * current, 4)))

    def _with_behavior(self, now: float, current: int, proposal: int, behavior: Behavior) -> int:
        """As far as the behavior allows, within the limits."""
        may = allowed(behavior, current, proposal, self._proposals, self._past, now)
        self._proposals = self._proposals.after(proposal, now)
        wanted = min(max(may.replicas, self.least), self.most)
        if wanted != current:
            self._past = (*remembered(self._past, longest_period(behavior), now), Until(now, current, current))
        return wanted


def propose(current: int, metric: float, target: float) -> int:
    """What the metric asks for: ceil(metric / target), unless it is within a tenth of what is there."""
    if current and abs(1 - metric / (target * current)) <= TOLERANCE:
        return current
    return ceil(metric / target)
