"""What a change of replicas costs in time: start-up of pods, and the pause while the group rebalances."""

from collections.abc import Sequence
from math import inf
from statistics import fmean
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
TOGETHER = 10.0  # seconds between the creations of pods of one order, at most: a ReplicaSet makes them in batches


def rebalance_of(samples: Sequence[float], declared: float | None, max_age: float) -> float:
    """Rebalance pause: as declared, else midway between mean and worst; two samples do not yet outweigh the prior."""
    if declared is not None:
        return declared
    prior = min(USUAL_REBALANCE, USUAL_REBALANCE_SHARE * max_age)
    if not samples:
        return prior
    if len(samples) <= 2:
        return max(*samples, (sum(samples) + prior) / (len(samples) + 1))
    return (max(samples) + fmean(samples)) / 2


class Pause(NamedTuple):
    """A pause under way: since when, whether members joined in it (or only left), and how it went, in seconds.

    Where only the partitions that move stop, or pods join one after another, the group works in part: `lost` is what
    that costs in seconds of the whole group's work, `worked` the rest of the time.
    """

    began: float
    joining: bool | None  # None: neither, the group rebalances as it is
    lost: float = 0.0
    worked: float = 0.0

    def gone_on(self, since: float | None, at: float, served: float, full_rate: float | None) -> "Pause":
        """After another reading in the pause, the last one having been at `since`."""
        if since is None or self.began >= since:
            return self._replace(lost=at - self.began)
        worked = min(at - since, served / full_rate) if full_rate else 0.0
        return self._replace(lost=self.lost + at - since - worked, worked=self.worked + worked)


class Crew(NamedTuple):
    """The pods as last seen, and the change of the group that is under way.

    `ready` names the pods that have been ready; `changed` is when pods or members last changed, `unsettled` since when
    the group has been changing at every reading.
    """

    pods: tuple[Pod, ...] = ()
    ready: frozenset[str] = frozenset()
    working: int = 0  # ready at the last look
    members: int | None = None
    seen: float | None = None
    read: float | None = None
    changed: float | None = None
    unsettled: float | None = None
    paused: Pause | None = None

    @property
    def settled(self) -> bool:
        """Whether no change is under way."""
        return self.unsettled is None and self.paused is None


class Times(NamedTuple):
    """The last times that changes took, in seconds.

    `startups`: creation to ready of the first pod of an order; `spreads`: from there until all of it works, less the
    pause; `joins` and `leaves`: the pause when members join, and when they only leave.
    """

    startups: tuple[float, ...] = ()
    spreads: tuple[float, ...] = ()
    joins: tuple[float, ...] = ()
    leaves: tuple[float, ...] = ()

    def and_these(self, more: "Times") -> "Times":
        """With newer ones, of which the oldest make room."""
        if more == NOTHING_NEW:
            return self
        return Times(*((*old, *new)[-REMEMBERED:] for old, new in zip(self, more, strict=True)))


NOTHING_NEW = Times()


def startup_of(times: Times, declared: float | None) -> float:
    """Start-up time: as declared, else the slowest of the last ones, since a promise is broken by the slow ones.

    To it comes what an order usually takes from its first pod at work to its last, beyond the pause.
    """
    if declared is not None:
        return declared
    return max(times.startups, default=USUAL_STARTUP) + (fmean(times.spreads) if times.spreads else 0.0)


class Look(NamedTuple):
    """A crew after a look at pods or group, and the times it showed."""

    crew: Crew
    times: Times = NOTHING_NEW


def look_at_pods(crew: Crew, target: Target, now: float) -> Look:
    """Notice pods that became ready or left; the start-ups of new ones are samples, at first sight their median is."""
    if target.pods == crew.pods and crew.seen is not None:
        return Look(crew._replace(seen=now))
    ready = [pod for pod in target.pods if pod.ready_since is not None]
    new = [pod for pod in ready if pod.name not in crew.ready]
    first = crew.seen is None
    known = (crew.ready & {pod.name for pod in target.pods}) | {pod.name for pod in ready}
    startups = _startups(new, [pod for pod in ready if pod.name in crew.ready])
    if first:
        startups = startups[len(startups) // 2 : len(startups) // 2 + 1]
    changed = not first and (bool(new) or len(ready) != crew.working)
    began = min((pod.ready_since for pod in new if pod.ready_since), default=now) if new else _midway(crew.seen, now)
    after = crew._replace(pods=target.pods, ready=frozenset(known), working=len(ready), seen=now)
    after = _disturbed(after, now, began, bool(new), crew.working > 0) if changed else after
    return Look(after, Times(startups=startups) if startups else NOTHING_NEW)


def _startups(new: Sequence[Pod], before: Sequence[Pod]) -> tuple[float, ...]:
    """The start-up of the first pod of every order that became ready, ascending."""
    first: dict[float, float] = {}
    for pod in new:
        order = next((born for born in first if abs(born - pod.created) < TOGETHER), pod.created)
        first[order] = min(_startup(pod), first.get(order, inf))
    known = [pod.created for pod in before]
    fresh = (time for order, time in first.items() if not any(abs(order - born) < TOGETHER for born in known))
    return tuple(sorted(filter(_plausible, fresh)))


def look_at_group(crew: Crew, reading: Reading, served: float, waiting: float, full_rate: float | None) -> Look:
    """Notice members that changed and a pause that ends: a stable group that commits again, or has nothing to do.

    `served` is what was committed since the last reading, `full_rate` what the group does when saturated, None where it
    is not known to be. The part of the last interval that was worked is taken off the pause.
    """
    at, after, unsettled = reading.committed_at, crew, None
    if is_changing(crew, reading):
        after = _disturbed(crew, at, _midway(crew.read, at), _joined(crew, reading), crew.working > 0)
        unsettled = crew.unsettled if crew.unsettled is not None else at
    times, pause = NOTHING_NEW, after.paused
    if pause is not None:
        stable = reading.state is not GroupState.REBALANCING
        times = _times(crew, pause, at, served, full_rate) if stable and served > 0 else NOTHING_NEW
        over = stable and (served > 0 or waiting == 0 or at - pause.began > LONGEST_PAUSE)
        pause = None if over else pause.gone_on(crew.read, at, served, full_rate)
    members = reading.members if reading.members is not None else crew.members
    return Look(after._replace(members=members, read=at, unsettled=unsettled, paused=pause), times)


def is_changing(crew: Crew, reading: Reading) -> bool:
    """A group in a rebalance, or with other members than at the last reading, is measured but not judged."""
    changed = None not in (crew.members, reading.members) and crew.members != reading.members
    return reading.state is GroupState.REBALANCING or changed


def _joined(crew: Crew, reading: Reading) -> bool | None:
    """Whether members joined (or only left); None where they are the same, or not known."""
    if crew.members is None or reading.members is None or crew.members == reading.members:
        return None
    return reading.members > crew.members


def _times(crew: Crew, pause: Pause, at: float, served: float, full_rate: float | None) -> Times:
    """What a pause that is over by this reading took."""
    inside = crew.read is not None and pause.began >= crew.read
    if pause.joining is None:
        return NOTHING_NEW  # a rebalance of the same members is not what a change of replicas costs
    if crew.read is None or (full_rate is None and inside):
        return NOTHING_NEW  # shorter than the readings can show
    interval = at - crew.read
    worked = min(interval, served / full_rate) if full_rate else interval / 2
    lost = (min(max(0.0, pause.lost + interval - worked), LONGEST_PAUSE),)  # a clock may be set
    return Times(joins=lost, spreads=(max(0.0, pause.worked),)) if pause.joining else Times(leaves=lost)


def _disturbed(crew: Crew, now: float, began: float, joining: bool | None, working: bool) -> Crew:
    """A change: it pauses the group, unless nobody worked before (then its first members only start)."""
    pause = crew.paused or (Pause(began, joining) if working else None)
    if pause is not None and joining is not None and not pause.joining:
        pause = pause._replace(joining=joining)
    return crew._replace(changed=now, paused=pause)


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
    if not missing:
        return Arrivals(0, 0.0, 0)
    newest_ready = max((pod.created for pod in target.pods if pod.ready_since is not None), default=0.0)
    waiting = sorted((pod.created for pod in target.pods if pod.ready_since is None), reverse=True)
    unborn = max(0, missing - len(waiting))
    since = ([changed_at] * unborn + waiting)[:missing]
    patience = max(STUCK_AFTER, STUCK_STARTUPS * startup)
    stuck = sum(now - born > patience and born > newest_ready for born in since)
    coming = [born for born in since if now - born <= patience]
    within = max((startup - (now - born) for born in coming), default=0.0)
    return Arrivals(len(coming), min(startup, max(0.0, within)), stuck)
