"""The features of the shop and their flags, asked through the real OpenFeature SDK and its providers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from openfeature import api

from demo.shop.features import RECEIPTS, RECOMMENDATIONS, Features, projected, remote, sightings, work
from demo.shop.storefront import page
from demo.stack.ports import Ports
from tests.waiting import eventually


def document(recommendations: str, receipts: str) -> str:
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}}
    variants = {RECOMMENDATIONS: recommendations, RECEIPTS: receipts}
    return json.dumps({"flags": {key: {**flag, "defaultVariant": variant} for key, variant in variants.items()}})


@pytest.fixture(autouse=True)
def providers() -> Iterator[None]:
    yield
    api.clear_providers()


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL where nothing listens."""
    ports = Ports()
    yield f"http://127.0.0.1:{ports.take()}"
    ports.close()


def test_a_record_is_less_work_with_features_off():
    assert work(lambda _: True) == 1
    assert work(lambda flag: flag != RECOMMENDATIONS) == pytest.approx(0.80)
    assert work(lambda _: False) == pytest.approx(0.55)


def test_a_page_leaves_out_what_is_off():
    whole = page(lambda _: True)
    assert page(lambda flag: flag != RECOMMENDATIONS) == (whole[0], whole[-1])
    assert page(lambda flag: flag != RECEIPTS)[:-1] == whole[:-1]
    assert page(lambda flag: flag != RECEIPTS)[-1] != whole[-1]


def test_a_process_obeys_its_projected_document_and_notes_each_change_once(tmp_path: Path):
    (tmp_path / "old.json").write_text(document("on", "on"))
    (tmp_path / "new.json").write_text(document("off", "on"))
    (tmp_path / "flags.json").symlink_to("old.json")
    seen = tmp_path / "sightings"
    features = Features("points", "pod/1", projected(tmp_path / "flags.json"), seen)
    assert [work(features.on) for _ in range(3)] == [1, 1, 1]

    (tmp_path / "link").symlink_to("new.json")
    (tmp_path / "link").rename(tmp_path / "flags.json")  # as the kubelet does it
    eventually(lambda: not features.on(RECOMMENDATIONS), seconds=10)
    assert work(features.on) == pytest.approx(0.80)
    assert [(each.service, each.process, each.flag, each.on) for each in sightings(seen)] == [
        ("points", "pod/1", RECOMMENDATIONS, True),
        ("points", "pod/1", RECEIPTS, True),
        ("points", "pod/1", RECOMMENDATIONS, False),
    ]


def test_a_feature_is_on_until_a_document_says_off_and_a_broken_one_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    features = Features("points", "pod/1", projected(tmp_path / "flags.json"))
    assert work(features.on) == 1
    (tmp_path / "flags.json").write_text(document("off", "off"))
    eventually(lambda: work(features.on) == pytest.approx(0.55), seconds=10)
    caplog.set_level("ERROR", "openfeature.contrib")  # the operator, in another test, may have silenced it
    caplog.clear()
    (tmp_path / "flags.json").write_text("{")
    eventually(lambda: "Could not parse" in caplog.text, seconds=10)
    assert work(features.on) == pytest.approx(0.55)


def test_a_server_of_flags_that_is_away_switches_nothing_off(nobody: str):
    features = Features("storefront", "pod/1", remote(nobody))
    assert page(features.on) == page(lambda _: True)
