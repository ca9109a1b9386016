"""Waiting for a condition with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 3
"""How many times slower than the one where the deadlines were chosen a machine may be."""


def eventually(condition: Callable[[], T], seconds: float = 60, every: float = 0.1) -> T:
    """The first true value of the condition; AssertionError, with what it last gave, when time is over.

    Time is over after `seconds`, as long as that takes on a slow machine: nothing is judged by it but that it came.
    """
    deadline = time.monotonic() + PATIENCE * seconds
    while True:
        try:
            value, words = condition(), ""
        except AssertionError as error:
            value, words = None, f": {error}"
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE * seconds:.0f} s, last was {value!r}{words}")
        time.sleep(every)
