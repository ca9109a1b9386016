"""Moments as the API server writes them, as seconds since the epoch, and back."""

from datetime import UTC, datetime


def seconds(timestamp: str) -> float:
    """Read RFC 3339 (`2026-01-31T12:00:00Z`)."""
    return datetime.fromisoformat(timestamp).timestamp()


def moment(now: float) -> datetime:
    """Seconds since the epoch as `metav1.Time` holds them: UTC, whole seconds."""
    return datetime.fromtimestamp(int(now), UTC)


def micro_time(now: float) -> str:
    """Write a `metav1.MicroTime`; the server wants all six digits."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
