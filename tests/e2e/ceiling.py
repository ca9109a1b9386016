"""A group at the ceiling of its partitions: its proposals, the people who decide them, and a ledger of each message."""

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from demo.shop.ledger import Ledger, Posting
from demo.shop.producer import Orders
from demo.shop.summary import Account, account
from demo.shop.trace import steady
from demo.stack import Stack
from tests.e2e.scene import NAME, Scene
from tests.waiting import eventually

CHECKOUT = Path(__file__).parents[2]
PROTOCOLS: Mapping[str, Mapping[str, str]] = {
    "classic range": {"GROUP_PROTOCOL": "classic", "ASSIGNOR": "range"},
    "classic cooperative-sticky": {"GROUP_PROTOCOL": "classic", "ASSIGNOR": "cooperative-sticky"},
    "KIP-848": {"GROUP_PROTOCOL": "consumer"},
}
PARTITIONS = 2
RATE = 10.0
"""Records a second that one consumer can do."""
ARRIVING = 28.0
"""Records a second: what three consumers can do, and there are partitions for two."""
REFRESH = 0.2
"""Seconds until the producers write into new partitions: long before the consumers know them."""
SLOW_REFRESH = 300.0
"""The same of the consumers: librdkafka's default and Java's, which is hard on an increase."""
SEED = 6
APPROVER, EDITOR = "olga", "egon"
"""Who may decide on proposals, and who may only edit them."""


class Consumers(NamedTuple):
    """How the members of the group are set up."""

    protocol: str
    reset: str

    @property
    def name(self) -> str:
        """For a topic or a namespace."""
        return f"{self.protocol} {self.reset}".replace(" ", "-").lower()

    @property
    def env(self) -> dict[str, str]:
        """For demo/shop/consumer.py."""
        own = {"OFFSET_RESET": self.reset, "METADATA_REFRESH": str(SLOW_REFRESH)}
        return {**PROTOCOLS[self.protocol], **own}


class AtCeiling(Scene):
    """A topic with two partitions, whose group needs more; a proposal is asked for anew each time."""

    def __init__(self, stack: Stack, namespace: str, topic: str, folder: Path, consumers: Consumers) -> None:
        super().__init__(stack, namespace, topic, PARTITIONS)
        folder.mkdir(parents=True, exist_ok=True)
        self.consumers = consumers
        self._file = folder / f"{topic}.sqlite"
        self._ledger = self._closing.enter_context(closing(Ledger(self._file)))
        self._orders = Orders(self.bootstrap, topic, seed=SEED, refresh=REFRESH)
        self._ordering = threading.Thread(target=self._orders.play, args=(steady(ARRIVING, 900).arrivals(SEED),))

    # what people do

    def open(self, replicas: int = 1) -> None:
        """Deploy the consumers, and wait until every partition has a commit: from then on nothing may be lost."""
        self.deploy(replicas, RATE, {**self.consumers.env, "LEDGER": str(self._file)})
        eventually(lambda: self.ready == replicas)
        first = Orders(self.bootstrap, self.topic)  # not counted: `latest` may skip some of them

        def all_read() -> bool:
            if read := self._caught_up():
                return read
            first.play([0.0] * 20)
            return False

        eventually(all_read, seconds=120, every=4)

    def watch(self, **partitions: Any) -> None:
        """Apply connection and policy."""
        self.connect()
        self.promise(
            reset=self.consumers.reset,
            objective={"maxAge": "15s"},
            replicas={"min": 1, "max": 6},
            partitions=partitions,
        )

    def order_from_now_on(self) -> None:
        """Produce in the background until `account`."""
        self._ordering.start()
        self._closing.callback(self._ordering.join, 60)
        self._closing.callback(self._orders.stop)

    def scale(self, replicas: int) -> None:
        """Scale the Deployment by hand, and wait for the pods."""
        self.kubectl("scale", "deployment", NAME, f"--replicas={replicas}")
        eventually(lambda: self.ready == self.replicas == replicas, seconds=90)

    def appoint(self) -> None:
        """Give the approver and the editor their roles in this namespace."""
        role = "proposals-editor"
        self.kubectl("create", "role", role, "--verb=get,list,watch,patch,update", "--resource=partitionproposals")
        self.kubectl("create", "rolebinding", EDITOR, f"--role={role}", f"--user={EDITOR}")
        self.kubectl("create", "rolebinding", APPROVER, "--clusterrole=tidegate-approver", f"--user={APPROVER}")

    def decide(self, user: str, name: str, decision: str = "Approve", acknowledge: Sequence[str] = ()) -> None:
        """Decide as this user; StackError in the words of the API server where it refuses."""
        spec = {"decision": decision, "acknowledge": list(acknowledge)}
        patch = json.dumps({"spec": spec})
        self.kubectl("patch", "partitionproposal", name, "--type=merge", f"--as={user}", f"--patch={patch}")

    # what can be seen

    @property
    def proposals(self) -> list[dict[str, Any]]:
        """All of this namespace, as they are now."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", "partitionproposals", "-o", "json"))["items"]
        return found

    def proposal(self, name: str, *conditions: str) -> dict[str, Any]:
        """The proposal once one of these conditions is true, empty before."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "partitionproposal", name, "-o", "json"))
        return found if any(condition_of(found, each).get("status") == "True" for each in conditions) else {}

    @property
    def postings(self) -> list[Posting]:
        """All effects so far."""
        return self._ledger.postings()

    def account(self) -> Account:
        """Let the orders end and everything be read; then compare message by message. Ages count from the order on."""
        self._orders.stop()
        self._ordering.join()
        assert not self._orders.failed
        eventually(self._caught_up, seconds=300)
        return account(self._orders.acknowledged, self.postings, self._ledger.balances(), promise=float("inf"))

    @property
    def produced(self) -> int:
        """Messages that the broker has acknowledged since `order_from_now_on`."""
        return len(self._orders.acknowledged)

    @property
    def reached(self) -> frozenset[int]:
        """Partitions into which these messages were written."""
        return frozenset(self._orders.partitions)

    def _caught_up(self) -> bool:
        """Every partition's commit is at its end, and there is one."""
        look = self.broker.look()
        return look.produced == look.committed > 0


def condition_of(proposal: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One condition of a proposal; empty where it is not there."""
    found = proposal.get("status", {}).get("conditions", ())
    return next((each for each in found if each["type"] == kind), {})


def blocking(proposal: Mapping[str, Any]) -> dict[str, str]:
    """What the hazards that block the proposal's method say, by name."""
    method = proposal["spec"]["method"]
    hazards = [each for each in proposal.get("status", {}).get("hazards", ()) if each["blocking"]]
    return {each["name"]: each["message"] for each in hazards if each.get("method", method) == method}
