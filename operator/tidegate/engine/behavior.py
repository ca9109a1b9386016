"""`spec.behavior`: how fast the replicas may change, by the rules of the HorizontalPodAutoscaler.

Two kinds of limits in each direction (Kubernetes 1.36, `pkg/controller/podautoscaler/horizontal.go`):

* a stabilization window takes the safest of the sizes recommended in it: up the smallest, down the largest;
* policies bound the size by what it was at the start of their period: what was undone since does not count twice.

Where it differs from the HPA: a change counts whoever made it (the HPA knows its own only), percents are exact (the HPA
computes 110 % of 10 in floating point and rounds up to 12), and a percentage of nothing is one replica, since a group
at zero could never wake (KEDA wakes one too, past any behavior).
"""

from collections.abc import Callable
from math import ceil, floor, inf
from typing import NamedTuple

from tidegate.api.behavior import Behavior, PolicyType, ScalingPolicy, ScalingRules, SelectPolicy

KEPT = 24
"""Rows remembered of the changes within the longest period: the nearest of more are merged, as a status stays small."""
CLOCK_JUMP = 60.0  # seconds: a change from further in the future was dated by another clock


class Recommendation(NamedTuple):
    """A size that a decision asked for before `spec.behavior`, and when."""

    at: float
    replicas: int


class Recommendations(NamedTuple):
    """The recommendations that can still be the smallest or the largest of a window that ends now: a handful.

    One that was followed by a smaller (larger) one never is again, so `rising` and `falling` only do so.
    """

    rising: tuple[Recommendation, ...] = ()
    falling: tuple[Recommendation, ...] = ()

    def begun(self, asked: int, now: float) -> "Recommendations":
        """At first sight what is asked for counts as recommended, as for the HPA: a window needs its whole length."""
        return self if self.rising else self.after(asked, now)

    def after(self, replicas: int, now: float) -> "Recommendations":
        """With one more."""
        new = Recommendation(now, replicas)
        return Recommendations(
            (*(r for r in self.rising if r.replicas < replicas), new),
            (*(r for r in self.falling if r.replicas > replicas), new),
        )

    def smallest(self, since: float) -> float:
        """The smallest recommendation since then; inf without any."""
        return next((r.replicas for r in self.rising if r.at >= since), inf)

    def largest(self, since: float) -> float:
        """The largest recommendation since then; 0 without any."""
        return next((r.replicas for r in self.falling if r.at >= since), 0)

    def last_up_to(self, replicas: int) -> float:
        """When so many or fewer were recommended last; -inf if never."""
        return max((r.at for r in self.rising if r.replicas <= replicas), default=-inf)


class Until(NamedTuple):
    """Between `least` and `most` replicas were asked for until `at`: two numbers where it is not known which, since a
    change was only seen afterwards or several were merged. Limits count from the stricter one.
    """

    at: float
    least: int
    most: int


Past = tuple[Until, ...]
"""Changes of the replicas in order of time."""


def remembered(past: Past, seconds: float, now: float) -> Past:
    """The changes of the last so many seconds."""
    return tuple(until for until in past if now - seconds < until.at <= now + CLOCK_JUMP)


def changed(past: Past, before: int, after: int, since: float | None, now: float) -> Past:
    """With a change that was made between `since` (the last look; None: nobody knows when that was) and now.

    Times are kept to a tenth of a second, on the strict side, as they are written into a status.
    """
    last = past[-1].at if past else -inf
    known = floor(since * 10) / 10 if since is not None else last
    if known > last:
        past = (*past, Until(known, before, before))
    elif past:  # it may be as old as the end of the row before, as times are rounded
        past = (*past[:-1], Until(last, min(past[-1].least, after), max(past[-1].most, after)))
    past = (*past, Until(max(last, ceil(now * 10) / 10), min(before, after), max(before, after)))
    while len(past) > KEPT or (len(past) > 1 and past[-1].at == past[-2].at):
        past = _nearest_merged(past)
    return past


def _nearest_merged(past: Past) -> Past:
    row = min(range(len(past) - 1), key=lambda row: past[row + 1].at - past[row].at)
    one, other = past[row : row + 2]
    merged = Until(other.at, min(one.least, other.least), max(one.most, other.most))
    return (*past[:row], merged, *past[row + 2 :])


def longest_period(behavior: Behavior | None) -> float:
    """Seconds for which a change counts."""
    if behavior is None:
        return 0.0
    policies = (*(behavior.scale_up.policies or ()), *(behavior.scale_down.policies or ()))
    return max((policy.period_seconds for policy in policies), default=0.0)


Started = Callable[[int], int]
"""The replicas at the start of the period of so many seconds that ends now."""


class Bound(NamedTuple):
    """How far the policies let the replicas go, and the policy that says so with what it counts from."""

    replicas: float
    policy: ScalingPolicy | None = None
    start: int = 0


def highest(rules: ScalingRules, asked: int, started: Started) -> Bound:
    """The most replicas that the policies of `scaleUp` allow now; inf without any."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return Bound(asked)
    bounds = [Bound(max(asked, _raised(p, start)), p, start) for p, start in _counted(rules, started)]
    choose = min if rules.select_policy is SelectPolicy.MIN else max
    return choose(bounds, key=lambda bound: bound.replicas, default=Bound(inf))


def lowest(rules: ScalingRules, asked: int, started: Started) -> Bound:
    """The fewest replicas that the policies of `scaleDown` allow now; 0 without any."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return Bound(asked)
    bounds = [Bound(min(asked, max(0, _lowered(p, start))), p, start) for p, start in _counted(rules, started)]
    choose = max if rules.select_policy is SelectPolicy.MIN else min
    return choose(bounds, key=lambda bound: bound.replicas, default=Bound(0))


def _counted(rules: ScalingRules, started: Started) -> list[tuple[ScalingPolicy, int]]:
    return [(policy, started(policy.period_seconds)) for policy in rules.policies or ()]


def _raised(policy: ScalingPolicy, start: int) -> int:
    if policy.type is PolicyType.PODS:
        return start + policy.value
    return max(1, -(-start * (100 + policy.value) // 100))


def _lowered(policy: ScalingPolicy, start: int) -> int:
    if policy.type is PolicyType.PODS:
        return start - policy.value
    return start * (100 - policy.value) // 100


class Allowed(NamedTuple):
    """The replicas that a behavior allows now. `why` says what held back, None where nothing did.

    `waits` is for how many seconds a window still forbids any step up, if it is that.
    """

    replicas: int
    why: str | None = None
    waits: float | None = None


def allowed(behavior: Behavior, asked: int, wanted: int, recent: Recommendations, past: Past, now: float) -> Allowed:
    """What may be asked for now of what is wanted; `recent` without this recommendation, `past` up to now."""
    recent = recent.after(wanted, now)
    if wanted > asked:
        return _up(behavior.scale_up, asked, wanted, recent, past, now)
    return _down(behavior.scale_down, asked, wanted, recent, past, now)


def _up(rules: ScalingRules, asked: int, wanted: int, recent: Recommendations, past: Past, now: float) -> Allowed:
    window = rules.stabilization_window_seconds
    smallest = recent.smallest(now - window)
    bound = highest(rules, asked, lambda period: _start(past, asked, now - period).least)
    if bound.replicas < min(wanted, smallest):
        return Allowed(int(bound.replicas), _said("scaleUp", rules, bound, "more"))
    if smallest >= wanted:
        return Allowed(wanted)
    waits = recent.last_up_to(asked) + window - now if smallest <= asked else None
    why = f"spec.behavior.scaleUp takes the smallest size of the last {window} s"
    return Allowed(max(asked, int(smallest)), why, waits)


def _down(rules: ScalingRules, asked: int, wanted: int, recent: Recommendations, past: Past, now: float) -> Allowed:
    window = rules.stabilization_window_seconds
    largest = recent.largest(now - window)
    bound = lowest(rules, asked, lambda period: _start(past, asked, now - period).most)
    if bound.replicas > max(wanted, largest):
        return Allowed(int(bound.replicas), _said("scaleDown", rules, bound, "fewer"))
    if largest <= wanted:
        return Allowed(wanted)
    return Allowed(min(asked, int(largest)), f"spec.behavior.scaleDown takes the largest size of the last {window} s")


def _start(past: Past, asked: int, since: float) -> Until:
    """What was asked for at a time; a change at that very moment does not count any more."""
    return next((until for until in past if until.at > since), Until(since, asked, asked))


def _said(direction: str, rules: ScalingRules, bound: Bound, change: str) -> str:
    """`spec.behavior.scaleUp allows 2 more in 60 s, from 3`: the arithmetic of the bound."""
    if bound.policy is None:
        return f"spec.behavior.{direction} is {rules.select_policy}"
    percent = " %" if bound.policy.type is PolicyType.PERCENT else ""
    period = f"{bound.policy.period_seconds} s"
    return f"spec.behavior.{direction} allows {bound.policy.value}{percent} {change} in {period}, from {bound.start}"
