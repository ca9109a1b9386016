"""The demo's account of the ladder can fail, and its figures mean what they say."""

import json

import pytest

from demo.shop.features import RECEIPTS, RECOMMENDATIONS, Sighting
from demo.shop.levels import Change, Document, Ladder, Switch, ladder, seen_after
from demo.shop.picture import off
from demo.shop.story import MANIFESTS

SERVICES = ("points-service", "storefront")


def document(at: float, *missing: str) -> Document:
    flag = {"variants": {"on": True, "off": False}}
    keys = (RECOMMENDATIONS, RECEIPTS)
    flags = {key: {**flag, "defaultVariant": "off" if key in missing else "on"} for key in keys}
    return Document(at, json.dumps({"flags": flags}))


def saw(at: float, on: bool, process: str = "a/1", service: str = "points-service") -> Sighting:
    return Sighting(at, service, process, RECOMMENDATIONS, on)


def step(at: float, before: int, level: int) -> Change:
    return Change(at, before, level, f"Level{level}", "ScalingExhausted", "numbers")


DOCUMENTS = [
    document(50.0),
    document(160.0, RECOMMENDATIONS),
    document(170.0, RECOMMENDATIONS, RECEIPTS),
    document(200.0, RECOMMENDATIONS),
    document(220.0),
]
CLIMB = [step(160.0, 0, 1), step(170.0, 1, 2), step(200.0, 2, 1), step(220.0, 1, 0)]


def test_the_climb_is_told_in_seconds_of_the_play():
    found = ladder(CLIMB, DOCUMENTS, [], (), start=100.0)
    assert found.levels == [0, 1, 2, 1, 0]
    assert [(each.at, each.flag, each.on) for each in found.switches] == [
        (60.0, RECOMMENDATIONS, False),
        (70.0, RECEIPTS, False),
        (100.0, RECEIPTS, True),
        (120.0, RECOMMENDATIONS, True),
    ]
    assert found.failures() == []
    assert "1 Level1 at 1:00, 2 Level2 at 1:10" in found.lines()[0]
    assert off(found, RECOMMENDATIONS, end=130.0) == [(60.0, 60.0)]
    assert off(found, RECEIPTS, end=130.0) == [(70.0, 30.0)]


def test_a_feature_that_never_came_back_is_off_until_the_end():
    found = ladder(CLIMB[:1], DOCUMENTS[:2], [], (), start=100.0)
    assert off(found, RECOMMENDATIONS, end=130.0) == [(60.0, 70.0)]


def test_a_switch_is_seen_when_the_last_process_of_the_service_has_seen_it():
    before = [saw(100.0, True), saw(120.0, True, "b/1"), saw(300.0, True, "late/1")]
    seen = [*before, saw(161.0, False), saw(162.5, False, "b/1")]
    assert seen_after(160.0, seen, RECOMMENDATIONS, False) == 2.5
    assert seen_after(160.0, seen, RECEIPTS, False) is None
    assert seen_after(160.0, before, RECOMMENDATIONS, False) is None


def test_a_process_that_ended_before_a_switch_is_not_waited_for():
    ended = [saw(100.0, True, "gone/1")]
    assert seen_after(160.0, [*ended, saw(100.0, True), saw(161.0, False)], RECOMMENDATIONS, False) == 1.0


def test_a_service_may_be_faster_than_the_demo_that_watches():
    assert seen_after(160.0, [saw(100.0, True), saw(159.9, False)], RECOMMENDATIONS, False) == 0.0


def test_the_switch_back_is_not_taken_for_the_switch():
    seen = [saw(100.0, True), saw(161.0, False), saw(203.0, True)]
    assert seen_after(200.0, seen, RECOMMENDATIONS, True) == 3.0
    assert seen_after(160.0, seen, RECOMMENDATIONS, False) == 1.0


@pytest.mark.parametrize(
    ("changes", "documents", "says"),
    [
        ([], DOCUMENTS[:1], "the ladder went to level 0, there are 2"),
        (CLIMB[:3], DOCUMENTS, "the ladder ended at level 1"),
        ([step(160.0, 0, 2), *CLIMB[2:]], DOCUMENTS, "the ladder left a level out"),
        (CLIMB, DOCUMENTS[:3], "the flags are not as they were before"),
    ],
)
def test_what_did_not_hold_is_said(changes: list[Change], documents: list[Document], says: str):
    assert says in ladder(changes, documents, [], (), start=100.0).failures()


def test_the_flags_are_compared_byte_for_byte():
    with_a_space = Document(230.0, DOCUMENTS[0].text + " ")
    assert not ladder(CLIMB, [*DOCUMENTS, with_a_space], [], (), start=100.0).flags_as_before


def test_a_service_that_never_saw_a_switch_is_a_failure():
    found = ladder(CLIMB, DOCUMENTS, [saw(100.0, True), saw(161.0, False), saw(222.0, True)], SERVICES, 100.0)
    assert found.slowest()["points-service"] == 2.0
    assert "storefront never saw recommendations off" in found.failures()
    assert "points-service never saw recommendations off" not in found.failures()
    unseen = Ladder(found.changes, (Switch(60.0, RECOMMENDATIONS, False, {"storefront": None}),))
    assert unseen.failures() == ["storefront never saw recommendations off"]


def test_the_features_of_the_consumers_are_the_flags_of_the_policy():
    flags, policy = ((MANIFESTS / name).read_text() for name in ("flags.yaml", "policy.yaml"))
    assert all(f'"{key}"' in flags and f"{key}: " in policy for key in (RECOMMENDATIONS, RECEIPTS))
