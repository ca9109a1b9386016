"""After the engine's step: the flags are switched, in an order in which a crash at any point loses nothing.

1. What is going to be switched, and what it is now, is recorded in the status (and the policy kept by the finalizer).
2. The flags are written, if the document still is as it was read.
3. The record is confirmed; the step is told.

Whoever comes after a crash sees by the document how far it got (`standing`), and the engine decides anew from there: a
step that was not written is given up or done again, one that was written is only confirmed.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from tidegate.api import DegradationStatus, FlagsRef, LevelChange, Mode, Reason, cut
from tidegate.cluster.announcements import mended, stepped
from tidegate.cluster.flags import confirmed, standing, step_to, unfit
from tidegate.cluster.recording import ContendedError, is_held, record
from tidegate.cluster.server import FAILURES, refusal, status_of, words
from tidegate.cluster.status import HISTORY
from tidegate.cluster.times import moment
from tidegate.controllers.charge import Charge
from tidegate.controllers.degrading.looking import Look, conflict, was_outdated
from tidegate.controllers.services import Services
from tidegate.controllers.world import name_of
from tidegate.engine.decision import Rung
from tidegate.engine.observation import Objection

logger = logging.getLogger(__name__)


class Cause(NamedTuple):
    """Why a step is taken; the message begins with the level that it leads to."""

    reason: Reason
    message: str


async def carry_out(services: Services, charge: Charge, found: Look, rung: Rung | None) -> Look | None:
    """Bring the flags to the level that was decided, and give what is there then; None: there is no ladder any more.

    Where all is as it should be nothing is asked for or written; in DryRun never.
    """
    if found.policy.spec.mode is Mode.DRY_RUN or isinstance(found.found, Objection) or not services.may_act():
        return found
    to, cause = _order(found, rung)
    if not _is_due(found, to):
        return found
    return await switch(services, charge, found, to, cause)


async def switch(services: Services, charge: Charge, found: Look, to: int, cause: Cause) -> Look | None:
    """Take a step, as `carry_out` says. What fails is the `problem` of what it gives; the next cycle tries again."""
    try:
        return await _Switching(services, charge, found, to, cause).run()
    except ContendedError:
        why = _unrecorded("the policy was changed by others at the same moment")
    except FAILURES as error:
        if status_of(error) == 403:
            why = refusal(error, found.policy.metadata.namespace)
        else:
            why = _unrecorded(f"the API server says: {words(error)}")
    return replace(found, status=charge.status.degradation or found.status, problem=why)


def _unrecorded(why: str) -> Objection:
    return Objection(Reason.FLAGS_NOT_WRITTEN, cut(f"the switched flags cannot be recorded in the status: {why}"))


def _order(found: Look, rung: Rung | None) -> tuple[int, Cause]:
    """Which level the flags should show now, and why."""
    if found.leave:
        return 0, Cause(found.leave.reason, f"level 0: {found.leave.message}")
    level = min(found.at.level, len(found.levels))
    if rung is not None and rung.level != level:
        return rung.level, Cause(rung.reason, rung.message)
    return level, Cause(Reason.LADDER_CHANGED, f"level {level}: spec.degradation.levels was edited")


def _is_due(found: Look, to: int) -> bool:
    """Whether anything is to be written."""
    recorded = found.status
    if found.ref is None or recorded.pending_level is not None or to != recorded.level:
        return True
    if not recorded.flags or found.seen is None:
        return is_held(found.policy) and found.problem is None
    step = step_to(found.levels, recorded, found.seen.document.variants, to)
    return bool(step.variants) or confirmed(step.status).flags != recorded.flags


class _Switching:
    """One step of one ladder."""

    def __init__(self, services: Services, charge: Charge, found: Look, to: int, cause: Cause) -> None:
        self.services = services
        self.charge = charge
        self.found = found
        self.to = to
        self.cause = cause
        self.now = services.clock()

    async def run(self) -> Look | None:
        """Take it. Raises one of FAILURES, or ContendedError."""
        found, namespace = self.found, self.found.policy.metadata.namespace or ""
        ref = found.ref
        if ref is None:
            return None if await self._keep(None) else self._given(found)
        seen = await self.services.flags.read(namespace, ref, 0.0)
        if isinstance(seen, Objection):
            return replace(found, found=seen, problem=seen)
        if await was_outdated(self.services, self.charge, found.policy, seen):
            return self._given(replace(found, found=seen))
        found = replace(found, found=seen, at=standing(found.status, seen.document.variants))
        if self.to > found.at.level and (why := unfit(seen.document, found.levels, found.status.flags)):
            return replace(found, problem=why)
        step = step_to(found.levels, found.status, seen.document.variants, self.to)
        intent = self._dated(step.status, found, ref)
        if step.variants:
            if not await self._keep(intent):
                return self._given(found)
            written = await self.services.flags.write(namespace, ref, seen, step.variants)
            if isinstance(written, Objection):
                return replace(found, status=intent, problem=written)
            found, self.charge.flags_version = replace(found, found=written), written.version
        done = self._done(intent)
        if await self._keep(done):
            self._tell(done, step.variants)
        return self._given(found)

    async def _keep(self, status: DegradationStatus | None) -> bool:
        """Record it; False: another process has recorded something else, which is the truth from now on."""
        recorded = await record(self.services.api, self.found.policy, self.charge.status.degradation, status)
        self.charge.status = self.charge.status.model_copy(update={"degradation": recorded.status})
        if not recorded.ours:
            logger.warning("%s: another process has switched its flags meanwhile", name_of(self.found.policy))
        return recorded.ours

    def _given(self, found: Look) -> Look:
        """What is there now."""
        status = self.charge.status.degradation or DegradationStatus()
        left = found.leave is not None and not status.flags
        problem = conflict(self.services.world, found.policy) if left else found.problem
        return replace(found, status=status, leave=None if left else found.leave, problem=problem)

    def _dated(self, status: DegradationStatus, found: Look, ref: FlagsRef) -> DegradationStatus:
        """The intent, with what the history has to say of it."""
        history = found.status.history if found.at.written else _settled(found.status)
        if self.to != found.at.level:
            change = self._change(found.at.level)
            begun = found.status.history[len(history) :]
            same = bool(begun) and _what(begun[0]) == _what(change)
            history = (*history, begun[0] if same else change)[-HISTORY:]
        return status.model_copy(update={"history": history, "flags_ref": ref})

    def _change(self, level: int) -> LevelChange:
        return LevelChange(
            time=moment(self.now),
            **{"from": level},
            to=self.to,
            reason=self.cause.reason,
            message=cut(self.cause.message),
        )

    def _done(self, intent: DegradationStatus) -> DegradationStatus:
        """The record of a step that was taken."""
        done, before = confirmed(intent), self.found.status
        taken = done.history[-1].time if done.history else moment(self.now)
        levels = self.found.levels
        return done.model_copy(
            update={
                "name": levels[done.level - 1].name if 0 < done.level <= len(levels) else None,
                "since": before.since if done.level == before.level else taken,
                "degraded_since": (before.degraded_since or taken) if done.level else None,
                "flags_ref": done.flags_ref if done.flags else None,
            }
        )

    def _tell(self, done: DegradationStatus, variants: Mapping[str, str]) -> None:
        policy, before = self.found.policy, _settled(self.found.status)
        changes = [change for change in done.history if change not in before]
        events = [stepped(policy, change) for change in changes]
        if not changes and variants:
            events.append(mended(policy, done.level, variants))
        self.services.recorder.tell(*events)
        for event in events:
            about = {"policy": str(name_of(policy)), "reason": event.reason, "level": done.level}
            logger.info("%s, %s: %s", name_of(policy), event.reason, event.message, extra={"about": about})


def _settled(status: DegradationStatus) -> tuple[LevelChange, ...]:
    """The steps that are known to be taken: the last one is not, while it is under way."""
    return status.history[:-1] if status.pending_level not in (None, status.level) else status.history


def _what(change: LevelChange) -> object:
    return change.from_, change.to, change.reason
