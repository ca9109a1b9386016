"""Numbers as a person reads them at three in the morning."""

from tidegate.api.duration import format_duration, readable
from tidegate.api.quantity import format_rate


def rate(value: float) -> str:
    """`1,234/s`, `42.7/s`, `0.25/s`."""
    return f"{value:,.0f}/s" if value >= 100 else f"{format_rate(value)}/s"


def seconds(value: float) -> str:
    """`42s`, `3m10s`, `1h5m`."""
    return format_duration(readable(min(value, 3.6e8)))


def some(number: int, noun: str) -> str:
    """`1 replica`, `9,800 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
