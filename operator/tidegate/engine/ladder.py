"""The degradation ladder: at which level the features should stand, and what is remembered to decide it.

Up where the promise is in danger and scaling does not help, down as soon as that is safe, and each direction slow
enough that it cannot swing. A pure state machine over what a step sees; how that is seen is in `sight`.
"""

from collections.abc import Callable
from typing import NamedTuple

from tidegate.api.degradation import FORCE_LEVEL_ANNOTATION
from tidegate.api.reasons import Reason
from tidegate.engine import words
from tidegate.engine.decision import Rung
from tidegate.engine.observation import Flags, Force
from tidegate.engine.terms import LadderTerms
from tidegate.engine.words import Said

HOUR = 3600.0
LONGEST_HOLD = HOUR
"""Seconds to which failed restores may lengthen the time before the next one: load that lasts longer is the usual."""
WATCHED = 600.0
"""Seconds for which a restore is at least watched for its failure: a queue hides for so long that a tenth too much
arrives."""
FREEZES_ABOVE = 3
"""Restores of the last hour that did not hold, beyond which there are no more until the oldest is an hour old."""

Words = str | Said


class Below(NamedTuple):
    """Whether a lower level would do, and the numbers of that."""

    does: bool
    said: Words


class View(NamedTuple):
    """What the numbers of a step say.

    `danger`: the promise will be broken at the level in force, and so late that flags would help; None: it will not.
    `cause` is why scaling does not help, `why` the same in words. `below` says whether a lower level would do.
    `breaks`: the promise will be broken, whether flags help or not.
    """

    danger: Words | None
    cause: Reason | None
    why: Words
    below: Callable[[int], Below]
    breaks: bool


class Blind(NamedTuple):
    """The numbers of a step say nothing, and why."""

    reason: Reason
    said: Words


class Ladder(NamedTuple):
    """What is remembered of the ladder. Times are seconds since the epoch; 0 or None: never, or not now.

    `level` is what the flags showed last, since `at`; the application obeys them from `shows_at` on. Level 0 was `left`
    then. What the last restore brought back is watched until `watched`; `failed` are the last restores that did not
    hold. It `took` so many seconds from the danger to the last level. `before` is the level before a person's force.
    `watch`: a restore is on its way to the flags, to be watched for so many seconds.
    """

    level: int | None = None
    at: float = 0.0
    shows_at: float = 0.0
    left: float | None = None
    watched: float = 0.0
    failed: tuple[float, ...] = ()
    took: float = 0.0
    before: int | None = None
    watch: float = 0.0
    # volatile: it begins anew with a restart, as with every look that shows nothing
    danger: float | None = None  # since when it has been there, with a cause
    safe: float | None = None  # since when the next lower level would do; at level 0, since when there is no danger

    def after(self, flags: Flags, now: float) -> "Ladder":
        """After a look at the flags. A level that they did not show before is a step, whoever made it."""
        seen = self._dated(now)
        if flags.level == seen.level:
            return seen
        if seen.level is None and not flags.level:
            return seen._replace(level=0)
        stepped = seen._stepped(flags, now)
        if flags.level < (seen.level or 0):
            return stepped._replace(watched=stepped.shows_at + max(seen.watch, WATCHED) if seen.watch else 0.0)
        return stepped if seen.danger is None else stepped._replace(took=now - seen.danger, failed=seen._failed(now))

    def _stepped(self, flags: Flags, now: float) -> "Ladder":
        left = (self.left or now) if flags.level else None
        shows_at = now + flags.propagation
        return self._replace(level=flags.level, at=now, shows_at=shows_at, left=left, watched=0.0, watch=0.0, safe=None)

    def _failed(self, now: float) -> tuple[float, ...]:
        """The last restores that did not hold: the last one is among them if danger came back while it was watched."""
        assert self.danger is not None
        return self.failed if self.danger > self.watched else (*self.failed, now)[-FREEZES_ABOVE - 1 :]

    def _dated(self, now: float) -> "Ladder":
        """Without times to come: the clock was set back."""
        if self.at <= now:
            return self
        return self._replace(
            at=now,
            shows_at=min(self.shows_at, now + self.shows_at - self.at),
            left=None if self.left is None else min(self.left, now),
            watched=min(self.watched, now + LONGEST_HOLD),
            failed=tuple(min(time, now) for time in self.failed),
            danger=None,
            safe=None,
        )

    def timed(self, view: View | Blind, level: int, now: float) -> "Ladder":
        """With what a look says of danger and safety. One that says nothing ends both."""
        if isinstance(view, Blind):
            return self._replace(danger=None, safe=None)
        endangered = view.danger is not None and view.cause is not None
        safe = view.danger is None and (not level or view.below(level - 1).does)
        timed = self._replace(danger=_since(self.danger, endangered, now), safe=_since(self.safe, safe, now))
        calm = not level and timed.safe is not None and now - timed.safe >= HOUR
        return timed._replace(failed=()) if calm and timed.failed else timed

    def hold(self, terms: LadderTerms) -> float:
        """Seconds for which the level must have been dispensable: longer than entering took, and than failed restores
        have shown to be too short.
        """
        longer: float = min(terms.restore_after * 2 ** len(self.failed), max(LONGEST_HOLD, terms.restore_after))
        return max(longer, min(self.took, LONGEST_HOLD))

    def frozen(self, now: float) -> float:
        """Seconds for which no restore is tried any more; 0 where it may be."""
        lately = [time for time in self.failed if now - time < HOUR]
        return lately[0] + HOUR - now if len(lately) > FREEZES_ABOVE else 0.0


def _since(before: float | None, holds: bool, now: float) -> float | None:
    return (now if before is None else before) if holds else None


class Look(NamedTuple):
    """All that decides about the rung at one moment. `settle` is how long a step must have been there to be judged."""

    ladder: Ladder
    flags: Flags
    terms: LadderTerms
    view: View | Blind
    settle: float
    now: float

    @property
    def level(self) -> int:
        """The level that the flags show."""
        return self.flags.level

    @property
    def forced(self) -> Force | None:
        """What a person asks for now."""
        force = self.flags.force
        return force if force is not None and self.now < force.until else None

    @property
    def settles_for(self) -> float:
        """Seconds until the last step can be judged."""
        return self.ladder.at + self.settle - self.now if self.ladder.at else 0.0

    def named(self, level: int) -> str:
        """`level 1 (NoRecommendations)`."""
        names = self.terms.levels
        return f"level {level} ({names[level - 1]})" if 0 < level <= len(names) else f"level {level}"


def climb(look: Look) -> tuple[Rung, Ladder]:
    """Where the ladder should stand, and what it remembers; `look.ladder` has seen the flags already."""
    if look.forced is not None:
        before = look.level if look.ladder.before is None else look.ladder.before
        ladder = look.ladder._replace(before=before, watch=0.0, danger=None, safe=None)
    else:
        ladder = look.ladder.timed(look.view, look.level, look.now)._replace(before=_level_before(look), watch=0.0)
    look = look._replace(ladder=ladder)
    rung = _objected(look) or _held_by_a_person(look) or _raised(look) or _restored(look) or _kept(look)
    if rung.reason is Reason.RESTORING:
        ladder = ladder._replace(watch=ladder.hold(look.terms))
    too_long = ladder.left is not None and look.now - ladder.left > look.terms.max_duration
    return rung._replace(too_long=too_long), ladder


def _level_before(look: Look) -> int | None:
    """The level before a force that is over; None where there was none, or its level has become the ladder's own."""
    before = look.ladder.before
    if before is None or before == look.level:
        return None
    kept = before < look.level and isinstance(look.view, View) and not look.view.below(before).does
    return None if kept else before


def _objected(look: Look) -> Rung | None:
    """The flags cannot be switched: whatever is wanted, they stay."""
    objection = look.flags.objection
    return Rung(look.level, objection.reason, objection.message) if objection else None


def _held_by_a_person(look: Look) -> Rung | None:
    """What a person says wins over all numbers, and over their absence; and when it ends, so does what it did."""
    force, before = look.forced, look.ladder.before
    if force is not None:
        level = max(0, min(force.level, len(look.terms.levels)))
        until = words.seconds(force.until - look.now)
        return Rung(level, Reason.FORCED, f"{look.named(level)}: held by {FORCE_LEVEL_ANNOTATION} for {until} more")
    if before is None:
        return None
    return Rung(before, Reason.FORCE_ENDED, f"{look.named(before)}: as before {FORCE_LEVEL_ANNOTATION}")


def _raised(look: Look) -> Rung | None:
    """One level up, once danger and cause have lasted and the step before it has shown what it does."""
    view, since, terms = look.view, look.ladder.danger, look.terms
    if since is None or not isinstance(view, View) or view.cause is None or look.level >= terms.highest:
        return None
    lasted = look.now - max(since, look.ladder.shows_at)
    if lasted < terms.escalate_after or look.settles_for > 0:
        return None
    up = look.named(look.level + 1)
    return Rung(look.level + 1, view.cause, Said(lambda: f"{up}: {view.danger}; {view.why}"))


def _restored(look: Look) -> Rung | None:
    """One level down, once it has been dispensable for long enough, unless that failed too often."""
    view = look.view
    if not look.level or look.ladder.safe is None or look.settles_for > 0 or look.ladder.frozen(look.now):
        return None
    lasted, hold = _dispensable_for(look), look.ladder.hold(look.terms)
    if lasted < hold or not isinstance(view, View):
        return None
    down, long = look.named(look.level - 1), words.seconds(lasted)
    said = Said(lambda: f"{down}: it would have done for {long}; {view.below(look.level - 1).said}")
    return Rung(look.level - 1, Reason.RESTORING, said)


def _dispensable_for(look: Look) -> float:
    safe = look.ladder.safe
    return 0.0 if safe is None else max(0.0, look.now - max(safe, look.ladder.shows_at))


def _kept(look: Look) -> Rung:
    """Where it stands, and what it waits for."""
    view, here = look.view, look.named(look.level)
    if not look.level:
        return Rung(0, Reason.FEATURES_ON, _endangered(look))
    if isinstance(view, Blind):
        return Rung(look.level, view.reason, Said(lambda: f"{here} is kept: {view.said}"))
    if look.settles_for > 0:
        return Rung(look.level, Reason.SETTLING, f"{here} is judged in {words.seconds(look.settles_for)}")
    if view.danger is not None and look.level >= look.terms.highest:
        return Rung(look.level, Reason.HIGHEST_LEVEL, Said(lambda: f"{here} is the highest, and {view.danger}"))
    frozen = look.ladder.frozen(look.now)
    if frozen:
        many, wait = len(look.ladder.failed), words.seconds(frozen)
        return Rung(look.level, Reason.FLAPPING, f"{here}: {many} restores within an hour failed, none for {wait}")
    return Rung(look.level, Reason.NOT_YET_DISPENSABLE, _needed(look, view))


def _endangered(look: Look) -> Words:
    view, since = look.view, look.ladder.danger
    if since is None or not isinstance(view, View):
        return "every feature is on"
    return Said(lambda: f"every feature is on, but for {words.seconds(look.now - since)} {view.danger}; {view.why}")


def _needed(look: Look, view: View) -> Words:
    """Why the level stays."""
    here = look.named(look.level)
    if view.danger is not None:
        return Said(lambda: f"{here} is needed: {view.danger}; {view.why}")
    below = view.below(look.level - 1)
    if not below.does:
        return Said(lambda: f"{here} is needed: {below.said}")
    lasted, hold = words.seconds(_dispensable_for(look)), words.seconds(look.ladder.hold(look.terms))
    return f"{here} has been dispensable for {lasted}: it goes after {hold}"
