"""The annotation by which a person holds the degradation ladder."""

from datetime import UTC, datetime

import pytest

from tidegate.api import parse_forced_level

THREE = datetime(2026, 11, 24, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "1; until=2026-11-24T15:00:00Z",
        "1;until=2026-11-24T15:00:00Z",
        " 1 ; until = 2026-11-24T15:00:00+00:00 ",
        "1; until=2026-11-24T16:00:00+01:00",
        "1; until=2026-11-24T15:00Z",
    ],
)
def test_a_level_and_its_end(text: str):
    assert parse_forced_level(text) == (1, THREE)


def test_level_0_and_the_highest_are_levels():
    assert [parse_forced_level(f"{level}; until=2026-11-24T15:00:00Z").level for level in (0, 10)] == [0, 10]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "'' must be a level and the time when that ends"),
        ("1", "'1' must be a level and the time when that ends"),
        ("1 until=2026-11-24T15:00:00Z", "must be a level and the time when that ends"),
        ("; until=2026-11-24T15:00:00Z", "the level is '', but must be a whole number from 0 to 10"),
        ("11; until=2026-11-24T15:00:00Z", "the level is '11', but must be a whole number from 0 to 10"),
        ("-1; until=2026-11-24T15:00:00Z", "the level is '-1'"),
        ("१; until=2026-11-24T15:00:00Z", "the level is '१'"),
        ("NoReceipts; until=2026-11-24T15:00:00Z", "the level is 'NoReceipts'"),
        ("1; until=tomorrow", "until is 'tomorrow', but must be a time with its zone"),
        ("1; until=", "until is '', but must be a time with its zone"),
        ("1; until=2026-11-24T15:00:00", "which leaves the time zone open: it must be a time with its zone"),
        ("1; until=2026-11-24", "which leaves the time zone open"),
        ("1; until=2026-13-24T15:00:00Z", "until is '2026-13-24T15:00:00Z', but must be"),
    ],
)
def test_what_cannot_be_read_is_refused_with_an_example(text: str, wrong: str):
    with pytest.raises(ValueError, match=r"such as|as in") as refused:
        parse_forced_level(text)
    assert wrong in str(refused.value)
    assert '"1; until=2026-11-24T15:00:00Z"' in str(refused.value)
