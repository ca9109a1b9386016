"""What the engine remembers from step to step: the little that must survive a restart, and the recent past."""

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidegate.api.degradation import LEVELS
from tidegate.engine.behavior import KEPT, Past, Recommendations, Until
from tidegate.engine.bound import UNBOUND, Bound
from tidegate.engine.capacity import KEEP, Capacities, Learned, at_level, level_of, undegraded
from tidegate.engine.caution import MOST, Caution
from tidegate.engine.commits import Rhythm
from tidegate.engine.decision import Backlog
from tidegate.engine.history import History
from tidegate.engine.hours import Hours
from tidegate.engine.ladder import FREEZES_ABOVE, Ladder
from tidegate.engine.loads import Loads
from tidegate.engine.observation import Flags
from tidegate.engine.rates import KNOWN, Dispersion
from tidegate.engine.saturation import Skill
from tidegate.engine.staleness import Freshest
from tidegate.engine.timing import Crew, Times

VERSION = 1
TEMPLATE_LENGTH = 100  # characters of a pod template's identity kept; hashes are far shorter

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Replicas = Annotated[int, Field(ge=0)]


Level = Annotated[int, Field(ge=0, le=LEVELS)]


class _KeptLadder(BaseModel):
    """What survives of the ladder."""

    level: Level | None = None
    at: Seconds = 0.0
    shows: Seconds = 0.0
    left: Seconds | None = None
    watched: Seconds = 0.0
    failed: tuple[Seconds, ...] = ()
    took: Seconds = 0.0
    before: Level | None = None
    watch: Seconds = 0.0


class _Kept(BaseModel):
    """The part that survives: validated like any input, since anyone may edit a status."""

    model_config = ConfigDict(extra="ignore", strict=False)

    v: int = Field(ge=VERSION, le=VERSION)
    capacities: tuple[tuple[Annotated[str, Field(max_length=TEMPLATE_LENGTH)], Rate, bool], ...] = ()
    startups: tuple[Seconds, ...] = ()
    spreads: tuple[Seconds, ...] = ()
    joins: tuple[Seconds, ...] = ()
    leaves: tuple[Seconds, ...] = ()
    asked: Replicas | None = None
    changed: Seconds | None = None
    past: tuple[tuple[Seconds, Replicas, Replicas], ...] = ()
    residue: int = Field(default=0, ge=0)
    caution: Seconds = 0.0
    noise: tuple[Seconds, Seconds] | None = None
    levels: tuple[tuple[Level, Rate], ...] = ()  # what a replica of the last of the templates does at a level
    ladder: _KeptLadder = _KeptLadder()


class Memory(NamedTuple):
    """A value: `step` returns a new one. `dump` gives the part that survives a restart, all else is refilled.

    `asked` is what the target asked for when last seen and `changed_at` when that changed, whoever changed it;
    `past` are the changes that a policy of `spec.behavior` still counts, or a restart would let it be broken; `residue`
    is the lag that was left when the group was scaled to zero (transaction markers nobody can consume).
    """

    skill: Skill = Skill()
    times: Times = Times()
    asked: int | None = None
    changed_at: float | None = None
    residue: int = 0
    caution: Caution = Caution()
    dispersion: Dispersion = Dispersion()
    past: Past = ()
    ladder: Ladder = Ladder()
    # volatile
    history: History = History()
    hours: Hours = Hours()
    recommended: Recommendations = Recommendations()
    freshest: Freshest = Freshest()
    rhythm: Rhythm = Rhythm()
    loads: Loads = Loads()
    crew: Crew = Crew()
    backlog: Backlog = Backlog()
    bound: Bound = UNBOUND
    assignor: str | None = None  # as last told: a group without members, or in a rebalance, has none
    reset_at: float | None = None

    def undated(self) -> "Memory":
        """Without what has a time: the clock was set back, and that time would not come for long."""
        skill = self.skill.interrupted()._replace(trial=None)
        return self._replace(
            skill=skill,
            history=History(),
            hours=Hours(),
            bound=UNBOUND,
            recommended=Recommendations(),
            loads=Loads(),
            freshest=Freshest(),
            crew=Crew(),
            reset_at=None,
        )

    def taught(self, kept: "Memory") -> "Memory":
        """With what another process has learned and kept (`dump`), which was seeing the same at the same time.

        The recent past stays as it was seen here, and of the target whatever changed last.
        """
        newer = kept if (kept.changed_at or 0.0) > (self.changed_at or 0.0) else self
        return self._replace(
            skill=kept.skill,
            times=kept.times,
            asked=newer.asked,
            changed_at=newer.changed_at,
            past=newer.past,
            residue=kept.residue,
            caution=kept.caution,
            dispersion=kept.dispersion,
            ladder=kept.ladder,
        )

    def with_flags(self, flags: Flags, now: float) -> "Memory":
        """After a look at the flags. A step changes what replicas can do: nothing is learned across it, but a trial
        that failed has failed.
        """
        ladder = self.ladder.after(flags, now)
        if ladder.at == self.ladder.at:
            return self._replace(ladder=ladder)
        trial = self.skill.trial if self.skill.trial and self.skill.trial.failed(now) else None
        return self._replace(ladder=ladder, skill=self.skill.interrupted()._replace(trial=trial))

    def dump(self) -> str:
        """The lasting part as compact JSON, below 1 KB."""
        return _Kept(
            v=VERSION,
            capacities=tuple(
                (c.template[-TEMPLATE_LENGTH:], _short(c.rate), c.proven)
                for c in self.skill.capacities
                if not level_of(c.template)
            ),
            startups=tuple(map(_short, self.times.startups)),
            spreads=tuple(map(_short, self.times.spreads)),
            joins=tuple(map(_short, self.times.joins)),
            leaves=tuple(map(_short, self.times.leaves)),
            asked=self.asked,
            changed=None if self.changed_at is None else round(self.changed_at, 1),
            past=self.past,
            residue=self.residue,
            caution=round(self.caution.value, 2),
            noise=_noise(self.dispersion),
            levels=_levels(self.skill.capacities),
            ladder=_kept_ladder(self.ladder),
        ).model_dump_json(exclude_defaults=True)

    @classmethod
    def load(cls, text: str) -> "Memory":
        """Read what `dump` wrote; anything else, also of another version, is an empty memory."""
        try:
            kept = _Kept.model_validate_json(text)
        except ValidationError:
            return cls()
        return cls(
            skill=Skill(_capacities(kept)),
            times=Times().and_these(Times(kept.startups, kept.spreads, kept.joins, kept.leaves)),
            asked=kept.asked,
            changed_at=kept.changed,
            past=tuple(Until(*until) for until in kept.past[-KEPT:]),
            residue=kept.residue,
            caution=Caution(min(MOST, kept.caution)),
            dispersion=Dispersion(None, *kept.noise, seen=KNOWN) if kept.noise else Dispersion(),
            ladder=_ladder(kept.ladder),
        )


def _levels(capacities: Capacities) -> tuple[tuple[int, float], ...]:
    """What the present template does at levels of the ladder; of an older one that is not worth its place."""
    plain = [c.template for c in capacities if not level_of(c.template)]
    here = [c for c in capacities if level_of(c.template) and c.proven and undegraded(c.template) in plain[-1:]]
    return tuple((level_of(c.template), _short(c.rate)) for c in here)


def _capacities(kept: _Kept) -> Capacities:
    plain = [
        Learned(undegraded(template), rate, samples=int(proven)) for template, rate, proven in kept.capacities[-KEEP:]
    ]
    levels = [
        Learned(at_level(last.template, level), rate, samples=1)
        for last in plain[-1:]
        for level, rate in kept.levels[-KEEP:]
        if level
    ]
    return (*plain, *levels)


def _kept_ladder(ladder: Ladder) -> _KeptLadder:
    return _KeptLadder(
        level=ladder.level,
        at=round(ladder.at, 1),
        shows=round(ladder.shows_at, 1),
        left=None if ladder.left is None else round(ladder.left, 1),
        watched=round(ladder.watched, 1),
        failed=tuple(round(time) for time in ladder.failed),
        took=round(ladder.took),
        before=ladder.before,
        watch=round(ladder.watch),
    )


def _ladder(kept: _KeptLadder) -> Ladder:
    return Ladder(
        kept.level,
        kept.at,
        kept.shows,
        kept.left,
        kept.watched,
        kept.failed[-FREEZES_ABOVE - 1 :],
        kept.took,
        kept.before,
        kept.watch,
    )


def _noise(dispersion: Dispersion) -> tuple[float, float] | None:
    return (_short(dispersion.mean, 2), _short(dispersion.variance, 2)) if dispersion.seen else None


def _short(value: float, digits: int = 3) -> float:
    """Few significant digits: more would be noise, and change the status at every step."""
    return float(f"{value:.{digits}g}")
