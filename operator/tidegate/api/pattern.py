"""Topic patterns: RE2, because a pattern comes from a user and is matched against every topic of a cluster.

RE2 matches in linear time, so no pattern can stall the operator; it is also what the API server checks with (CEL) and
what Kafka's brokers use for subscriptions (KIP-848, RE2/J). As with Kafka's consumers, the whole name has to match.
"""

from functools import lru_cache
from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, _OPTIONS)


def check_pattern(pattern: str) -> str:
    """Give the pattern back, or raise ValueError with RE2's words for what is wrong."""
    try:
        _compiled(pattern)
    except re2.error as error:
        [reason] = error.args
        raise ValueError(f"{pattern!r} is not a regular expression (RE2): {reason.decode(errors='replace')}") from None
    return pattern


def topic_matches(pattern: str, topic: str) -> bool:
    """Whether the whole name of the topic matches."""
    return _compiled(pattern).fullmatch(topic) is not None
