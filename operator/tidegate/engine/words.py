"""Numbers as a person reads them at three in the morning."""

from collections.abc import Callable

from tidegate.api.duration import format_duration, readable
from tidegate.api.quantity import format_rate


class Said:
    """Words that are put together when they are first read: those of most steps never are."""

    __slots__ = ("_make", "_text")

    def __init__(self, make: Callable[[], str]) -> None:
        self._make: Callable[[], str] | None = make
        self._text = ""

    def __str__(self) -> str:
        if self._make is not None:
            self._text, self._make = self._make(), None  # and lets go of all it was made from
        return self._text

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, Said | str) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))


def rate(value: float) -> str:
    """`1,234/s`, `42.7/s`, `0.25/s`."""
    return f"{value:,.0f}/s" if value >= 100 else f"{format_rate(value)}/s"


def seconds(value: float) -> str:
    """`42s`, `3m10s`, `1h5m`."""
    return format_duration(readable(min(value, 3.6e8)))


def some(number: int, noun: str) -> str:
    """`1 replica`, `9,800 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
