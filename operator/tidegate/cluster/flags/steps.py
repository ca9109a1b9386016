"""From what is recorded of the switched flags and what the document shows to the level, and from there to another.

A flag is ours while it shows what was written last (or, with a step under way, what that replaces). Else somebody has
changed it: it is left as it is until level 0 is reached, and not restored over then.

The order of a step is: `step_to` and its status written, the flags written, `confirmed` and its status written. A crash
between any two of them is seen by `standing`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidegate.api import DegradationStatus, Level, SwitchedFlag

Variants = Mapping[str, str | None]
"""The `defaultVariant` of each flag of a document."""


class Standing(NamedTuple):
    """Where the ladder stands.

    `level` is the level in force. `pending` is what a step under way has yet to write. `written` is its level where
    nothing is left to write: it has only to be confirmed. `drifted` are switched flags that somebody else has changed.
    """

    level: int
    drifted: frozenset[str] = frozenset()
    pending: Mapping[str, str] = {}
    written: bool = False


class Step(NamedTuple):
    """A step begun: the status to write first, and then the variants to write (none where all show them already)."""

    status: DegradationStatus
    variants: Mapping[str, str]


def standing(status: DegradationStatus, variants: Variants) -> Standing:
    """The level in force, by the status and the document together."""
    drifted = frozenset(each.flag for each in status.flags if not _ours(each, variants))
    pending = {
        each.flag: each.variant
        for each in status.flags
        if each.previous is not None and variants.get(each.flag) == each.previous
    }
    written = status.pending_level is not None and not pending
    level = status.pending_level if written and status.pending_level is not None else status.level
    return Standing(level, drifted, pending, written)


def step_to(levels: Sequence[Level], status: DegradationStatus, variants: Variants, to: int) -> Step:
    """Begin a step from wherever things stand to the level `to` (0 restores all, whatever `levels` says).

    With `to` the level in force it mends: it gives up a step that could not be written, and follows edited levels.
    Times, names and history of the status are the caller's.
    """
    wanted = _wanted(levels[:to])
    recorded = {each.flag: each for each in status.flags}
    steps = [_step(flag, recorded.get(flag), variants.get(flag), wanted.get(flag)) for flag in {**recorded, **wanted}]
    flags = tuple(each for each in steps if each is not None)
    writes = {each.flag: each.variant for each in flags if each.previous is not None}
    begun = {"level": standing(status, variants).level, "pending_level": to, "flags": flags}
    return Step(status.model_copy(update=begun), writes)


def confirmed(status: DegradationStatus) -> DegradationStatus:
    """The status once the flags of the step under way are written. At level 0 nothing is recorded any more."""
    level = status.level if status.pending_level is None else status.pending_level
    kept = [
        each.model_copy(update={"previous": None}) for each in status.flags if level and each.variant != each.before
    ]
    return status.model_copy(update={"level": level, "pending_level": None, "flags": tuple(kept)})


def _wanted(levels: Sequence[Level]) -> dict[str, str]:
    """The variants of these levels together: a later one wins."""
    return {flag: variant for level in levels for flag, variant in level.flags.items()}


def _ours(record: SwitchedFlag, variants: Variants) -> bool:
    return variants.get(record.flag) in (record.variant, record.previous or record.variant)


def _step(flag: str, record: SwitchedFlag | None, now: str | None, wanted: str | None) -> SwitchedFlag | None:
    """The record of one flag for a step that wants it so (None: as it was before); None where there is none to keep."""
    if record is None:
        if now is None or wanted is None or now == wanted:
            return None
        return SwitchedFlag(flag=flag, before=now, previous=now, variant=wanted)
    if not _ours(record, {flag: now}):
        return _left(record)
    variant = record.before if wanted is None else wanted
    if now == variant == record.before:
        return None
    return record.model_copy(update={"previous": None if now == variant else now, "variant": variant})


def _left(record: SwitchedFlag) -> SwitchedFlag:
    """The record of a flag that somebody else has changed: it keeps what it would be known by, were that undone."""
    restored = record.variant == record.before
    return record.model_copy(update={"previous": None, "variant": record.previous if restored else record.variant})
