"""Approved increases on the real parts: a producer writes through all of it, and every order is accounted for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.operator_process import Operator
from tests.e2e.repartition import TO, Increase, Ordering, Outsider, applied, partitions
from tests.e2e.scene import PARTITIONS, Scene
from tests.waiting import eventually
from tidegate.api import Method

OLD, NEW = set(range(PARTITIONS)), set(range(PARTITIONS, TO))


class Shop:
    """Two consumers that start at the end where they have no commit, and orders that never pause."""

    def __init__(self, scene: Scene, ledger: Path, reset: str) -> None:
        self.scene, self.ledger = scene, ledger
        scene.connect()
        scene.deploy(replicas=2, rate=200, more={"LEDGER": str(ledger), "OFFSET_RESET": reset})
        scene.promise(replicas={"min": 2, "max": 2}, reset=reset)
        eventually(lambda: scene.ready == 2)
        self._open = ExitStack()
        self.orders = self._open.enter_context(Ordering(scene.bootstrap, scene.topic, rate=60))
        eventually(lambda: self.consumed == OLD)
        self._before = frozenset(self.orders.acknowledged)
        """Orders that consumers may have skipped when they started at the end, before any of this."""

    def close(self) -> None:
        self._open.close()

    @property
    def consumed(self) -> set[int]:
        """Partitions of which an order was applied."""
        return {self.orders.acknowledged[order] for order in applied(self.ledger) if order in self.orders.acknowledged}

    @property
    def lost(self) -> dict[str, int]:
        """Orders that were acknowledged and not applied, with their partitions."""
        done = applied(self.ledger).keys() | self._before
        return {order: partition for order, partition in self.orders.acknowledged.items() if order not in done}

    def _has_caught_up(self) -> bool:
        assert not self.lost
        return True

    def nothing_is_lost(self) -> None:
        """Every order that was acknowledged is applied, and once."""
        eventually(lambda: self.orders.reached(NEW), seconds=20)
        self.orders.stop()
        eventually(self._has_caught_up, seconds=30)
        assert set(applied(self.ledger).values()) == {1}


@pytest.fixture
def shop(scene: Scene, operator: Operator, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    assert operator.running
    shop = Shop(scene, tmp_path / "ledger.sqlite", getattr(request, "param", "latest"))
    yield shop
    shop.close()


def test_a_paused_group_comes_back_and_has_not_missed_an_order(shop: Shop):
    increase = Increase(shop.scene, Method.PAUSED_GROUP)
    increase.propose()
    increase.approve()
    eventually(lambda: increase.ended == "Applied", seconds=60)
    assert shop.scene.scales == [2, 0, 2]
    execution = increase.status["execution"]
    assert (execution["step"], execution["replicas"]) == ("Done", 2)
    assert execution["pause"]
    assert not increase.found["metadata"].get("finalizers")
    assert "members own all of them" in increase.condition("Applied")["message"]
    for reason in ("Executing", "Applied"):
        eventually(lambda reason=reason: shop.scene.told(f"LagPolicy {reason}: {increase.name}: "))
        assert increase.told(reason)
    shop.nothing_is_lost()


@pytest.mark.parametrize("shop", ["latest", "earliest"], indirect=True)
def test_a_live_group_goes_on_and_does_not_miss_an_order(shop: Shop):
    increase = Increase(shop.scene, Method.LIVE)
    increase.propose()
    increase.approve()
    eventually(lambda: increase.ended == "Applied", seconds=60)
    assert shop.scene.scales == [2]
    shop.nothing_is_lost()


@pytest.mark.parametrize("end", [Operator.kill, Operator.stop], ids=["SIGKILL", "SIGTERM"])
def test_an_operator_that_ends_while_the_group_is_paused_is_followed_by_one_that_goes_on(
    shop: Shop, operator: Operator, end: Callable[[Operator], object]
):
    outsider = Outsider(shop.scene.bootstrap, shop.scene.topic, shop.scene.topic)
    increase = Increase(shop.scene, Method.PAUSED_GROUP)
    increase.propose()
    increase.approve()
    eventually(lambda: increase.step == "Paused" and shop.scene.ready == 0, seconds=40)
    end(operator)
    assert increase.found["metadata"]["finalizers"] == ["tidegate.dev/execution"]
    outsider.leave()
    operator.start()
    eventually(lambda: increase.ended == "Applied", seconds=60)
    assert shop.scene.scales == [2, 0, 2]
    shop.nothing_is_lost()


@pytest.mark.parametrize(
    "after", [": enlarging", "step Paused", "scaled to 0", "step Increased", "offset 0 is committed", "step Resumed"]
)
def test_wherever_the_leader_is_killed_no_order_is_lost_and_the_target_comes_back(
    shop: Shop, operator: Operator, after: str
):
    increase = Increase(shop.scene, Method.PAUSED_GROUP)
    increase.propose()
    leader, seen = operator.leader, len(operator.lines)
    increase.approve()
    eventually(lambda: any(after in line for line in operator.lines[seen:]), seconds=40, every=0.005)
    leader.signal()
    eventually(lambda: increase.ended == "Applied", seconds=90)
    assert shop.scene.scales == [2, 0, 2]
    assert not increase.found["metadata"].get("finalizers")
    shop.nothing_is_lost()


def test_a_leader_killed_while_a_live_group_goes_on_loses_no_order_without_saying_so(shop: Shop, operator: Operator):
    increase = Increase(shop.scene, Method.LIVE)
    increase.propose()
    leader, seen = operator.leader, len(operator.lines)
    increase.approve()
    eventually(lambda: any("step Increased" in line for line in operator.lines[seen:]), seconds=40, every=0.005)
    leader.signal()
    eventually(lambda: increase.ended == "Applied", seconds=90)
    assert shop.scene.scales == [2]
    if "may have been skipped" not in increase.condition("Applied")["message"]:
        shop.nothing_is_lost()


@pytest.mark.parametrize("after", ["scaled to 0", "step Increased"])
def test_a_broker_that_dies_in_the_middle_is_waited_for(shop: Shop, operator: Operator, after: str):
    kafka = shop.scene.stack.kafka
    assert kafka
    increase = Increase(shop.scene, Method.PAUSED_GROUP)
    increase.propose()
    seen = len(operator.lines)
    increase.approve()
    eventually(lambda: any(after in line for line in operator.lines[seen:]), seconds=40, every=0.005)
    kafka.kill(0)
    kafka.start(0)
    eventually(lambda: increase.ended == "Applied", seconds=80)
    assert shop.scene.scales == [2, 0, 2]
    shop.nothing_is_lost()


def test_a_person_who_insists_on_replicas_ends_the_pause(shop: Shop):
    outsider = Outsider(shop.scene.bootstrap, shop.scene.topic, shop.scene.topic)
    increase = Increase(shop.scene, Method.PAUSED_GROUP)
    increase.propose()
    increase.approve()
    for _ in range(2):
        eventually(lambda: increase.step == "Paused" and shop.scene.replicas == 0, seconds=40)
        shop.scene.kubectl("scale", "deployment", "consumer", "--replicas=1")
    eventually(lambda: increase.ended == "Failed", seconds=30)
    assert shop.scene.scales == [2, 0, 1, 0, 1]
    assert "somebody else scales Deployment consumer up" in increase.condition("Failed")["message"]
    assert partitions(shop.scene) == PARTITIONS
    outsider.leave()


def test_a_policy_deleted_while_its_group_is_paused_gets_its_target_back(shop: Shop):
    outsider = Outsider(shop.scene.bootstrap, shop.scene.topic, shop.scene.topic)
    increase = Increase(shop.scene, Method.PAUSED_GROUP)
    increase.propose()
    increase.approve()
    eventually(lambda: increase.step == "Paused" and shop.scene.replicas == 0, seconds=40)
    shop.scene.kubectl("delete", "lagp", "consumer", "--wait=false")
    eventually(lambda: shop.scene.replicas == 2, seconds=30)
    eventually(lambda: not increase.found, seconds=30)
    outsider.leave()
    assert partitions(shop.scene) == PARTITIONS
