"""What arrived before the first reading: ListOffsets by timestamps, once for each group, after what a reading is for.

ListOffsets with a time tells the first offset whose record is not older: for every partition a point of its arrival
curve. The times are those of the records, which only `message.timestamp.type=LogAppendTime` makes the broker's; else
they are the producers' clocks and may be anything. So a past is believed only if it agrees with what two readings saw.
What cannot be had, or is not believed, is no error: the start is then a cold one.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise, takewhile
from operator import le, lt
from typing import NamedTuple

from tidegate.engine.observation import Offsets, PartitionId, Past, Reading
from tidegate.sources.kafka.offsets import NO_RECORD, Ends, Logs
from tidegate.sources.kafka.scopes import Scope
from tidegate.sources.kafka.topics import Topic
from tidegate.sources.shape import WantedGroup

SECONDS_BEFORE = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 270, 400, 600, 900, 1800, 3600, 7200, 14400)
"""Before the reading before this one. Half as much again each time, as far as a promise usually reaches: rates are
taken over such spans, and an age read off the curve is at worst off by that. Then doubling: for promises of hours."""
SLACK = 2.0
"""Seconds by which clocks, batching producers and our own measuring may differ: more would be a wrong curve."""
PARTITIONS = 500  # a cycle, each for all times: about 0.1 s of CPU here and 0.3 s there; others wait for the next one
TRIES = 3  # cycles in which a topic may show that its timestamps are right, by receiving records
SECONDS = 2.0  # that all this may take

Key = tuple[tuple[str, ...], str | None]


class TopicPast(NamedTuple):
    """The believed past of a topic: ascending times and the ends then. `moved`: records came that proved it."""

    times: tuple[float, ...]
    ends: Mapping[PartitionId, tuple[int, ...]]
    moved: bool


class Pasts:
    """Asks for the past of groups at first sight, and remembers for which that is done."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._tries: dict[str, dict[Key, int]] = {}  # by group, then by the topics wanted
        self._before: dict[str, Ends] = {}  # what the last reading saw of the topics of newcomers

    def keep_only(self, groups: set[str]) -> None:
        """Forget the groups that nobody wants any more."""
        for group in self._tries.keys() - groups:
            del self._tries[group]

    def newcomers(self, wanted: Iterable[WantedGroup]) -> list[WantedGroup]:
        """Those whose past was not told yet, and is worth another try."""
        return [one for one in wanted if self._tries.get(one.group, {}).get(_key(one), 0) < TRIES]

    async def read(
        self, newcomers: Mapping[WantedGroup, Collection[str]], ends: Mapping[str, Ends], deadline: float
    ) -> dict[str, TopicPast]:
        """The past of as many topics of the newcomers as one cycle may ask for; what is not believed is left out."""
        names = {name for wanted in newcomers.values() for name in wanted}
        before, self._before = self._before, {name: ends[name] for name in names & ends.keys()}
        topics = self._turn(newcomers, before, ends)
        if not topics:
            return {}
        at = max(before[topic.name].at for topic in topics)
        asked = [at + SLACK, at - SLACK, *(at - seconds for seconds in SECONDS_BEFORE)]
        answers = await self._logs.since(topics, asked, min(deadline, time.monotonic() + SECONDS))
        pasts = {name: _past(before[name], ends[name], asked[2:], answer) for name, answer in answers.items()}
        return {name: past for name, past in pasts.items() if past}

    def settle(self, found: Mapping[WantedGroup, object]) -> None:
        """Ask no more for groups that were told their past."""
        for one, answer in found.items():
            if isinstance(answer, Reading) and answer.past:
                self._tries.setdefault(one.group, {})[_key(one)] = TRIES

    def _turn(
        self, newcomers: Mapping[WantedGroup, Collection[str]], before: Mapping[str, Ends], ends: Mapping[str, Ends]
    ) -> list[Topic]:
        """The topics to ask for now: all those of as many newcomers as fit, and of one at least."""
        turn: dict[str, Topic] = {}
        size = 0
        for one, names in newcomers.items():
            if not names or not all(_comparable(before.get(name), ends.get(name)) for name in names):
                continue
            more = {name: ends[name].topic for name in names if name not in turn}
            size += sum(len(topic.partitions) for topic in more.values())
            if turn and size > PARTITIONS:
                break
            turn |= more
            tries = self._tries.setdefault(one.group, {})
            tries[_key(one)] = tries.get(_key(one), 0) + 1
        return list(turn.values())


def past_of(pasts: Mapping[str, TopicPast], scope: Scope, partitions: Mapping[PartitionId, Offsets]) -> Past | None:
    """The past of one group; None where any of it is not known.

    A topic that received nothing between the readings proved nothing: that will do only where none of it waits, so that
    no age depends on it. In a compacted topic the first record left may be much younger than the one that was there.
    """
    found = [pasts.get(topic.name) for topic in scope.topics]
    known = [past for past in found if past and (past.moved or not _waits(past, partitions))]
    if not known or len(known) < len(found) or scope.compacted:
        return None
    depth = min(len(past.times) for past in known)
    ends = {partition: column[-depth:] for past in known for partition, column in past.ends.items()}
    return Past(known[0].times[-depth:], ends) if depth else None


def _key(one: WantedGroup) -> Key:
    return one.topics, one.topic_pattern


def _comparable(before: Ends | None, now: Ends | None) -> bool:
    """Whether both readings saw the same log whole."""
    if before is None or now is None or before.trouble or now.trouble:
        return False
    return before.topic.id == now.topic.id and before.topic.partitions == now.topic.partitions


def _past(before: Ends, now: Ends, times: list[float], answers: list[list[int]]) -> TopicPast | None:
    """The past that these answers tell; None where they contradict what was seen, or one another.

    The end that was seen lies between the answers for a little later and a little earlier, or clocks are wrong.
    """
    later, *earlier = [_filled(answer, now.highs) for answer in answers]
    newest_first = [later, before.highs, *earlier]
    if not all(all(map(le, older, newer)) for newer, older in pairwise(newest_first)):
        return None
    known = list(takewhile(lambda row: _reaches(row, now.starts), answers[2:]))
    oldest_first = earlier[len(known) : 0 : -1]
    columns = zip(*oldest_first, strict=True) if oldest_first else ((),) * len(now.highs)
    ends = dict(zip(now.topic.partitions, columns, strict=True))
    return TopicPast(tuple(reversed(times[: len(known)])), ends, any(map(lt, before.highs, now.highs)))


def _filled(answer: list[int], highs: list[int]) -> list[int]:
    """Nothing that new: the end was where it is now."""
    return [high if offset == NO_RECORD else offset for offset, high in zip(answer, highs, strict=True)]


def _reaches(answer: list[int], starts: list[int]) -> bool:
    """Whether the log reaches back that far: before its first record there may have been others, now deleted."""
    return all(offset != start or start == 0 for offset, start in zip(answer, starts, strict=True))


def _waits(past: TopicPast, partitions: Mapping[PartitionId, Offsets]) -> bool:
    mine = (partitions[partition] for partition in past.ends)
    return any((one.committed or 0) < one.end for one in mine)
