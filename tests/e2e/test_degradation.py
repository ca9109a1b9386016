"""The degradation ladder of the running operator: real surges, real outages, and applications that see their flags.

The tests of this module share their scenes: in two of them more arrives than all replicas can do, until a test ends it;
in the third nothing happens but what people do. They are in an order in which nothing is waited for idly.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from typing import NamedTuple

import pytest

from demo.shop.features import RECEIPTS, RECOMMENDATIONS
from demo.stack import Stack
from tests.e2e.ladder import CEILING, DOCUMENT, RATE, SURGE, Laddered, Seen, at_level, stays
from tests.e2e.operator_process import CHECKOUT, Operator
from tests.e2e.scene import FLAGS, NAME
from tests.e2e.test_outages import written_since
from tests.namespaces import created
from tests.waiting import eventually

COMMANDS = re.findall(r"^\$ (kubectl .+?)(?:  +#.*)?$", (CHECKOUT / "docs/degradation.md").read_text(), re.M)
"""What docs/degradation.md tells people to type."""


class Scenes(NamedTuple):
    """All that are played."""

    restored: Laddered
    deleted: Laddered
    drilled: Laddered


@pytest.fixture(scope="module")
def scenes(
    installed: Stack, shared_operator: Operator, ofrep: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scenes]:
    """Each in a namespace of its own; the two surges begin."""
    shared_operator.start()
    folder = tmp_path_factory.mktemp("sightings")
    with ExitStack() as open_:

        def scene(name: str) -> Laddered:
            namespace = open_.enter_context(created(installed, f"ladder-{name}"))
            # what is drilled must not need a level by itself, after an outage of a minute either
            max_age = "10m" if name == "drilled" else "15s"
            return open_.enter_context(Laddered(installed, namespace, ofrep, folder, max_age))

        with ThreadPoolExecutor(len(Scenes._fields)) as pool:
            found = Scenes(*pool.map(scene, Scenes._fields))
        for each in found:
            each.observed()
        found.restored.surge()
        found.deleted.surge()
        found.drilled.calm()
        yield found


@pytest.fixture
def surging(scenes: Scenes, operator: Operator) -> Laddered:
    """At level 2, which is not enough either."""
    assert operator.running
    eventually(lambda: scenes.restored.level == 2, seconds=180)
    return scenes.restored


@pytest.fixture
def drilled(scenes: Scenes, operator: Operator) -> Iterator[Laddered]:
    """Nothing happens but what people do; afterwards everything is as it was."""
    assert operator.running
    scene = scenes.drilled
    eventually(lambda: scene.level == 0 and not scene.held)
    assert scene.document == DOCUMENT
    yield scene
    scene.kubectl("annotate", "lagp", NAME, "tidegate.dev/force-level-")
    eventually(lambda: scene.level == 0 and not scene.held)
    scene.flags_are(DOCUMENT)


# A surge


def test_r1_a_surge_above_all_capacity_is_scaled_out_first_and_then_takes_one_level_after_the_other(
    surging: Laddered, operator: Operator
):
    up, up_again = surging.degradation["history"][:2]
    assert (up["from"], up["to"], up_again["from"], up_again["to"]) == (0, 1, 1, 2)
    assert surging.scales == [1, CEILING]
    assert surging.cluster.scales[-1].at <= moment(up["time"]) + 1  # scale first, degrade second
    for step, way in ((up, "0 to level 1 (NoRecommendations)"), (up_again, "1 to level 2 (NoReceipts)")):
        assert step["reason"] == "ScalingExhausted"
        assert re.search(r"would reach .*\d", step["message"])
        eventually(lambda way=way: surging.told(f"LagPolicy ScalingExhausted: from level {way}"))
    assert moment(up_again["time"]) - moment(up["time"]) > 30  # the first has had time to show, and to be measured
    assert surging.documents == [DOCUMENT, at_level(1), at_level(2)]


# The end of a policy


def test_r9_a_policy_deleted_in_the_middle_of_a_surge_is_restored_before_it_goes(scenes: Scenes, operator: Operator):
    scene = scenes.deleted
    eventually(lambda: scene.level == 2, seconds=180)
    assert scene.held
    scene.kubectl("delete", "lagp", NAME, "--wait=false")
    eventually(lambda: not scene.metadata)
    assert scene.document == DOCUMENT
    eventually(lambda: scene.told("LagPolicy LadderChanged: from level 2 to level 0: the policy was deleted"))
    for flag in (RECOMMENDATIONS, RECEIPTS):
        eventually(lambda flag=flag: last_seen(scene.consumers_saw, flag))
    scene.calm()


def test_r9_a_policy_deleted_while_the_operator_is_down_is_restored_by_the_next_one(
    drilled: Laddered, operator: Operator
):
    drilled.force(2, seconds=600)
    eventually(lambda: drilled.level == 2)
    operator.kill()
    try:
        drilled.kubectl("delete", "lagp", NAME, "--wait=false")
        stays(2, lambda: (bool(drilled.metadata), drilled.document))
        assert drilled.document == at_level(2)
    finally:
        operator.start()
    eventually(lambda: not drilled.metadata)
    assert drilled.document == DOCUMENT
    drilled.allow(CEILING)


def test_a_policy_can_be_forced_to_go_as_the_page_says_while_the_operator_is_down(
    drilled: Laddered, operator: Operator
):
    drilled.force(1, seconds=600)
    eventually(lambda: drilled.level == 1)
    operator.kill()
    try:
        drilled.kubectl("delete", "lagp", NAME, "--wait=false")
        drilled.flags_are(DOCUMENT)
        drilled.typed(command("finalizers"))
        eventually(lambda: not drilled.metadata)
    finally:
        operator.start()
    drilled.allow(CEILING)
    drilled.observed()
    assert drilled.document == DOCUMENT


# Outages


def test_r9_an_operator_killed_at_level_2_is_followed_by_one_that_keeps_it_and_writes_no_flag(
    surging: Laddered, operator: Operator
):
    version, steps = surging.version, surging.steps
    operator.kill()
    try:
        stays(3, lambda: (surging.version, surging.consumers_saw))
        assert surging.document == at_level(2)
    finally:
        operator.start()
    taken_over = time.time()
    eventually(lambda: written_since(surging, taken_over))
    # it judges, it does not only hold
    eventually(lambda: surging.condition("Degraded").get("reason") == "HighestLevel", seconds=120)
    stays(10, lambda: (surging.version, surging.level, surging.steps))
    assert (surging.version, surging.steps, surging.held) == (version, steps, True)
    eventually(lambda: level_by_metric(operator, surging) == 2)


def test_r2_a_broker_that_is_away_at_level_2_changes_no_flag_and_the_ladder_goes_on_when_it_is_back(surging: Laddered):
    kafka = surging.stack.kafka
    assert kafka
    version, steps = surging.version, surging.steps
    kafka.stop()
    try:
        eventually(lambda: surging.condition("Observing").get("status") == "False")
        eventually(lambda: "is kept: " in surging.condition("Degraded")["message"])
        stays(15, lambda: (surging.version, surging.level))
        assert surging.condition("Degraded")["status"] == "True"
    finally:
        kafka.start()
    eventually(lambda: surging.condition("Observing").get("status") == "True")
    eventually(lambda: "is kept: " not in surging.condition("Degraded")["message"], seconds=120)
    assert (surging.version, surging.steps) == (version, steps)


# What can be seen of a level


def test_r10_a_level_is_seen_in_status_conditions_and_metric(surging: Laddered, operator: Operator):
    status = surging.degradation
    assert (status["name"], status["flagsRef"]["name"]) == ("NoReceipts", FLAGS)
    assert {one["flag"]: (one["before"], one["variant"]) for one in status["flags"]} == {
        RECOMMENDATIONS: ("on", "off"),
        RECEIPTS: ("on", "off"),
    }
    assert surging.held
    # at the highest level, since it is not enough
    eventually(lambda: surging.condition("Degraded").get("reason") == "HighestLevel")
    degraded = surging.condition("Degraded")
    assert degraded["status"] == "True"
    assert degraded["message"].startswith(
        f"{RECOMMENDATIONS} is off, {RECEIPTS} is off (level 2 of 2, NoReceipts since "
    )
    assert "records wait" in degraded["message"]
    assert surging.condition("Ready")["status"] == "True"
    assert surging.condition("FlagDrift")["status"] == "False"
    eventually(lambda: level_by_metric(operator, surging) == 2)


def test_both_applications_see_the_flags_switched(surging: Laddered):
    for flag in (RECOMMENDATIONS, RECEIPTS):
        eventually(lambda flag=flag: surging.all_see(flag, False))


# The end of the surge begins


def test_r6_replicas_that_people_allow_are_ordered_as_if_every_feature_were_on(surging: Laddered):
    surging.allow(6)
    eventually(lambda: surging.replicas >= SURGE / RATE)  # with what features save three would do
    assert surging.level == 2
    surging.calm()


# Meanwhile: what people do


def test_r11_a_drill_as_the_page_has_it_flips_the_first_level_and_restores_it_without_an_incident(drilled: Laddered):
    before = drilled.flags
    drilled.typed(command("+5 minutes"))
    eventually(lambda: drilled.all_see(RECOMMENDATIONS, False))
    assert drilled.document == at_level(1)
    eventually(lambda: drilled.condition("Degraded").get("reason") == "Forced")
    assert drilled.steps[-1] == (0, 1, "Forced")
    eventually(lambda: "Forced" in drilled.typed(command("get events")))
    shown = [drilled.typed(each) for each in COMMANDS if " get lagp " in each]
    assert len(shown) == 4
    assert re.search(rf"^{NAME} .* 1 ", shown[0], re.M)
    assert f"Forced: {RECOMMENDATIONS} is off (level 1 of 2, NoRecommendations since " in shown[1]
    assert "0 → 1 Forced" in shown[2]
    assert f"{RECOMMENDATIONS}: off, before: on" in shown[3]

    drilled.force(1, seconds=5)  # the same, but nobody here waits for five minutes
    eventually(lambda: drilled.level == 0)
    assert drilled.steps[-1] == (1, 0, "ForceEnded")
    eventually(lambda: drilled.told("LagPolicy ForceEnded: from level 1 to level 0"))
    eventually(lambda: drilled.all_see(RECOMMENDATIONS, True))
    after = drilled.flags
    assert after["data"] == before["data"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    eventually(lambda: drilled.condition("Degraded").get("status") == "False")
    assert "has no effect any more" in drilled.condition("Degraded")["message"]


def test_every_feature_comes_back_by_the_command_of_the_page_and_the_ladder_is_left_to_itself_by_the_other(
    drilled: Laddered,
):
    drilled.force(2, seconds=600)
    eventually(lambda: drilled.level == 2)
    drilled.typed(command('"0; until'))
    eventually(lambda: drilled.level == 0)
    assert drilled.steps[-1] == (2, 0, "Forced")
    assert drilled.document == DOCUMENT
    drilled.typed(command("force-level-"))
    eventually(lambda: drilled.condition("Degraded").get("reason") == "FeaturesOn")


def test_a_flag_that_somebody_changes_at_a_level_stays_as_they_made_it(drilled: Laddered):
    drilled.force(2, seconds=600)
    eventually(lambda: drilled.level == 2)
    pinned = at_level(2).replace('"defaultVariant"  :  "off"', '"defaultVariant"  :  "pinned"')
    patch = json.dumps({"data": {"flags.json": pinned}})
    drilled.kubectl("patch", "configmap", FLAGS, "--type=merge", "-p", patch)
    eventually(lambda: drilled.condition("FlagDrift").get("status") == "True")
    drift = drilled.condition("FlagDrift")
    assert f"{RECOMMENDATIONS} is pinned, Tidegate had made it off" in drift["message"]
    eventually(lambda: drilled.told("LagPolicy ChangedByOthers: "))
    assert drilled.document == pinned

    drilled.typed(command("force-level-"))
    eventually(lambda: drilled.level == 0 and not drilled.held)
    assert drilled.document == DOCUMENT.replace('"defaultVariant"  :  "on"', '"defaultVariant"  :  "pinned"')
    eventually(lambda: drilled.condition("FlagDrift").get("status") == "False")


# The end of the surge


def test_r4_features_come_back_one_level_after_the_other_once_the_backlog_is_gone(scenes: Scenes, operator: Operator):
    """What came lately fits what people have allowed now, so the features may come back."""
    surging = scenes.restored
    eventually(lambda: surging.level == 0, seconds=240)
    assert [step[:2] for step in surging.steps] == [(0, 1), (1, 2), (2, 1), (1, 0)]
    assert [step[2] for step in surging.steps[2:]] == ["Restoring", "Restoring"]
    for step in ("from level 2 to level 1", "from level 1 to level 0"):
        eventually(lambda step=step: surging.told(f"LagPolicy Restoring: {step}"))
    assert surging.documents == [at_level(level) for level in (0, 1, 2, 1, 0)]
    assert surging.flags["data"] == {"flags.json": DOCUMENT, "other": "not a flag"}
    eventually(lambda: surging.condition("Degraded").get("status") == "False")
    assert surging.condition("Degraded")["reason"] == "FeaturesOn"
    assert not surging.degradation["flags"]
    assert not surging.held
    eventually(lambda: level_by_metric(operator, surging) == 0)
    for flag in (RECOMMENDATIONS, RECEIPTS):
        eventually(lambda flag=flag: surging.all_see(flag, True))
    first, last = (moment(surging.degradation["history"][at]["time"]) for at in (0, -1))
    meanwhile = [scale.replicas for scale in surging.cluster.scales if first <= scale.at <= last]
    assert meanwhile == sorted(meanwhile)  # no replica goes while a feature is off


@pytest.mark.parametrize("by", ["OFREP", "ConfigMap"])
def test_how_fast_an_application_sees_a_switched_flag(
    scenes: Scenes, by: str, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
):
    """Figures, nothing is judged here but that there are some."""
    delays = sorted(
        delay
        for scene in scenes
        for delay in scene.delays(scene.application_saw if by == "OFREP" else scene.consumers_saw)
    )
    assert len(delays) >= 2
    found = f"median {delays[len(delays) // 2]:.2f} s, at most {delays[-1]:.2f} s, of {len(delays)}"
    record_property(f"flag seen by {by}", found)
    with capsys.disabled():
        print(f"\nA switched flag was seen by {by} after: {found}")


def command(words: str) -> str:
    """The one of the page that has these words."""
    found = [each for each in COMMANDS if words in each]
    assert len(found) == 1
    return found[0]


def moment(written: str) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(written).timestamp()


def last_seen(seen: list[Seen], flag: str) -> bool:
    """What was seen of this flag at last."""
    return [one.on for one in seen if one.flag == flag][-1]


def level_by_metric(operator: Operator, scene: Laddered) -> int:
    """By /metrics."""
    status, text = operator.get("/metrics")
    assert status == 200
    name = rf'tidegate_degradation_level{{namespace="{scene.namespace}",policy="{NAME}"}}'
    found = re.search(rf"^{re.escape(name)} (\d+)", text, re.M)
    assert found, text
    return int(found[1])
