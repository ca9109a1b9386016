"""A group at its partition ceiling, from the proposal to more replicas than there were partitions."""

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from demo.stack import Stack, StackError
from tests.e2e.ceiling import APPROVER, ARRIVING, EDITOR, PARTITIONS, RATE, AtCeiling, Consumers, blocking, condition_of
from tests.e2e.operator_process import Operator
from tests.namespaces import created
from tests.waiting import eventually

METHODS = {Consumers("classic range", "latest"): "PausedGroup", Consumers("KIP-848", "earliest"): "Live"}
"""Two of the six kinds of consumers; `make bench-partitions` plays all."""


def a_proposal_is_made_refused_approved_and_carried_out(scene: AtCeiling) -> None:
    scene.appoint()
    scene.open()
    scene.watch()
    scene.order_from_now_on()
    eventually(lambda: scene.condition("PartitionBound").get("status") == "True", seconds=90)
    name = eventually(lambda: scene.proposals, seconds=120)[0]["metadata"]["name"]
    proposal = eventually(lambda: scene.proposal(name, "Validated"), seconds=30)
    figures_are_right(scene, proposal)
    assert max(scene.scales) == PARTITIONS  # a replica more would have nothing to do

    with pytest.raises(StackError, match=f"{EDITOR} may not set spec.decision .*needs the verb approve"):
        scene.decide(EDITOR, name, acknowledge=["KeyOrdering"])
    with pytest.raises(StackError, match="KeyOrdering"):
        scene.decide(APPROVER, name)
    assert scene.broker.look()
    assert scene.broker.partitions == PARTITIONS

    scene.decide(APPROVER, name, acknowledge=["KeyOrdering"])
    eventually(lambda: scene.proposal(name, "Applied"), seconds=90)
    assert (0 in scene.scales) == (proposal["spec"]["method"] == "PausedGroup")
    eventually(lambda: scene.ready == scene.replicas > PARTITIONS, seconds=60)

    found = scene.account()
    assert set(scene.reached) == set(range(proposal["spec"]["to"]))  # keys went to the new partitions, too
    assert (found.applied, found.lost, found.applied_twice) == (scene.produced, 0, 0)
    assert [each["metadata"]["name"] for each in scene.proposals] == [name]
    assert max(scene.scales) <= proposal["spec"]["to"]


def figures_are_right(scene: AtCeiling, proposal: dict[str, Any]) -> None:
    spec, evidence = proposal["spec"], proposal["spec"]["evidence"]
    assert (spec["topic"], spec["from"], spec["decision"]) == (scene.topic, PARTITIONS, "Pending")
    assert spec["method"] == METHODS[scene.consumers]
    assert list(blocking(proposal)) == ["KeyOrdering"]
    assert condition_of(proposal, "Validated")["reason"] == "WouldSucceed"
    assert float(evidence["perReplica"]) == pytest.approx(RATE, rel=0.2)
    assert float(evidence["arrivalRate"]) == pytest.approx(ARRIVING, rel=0.3)
    assert evidence["need"] == pytest.approx(1.25 * ARRIVING / RATE, abs=1.5)
    assert PARTITIONS < evidence["need"] <= spec["to"] == evidence["ceilingAfter"]
    assert evidence["ceiling"] == PARTITIONS
    assert [(group["name"], group["members"]) for group in evidence["groups"]] == [(scene.topic, PARTITIONS)]
    assert re.search(rf"{PARTITIONS} → {spec['to']} partitions", evidence["message"])


@pytest.fixture(scope="module")
def playing(
    installed: Stack,
    shared_operator: Operator,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[dict[Consumers, Future[None]]]:
    """All that were asked for, started at once; a test waits for its own."""
    wanted = [item.callspec.params["consumers"] for item in request.session.items if item.parent is request.node]
    shared_operator.start()
    folder = tmp_path_factory.mktemp("ledgers")

    def run(consumers: Consumers) -> None:
        name = f"ceiling-{consumers.name}"
        with created(installed, name), AtCeiling(installed, name, name, folder, consumers) as scene:
            a_proposal_is_made_refused_approved_and_carried_out(scene)

    with ThreadPoolExecutor(len(wanted)) as pool:
        yield {consumers: pool.submit(run, consumers) for consumers in wanted}


@pytest.mark.parametrize("consumers", METHODS, ids=lambda consumers: consumers.name)
def test_a_proposal_is_made_refused_approved_and_carried_out_and_nothing_is_lost(
    consumers: Consumers, playing: dict[Consumers, Future[None]], operator: Operator
):
    playing[consumers].result()
    assert operator.running
