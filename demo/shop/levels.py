"""The account of the ladder: its levels, how soon each service saw a flag, are the flags as before. Pure."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from demo.shop.clock import clock
from demo.shop.features import Sighting

WATCHED_LATE = 1.0
"""Seconds by which the demo's own watch may see a switch later than a service does."""


class Document(NamedTuple):
    """From `at` on (seconds since the epoch) the flag document was this."""

    at: float
    text: str

    def on(self, flag: str) -> bool:
        """Whether it switches this feature on; one that it does not name is on."""
        stands = json.loads(self.text)["flags"].get(flag)
        return stands is None or stands["variants"][stands["defaultVariant"]] is True

    def flags(self) -> set[str]:
        """Those it names."""
        return set(json.loads(self.text)["flags"])


@dataclass(frozen=True)
class Change:
    """A step of the ladder at that time (seconds); `name` is that of the level it went to, empty for 0."""

    at: float
    before: int
    level: int
    name: str
    reason: str
    message: str


@dataclass(frozen=True)
class Switch:
    """A flag was switched at that time (seconds); each service saw it so many seconds later, None: it never did."""

    at: float
    flag: str
    on: bool
    seen_after: Mapping[str, float | None]


@dataclass(frozen=True)
class Ladder:
    """All of it; times are seconds of the play."""

    changes: tuple[Change, ...] = ()
    switches: tuple[Switch, ...] = ()
    flags_as_before: bool = True

    @property
    def highest(self) -> int:
        """The highest level there was."""
        return max((change.level for change in self.changes), default=0)

    @property
    def levels(self) -> list[int]:
        """The levels one after the other."""
        return [0, *(change.level for change in self.changes)]

    def slowest(self) -> dict[str, float]:
        """The longest that each service took to see a flag, in seconds."""
        longest: dict[str, float] = {}
        for switch in self.switches:
            for service, seconds in switch.seen_after.items():
                longest[service] = max(longest.get(service, 0.0), seconds or 0.0)
        return longest

    def lines(self) -> list[str]:
        """In words."""
        steps = ", ".join(f"{change.level} {change.name or 'all on'} at {clock(change.at)}" for change in self.changes)
        seen = ", ".join(f"{service} {seconds:.1f} s" for service, seconds in sorted(self.slowest().items()))
        return [
            f"Features   level {steps or '0 all the time'}",
            f"Flags      {'as' if self.flags_as_before else 'NOT as'} they were before, byte for byte; each switch was "
            f"seen within: {seen or 'none was switched'}",
        ]

    def failures(self) -> list[str]:
        """What did not hold, in words."""
        unseen = sorted(
            f"{service} never saw {switch.flag} {'on' if switch.on else 'off'}"
            for switch in self.switches
            for service, seconds in switch.seen_after.items()
            if seconds is None
        )
        found = {
            f"the ladder went to level {self.highest}, there are 2": self.highest < 2,
            f"the ladder ended at level {self.levels[-1]}": self.levels[-1] > 0,
            "the ladder left a level out": any(abs(a - b) > 1 for a, b in pairwise(self.levels)),
            "the flags are not as they were before": not self.flags_as_before,
        }
        return [*(words for words, is_so in found.items() if is_so), *unseen]


def ladder(
    changes: Sequence[Change],
    documents: Sequence[Document],
    sightings: Sequence[Sighting],
    services: Sequence[str],
    start: float,
) -> Ladder:
    """From what was watched (seconds since the epoch); the play began at `start`, `documents` ascend from before it."""
    moved = tuple(
        Change(round(each.at - start, 1), each.before, each.level, each.name, each.reason, each.message)
        for each in changes
    )
    by = {service: [each for each in sightings if each.service == service] for service in services}
    switches = tuple(
        Switch(
            at=round(at - start, 1),
            flag=flag,
            on=on,
            seen_after={service: seen_after(at, theirs, flag, on) for service, theirs in by.items()},
        )
        for at, flag, on in _switched(documents)
    )
    return Ladder(moved, switches, documents[0].text == documents[-1].text)


def _switched(documents: Sequence[Document]) -> list[tuple[float, str, bool]]:
    return [
        (after.at, flag, after.on(flag))
        for before, after in pairwise(documents)
        for flag in sorted(before.flags() & after.flags())
        if before.on(flag) != after.on(flag)
    ]


def seen_after(at: float, sightings: Sequence[Sighting], flag: str, on: bool) -> float | None:
    """Seconds until the last of a service's processes that had seen the flag otherwise saw the switch; None: none did.

    A process that ended before it could see it is not waited for.
    """
    by_process: dict[str, list[Sighting]] = defaultdict(list)
    for each in sightings:
        if each.flag == flag:
            by_process[each.process].append(each)
    courses = [pair for course in by_process.values() for pair in pairwise(course)]
    seconds = [b.at - at for a, b in courses if a.at < at and b.at >= at - WATCHED_LATE and b.on == on]
    return round(max(0.0, *seconds), 2) if seconds else None
