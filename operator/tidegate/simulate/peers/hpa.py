"""The HorizontalPodAutoscaler's rules for an external metric with an AverageValue (Kubernetes 1.36)."""

from dataclasses import dataclass
from math import ceil

TOLERANCE = 0.1
SYNC = 15.0
DOWN_WINDOW = 300.0


@dataclass(frozen=True)
class Behavior:
    """`spec.behavior` with the API server's defaults: up 4 pods or 100 % per 15 s, down 100 % per 15 s."""

    down_window: float = DOWN_WINDOW
    up_window: float = 0.0
    up_pods: int = 4
    up_percent: int = 100
    period: float = 15.0


class Hpa:
    """Turns a metric into replicas, sync by sync. Without a behavior it takes the older path, as KEDA leaves it."""

    def __init__(self, least: int, most: int, behavior: Behavior | None = None) -> None:
        self.least, self.most, self.behavior = max(1, least), most, behavior
        self._proposals: list[tuple[float, int]] = []
        self._added: list[tuple[float, int]] = []

    def sync(self, now: float, current: int, metric: float, target: float) -> int:
        """Replicas to have from now on; `metric` is the total, `target` the AverageValue."""
        proposal = propose(current, metric, target)
        if self.behavior is None:
            wanted = self._without_behavior(now, current, proposal)
        else:
            wanted = self._with_behavior(now, current, proposal, self.behavior)
        if wanted > current:
            self._added.append((now, wanted - current))
        return wanted

    def _remember(self, now: float, proposal: int, keep: float) -> None:
        self._proposals = [(at, value) for at, value in self._proposals if at >= now - keep] + [(now, proposal)]

    def _without_behavior(self, now: float, current: int, proposal: int) -> int:
        """The greatest proposal of the last 300 s, at most doubled (or 4) in one sync, in one jump down."""
        self._remember(now, proposal, DOWN_WINDOW)
        stable = max(value for _, value in self._proposals)
        return min(max(stable, self.least), min(self.most, max(2 * current, 4)))

    def _with_behavior(self, now: float, current: int, proposal: int, behavior: Behavior) -> int:
        """Up no further than every proposal of the up window, down no further than any of the down window."""
        self._remember(now, proposal, max(behavior.down_window, behavior.up_window))
        recent = [value for at, value in self._proposals if at >= now - behavior.up_window]
        settled = [value for at, value in self._proposals if at >= now - behavior.down_window]
        stable = min(max(current, min(recent)), max(settled))
        before = current - sum(added for at, added in self._added if at > now - behavior.period)
        fastest = max(before + behavior.up_pods, ceil(before * (1 + behavior.up_percent / 100)))
        return min(max(stable, self.least), min(self.most, max(fastest, current)))


def propose(current: int, metric: float, target: float) -> int:
    """What the metric asks for: ceil(metric / target), unless it is within a tenth of what is there."""
    if current and abs(1 - metric / (target * current)) <= TOLERANCE:
        return current
    return ceil(metric / target)
