"""Waiting for a condition with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], seconds: float = 60, every: float = 0.1) -> T:
    """The first true value of the condition; AssertionError, with what it last gave, when time is over."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value, words = condition(), ""
        except AssertionError as error:
            value, words = None, f": {error}"
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s, last was {value!r}{words}")
        time.sleep(every)
