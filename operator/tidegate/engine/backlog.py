"""Counting one reading: what waits, how old it is, what came and what was done since the last one.

The rules are those of Kafka's offsets: lag counts from max(committed, log start) (retention may have passed the
commit); a partition without a commit is read by the consumers' `auto.offset.reset`; offsets that jump back start a new
history and never make a rate.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import compress
from operator import itemgetter, le, lt, or_, sub
from typing import NamedTuple

from tidegate.engine.history import MOVING, NO_COMMIT, History, Still
from tidegate.engine.observation import Offsets, PartitionId, Reading

FROZEN_AFTER = 60.0
"""Seconds without a commit, while the group works elsewhere, after which a partition is held up by a record, not by a
lack of replicas. Longer than a session timeout (45 s): an unclean death of a consumer looks the same until then."""
STALLED_AFTER = 30.0
"""Seconds without a move of the last stable offset, with records behind it, that make an open transaction a stalled
one. Transactions last as long as a batch or a checkpoint, usually 10 s or less."""
NONE: frozenset[PartitionId] = frozenset()
COMMITTED = itemgetter(1)  # of Offsets
FAIR_SHARE = 0.25  # of the mean lag: a partition with less holds no real part of the backlog


class Shares(NamedTuple):
    """What each partition has of the work, in records: columns, by place in `partitions`."""

    partitions: Sequence[PartitionId]
    position: Sequence[int]  # the next record to process; NO_COMMIT where nobody can know
    high: Sequence[int]
    lag: Sequence[int]
    blocked: Sequence[int]  # behind an open transaction: not work that a replica could do
    arrived: Sequence[int]
    served: Sequence[int]


class Count(NamedTuple):
    """A reading, counted.

    `lag` and `age` are the whole truth for people (None where not known). `behind` and `pace_age` leave frozen
    partitions out: they are what replicas can work on. `spread` is the share of the active partitions with a real part
    of the backlog; `unknown` counts partitions without a commit where `auto.offset.reset` is latest, `beyond` those
    whose commit is above their end. `unseen` is what was taken off `pace_age` as it is done and not yet committed.
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
    shares: Shares
    frozen: frozenset[PartitionId]
    stalled: frozenset[PartitionId]
    standing: Sequence[float]
    pinned: Mapping[PartitionId, Still]
    unseen: float = 0.0


def count(
    reading: Reading,
    history: History,
    fresh: Mapping[int, bool],
    from_start: bool,
    frozen_after: float = FROZEN_AFTER,
) -> Count:
    """Count a reading against the history before it; both and `fresh` as `aligned` gave them."""
    before = _before(history, fresh)
    shares = _shares(reading, history, fresh, before, from_start)
    at = reading.committed_at
    standing = _standing(history, shares, at)
    pinned = _pinned(history.pinned, reading, shares)
    frozen = _frozen(history, standing, at, frozen_after)
    waiting = list(compress(range(len(shares.lag)), shares.lag))
    moving = [place for place in waiting if place not in frozen] if frozen else waiting
    unknown = shares.position.count(NO_COMMIT)
    age, lag = oldest(reading, history, shares, waiting), sum(shares.lag)
    return Count(
        lag=lag if unknown < len(shares.position) else None,
        age=age if unknown < len(shares.position) else None,
        behind=lag + sum(shares.blocked) - sum(shares.lag[place] + shares.blocked[place] for place in frozen),
        pace_age=oldest(reading, history, shares, moving) if frozen else age,
        lost=_lost(reading, shares),
        arrived=sum(shares.arrived),
        served=sum(shares.served),
        spread=_spread(shares, lag),
        unknown=unknown,
        beyond=_beyond(reading, shares) if unknown else 0,
        restarted=any(fresh.values()) or any(map(lt, shares.position, before)),
        retention_margin=_retention_margin(reading, history, shares, waiting),
        shares=shares,
        frozen=frozenset(shares.partitions[place] for place in frozen) if frozen else NONE,
        stalled=_stalled(pinned, at) if pinned else NONE,
        standing=standing,
        pinned=pinned,
    )


def aligned(history: History, reading: Reading) -> tuple[History, Mapping[int, bool]]:
    """The history over the partitions of this reading, and the places of those whose past does not go on (True: they
    were known).

    New and recreated partitions count as empty until now; a truncated one keeps what is left of its past. A partition
    of a topic that was not watched before has no known past: its records count as older than the history.
    """
    if _goes_on_as_it_is(history, reading):
        return history, {}
    index = {partition: place for place, partition in enumerate(history.partitions)}
    before = [index.get(partition) for partition in reading.partitions]
    fresh = {
        place: known is not None
        for place, (known, offsets) in enumerate(zip(before, reading.partitions.values(), strict=True))
        if known is None or not _goes_on(history, known, offsets, reading.topic_ids)
    }
    columns = [
        _past(history, before[place], place in fresh, partition, reading)
        for place, partition in enumerate(reading.partitions)
    ]
    return history.over(reading, columns, before), fresh


def _goes_on_as_it_is(history: History, reading: Reading) -> bool:
    """The same partitions of the same topics, and no end went back: nearly every reading."""
    if history.topic_ids != reading.topic_ids or history.partitions != tuple(reading.partitions):
        return False
    return all(map(le, history.last_highs(), _highs(reading)))


def _goes_on(history: History, index: int, offsets: Offsets, topic_ids: Mapping[str, str]) -> bool:
    topic = history.partitions[index].topic
    same = history.topic_ids.get(topic) == topic_ids.get(topic)
    return same and _high(offsets) >= history.last_highs()[index]


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


def _highs(reading: Reading) -> Sequence[int]:
    return [high if high >= end else end for _, _, end, high in reading.partitions.values()]


def _shares(
    reading: Reading, history: History, fresh: Mapping[int, bool], before: Sequence[int], from_start: bool
) -> Shares:
    starts, commits, ends, _ = zip(*reading.partitions.values(), strict=True)
    highs = _highs(reading)
    positions = [
        commit if commit is not None and start <= commit <= high else _position(start, commit, high, from_start)
        for start, commit, high in zip(starts, commits, highs, strict=True)
    ]
    served = [
        position - last if start <= last <= position else _served(start, last, position)
        for start, last, position in zip(starts, before, positions, strict=True)
    ]
    arrived = list(map(sub, highs, history.last_highs())) if len(history) else [0] * len(highs)
    for place, known in fresh.items():  # all that is in a partition made since the last reading has come since
        arrived[place] = 0 if known else max(0, arrived[place])
    lag = [end - position if NO_COMMIT < position < end else 0 for end, position in zip(ends, positions, strict=True)]
    blocked = list(map(_blocked, positions, ends, highs)) if any(map(lt, ends, highs)) else [0] * len(highs)
    return Shares(history.partitions, positions, highs, lag, blocked, arrived, served)


def _before(history: History, fresh: Mapping[int, bool]) -> Sequence[int]:
    """The positions at the last reading, where the past goes on."""
    if not fresh:
        return history.positions
    positions = history.positions[:]
    for place in fresh:
        positions[place] = NO_COMMIT
    return positions


def _served(start: int, before: int, position: int) -> int:
    """What was done since the last reading. Records below the log start were not done but lost."""
    return max(0, position - max(before, start)) if before != NO_COMMIT != position else 0


def _blocked(position: int, end: int, high: int) -> int:
    return high - max(end, position) if high > end and position != NO_COMMIT else 0


def _position(start: int, commit: int | None, high: int, from_start: bool) -> int:
    if commit is None:
        return start if from_start else NO_COMMIT
    return NO_COMMIT if commit > high else max(commit, start)


def _lost(reading: Reading, shares: Shares) -> int:
    if shares.position == list(map(COMMITTED, reading.partitions.values())):
        return 0  # they go on where they committed
    return sum(
        start - commit
        for (topic, _), (start, commit, _, _) in reading.partitions.items()
        if commit is not None and commit < start and topic not in reading.compacted
    )


def _beyond(reading: Reading, shares: Shares) -> int:
    unknown = compress(reading.partitions.values(), map(NO_COMMIT.__eq__, shares.position))
    return sum(offsets.committed is not None for offsets in unknown)


def _standing(history: History, shares: Shares, at: float) -> Sequence[float]:
    """Since when each commit with a backlog has not moved."""
    columns = zip(shares.lag, shares.position, history.positions, history.standing, strict=True)
    return [
        (since if position == before and since != MOVING else at) if lag else MOVING
        for lag, position, before, since in columns
    ]


def _frozen(history: History, standing: Sequence[float], at: float, after: float) -> Collection[int]:
    """The places of partitions that stand still while the group works elsewhere."""
    if at - min(standing) <= after or not _worked_within(after, history, at):
        return ()
    return {place for place, since in enumerate(standing) if at - since > after}


def _pinned(before: Mapping[PartitionId, Still], reading: Reading, shares: Shares) -> Mapping[PartitionId, Still]:
    """The last stable offsets that hold records back, and since when each has not moved."""
    now: dict[PartitionId, Still] = {}
    for partition in compress(shares.partitions, shares.blocked):
        end, old = reading.partitions[partition].end, before.get(partition)
        now[partition] = old if old is not None and old.offset == end else Still(end, reading.committed_at)
    return now


def _stalled(pinned: Mapping[PartitionId, Still], at: float) -> frozenset[PartitionId]:
    return frozenset(partition for partition, (_, since) in pinned.items() if at - since > STALLED_AFTER)


def _worked_within(seconds: float, history: History, at: float) -> bool:
    return len(history) > 1 and history.served[-1] > history.served[history.since(at - seconds)]


def oldest(reading: Reading, history: History, shares: Shares, waiting: Sequence[int]) -> float | None:
    """The age in seconds of the oldest record that waits in these places: 0 where none does, None where not known.

    A record arrived when its partition's end passed it, by interpolation; one older than the history is placed by the
    group's mean pace.
    """
    if not waiting:
        return 0.0
    if not len(history):
        return None
    row, places = history.oldest(waiting, shares.position)
    if row == 0:
        seen, pace = max(0.0, reading.committed_at - history.ended[0]), history.mean_pace()
        first = history.ends(0)
        older = max(first[place] - shares.position[place] for place in places)
        return seen + older / pace if pace > 0 else seen
    here = row < len(history)  # else after the last row: the newest point of the curve is not one yet
    before, after = history.ends(row - 1), history.ends(row) if here else shares.high
    shared = min(_share(before[place], shares.position[place], after[place]) for place in places)
    then = history.ended[row] if here else reading.ended_at
    time = history.ended[row - 1] + shared * (then - history.ended[row - 1])
    return max(0.0, reading.committed_at - time)


def _share(before: int, offset: int, after: int) -> float:
    return (offset - before) / (after - before) if after > before else 1.0


def _spread(shares: Shares, lag: int) -> float:
    if not lag:
        return 0.0
    active = len(shares.lag) - list(map(or_, shares.lag, shares.arrived)).count(0)
    return sum(map((FAIR_SHARE * lag / active).__lt__, shares.lag)) / active


def _retention_margin(reading: Reading, history: History, shares: Shares, waiting: Sequence[int]) -> float | None:
    """Seconds until retention deletes the oldest waiting record; None where no topic deletes by time."""
    if not reading.retention:
        return None
    topics = reading.retention.keys() & set(map(itemgetter(0), shares.partitions))
    waits: dict[float, list[int]] = {reading.retention[topic]: [] for topic in topics}
    for place in waiting if waits else ():
        topic = shares.partitions[place].topic
        if topic in reading.retention:
            waits[reading.retention[topic]].append(place)
    ages = {seconds: oldest(reading, history, shares, places) or 0.0 for seconds, places in waits.items()}
    return max(0.0, min(seconds - age for seconds, age in ages.items())) if ages else None
