"""Settings of the shop's programs, from the environment."""

from collections.abc import Mapping
from pathlib import Path


def positive(env: Mapping[str, str], name: str, default: str) -> float:
    """A number above 0 from the environment; ValueError names the variable."""
    try:
        value = float(env.get(name) or default)
    except ValueError:
        value = 0
    if value <= 0:
        raise ValueError(f"{name} is {env[name]!r}; it must be a number above 0")
    return value


def optional_path(env: Mapping[str, str], name: str) -> Path | None:
    """A path from the environment; None where it is absent or empty."""
    return Path(env[name]) if env.get(name) else None


def one_of(env: Mapping[str, str], name: str, default: str, other: str) -> str:
    """One of two words from the environment; ValueError names the variable."""
    value = env.get(name) or default
    if value not in (default, other):
        raise ValueError(f"{name} is {value!r}; it must be {default} or {other}")
    return value
