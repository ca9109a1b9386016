"""What is believed of answers about the past, and who is asked when."""

from types import SimpleNamespace
from typing import Any

import pytest

from tidegate.engine.observation import Offsets, PartitionId
from tidegate.sources import WantedGroup
from tidegate.sources.kafka.offsets import Ends
from tidegate.sources.kafka.past import PARTITIONS, SECONDS_BEFORE, TRIES, Pasts, past_of
from tidegate.sources.kafka.scopes import Scope
from tidegate.sources.kafka.topics import Topic
from tidegate.sources.kafka.trouble import Trouble

AT = 1_700_000_000.0
ALL = len(SECONDS_BEFORE)


class Log:
    """Answers by hand: for every topic the ends at each time that is asked for, newest first."""

    def __init__(self, **answers: list[list[int]]) -> None:
        self.answers = answers
        self.asked: list[list[str]] = []

    async def since(self, topics: Any, times: Any, deadline: float) -> dict[str, list[list[int]]]:
        self.asked.append([topic.name for topic in topics])
        return {topic.name: self.answers[topic.name] for topic in topics if topic.name in self.answers}


def ends(name: str, highs: list[int], starts: list[int] | None = None, at: float = AT, **of: Any) -> Ends:
    partitions = tuple(PartitionId(name, number) for number in range(len(highs)))
    topic = Topic(name, of.get("id", "id"), partitions, (0,) * len(highs))
    return Ends(topic, highs, highs, starts or [0] * len(highs), at, of.get("trouble"))


def done(work: Any) -> Any:
    """The result of a coroutine that waits for nothing."""
    with pytest.raises(StopIteration) as stop:
        work.send(None)
    return stop.value.value


def told(answers: list[list[int]], before: Ends, now: Ends) -> Any:
    """The past of the only topic, None where it is not believed."""
    pasts = Pasts(Log(t=answers))  # type: ignore[arg-type]
    one = {WantedGroup("g", ("t",)): ("t",)}
    assert done(pasts.read(one, {"t": before}, 0.0)) == {}
    return done(pasts.read(one, {"t": now}, 0.0)).get("t")


def curve(later: int, earlier: int, *oldest: int) -> list[list[int]]:
    """Answers of one partition: a little later than the first reading, a little earlier, then back in time."""
    return [[later], [earlier], *([end] for end in (*oldest, *[oldest[-1]] * (ALL - len(oldest))))]


BEFORE, NOW = ends("t", [100]), ends("t", [150], at=AT + 5)
SCOPE = Scope((NOW.topic,), {"t": "id"}, {}, frozenset())


def test_the_end_that_was_seen_lies_between_the_answers_around_it():
    past = told(curve(120, 80, 50, 20), BEFORE, NOW)
    assert past.moved
    assert past.times == tuple(AT - seconds for seconds in reversed(SECONDS_BEFORE))
    assert past.ends[PartitionId("t", 0)] == (*[20] * (ALL - 1), 50)


@pytest.mark.parametrize(
    "answers",
    [
        curve(99, 80, 50),  # records seen then are stamped later
        curve(120, 101, 50),  # records that came after that are stamped earlier
        curve(120, -1, 50),  # … even all of them
        curve(120, 80, 81),
        curve(120, 80, 50, 60),  # the past changes
        curve(120, 80, 50, -1),
    ],
)
def test_answers_that_contradict_what_was_seen_or_one_another_are_not_believed(answers: list[list[int]]):
    assert told(answers, BEFORE, NOW) is None


def test_nothing_that_new_means_that_the_end_was_where_it_is():
    past = told(curve(-1, -1, -1, 20), BEFORE, ends("t", [100]))
    assert not past.moved
    assert past.ends[PartitionId("t", 0)] == (*[20] * (ALL - 1), 100)


def test_before_the_first_record_that_is_left_nothing_is_known():
    past = told(curve(120, 80, 50, 50, 20), ends("t", [100], [20]), ends("t", [150], [20]))
    assert past.times == (AT - 10, AT - 5)
    assert past.ends == {PartitionId("t", 0): (50, 50)}
    nothing = told(curve(120, 20, 20), ends("t", [100], [20]), ends("t", [150], [20]))
    assert nothing.times == ()
    assert past_of({"t": nothing}, SCOPE, {PartitionId("t", 0): Offsets(20, 150, 150, 150)}) is None


def test_the_past_of_a_compacted_topic_is_not_believed():
    past, waiting = told(curve(120, 80, 50, 20), BEFORE, NOW), {PartitionId("t", 0): Offsets(0, 10, 150, 150)}
    assert past_of({"t": past}, SCOPE, waiting)
    assert past_of({"t": past}, SCOPE._replace(compacted=frozenset("t")), waiting) is None


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (ends("t", [100], trouble=Trouble("no leader")), NOW),
        (BEFORE, ends("t", [150], trouble=Trouble("no leader"))),
        (BEFORE, ends("t", [150], id="recreated")),
        (BEFORE, ends("t", [150, 0])),
    ],
)
def test_two_readings_of_the_same_log_are_needed(before: Ends, now: Ends):
    pasts = Pasts(log := Log())  # type: ignore[arg-type]
    one = {WantedGroup("g", ("t",)): ("t",)}
    done(pasts.read(one, {"t": before}, 0.0))
    done(pasts.read(one, {"t": now}, 0.0))
    assert log.asked == []


def test_large_groups_are_asked_for_in_turn_and_each_a_few_times():
    names = [f"t{number}" for number in range(5)]
    seen = {name: ends(name, [0] * (PARTITIONS // 2)) for name in names}
    wanted = {WantedGroup(name, (name,)): (name,) for name in names}
    pasts = Pasts(log := Log())  # type: ignore[arg-type]
    for _ in range(20):
        done(pasts.read({one: wanted[one] for one in pasts.newcomers(wanted)}, seen, 0.0))
    assert log.asked == [names[:2]] * TRIES + [names[2:4]] * TRIES + [names[4:]] * TRIES
    assert pasts.newcomers(wanted) == []
    pasts.keep_only({"t0"})
    assert len(pasts.newcomers(wanted)) == 4


def test_a_group_larger_than_a_turn_gets_one_of_its_own():
    wanted = {WantedGroup("g", ("t",)): ("t",)}
    seen = {"t": ends("t", [0] * 3 * PARTITIONS)}
    pasts = Pasts(log := Log())  # type: ignore[arg-type]
    done(pasts.read(wanted, seen, 0.0))
    done(pasts.read(wanted, seen, 0.0))
    assert log.asked == [["t"]]


def test_whether_members_are_asked_for_makes_no_other_group():
    pasts = Pasts(Log())  # type: ignore[arg-type]
    one = WantedGroup("g", ("t",), describe=True)
    pasts.settle({one: SimpleNamespace()})
    assert pasts.newcomers([one]) == [one]
    seen = {"t": ends("t", [0])}
    for _ in range(1 + TRIES):
        done(pasts.read({one: ("t",)}, seen, 0.0))
    assert pasts.newcomers([WantedGroup("g", ("t",))]) == []
    assert pasts.newcomers([WantedGroup("g", ("t", "u"))]) != []
