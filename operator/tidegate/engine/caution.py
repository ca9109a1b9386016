"""How careful to be: as little as the group's lateness allows, learned by integral control."""

from dataclasses import dataclass

ACCEPTED = 0.0005
"""Share of the time in which the oldest record may be late: what is spared below it is spent, what is above is paid."""
GAIN = 0.04
"""Caution a second of lateness: an episode of 25 s teaches all there is to learn from one."""
MOST = 1.5  # a margin three quarters larger: beyond that only more replicas for ever would help
LONGEST_LOOK = 15.0  # seconds that one reading may speak for


@dataclass(frozen=True, slots=True)
class Caution:
    """From 0 (quiet groups, which pay nothing for it) to 1.5; in the long run late for the accepted share of time."""

    value: float = 0.0

    def after(self, late: bool, seconds: float) -> "Caution":
        """After `seconds` in which the oldest record was late or not."""
        step = GAIN * min(max(0.0, seconds), LONGEST_LOOK) * (late - ACCEPTED)
        return Caution(min(MOST, max(0.0, self.value + step)))
