"""What the engine remembers from step to step: the little that must survive a restart, and the recent past."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidegate.engine.capacity import KEEP, Learned
from tidegate.engine.caution import MOST, Caution
from tidegate.engine.decision import Backlog
from tidegate.engine.history import History
from tidegate.engine.rates import KNOWN, Dispersion
from tidegate.engine.saturation import Skill
from tidegate.engine.staleness import Freshest
from tidegate.engine.timing import REMEMBERED, Crew

VERSION = 1
TEMPLATE_LENGTH = 100  # characters of a pod template's identity kept; hashes are far shorter

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Kept(BaseModel):
    """The part that survives: validated like any input, since anyone may edit a status."""

    model_config = ConfigDict(extra="ignore", strict=False)

    v: int = Field(ge=VERSION, le=VERSION)
    capacities: tuple[tuple[Annotated[str, Field(max_length=TEMPLATE_LENGTH)], Rate, bool], ...] = ()
    startups: tuple[Seconds, ...] = ()
    pauses: tuple[Seconds, ...] = ()
    asked: int | None = Field(default=None, ge=0)
    changed: Seconds | None = None
    residue: int = Field(default=0, ge=0)
    caution: Seconds = 0.0
    noise: tuple[Seconds, Seconds] | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """A value: `step` returns a new one. `dump` gives the part that survives a restart, all else is refilled.

    `asked` is what the target asked for when last seen and `changed_at` when that changed, whoever changed it;
    `residue` is the lag that was left when the group was scaled to zero (transaction markers nobody can consume).
    """

    skill: Skill = field(default_factory=Skill)
    startups: tuple[float, ...] = ()
    pauses: tuple[float, ...] = ()
    asked: int | None = None
    changed_at: float | None = None
    residue: int = 0
    caution: Caution = field(default_factory=Caution)
    dispersion: Dispersion = field(default_factory=Dispersion)
    # volatile
    history: History = field(default_factory=History)
    freshest: Freshest = field(default_factory=Freshest)
    crew: Crew = field(default_factory=Crew)
    backlog: Backlog = field(default_factory=Backlog)
    reset_at: float | None = None

    def dump(self) -> str:
        """The lasting part as compact JSON, below 1 KB."""
        return _Kept(
            v=VERSION,
            capacities=tuple((c.template[-TEMPLATE_LENGTH:], _short(c.rate), c.proven) for c in self.skill.capacities),
            startups=tuple(map(_short, self.startups)),
            pauses=tuple(map(_short, self.pauses)),
            asked=self.asked,
            changed=None if self.changed_at is None else round(self.changed_at, 1),
            residue=self.residue,
            caution=round(self.caution.value, 2),
            noise=_noise(self.dispersion),
        ).model_dump_json(exclude_defaults=True)

    @classmethod
    def load(cls, text: str) -> "Memory":
        """Read what `dump` wrote; anything else, also of another version, is an empty memory."""
        try:
            kept = _Kept.model_validate_json(text)
        except ValidationError:
            return cls()
        return cls(
            skill=Skill(
                tuple(
                    Learned(template, rate, samples=int(proven)) for template, rate, proven in kept.capacities[-KEEP:]
                )
            ),
            startups=kept.startups[-REMEMBERED:],
            pauses=kept.pauses[-REMEMBERED:],
            asked=kept.asked,
            changed_at=kept.changed,
            residue=kept.residue,
            caution=Caution(min(MOST, kept.caution)),
            dispersion=Dispersion(None, *kept.noise, seen=KNOWN) if kept.noise else Dispersion(),
        )


def _noise(dispersion: Dispersion) -> tuple[float, float] | None:
    return (_short(dispersion.mean, 2), _short(dispersion.variance, 2)) if dispersion.seen else None


def _short(value: float, digits: int = 3) -> float:
    """Few significant digits: more would be noise, and change the status at every step."""
    return float(f"{value:.{digits}g}")
