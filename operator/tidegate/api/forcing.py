"""How a person holds the degradation ladder: `tidegate.dev/force-level: "1; until=2026-11-24T15:00:00Z"`."""

import re
from datetime import datetime
from typing import NamedTuple

from tidegate.api.degradation import LEVELS

EXAMPLE = '"1; until=2026-11-24T15:00:00Z"'

_FORM = re.compile(r"\s*(?P<level>[^;\s]*)\s*;\s*until\s*=\s*(?P<until>\S*)\s*", re.ASCII)


class ForcedLevel(NamedTuple):
    """The level that a person wants, and until when (always with a time zone)."""

    level: int
    until: datetime


def parse_forced_level(text: str) -> ForcedLevel:
    """Read the annotation; ValueError says what is wrong and what would be right.

    It must end by itself: a drill that everybody forgot would be an outage of its own.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(f"{text!r} must be a level and the time when that ends, such as {EXAMPLE}")
    return ForcedLevel(_level(form["level"]), _until(form["until"]))


def _level(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= LEVELS):
        raise ValueError(f"the level is {text!r}, but must be a whole number from 0 to {LEVELS}, as in {EXAMPLE}")
    return int(text)


def _until(text: str) -> datetime:
    right = f"must be a time with its zone (RFC 3339), as in {EXAMPLE}"
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"until is {text!r}, but {right}") from None
    if until.tzinfo is None:
        raise ValueError(f"until is {text!r}, which leaves the time zone open: it {right}")
    return until
