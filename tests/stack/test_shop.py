"""The shop on a real broker: whatever happens to its consumers, the ledger has every message, once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from demo.shop.broker import Broker
from demo.shop.features import RECOMMENDATIONS, sightings
from demo.shop.ledger import Ledger
from demo.shop.producer import Orders
from demo.shop.summary import account
from demo.stack import Stack
from tests.waiting import eventually

CONSUMER = [sys.executable, "-m", "demo.shop.consumer"]
DIES_BEFORE_ITS_FIRST_COMMIT = """
import os, signal
from demo.shop import consumer

def die(self):
    if self._uncommitted:
        os.kill(os.getpid(), signal.SIGKILL)

consumer.PointsConsumer._commit = die
consumer.main()
"""


class Shop:
    """A topic of 6 partitions, its orders, a ledger, and consumers as processes."""

    def __init__(self, stack: Stack, topic: str, folder: Path, closing_: ExitStack) -> None:
        assert stack.kafka
        self.ledger = closing_.enter_context(closing(Ledger(folder / "ledger.sqlite")))
        self.broker = closing_.enter_context(closing(Broker(stack.kafka.bootstrap, topic, f"{topic}-group")))
        self.broker.create_topic(6)
        self.orders = Orders(stack.kafka.bootstrap, topic)
        self._folder, self._closing = folder, closing_
        self._env = os.environ | {
            "KAFKA_BOOTSTRAP": stack.kafka.bootstrap,
            "GROUP": f"{topic}-group",
            "TOPIC": topic,
            "SERVICE_RATE": "200",
            "LEDGER": str(folder / "ledger.sqlite"),
        }

    def consumer(self, name: str, command: list[str] = CONSUMER) -> subprocess.Popen[bytes]:
        """Start one; it has been taken into the group when its ready file is there."""
        log = self._closing.enter_context((self._folder / f"{name}.log").open("wb"))
        env = self._env | {"HOSTNAME": name, "READY_FILE": str(self._folder / f"{name}.ready")}
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        self._closing.callback(process.wait)
        self._closing.callback(process.kill)
        eventually(lambda: (self._folder / f"{name}.ready").exists())
        return process

    def flags(self, recommendations: str) -> None:
        """Give consumers that are started from now on a flag document, or change it under all of them."""
        variants = {"on": True, "off": False}
        flag = {"state": "ENABLED", "variants": variants, "defaultVariant": recommendations}
        (self._folder / "new.json").write_text(json.dumps({"flags": {RECOMMENDATIONS: flag}}))
        (self._folder / "new.json").rename(self._folder / "flags.json")
        self._env["FLAGS_FILE"] = str(self._folder / "flags.json")
        self._env["SIGHTINGS"] = str(self._folder / "sightings")

    def seen(self, name: str) -> list[bool]:
        """How this consumer saw the flag of recommendations, one after the other."""
        noted = sightings(self._folder / "sightings")
        return [each.on for each in noted if each.process.startswith(f"{name}/") and each.flag == RECOMMENDATIONS]

    def applied_by(self, name: str) -> int:
        return sum(posting.consumer.startswith(f"{name}/") for posting in self.ledger.postings())

    def settled(self) -> bool:
        """Everything applied and committed."""
        now = self.broker.look()
        return now.committed == now.produced and len(self.ledger.postings()) >= len(self.orders.acknowledged)


@pytest.fixture
def shop(stack: Stack, topic: str, tmp_path: Path) -> Iterator[Shop]:
    with ExitStack() as closing_:
        yield Shop(stack, topic, tmp_path, closing_)


def test_a_consumer_killed_between_its_effect_and_its_commit_does_no_harm(shop: Shop):
    # It applies one batch and dies; nothing is committed, so all of it will be delivered again.
    shop.orders.play([0.0] * 600)
    doomed = shop.consumer("doomed", [sys.executable, "-c", DIES_BEFORE_ITS_FIRST_COMMIT])
    assert doomed.wait(30) == -signal.SIGKILL
    by_the_dead = shop.applied_by("doomed")
    assert by_the_dead > 0
    assert shop.broker.look().committed == 0

    # Two others take over; their log knows what the dead one did.
    for name in ("second", "third"):
        shop.consumer(name)
    eventually(shop.settled, seconds=60)
    assert shop.applied_by("doomed") == by_the_dead
    check_exactly_once(shop, 600)


def test_consumers_that_come_go_and_die_under_load_leave_the_ledger_exact(shop: Shop):
    first = shop.consumer("first")
    shop.orders.play([0.0] * 3000)  # 15 s of work for one
    eventually(lambda: shop.applied_by("first") > 0)
    second = shop.consumer("second")
    third = shop.consumer("third")
    eventually(lambda: shop.applied_by("second") > 0 and shop.applied_by("third") > 0)

    second.kill()  # no goodbye: its partitions wait for its session to end
    first.terminate()  # finishes its batch, commits, leaves
    assert first.wait(10) == 0
    shop.consumer("fourth")
    eventually(shop.settled, seconds=60)
    assert third.poll() is None
    assert shop.applied_by("fourth") > 0
    check_exactly_once(shop, 3000)


def test_a_consumer_that_is_told_to_stop_has_committed_what_it_applied(shop: Shop):
    shop.orders.play([0.0] * 2000)
    only = shop.consumer("only")
    eventually(lambda: shop.applied_by("only") > 0)
    only.terminate()
    assert only.wait(10) == 0
    applied = len(shop.ledger.postings())
    assert 0 < applied < 2000
    assert shop.broker.look().committed == applied


def test_a_consumer_obeys_its_flags_while_it_works(shop: Shop):
    shop.flags(recommendations="on")
    shop.consumer("only")
    shop.orders.play([0.0] * 2000)
    eventually(lambda: shop.seen("only") == [True])
    shop.flags(recommendations="off")
    eventually(lambda: shop.seen("only") == [True, False])
    eventually(shop.settled, seconds=60)
    check_exactly_once(shop, 2000)


def check_exactly_once(shop: Shop, produced: int) -> None:
    assert shop.orders.failed == 0
    assert len(shop.orders.acknowledged) == produced
    found = account(shop.orders.acknowledged, shop.ledger.postings(), shop.ledger.balances(), promise=300.0)
    assert (found.applied, found.lost, found.applied_twice) == (produced, 0, 0)
