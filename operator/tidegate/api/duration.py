"""Durations as the Gateway API writes them (GEP-2257): `60s`, `5m`, `1h30m`, `250ms`.

In Python they are `timedelta`; on the wire and in kubectl they are these strings. The canonical form has the largest
units first, no zero parts, and `0s` for nothing; anything finer than a millisecond is rounded.
"""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
MAX_LENGTH = 28  # four parts of five digits and a two-letter unit

_PART = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_LONGEST = 99_999 * 3_600_000  # what five digits of hours can say


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `1h30m`; ValueError says what is wrong and what would be right."""
    if not re.fullmatch(PATTERN[1:-1], text, re.ASCII):
        raise ValueError(f"{text!r} is not a duration: write one to four numbers with a unit, such as 60s, 5m or 1h30m")
    parts = _PART.findall(text)
    return timedelta(milliseconds=sum(int(number) * _MILLISECONDS[unit] for number, unit in parts))


@lru_cache(maxsize=1024)
def format_duration(value: timedelta) -> str:
    """Write a duration in its canonical form; the inverse of `parse_duration` to the millisecond."""
    left = round(value / timedelta(milliseconds=1))
    if not 0 <= left <= _LONGEST:
        raise ValueError(f"{value} cannot be written as a duration: it must be between 0s and 99999h")
    text = ""
    for unit, size in _MILLISECONDS.items():
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def readable(seconds: float) -> timedelta:
    """Measured seconds as a person wants to read them: whole seconds, and whole minutes from an hour on.

    Values below 0 read 0s, values too long to write read 99999h.
    """
    step = 1 if seconds < 3600 else 60
    writable = min(max(seconds, 0), _LONGEST / 1000)
    return timedelta(seconds=round(writable / step) * step)


def _parse(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"{value!r} is not a duration: write a string such as 60s, 5m or 1h30m")


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "maxLength": MAX_LENGTH}),
]
"""A `timedelta` that is a Gateway-API duration string in YAML."""
