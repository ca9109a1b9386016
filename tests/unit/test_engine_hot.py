"""Hot partitions: named with the numbers, with the key that would explain them, and no reason for more of anything."""

from dataclasses import replace

import pytest

from tests.unit.engine_world import World
from tests.unit.test_engine_increase import KNOWS_100, increases, policy
from tidegate.api import Reason
from tidegate.engine import Memory, Observation, PartitionId, ReadingError

HOT, OTHERS = (6.0,), (1.0,) * 11


def group(arrivals: float, weights: tuple[float, ...], replicas: int = 4) -> World:
    """A group of consumers that do 100 records/s each, and a load that is spread by weights."""
    world = World(
        arrivals=lambda t: arrivals, replicas=replicas, partitions=len(weights), weights=weights, max_age=60, dt=0.5
    )
    world.memory = Memory.load(KNOWS_100)
    return world


def test_a_key_that_is_more_than_a_consumer_does_is_helped_by_nothing():
    """144 of 342 records/s in one partition and 18 in each other: 126 would be the key's."""
    world = group(342, (8.0, *OTHERS))
    [hot] = world.run(policy(), 900).hot
    assert (hot.topic, hot.partition) == ("points", 0)
    assert (hot.arrival_rate, hot.per_consumer) == pytest.approx((144, 100), rel=0.03)
    assert hot.lag == int(world.parts[0].end) - world.parts[0].committed > 900 * 40
    assert hot.message.startswith("points/0 gets 144/s, 42 % of all records, and its one consumer does 100/s; ")
    assert hot.message.endswith(
        " records wait there; a single key of 37 % of all records (126/s) would explain it, more than a consumer does: "
        "no number of partitions helps while its order is kept"
    )


def test_beside_a_smaller_key_others_can_be_put_elsewhere():
    """114 of 530 records/s: 76 of a key, and 38 that 24 partitions would halve."""
    [hot] = group(530, (3.0, *OTHERS)).run(policy(), 900).hot
    assert "a single key of 14 % of all records (75.7/s) would explain it: with 24 partitions" in hot.message
    assert hot.message.endswith("that one would still get 94.6/s")


def test_where_keys_do_not_matter_it_is_the_producers():
    [hot] = group(342, (8.0, *OTHERS)).run(policy(keyed=False), 900).hot
    assert "look at how its producers choose a partition" in hot.message


def test_a_topic_all_of_whose_partitions_are_hot_has_no_key_but_too_few():
    """One topic of a single partition beside one of eleven: nothing about it is a key's doing."""
    world = group(342, (8.0, *OTHERS))

    def observe() -> Observation:
        seen = world.reading()
        one, *others = seen.partitions.values()
        partitions = {PartitionId("single", 0): one} | {PartitionId("points", i): o for i, o in enumerate(others)}
        return Observation(
            replace(seen, partitions=partitions, topic_ids={"single": "a", "points": "b"}), world.target()
        )

    [hot] = world.run(policy(), 900, observe).hot
    assert hot.message.endswith("so do all partitions of the topic: they are too few")


def test_the_five_hottest_are_named_the_hottest_first():
    decision = group(2000, (5.0, 9.0, 8.0, 5.5, 7.0, 6.0, *(1.0,) * 34), replicas=30).run(policy(), 400)
    assert [hot.partition for hot in decision.hot] == [1, 2, 4, 5, 3]


def test_nothing_is_named_while_nobody_knows_and_when_it_is_over():
    world = group(342, (8.0, *OTHERS))
    assert world.run(policy(), 100).hot == ()
    assert world.run(policy(), 500).hot
    failed = ReadingError(Reason.READING_FAILED, "broker 2: connection refused", world.now)
    assert world.run(policy(), 5, lambda: Observation(failed, world.target())).hot == ()
    assert world.run(policy(), 5).hot
    world.weights = (1.0, *OTHERS)
    world.parts[0].done = world.parts[0].end
    assert world.run(policy(), 1200).hot == ()


def test_a_key_is_answered_neither_with_replicas_nor_with_partitions():
    """1,500/s, of which 529 in one partition: the others would keep 12 replicas busy for 1,059/s. Not for one reading
    is an increase asked for, though for some minutes nobody knows that partition to be hot.
    """
    world = group(1500, HOT + OTHERS)
    decision = world.run(policy(), 900)
    assert decision.hot
    assert decision.need > decision.ceiling
    assert increases(world) == []


def test_what_the_others_get_may_ask_for_partitions_all_the_same():
    """Of 3,000/s a key brings 882; 2,118 and a quarter more take 27 replicas, in partitions that are alike."""
    world = group(3000, HOT + OTHERS)
    increase = world.run(policy(), 600).increase
    assert (increase.rate, increase.need, increase.to) == (pytest.approx(2118, rel=0.02), 27, 36)
    assert "3,000/s or more came, 2,118/s of it beside what single keys seem to bring; " in increase.message


def test_where_keys_do_not_matter_all_of_it_counts():
    increase = group(1500, HOT + OTHERS).run(policy(keyed=False), 100).increase
    assert (increase.rate, increase.need, increase.to) == (pytest.approx(1500, rel=0.02), 19, 24)
