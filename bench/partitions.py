"""Partition increases under load: every kind of consumer, with Tidegate and, beside it, by hand.

Each run has a topic of two partitions, real consumers at its ceiling, and keyed producers that write all the time and
see new partitions within 0.2 s. A proposal is approved by a user with the role for it, who acknowledges that keys move
and no other hazard. The same topic enlarged by hand, without Tidegate, shows what is avoided. Whatever the broker
acknowledged is then looked for in the ledger, message by message.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from demo.stack import Stack
from tests.e2e.ceiling import APPROVER, PARTITIONS, PROTOCOLS, AtCeiling, Consumers, blocking, condition_of
from tests.e2e.operator_process import Operator, install
from tests.waiting import eventually

RESULT = Path("build/bench/partitions.json")
BY_HAND = Path("build/bench/partitions-by-hand.json")
LOG = Path("build/bench/partitions.log")
"""What the operator logged."""
ACKNOWLEDGED = ("KeyOrdering",)
"""Hazards that the approver accepts: nothing here depends on the order of a user's messages."""
FLOW = 20.0
"""Seconds of orders after the last change."""
WIDTH = 140
"""Of the table, at least."""


class Result(NamedTuple):
    """One run. `pause_seconds`: the longest time without any message applied, from the decision on."""

    protocol: str
    reset: str
    method: str
    produced: int
    applied: int
    lost: int
    applied_twice: int
    blocked: bool
    reason: str
    pause_seconds: float


class Change(NamedTuple):
    """How a topic was enlarged: when that began (seconds since the epoch), and what kept it from being done."""

    method: str
    began: float
    blocked: bool = False
    reason: str = ""


def by_tidegate(scene: AtCeiling) -> Change:
    """Reach the ceiling, wait for the proposal, approve it, and wait for more replicas than partitions there were."""
    scene.watch()
    eventually(lambda: scene.replicas == PARTITIONS, seconds=120)
    name = eventually(lambda: scene.proposals, seconds=180)[0]["metadata"]["name"]
    proposal = eventually(lambda: scene.proposal(name, "Validated"), seconds=60)
    began, method = time.time(), proposal["spec"]["method"]
    refused = {hazard: words for hazard, words in blocking(proposal).items() if hazard not in ACKNOWLEDGED}
    if refused:
        return Change(method, began, blocked=True, reason="; ".join(refused.values()))
    scene.decide(APPROVER, name, acknowledge=[hazard for hazard in ACKNOWLEDGED if hazard in blocking(proposal)])
    proposal = eventually(lambda: scene.proposal(name, "Applied", "Failed", "Expired"), seconds=180)
    failed = condition_of(proposal, "Failed")
    if failed.get("status") == "True":
        return Change(method, began, blocked=True, reason=failed["message"])
    eventually(lambda: scene.ready == scene.replicas > PARTITIONS, seconds=120)
    return Change(method, began)


def by_hand(scene: AtCeiling) -> Change:
    """Enlarge the topic as with kafka-topics.sh, and give it more consumers a little later."""
    scene.scale(PARTITIONS)
    began = time.time()
    scene.broker.increase(2 * PARTITIONS)
    time.sleep(FLOW / 2)
    scene.scale(2 * PARTITIONS)
    return Change("ByHand", began)


class Run(NamedTuple):
    """Consumers, and how their topic is enlarged."""

    consumers: Consumers
    change: Callable[[AtCeiling], Change]

    @property
    def name(self) -> str:
        """For namespace and topic."""
        return f"{self.change.__name__}-{self.consumers.name}".replace("_", "-")

    def play(self, stack: Stack, folder: Path) -> Result:
        """From an empty topic to the account."""
        stack.kubectl("create", "namespace", self.name)
        with AtCeiling(stack, self.name, self.name, folder, self.consumers) as scene:
            scene.appoint()
            scene.open()
            scene.order_from_now_on()
            done = self.change(scene)
            time.sleep(FLOW)
            ends = time.time()
            found = scene.account()
            pause = longest_gap((posting.applied_at for posting in scene.postings), done.began, ends)
        stack.kubectl("delete", "namespace", self.name, "--wait=false")
        figures = (scene.produced, found.applied, found.lost, found.applied_twice)
        return Result(*self.consumers, done.method, *figures, done.blocked, done.reason, round(pause, 1))


def longest_gap(at: Iterable[float], start: float, end: float) -> float:
    """The longest time between two neighbours of these (ascending) moments within the span, its ends included."""
    inner = [start, *(moment for moment in at if start < moment < end), end]
    return max(b - a for a, b in pairwise(inner))


RUNS = (
    *(Run(Consumers(protocol, reset), by_tidegate) for reset in ("earliest", "latest") for protocol in PROTOCOLS),
    *(Run(Consumers(protocol, "latest"), by_hand) for protocol in PROTOCOLS),
)


def main() -> int:
    """Play the runs and show them; 1 where Tidegate lost a message or let one be applied twice."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default="", metavar="WORD", help="only runs with this in their name")
    arguments.add_argument("--together", type=int, default=3, help="runs at a time")
    given = arguments.parse_args()
    runs = [run for run in RUNS if given.only in run.name]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Stack.start() as stack:
        results = play(stack, Path(folder), runs, given.together)
    for change, path in ((by_tidegate, RESULT), (by_hand, BY_HAND)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps([found._asdict() for run, found in results if run.change is change], indent=2) + "\n"
        )
    show([found for _, found in results])
    return int(any(found.lost or found.applied_twice for run, found in results if run.change is by_tidegate))


def play(stack: Stack, folder: Path, runs: Sequence[Run], together: int) -> list[tuple[Run, Result]]:
    """All runs, some at a time, against one operator with the rights it has in production."""
    operator = Operator(install(stack))
    operator.start()
    try:
        with ThreadPoolExecutor(together) as pool:
            return list(zip(runs, pool.map(lambda run: run.play(stack, folder), runs), strict=True))
    finally:
        operator.stop()
        LOG.write_text("\n".join(operator.lines) + "\n")


def show(results: Sequence[Result]) -> None:
    """The table."""
    table = Table(*(name.replace("_", " ") for name in Result._fields), title="Partition increases under load")
    for found in results:
        table.add_row(*(f"{value:,}" if type(value) is int else str(value) for value in found))
    Console(width=max(Console().width, WIDTH)).print(table)


if __name__ == "__main__":
    sys.exit(main())
