"""What is said of a degradation ladder: the conditions Degraded and FlagDrift."""

from dataclasses import dataclass
from datetime import datetime

from tidegate.api import DegradationStatus, Reason
from tidegate.cluster.conditions import Said
from tidegate.engine.decision import Decision, Rung
from tidegate.engine.observation import Objection

LADDER_CONDITIONS = ("Degraded", "FlagDrift")
"""What a LagPolicy with a ladder has beside the others."""

STATES = frozenset({Reason.HIGHEST_LEVEL, Reason.FLAPPING, Reason.FORCED})
"""Where the ladder stays for a reason that says more than why the level was taken."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """A ladder of so many `levels` after a cycle.

    `status` is what is recorded. `drifted` are its flags that somebody else has changed, in words; None: not known now.
    `problem` is why no flag can be switched. `notes` are to be told beside.
    """

    levels: int
    status: DegradationStatus
    drifted: tuple[str, ...] | None = ()
    problem: Objection | None = None
    notes: tuple[Objection, ...] = ()


def degraded(ladder: Ladder, decision: Decision) -> Said:
    """Whether features are off: which, since when, why, and what would change that."""
    rung, level = decision.rung, ladder.status.level
    parts = [_off(ladder) if level else "", *_next(ladder, decision), *(note.message for note in ladder.notes)]
    reason = _cause(ladder, rung) if level else _why_on(ladder, rung)
    return level > 0, reason, "; ".join(filter(None, parts))


def _off(ladder: Ladder) -> str:
    status = ladder.status
    flags = ", ".join(f"{one.flag} is {one.variant}" for one in status.flags) or "no flag is switched any more"
    since = f" since {_written(status.since)}" if status.since else ""
    first = status.degraded_since
    before = f", others since {_written(first)}" if first and first != status.since else ""
    name = f", {status.name}" if status.name else ""
    return f"{flags} (level {status.level} of {ladder.levels}{name}{since}{before})"


def _next(ladder: Ladder, decision: Decision) -> list[str]:
    """What would change the level, or keeps it from changing."""
    rung, level = decision.rung, ladder.status.level
    on = [] if level else ["every feature is on"]
    if ladder.problem:
        return [*on, f"no flag is switched: {ladder.problem.message}"]
    if rung is None:
        return on
    if decision.dry_run and rung.level != level:
        return [*on, f"DryRun, else it would go to {rung.message}"]
    return [rung.message]


def _cause(ladder: Ladder, rung: Rung | None) -> str:
    if rung and rung.too_long:
        return Reason.DEGRADED_TOO_LONG
    if rung and rung.reason in STATES:
        return rung.reason
    ups = [change.reason for change in ladder.status.history if change.to > change.from_]
    causes = [reason for reason in ups if reason != Reason.FORCE_ENDED]  # then it is back where another cause led to
    return (causes or ups or [Reason.PENDING])[-1]


def _why_on(ladder: Ladder, rung: Rung | None) -> str:
    if ladder.notes and ladder.notes[0].reason is Reason.INVALID_FORCE_LEVEL:
        return Reason.INVALID_FORCE_LEVEL
    return Reason.FORCED if rung and rung.reason is Reason.FORCED else Reason.FEATURES_ON


def flag_drift(ladder: Ladder) -> Said | None:
    """Whether somebody else has changed a switched flag; None where that cannot be seen."""
    if ladder.drifted is None:
        return None
    if not ladder.drifted:
        return False, Reason.AS_WRITTEN, "every flag of the ladder is as it left it"
    said = "; ".join(ladder.drifted)
    return True, Reason.CHANGED_BY_OTHERS, f"{said}: left as it is, now and when the others are restored"


def _written(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
