"""Partitions that get more than one consumer can do, named with the numbers, and what a single key would explain.

No key is read. If all but one key were spread evenly, that key's share of the records would be exactly what its
partition gets beyond the others of its topic: so partition rates alone say how large a key it would have to be.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidegate.engine import words
from tidegate.engine.decision import Hot
from tidegate.engine.loads import Loads
from tidegate.engine.situation import Situation

MOST_NAMED = 5
A_KEY = 0.1  # of what a partition gets: with less beyond its neighbours there is no key to speak of


class Topic(NamedTuple):
    """A topic's partitions, and the share of all records that each of them gets on average, hot ones left out (where
    all are hot it is no key: their mean).
    """

    partitions: int
    usual: float
    all_hot: bool


def hot_partitions(s: Situation) -> tuple[Hot, ...]:
    """The hot partitions, the hottest first, at most five; none where the reading failed or is of other partitions."""
    loads = s.memory.loads
    if not loads.hot or s.counted is None or s.arrival is None:
        return ()
    if not loads.partitions == s.memory.history.partitions == tuple(s.counted.shares.partitions):
        return ()
    topics = _topics(loads)
    hottest = sorted(loads.hot, key=lambda place: (-loads.shares[place], place))[:MOST_NAMED]
    return tuple(_named(s, place, topics[loads.partitions[place].topic], s.arrival.rate) for place in hottest)


def _topics(loads: Loads) -> Mapping[str, Topic]:
    shares: dict[str, list[float]] = {}
    cool: dict[str, list[float]] = {}
    for place, (partition, share) in enumerate(zip(loads.partitions, loads.shares, strict=True)):
        shares.setdefault(partition.topic, []).append(share)
        if place not in loads.hot:
            cool.setdefault(partition.topic, []).append(share)
    return {
        topic: Topic(len(whole), _mean(cool.get(topic, whole)), topic not in cool) for topic, whole in shares.items()
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _named(s: Situation, place: int, topic: Topic, rate: float) -> Hot:
    (name, number), share = s.memory.loads.partitions[place], s.memory.loads.shares[place]
    able = s.per_replica / s.terms.consumers if s.per_replica else None
    lag = s.counted.shares.lag[place] if s.counted else 0
    does = f"its one consumer does {words.rate(able)}" if able else "what its one consumer can do is not known yet"
    gets = f"{name}/{number} gets {words.rate(share * rate)}, {_percent(share)} of all records, and {does}"
    waits = f"{words.some(lag, 'record')} wait{'s' if lag == 1 else ''} there"
    message = "; ".join([f"{gets}; {waits}", _explained(s, share - topic.usual, topic, rate, able)])
    return Hot(name, number, share * rate, able, lag, message)


def _explained(s: Situation, excess: float, topic: Topic, rate: float, able: float | None) -> str:
    """Whose fault it is, and whether partitions would help."""
    if topic.all_hot:
        return "so do all partitions of the topic: they are too few"
    if excess < A_KEY * (excess + topic.usual):
        return "that is no more than the others get: look at what its records cost, and at its consumer"
    if not s.terms.partitions.keyed:
        return "keys do not matter (spec.partitions.keyed: false): look at how its producers choose a partition"
    key = excess * rate
    would = f"a single key of {_percent(excess)} of all records ({words.rate(key)}) would explain it"
    if able is None:
        return would
    if key > able:
        return f"{would}, more than a consumer does: no number of partitions helps while its order is kept"
    more = _partitions(topic, key, topic.usual * rate, able, s.terms.partitions.max_factor)
    left = key + topic.usual * rate * topic.partitions / more
    return f"{would}: with {more} partitions that one would still get {words.rate(left)}"


def _partitions(topic: Topic, key: float, usual: float, able: float, most: int) -> int:
    """The fewest times the partitions with which a partition that has such a key gets no more than a consumer does."""
    factors = (factor for factor in range(2, most) if key + usual / factor <= able)
    return topic.partitions * next(factors, most)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.1f} %"
