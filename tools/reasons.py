"""The rows of docs/reasons.md: the page says in which order and under which heading, tidegate.api.advice the words."""

import re

from tidegate.api.advice import ADVICE

_ROW = re.compile(r"^\| `(\w+)` \|.*$", re.MULTILINE)


def with_advice(page: str) -> str:
    """The page with each row as the advice has it; the row of a reason without any is left, for the tests to find."""
    return _ROW.sub(lambda row: _row(row[1]) if row[1] in ADVICE else row[0], page)


def _row(reason: str) -> str:
    advice = ADVICE[reason]
    return f"| `{reason}` | {advice.meaning} | {advice.to_do} |"
