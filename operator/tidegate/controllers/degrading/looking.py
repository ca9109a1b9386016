"""Before the engine's step: which level the flags show, and what is in the way of another one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidegate.api import (
    FORCE_LEVEL_ANNOTATION,
    DegradationStatus,
    FlagsRef,
    ForcedLevel,
    LagPolicy,
    Level,
    Mode,
    Reason,
    cut,
    parse_forced_level,
)
from tidegate.cluster.flags import Document, Place, Seen, Standing, propagation_of, standing, unfit
from tidegate.cluster.flags.steps import Variants
from tidegate.cluster.laddering import Ladder
from tidegate.cluster.recording import is_held, recorded_now
from tidegate.cluster.server import FAILURES
from tidegate.controllers.charge import Charge
from tidegate.controllers.services import Services
from tidegate.controllers.world import World, place_of
from tidegate.engine.observation import Flags, Force, Objection

MAX_AGE, MAX_AGE_DEGRADED = 60.0, 10.0
"""Seconds for which flags that were read will do while nothing is switched, and while something is."""

LOST = (
    "Tidegate has switched flags here, but what they were before is not in status.degradation any more: none is "
    "guessed; set them as they should be"
)
"""Said where the finalizer tells that flags were switched, and nothing of them is recorded."""


@dataclass(frozen=True, slots=True)
class Look:
    """The ladder of one policy as a cycle finds it.

    `status` is what is recorded, and `ref` where the flags are that it is about (None: nothing is recorded, and there
    is no ladder any more). `found` are these flags. `leave` says why all that is recorded has to be restored before
    anything else. `problem` is why no flag may be switched, `unfit` why no further one: what is off may come back even
    where somebody has broken a level above. `forced` is the annotation, or why it cannot be read.
    """

    policy: LagPolicy
    status: DegradationStatus
    ref: FlagsRef | None
    found: Seen | Objection | None
    at: Standing
    leave: Objection | None = None
    problem: Objection | None = None
    unfit: Objection | None = None
    forced: ForcedLevel | Objection | None = None

    @property
    def levels(self) -> Sequence[Level]:
        """All levels of the ladder; none where it is to be left."""
        return levels_of(self.policy) if self.leave is None else ()

    @property
    def seen(self) -> Seen | None:
        """The flags, where they can be read."""
        return self.found if isinstance(self.found, Seen) else None


def levels_of(policy: LagPolicy) -> Sequence[Level]:
    """The levels of its ladder."""
    return policy.spec.degradation.levels if policy.spec.degradation else ()


async def look(services: Services, charge: Charge, policy: LagPolicy) -> Look | None:
    """Look at the flags, and at what is recorded of them. None where there is no ladder, at no cost."""
    if policy.spec.degradation is None and charge.status.degradation is None:
        return None
    recorded = charge.status.degradation or DegradationStatus()
    ref, leave = _where(services.world, policy, recorded)
    found = await services.flags.read(policy.metadata.namespace or "", ref, _max_age(recorded)) if ref else None
    seen = found if isinstance(found, Seen) else None
    if seen and await was_outdated(services, charge, policy, seen):
        return await look(services, charge, policy)
    at = standing(recorded, seen.document.variants) if seen else Standing(recorded.level)
    bad = _unfit(policy, recorded, seen.document) if seen else None
    problem = leave or _problem(services.world, policy, found) or (None if recorded.flags else bad)
    return Look(policy, recorded, ref, found, at, leave, problem, bad, _forced(policy))


async def was_outdated(services: Services, charge: Charge, policy: LagPolicy, seen: Seen) -> bool:
    """Whether another process has recorded something else (during a roll-out two run): that is the truth from now on.

    Asked where somebody else has changed the flags. A record that is not there was cleared: ours is as good as any.
    """
    if seen.version == charge.flags_version:
        return False
    try:
        there = await recorded_now(services.api, policy)
    except FAILURES:
        return False  # asked again in the next cycle
    charge.flags_version = seen.version
    if there is None or there == charge.status.degradation:
        return False
    charge.status = charge.status.model_copy(update={"degradation": there})
    return True


def _max_age(recorded: DegradationStatus) -> float:
    """A step that was begun is looked after now: what is cached may be older than it."""
    if recorded.pending_level is not None:
        return 0.0
    return MAX_AGE_DEGRADED if recorded.level else MAX_AGE


def _where(world: World, policy: LagPolicy, recorded: DegradationStatus) -> tuple[FlagsRef | None, Objection | None]:
    """Where the flags are that matter now, and why all that is recorded has to be restored first."""
    ladder, namespace = policy.spec.degradation, policy.metadata.namespace or ""
    if not recorded.flags or recorded.flags_ref is None:
        return (ladder.flags_ref if ladder else None), None
    ref = recorded.flags_ref
    if ladder is None:
        said = "spec.degradation was removed: every feature comes back first"
        return ref, Objection(Reason.LADDER_CHANGED, said)
    if Place.of(namespace, ref) != place_of(policy):
        said = f"spec.degradation.flagsRef was changed: every feature in {ref.kind} {ref.name} comes back first"
        return ref, Objection(Reason.LADDER_CHANGED, said)
    return ladder.flags_ref, conflict(world, policy)


def _problem(world: World, policy: LagPolicy, found: Seen | Objection | None) -> Objection | None:
    if isinstance(found, Objection) or found is None:
        return found
    return found.fixed or conflict(world, policy)


def _unfit(policy: LagPolicy, recorded: DegradationStatus, document: Document) -> Objection | None:
    judged = unfit(document, levels_of(policy), recorded.flags)
    if judged and is_held(policy) and not recorded.flags:
        return Objection(judged.reason, cut(f"{judged.message}; {LOST}"))
    return judged


def conflict(world: World, policy: LagPolicy) -> Objection | None:
    """FLAGS_CONFLICT where an older policy (of equal age: by name) has one of these flags in its ladder.

    One in DryRun switches nothing, so it has none.
    """
    mine = _flags(policy)
    for other in world.sharing(policy):
        both = sorted(mine & _flags(other))
        if both and _rank(other) < _rank(policy) and other.mode is not Mode.DRY_RUN:
            flags = ", ".join(both)
            said = f"LagPolicy {other.metadata.name}, which is older, switches {flags}: leave that to one of the two"
            return Objection(Reason.FLAGS_CONFLICT, said)
    return None


def _flags(policy: LagPolicy) -> set[str]:
    return {flag for level in levels_of(policy) for flag in level.flags}


def _rank(policy: LagPolicy) -> tuple[float, str]:
    created = policy.metadata.creation_timestamp
    return created.timestamp() if created else 0.0, policy.metadata.name


def _forced(policy: LagPolicy) -> ForcedLevel | Objection | None:
    text = policy.metadata.annotations.get(FORCE_LEVEL_ANNOTATION)
    if text is None or policy.spec.degradation is None:
        return None
    try:
        return parse_forced_level(text)
    except ValueError as error:
        said = f"the annotation {FORCE_LEVEL_ANNOTATION} is ignored: {error}"
        return Objection(Reason.INVALID_FORCE_LEVEL, said)


def flags_of(found: Look | None, now: float) -> Flags | None:
    """What the engine is told."""
    ladder = found.policy.spec.degradation if found else None
    if found is None or ladder is None:
        return None
    force = found.forced if isinstance(found.forced, ForcedLevel) and found.forced.until.timestamp() > now else None
    return Flags(
        level=min(found.at.level, len(ladder.levels)),
        propagation=propagation_of(ladder.flags_ref),
        objection=found.problem,
        force=Force(force.level, force.until.timestamp()) if force else None,
    )


def describe(found: Look, now: float) -> Ladder:
    """What is to be said of it after a cycle."""
    return Ladder(
        levels=len(levels_of(found.policy)),
        status=found.status,
        drifted=_drift(found.status, found.seen.document.variants) if found.seen else None,
        problem=found.problem or found.unfit,
        notes=tuple(_notes(found, now)),
    )


def _drift(recorded: DegradationStatus, variants: Variants) -> tuple[str, ...]:
    drifted = standing(recorded, variants).drifted
    records = (record for record in recorded.flags if record.flag in drifted)
    return tuple(f"{one.flag} is {variants.get(one.flag)}, Tidegate had made it {one.variant}" for one in records)


def _notes(found: Look, now: float) -> Iterator[Objection]:
    forced = found.forced
    if isinstance(forced, Objection):
        yield forced
    elif forced and forced.until.timestamp() <= now:
        said = f"the time of the annotation {FORCE_LEVEL_ANNOTATION} is over, it has no effect any more"
        yield Objection(Reason.FORCE_ENDED, said)
    if found.leave and found.policy.spec.mode is Mode.DRY_RUN:
        yield Objection(Reason.DRY_RUN, "in DryRun they stay as they are: spec.mode Active brings them back")
