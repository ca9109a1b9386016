"""What a change of replicas costs in time: start-up of pods, and the pause while the group rebalances."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tidegate.engine.observation import GroupState, Pod, Reading, Target

USUAL_STARTUP = 30.0  # seconds, until a pod was seen to start: image present, a runtime to warm up
USUAL_REBALANCE = 10.0  # seconds, until one was seen: eager rebalances of classic groups take 10 s and more …
USUAL_REBALANCE_SHARE = 0.25
"""… but no more than this share of maxAge: with a pause as long as the promise nothing could ever be changed, and so no
pause ever be seen."""
REMEMBERED = 8  # samples: enough for a maximum that is typical, few enough to forget a bad day
LONGEST_STARTUP = 600.0  # a pod that took longer had another problem than its start (or lost readiness in between)
LONGEST_PAUSE = 120.0
STUCK_AFTER = 60.0
"""Seconds, and three usual start-ups: a pod that is not ready by then is no capacity."""
STUCK_STARTUPS = 3.0


def startup_of(samples: Sequence[float], declared: float | None) -> float:
    """Start-up time: as declared, else the slowest of the last ones, since a promise is broken by the slow ones."""
    return declared if declared is not None else max(samples, default=USUAL_STARTUP)


def rebalance_of(samples: Sequence[float], declared: float | None, max_age: float) -> float:
    """Rebalance pause: as declared, else midway between mean and worst; two samples do not yet outweigh the prior."""
    if declared is not None:
        return declared
    prior = min(USUAL_REBALANCE, USUAL_REBALANCE_SHARE * max_age)
    if not samples:
        return prior
    if len(samples) <= 2:
        return max(*samples, (sum(samples) + prior) / (len(samples) + 1))
    return (max(samples) + sum(samples) / len(samples)) / 2


@dataclass(frozen=True, slots=True)
class Crew:
    """The pods as last seen, and the change of the group that is under way.

    `ready` names the pods that have been ready; `changed` is when pods or members last changed, `unsettled` since when
    the group has been changing at every reading, `paused` when the pause under way began.
    """

    ready: frozenset[str] = frozenset()
    working: int = 0  # ready at the last look
    members: int | None = None
    seen: float | None = None
    read: float | None = None
    changed: float | None = None
    unsettled: float | None = None
    paused: float | None = None


class Look(NamedTuple):
    """A crew after a look at pods or group, and the samples of start-up and pause it gave."""

    crew: Crew
    startups: tuple[float, ...] = ()
    pauses: tuple[float, ...] = ()


def look_at_pods(crew: Crew, target: Target, now: float) -> Look:
    """Notice pods that became ready or left; the start-ups of new ones are samples, at first sight their median is."""
    ready = [pod for pod in target.pods if pod.ready_since is not None]
    new = [pod for pod in ready if pod.name not in crew.ready]
    first = crew.seen is None
    known = (crew.ready & {pod.name for pod in target.pods}) | {pod.name for pod in ready}
    startups = tuple(sorted(filter(_plausible, map(_startup, new))))
    if first:
        startups = startups[len(startups) // 2 : len(startups) // 2 + 1]
    changed = not first and (bool(new) or len(ready) != crew.working)
    began = min((pod.ready_since for pod in new if pod.ready_since), default=now) if new else _midway(crew.seen, now)
    after = replace(crew, ready=frozenset(known), working=len(ready), seen=now)
    return Look(_disturbed(after, now, began, crew.working > 0) if changed else after, startups)


def look_at_group(crew: Crew, reading: Reading, served: float, waiting: float, full_rate: float | None) -> Look:
    """Notice members that changed and a pause that ends: a stable group that commits again, or has nothing to do.

    `served` is what was committed since the last reading, `full_rate` what the group does when saturated, None where it
    is not known to be. The part of the last interval that was worked is taken off the pause.
    """
    at = reading.committed_at
    changing = is_changing(crew, reading)
    after = crew
    if changing:
        after = _disturbed(crew, at, _midway(crew.read, at), crew.working > 0)
        after = replace(after, unsettled=crew.unsettled if crew.unsettled is not None else at)
    else:
        after = replace(crew, unsettled=None)
    pauses: tuple[float, ...] = ()
    if after.paused is not None and reading.state is not GroupState.REBALANCING:
        pauses = _pause(crew, after.paused, at, served, full_rate) if served > 0 else ()
        over = served > 0 or waiting == 0 or at - after.paused > LONGEST_PAUSE
        after = replace(after, paused=None) if over else after
    members = reading.members if reading.members is not None else crew.members
    return Look(replace(after, members=members, read=at), pauses=pauses)


def is_changing(crew: Crew, reading: Reading) -> bool:
    """A group in a rebalance, or with other members than at the last reading, is measured but not judged."""
    joined = None not in (crew.members, reading.members) and crew.members != reading.members
    return reading.state is GroupState.REBALANCING or joined


def _pause(crew: Crew, began: float, at: float, served: float, full_rate: float | None) -> tuple[float, ...]:
    interval = at - crew.read if crew.read is not None else 0.0
    inside = crew.read is not None and began >= crew.read
    if full_rate is None and inside:
        return ()  # shorter than the readings can show
    worked = min(interval, served / full_rate) if full_rate else interval / 2
    whole = interval if inside else at - began
    return (min(max(0.0, whole - worked), LONGEST_PAUSE),)


def _disturbed(crew: Crew, now: float, began: float, working: bool) -> Crew:
    """A change: it pauses the group, unless nobody worked before (then its first members only start)."""
    paused = crew.paused if crew.paused is not None else began if working else None
    return replace(crew, changed=now, paused=paused)


def _midway(before: float | None, now: float) -> float:
    return now if before is None else (before + now) / 2


def _startup(pod: Pod) -> float:
    return (pod.ready_since or pod.created) - pod.created


def _plausible(seconds: float) -> bool:
    return 0 <= seconds <= LONGEST_STARTUP


class Arrivals(NamedTuple):
    """Replicas that were asked for and are not ready: `coming` in `within` seconds, and `stuck` ones that may never."""

    coming: int
    within: float
    stuck: int


def replicas_on_their_way(target: Target, changed_at: float, startup: float, now: float) -> Arrivals:
    """Tell starting pods from pods that do not start.

    A pod is stuck when it is not ready long after its creation and none made after it became ready: where others start,
    asking for more still helps. Replicas without a pod (a quota, an admission refusal) count from the last change.
    """
    missing = max(0, target.replicas - target.ready)
    newest_ready = max((pod.created for pod in target.pods if pod.ready_since is not None), default=0.0)
    waiting = sorted((pod.created for pod in target.pods if pod.ready_since is None), reverse=True)
    unborn = max(0, missing - len(waiting))
    since = ([changed_at] * unborn + waiting)[:missing]
    patience = max(STUCK_AFTER, STUCK_STARTUPS * startup)
    stuck = sum(now - born > patience and born > newest_ready for born in since)
    coming = [born for born in since if now - born <= patience]
    within = max((startup - (now - born) for born in coming), default=0.0)
    return Arrivals(len(coming), max(0.0, within), stuck)
