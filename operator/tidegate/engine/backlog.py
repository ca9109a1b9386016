"""Counting one reading: what waits, how old it is, what came and what was done since the last one.

The rules are those of Kafka's offsets: lag counts from max(committed, log start) (retention may have passed the
commit); a partition without a commit is read by the consumers' `auto.offset.reset`; offsets that jump back start a new
history and never make a rate.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.engine.history import NO_COMMIT, History, Still
from tidegate.engine.observation import Offsets, PartitionId, Reading

FROZEN_AFTER = 60.0
"""Seconds without a commit, while the group works elsewhere, after which a partition is held up by a record, not by a
lack of replicas. Longer than a session timeout (45 s): an unclean death of a consumer looks the same until then."""
STALLED_AFTER = 30.0
"""Seconds without a move of the last stable offset, with records behind it, that make an open transaction a stalled
one. Transactions last as long as a batch or a checkpoint, usually 10 s or less."""
FAIR_SHARE = 0.25  # of the mean lag: a partition with less holds no real part of the backlog


class Share(NamedTuple):
    """One partition's part of the work, in records. `age` is of its oldest waiting record, None where not known."""

    partition: PartitionId
    position: int  # the next record to process; NO_COMMIT where nobody can know
    high: int
    end: int
    lag: int
    blocked: int  # behind an open transaction: not work that a replica could do
    lost: int
    arrived: int
    served: int
    age: float | None
    restarted: bool  # its offsets jumped back


@dataclass(frozen=True, slots=True)
class Count:
    """A reading, counted.

    `lag` and `age` are the whole truth for people (None where not known). `behind` and `pace_age` leave frozen
    partitions out: they are what replicas can work on. `spread` is the share of the active partitions with a real part
    of the backlog; `unknown` counts partitions without a commit where `auto.offset.reset` is latest, `beyond` those
    whose commit is above their end.
    """

    lag: int | None
    age: float | None
    behind: int
    pace_age: float | None
    lost: int
    arrived: int
    served: int
    spread: float
    unknown: int
    beyond: int
    restarted: bool
    retention_margin: float | None
    shares: tuple[Share, ...]
    frozen: frozenset[PartitionId]
    stalled: frozenset[PartitionId]
    standing: Mapping[PartitionId, Still]
    pinned: Mapping[PartitionId, Still]


def count(reading: Reading, history: History, fresh: Mapping[PartitionId, bool], from_start: bool) -> Count:
    """Count a reading against the history before it; both and `fresh` as `aligned` gave them."""
    shares = tuple(_shares(reading, history, fresh, from_start))
    at = reading.committed_at
    standing = _still(history.standing, ((s.partition, s.position) for s in shares if s.lag > 0), at)
    pinned = _still(history.pinned, ((s.partition, s.end) for s in shares if s.blocked > 0), at)
    frozen = _longer_than(FROZEN_AFTER, standing, at) if _worked_within(FROZEN_AFTER, history, at) else frozenset()
    moving = [s for s in shares if s.partition not in frozen] if frozen else shares
    known = any(s.position != NO_COMMIT for s in shares)
    return Count(
        lag=sum(s.lag for s in shares) if known else None,
        age=_oldest(shares) if known else None,
        behind=sum(s.lag + s.blocked for s in moving),
        pace_age=_oldest(moving),
        lost=sum(s.lost for s in shares),
        arrived=sum(s.arrived for s in shares),
        served=sum(s.served for s in shares),
        spread=_spread(shares),
        unknown=sum(s.position == NO_COMMIT for s in shares),
        beyond=sum(reading.partitions[s.partition].committed is not None for s in shares if s.position == NO_COMMIT),
        restarted=any(s.restarted for s in shares),
        retention_margin=_retention_margin(reading, shares),
        shares=shares,
        frozen=frozen,
        stalled=_longer_than(STALLED_AFTER, pinned, at),
        standing=standing,
        pinned=pinned,
    )


def aligned(history: History, reading: Reading) -> tuple[History, Mapping[PartitionId, bool]]:
    """The history over the partitions of this reading, and those whose past does not go on (True: they were known).

    New and recreated partitions count as empty until now; a truncated one keeps what is left of its past. A partition
    of a topic that was not watched before has no known past: its records count as older than the history.
    """
    if _goes_on_as_it_is(history, reading):
        return history, {}
    index = {partition: i for i, partition in enumerate(history.partitions)}
    fresh = {
        partition: partition in index
        for partition, offsets in reading.partitions.items()
        if partition not in index or not _goes_on(history, index[partition], offsets, reading.topic_ids)
    }
    columns = [
        _past(history, index.get(partition), partition in fresh, partition, reading) for partition in reading.partitions
    ]
    positions = [NO_COMMIT if p in fresh else history.positions[index[p]] for p in reading.partitions]
    return history.over(reading, columns, positions), fresh


def _goes_on_as_it_is(history: History, reading: Reading) -> bool:
    """The same partitions of the same topics, and no end went back: nearly every reading."""
    now = reading.partitions
    if len(now) != len(history.partitions) or history.topic_ids != reading.topic_ids:
        return False
    ends = zip(history.partitions, history.last_highs(), strict=False)
    return all(partition in now and _high(now[partition]) >= end for partition, end in ends)


def _goes_on(history: History, index: int, offsets: Offsets, topic_ids: Mapping[str, str]) -> bool:
    topic = history.partitions[index].topic
    same = history.topic_ids.get(topic) == topic_ids.get(topic)
    return same and (not len(history) or _high(offsets) >= history.last_highs()[index])


def _high(offsets: Offsets) -> int:
    """The high watermark. Two calls bring it and the LSO: a marker written in between gives an LSO above it."""
    return offsets.high if offsets.high >= offsets.end else offsets.end


def _past(history: History, index: int | None, fresh: bool, partition: PartitionId, reading: Reading) -> Sequence[int]:
    """The ends of a partition in every row of the history."""
    offsets, topic = reading.partitions[partition], partition.topic
    if index is not None and not fresh:
        return history.column(index)
    if topic not in history.topic_ids:
        return [_high(offsets)] * len(history)
    if index is None or history.topic_ids[topic] != reading.topic_ids.get(topic):
        return [offsets.start] * len(history)
    return [min(end, _high(offsets)) for end in history.column(index)]  # truncated


def _shares(reading: Reading, history: History, fresh: Mapping[PartitionId, bool], from_start: bool) -> Iterator[Share]:
    first, pace, ends = not len(history), history.mean_pace(), history.last_highs()
    for index, partition in enumerate(history.partitions):
        offsets = reading.partitions[partition]
        start, committed, end, _ = offsets
        high, new = _high(offsets), first or partition in fresh
        position = _position(offsets, high, from_start)
        before = NO_COMMIT if new else history.positions[index]
        known = position != NO_COMMIT
        lag = end - position if known and end > position else 0
        lost = start - committed if committed is not None and committed < start else 0
        yield Share(
            partition=partition,
            position=position,
            high=high,
            end=end,
            lag=lag,
            blocked=high - max(end, position) if known and high > end else 0,
            lost=lost if partition.topic not in reading.compacted else 0,
            arrived=0 if new else high - ends[index],
            served=max(0, position - max(before, start)) if known and before != NO_COMMIT else 0,
            age=_age(reading, history, index, position, high, pace) if lag else None,
            restarted=position < before or fresh.get(partition, False),
        )


def _position(offsets: Offsets, high: int, from_start: bool) -> int:
    if offsets.committed is None:
        return offsets.start if from_start else NO_COMMIT
    return NO_COMMIT if offsets.committed > high else max(offsets.committed, offsets.start)


def _age(reading: Reading, history: History, index: int, position: int, high: int, pace: float) -> float | None:
    """Seconds since the record at `position` arrived; where it is older than the history, by the group's mean pace."""
    time, older = history.arrival(index, position, reading.ended_at, high)
    if time is not None:
        return max(0.0, reading.committed_at - time)
    if not len(history):
        return None
    seen = max(0.0, reading.committed_at - history.ended[0])
    return seen + older / pace if pace > 0 else seen


def _still(
    before: Mapping[PartitionId, Still], offsets: Iterable[tuple[PartitionId, int]], at: float
) -> dict[PartitionId, Still]:
    now: dict[PartitionId, Still] = {}
    for partition, offset in offsets:
        old = before.get(partition)
        now[partition] = old if old is not None and old.offset == offset else Still(offset, at)
    return now


def _longer_than(seconds: float, still: Mapping[PartitionId, Still], at: float) -> frozenset[PartitionId]:
    return frozenset(partition for partition, (_, since) in still.items() if at - since > seconds)


def _worked_within(seconds: float, history: History, at: float) -> bool:
    return len(history) > 1 and history.served[-1] > history.served[history.since(at - seconds)]


def _oldest(shares: Iterable[Share]) -> float | None:
    """The age of the oldest waiting record: 0 where none waits, None where a waiting record's age is not known."""
    oldest = 0.0
    for share in shares:
        if share.lag:
            if share.age is None:
                return None
            oldest = max(oldest, share.age)
    return oldest


def _spread(shares: Sequence[Share]) -> float:
    active = sum(bool(s.lag or s.arrived) for s in shares)
    fair = FAIR_SHARE * sum(s.lag for s in shares) / max(1, active)
    return sum(s.lag > fair for s in shares) / max(1, active)


def _retention_margin(reading: Reading, shares: Iterable[Share]) -> float | None:
    """Seconds until retention deletes the oldest waiting record; None where no topic deletes by time."""
    margins = [
        reading.retention[s.partition.topic] - (s.age or 0.0) for s in shares if s.partition.topic in reading.retention
    ]
    return max(0.0, min(margins)) if margins else None
