"""Rates: records a second, written so that a person and a JSON reader see the same number.

Kubernetes' API conventions forbid floating-point numbers in a spec, and records a second can be below one (a report
that takes a minute). So a rate is a whole number or a decimal number in quotes: `120`, `"0.5"`.
"""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,3})?$"
MAX_LENGTH = 16


def parse_rate(value: object) -> float:
    """Read a rate; ValueError says what would be right."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
        return float(value)
    if isinstance(value, str) and re.fullmatch(PATTERN[1:-1], value, re.ASCII):
        return float(value)
    raise ValueError(
        f'{value!r} is not a rate: write a whole number or a decimal number in quotes, such as 120 or "0.5"'
    )


def format_rate(value: float) -> str:
    """Write a rate with about three significant digits: `1234`, `118`, `42.7`, `0.25`; below 0.001 it is `0`."""
    if value >= 100:
        return f"{value:.0f}"
    digits = 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "maxLength": MAX_LENGTH}),
]
"""Records a second, as measured: a float here, a decimal string on the wire."""

DeclaredRate = Annotated[
    Rate,
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "pattern": PATTERN,
            "maxLength": MAX_LENGTH,
        }
    ),
]
"""Records a second, as a person writes them: also a whole number without quotes."""
