"""Durations, rates and topic patterns: what people write and read."""

import math
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.api import format_duration, format_rate, parse_duration, readable, topic_matches
from tidegate.api.pattern import check_pattern
from tidegate.api.quantity import parse_rate

UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
part = st.tuples(st.integers(0, 99_999), st.sampled_from(sorted(UNITS)))
milliseconds = st.integers(0, 99_999 * 3_600_000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("0s", 0), ("1m1m", 120), ("10s1h", 3610)],
)
def test_a_duration_is_read_as_a_person_means_it(text: str, seconds: float):
    assert parse_duration(text) == timedelta(seconds=seconds)


@given(st.lists(part, min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]):
    text = "".join(f"{number}{unit}" for number, unit in parts)
    total = math.fsum(number * UNITS[unit] for number, unit in parts)
    assert parse_duration(text).total_seconds() == pytest.approx(total)


@given(milliseconds)
@example(0)
def test_what_is_written_is_read_back(count: int):
    duration = timedelta(milliseconds=count)
    assert parse_duration(format_duration(duration)) == duration


@given(st.integers(0, 86_400_000), st.integers(0, 86_400_000))
def test_different_durations_are_written_differently(one: int, other: int):
    same = format_duration(timedelta(milliseconds=one)) == format_duration(timedelta(milliseconds=other))
    assert same == (one == other)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (42, "42s"), (190, "3m10s"), (5400, "1h30m"), (0.25, "250ms"), (100 * 3600, "100h")],
)
def test_a_duration_is_written_in_its_shortest_form(seconds: float, text: str):
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    "text", ["", "60", "s", "-5s", "1.5h", "1 h", "5d", "100000s", "1s1s1s1s1s", "5S", " 5s", "5s\n", "५s", "PT5S"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match=r"is not a duration: .* such as 60s, 5m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("value", [timedelta(seconds=-1), timedelta(days=5000)])
def test_what_cannot_be_written_is_refused(value: timedelta):
    with pytest.raises(ValueError, match="cannot be written as a duration"):
        format_duration(value)


@pytest.mark.parametrize(
    ("measured", "shown"),
    [(0.2, "0s"), (41.7, "42s"), (189.9, "3m10s"), (7322, "2h2m"), (-3, "0s"), (1e12, "99999h"), (math.inf, "99999h")],
)
def test_measured_seconds_are_rounded_for_people(measured: float, shown: str):
    assert format_duration(readable(measured)) == shown


@given(st.floats(0, 3e8))
def test_rounding_for_people_is_never_off_by_more_than_half_a_unit(measured: float):
    assert abs(readable(measured).total_seconds() - measured) <= (0.5 if measured < 3600 else 30)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (0.0001, "0"),
        (4.256, "4.26"),
        (42.71, "42.7"),
        (118.4, "118"),
        (120, "120"),
        (1e6, "1000000"),
    ],
)
def test_a_rate_is_written_with_three_digits_or_so(rate: float, text: str):
    assert format_rate(rate) == text


@given(st.floats(0, 1e11))
def test_a_written_rate_is_read_back_close_to_what_was_measured(rate: float):
    assert parse_rate(format_rate(rate)) == pytest.approx(rate, rel=0.006, abs=0.0005)


@pytest.mark.parametrize(("written", "rate"), [(120, 120.0), ("0.5", 0.5), ("120", 120.0), (0.5, 0.5)])
def test_a_rate_is_read_with_and_without_quotes(written: object, rate: float):
    assert parse_rate(written) == rate


@pytest.mark.parametrize("written", ["", "-1", "1e3", "1.2345", "many", True, None, -1, math.nan, math.inf])
def test_what_is_no_rate_is_refused_with_an_example(written: object):
    with pytest.raises(ValueError, match=r'is not a rate: .* such as 120 or "0.5"'):
        parse_rate(written)


def test_a_topic_pattern_has_to_match_the_whole_name():
    assert topic_matches("points[.].+", "points.deduct")
    assert not topic_matches("points", "points.deduct")
    assert not topic_matches("deduct", "points.deduct")


@pytest.mark.parametrize("pattern", ["a(b", "*", "(?!a)b", r"(a)\1", "[z-a]"])
def test_what_is_no_pattern_is_refused_in_words(pattern: str):
    with pytest.raises(ValueError, match="is not a regular expression"):
        check_pattern(pattern)


def test_no_pattern_can_stall_the_operator():
    assert not topic_matches("(a+)+b", "a" * 249)  # a backtracking engine would not come back
