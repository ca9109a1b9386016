"""When not to judge: an ordered chain of small objections. The first one holds; without one, the step is sized.

`NO_NUMBERS` and `NOT_JUDGED` leave the target alone. `BRAKES` only forbid to scale in: what they see may be judged as
too little, never as enough.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tidegate.api.reasons import Reason
from tidegate.engine import words
from tidegate.engine.backlog import Shares
from tidegate.engine.history import HOLE, NO_COMMIT
from tidegate.engine.observation import GroupState, Reading, ReadingError
from tidegate.engine.rates import SERVICE_WINDOW
from tidegate.engine.situation import Situation

STALE_AFTER = 15.0  # seconds, and three readings: older numbers are not acted on
STALE_READINGS = 3.0
WARM_READINGS = 3  # two intervals: with one, a rate has no second opinion
JOINING_FOR = 45.0
"""Seconds in which ready pods without a member may still be joining (a session timeout)."""
LONGEST_WAIT = 900.0  # seconds: three times what any change has to prove (a promise may be as long as a day)
NEW_HISTORY = 3  # readings after a jump of offsets


class Verdict(NamedTuple):
    """What to do and why. `replicas` None: leave the target alone."""

    reason: Reason
    said: str | words.Said
    replicas: int | None = None
    need: int | None = None
    desired: int | None = None
    limited_by: Reason | None = None
    at_risk: bool = False  # the promise will be broken with what this verdict asks for
    copes_with: float | None = None  # the factor by which the arrivals may jump at once
    wanted: int | None = None  # what the target should have but for spec.behavior; None where that was not judged


Guard = Callable[[Situation], Verdict | None]


def hold_while_paused(s: Situation) -> Verdict | None:
    """A person said so."""
    return Verdict(Reason.PAUSED, "paused by spec.mode: measured, not scaled") if s.terms.paused else None


def hold_on_objection(s: Situation) -> Verdict | None:
    """Someone else owns the target, or a right is missing."""
    objection = s.observation.objection
    return Verdict(objection.reason, objection.message) if objection else None


def hold_without_target(s: Situation) -> Verdict | None:
    """There is nothing to scale."""
    return None if s.observation.target else Verdict(Reason.TARGET_NOT_FOUND, "the target was not found")


def hold_on_failed_reading(s: Situation) -> Verdict | None:
    """A failed reading is not zero."""
    error = s.observation.reading
    return Verdict(error.reason, error.message) if isinstance(error, ReadingError) else None


def hold_on_stale_reading(s: Situation) -> Verdict | None:
    """Never act on old numbers."""
    reading = s.observation.reading
    age = s.now - reading.ended_at if isinstance(reading, Reading) else 0.0
    if age <= max(STALE_AFTER, STALE_READINGS * s.tick):
        return None
    return Verdict(Reason.READING_STALE, f"the last reading is {words.seconds(age)} old")


def hold_on_unknown_backlog(s: Situation) -> Verdict | None:
    """No partition's lag can be known."""
    if s.counted is None:
        return Verdict(Reason.UNKNOWN_BACKLOG, "the group has no partitions to read: its topics do not exist (yet)")
    asleep = s.asked == 0 and s.counted.arrived > 0  # someone must begin to consume
    if s.counted.lag is None and not s.counted.beyond and not asleep:
        return Verdict(
            Reason.UNKNOWN_BACKLOG,
            "the group has no commit and its consumers start at the latest record: no lag before the first commit",
        )
    return None


def hold_after_offsets_jumped(s: Situation) -> Verdict | None:
    """A recreated topic, a truncated log or a reset commit: wait for a new history."""
    if s.counted is not None and s.counted.beyond:
        return Verdict(
            Reason.OFFSETS_RESET,
            f"the commit is above the end in {words.some(s.counted.beyond, 'partition')}: topic recreated or log cut",
        )
    reset = s.memory.reset_at
    history = s.memory.history
    if reset is None or len(history) - history.since(reset) >= NEW_HISTORY:
        return None
    return Verdict(Reason.OFFSETS_RESET, "offsets moved backwards: waiting for new readings before judging")


def hold_while_consumers_are_down(s: Situation) -> Verdict | None:
    """Ready replicas without a member, and no commit: more of them would not help."""
    reading, target = s.observation.reading, s.observation.target
    if not isinstance(reading, Reading) or target is None or not target.ready:
        return None
    if reading.state not in (GroupState.EMPTY, GroupState.ABSENT) or s.backlog.service_rate:
        return None
    ready_for = s.now - min(pod.ready_since for pod in target.pods if pod.ready_since is not None)
    replicas = words.some(target.ready, "replica")
    if ready_for <= JOINING_FOR:
        return Verdict(
            Reason.REBALANCING, f"{replicas} ready for {words.seconds(ready_for)}, no member of the group yet"
        )
    return Verdict(
        Reason.CONSUMERS_DOWN,
        f"{replicas} ready, but the group has no member: look at the consumers' logs, more replicas would not help",
    )


def hold_on_stalled_transaction(s: Situation) -> Verdict | None:
    """Replicas cannot pass the last stable offset; readable records are still worth scaling out for."""
    if s.counted is None or not s.counted.stalled or s.half_gone:
        return None
    return Verdict(Reason.TRANSACTION_STALLED, _stalled(s))


def hold_while_rebalancing(s: Situation) -> Verdict | None:
    """The numbers move under us. Not for ever: a group that never settles must not freeze a surge."""
    if not _changing(s) or s.unsettled_for > s.patience:
        return None
    return Verdict(Reason.REBALANCING, "the group is rebalancing: measured, not judged")


def hold_while_warming_up(s: Situation) -> Verdict | None:
    """Too few readings for a rate, unless the backlog alone is too much or the target sleeps at zero."""
    if len(s.memory.history) >= WARM_READINGS or s.asked == 0 or _overwhelmed(s):
        return None
    readings = words.some(s.memory.history.looks, "reading")
    return Verdict(Reason.WARMING_UP, f"{readings} so far: {WARM_READINGS} are needed to know a rate")


NO_NUMBERS: tuple[Guard, ...] = (
    hold_while_paused,
    hold_on_objection,
    hold_without_target,
    hold_on_failed_reading,
    hold_on_stale_reading,
)
"""Before the limits: here not even a change of spec.replicas is acted on."""

NOT_JUDGED: tuple[Guard, ...] = (
    hold_on_unknown_backlog,
    hold_after_offsets_jumped,
    hold_while_consumers_are_down,
    hold_on_stalled_transaction,
    hold_while_rebalancing,
    hold_while_warming_up,
)
"""After the limits: the numbers are fresh, but they do not say what is needed."""


Brake = Callable[[Situation], str | None]


def brake_while_unsettled(s: Situation) -> str | None:
    """A group that changes shows too little service, and each change prolongs it."""
    return None if s.memory.crew.settled else "the group does not settle"


def brake_with_short_history(s: Situation) -> str | None:
    """After a start or a gap nobody knows the peak: wait until a whole promise and its lead have been seen.

    The arrivals before the first look may be known from the broker. Then, if a replica's capacity is known too, only
    the group itself must be watched: as long as a change just before the first look may take to show.
    """
    settles, hole = s.startup + s.pause, HOLE * s.tick
    wanted = min(LONGEST_WAIT, s.terms.max_age + settles)
    watched = s.memory.history.watched(hole)
    enough = s.per_replica is not None and watched >= settles
    seen = s.memory.history.known(hole) if enough else watched
    return f"only {words.seconds(seen)} were seen" if seen < wanted else None


def brake_after_a_change(s: Situation) -> str | None:
    """One change for each start-up and pause, and for each half of the promise.

    What the last one did must be seen first, and a queue that may wait that long smooths what is shorter.
    """
    settles = max(s.startup + s.pause, s.terms.max_age / 2)
    return f"the last change is {words.seconds(s.since_change)} old" if s.since_change < settles else None


def brake_on_stalled_transaction(s: Situation) -> str | None:
    """When the transaction ends, all that waits behind it comes at once."""
    return "an open transaction holds records back" if s.counted and s.counted.stalled else None


def brake_on_unknown_partitions(s: Situation) -> str | None:
    """Records of partitions without a commit may wait unseen."""
    unknown = s.counted is not None and s.counted.unknown and _hidden(s.counted.shares)
    return "partitions without a commit receive records" if unknown else None


def brake_while_degraded(s: Situation) -> str | None:
    """Features come back before replicas go, and show what they cost: a level says that there are too few."""
    if s.level:
        return f"features are off: level {s.level} of the degradation ladder"
    back = s.memory.ladder.at and s.now < s.memory.ladder.shows_at + SERVICE_WINDOW
    return "the features that are back do not show yet" if back else None


BRAKES: tuple[Brake, ...] = (
    brake_while_degraded,
    brake_while_unsettled,
    brake_with_short_history,
    brake_after_a_change,
    brake_on_stalled_transaction,
    brake_on_unknown_partitions,
)


def first_objection(s: Situation, guards: Iterable[Guard]) -> Verdict | None:
    """The first guard that objects."""
    for guard in guards:
        if (verdict := guard(s)) is not None:
            return verdict
    return None


def first_brake(s: Situation) -> str | None:
    """The first reason not to scale in."""
    return next((why for brake in BRAKES if (why := brake(s)) is not None), None)


def _changing(s: Situation) -> bool:
    return s.memory.crew.unsettled is not None


def _stalled(s: Situation) -> str:
    assert s.counted is not None
    blocked = sum(s.counted.shares.blocked)
    return f"an open transaction holds back {words.some(blocked, 'record')}: replicas cannot read past it"


def _overwhelmed(s: Situation) -> bool:
    """More waits than the replicas asked for could do within the promise, even if nothing came any more."""
    if s.per_replica is None or s.fleet is None or s.counted is None:
        return False
    return s.counted.behind > s.terms.max_age * s.per_replica * s.fleet.units(s.asked)


def _hidden(shares: Shares) -> bool:
    return any(
        arrived > 0 and position == NO_COMMIT for position, arrived in zip(shares.position, shares.arrived, strict=True)
    )
