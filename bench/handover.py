"""Hand-overs under load: the leader of the Helm-installed operator is killed, or told to end, fifty times and more.

Two policies are served meanwhile. One has a surge that never ends: nothing may ever scale it in. The other is edited
right before each hand-over, so that a write of its replicas and one of its flags are due in that very moment. What the
processes have written is then read from the API server's audit log.
"""

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.terms import ACTS, Write, double_writes, next_decision, terms, writes
from demo.stack import Stack
from demo.stack.audit import requests
from demo.stack.release import Release, Replica
from tests.e2e.ladder import DOCUMENT, LEVELS
from tests.e2e.scene import FLAGS, NAME, Scene
from tests.waiting import eventually
from tidegate.api import Reason

RESULT = Path("build/bench/handover.json")
HANDOVERS = 50
BARS = {signal.SIGKILL: 20.0, signal.SIGTERM: 3.0}
"""Seconds from the signal to the next decision, at most."""
KINDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM, signal.SIGTERM)
"""In turn."""
SURGE, RATE = 50.0, 20.0
"""Records a second that arrive, and that one consumer can do."""
QUIET, SETTLED_WITHIN = 40.0, 900.0
"""Seconds without a scaling of the surge before the hand-overs begin, and within which that has to come."""
PATIENCE = 180.0


class Handover(NamedTuple):
    """One, forced at a moment on who led then."""

    kind: signal.Signals
    at: datetime
    before: str


def main() -> int:
    """Force them, judge, and show it; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="Hand-overs under load")
    parser.add_argument("--handovers", type=int, default=HANDOVERS, help="how many to force (default: %(default)s)")
    arguments = parser.parse_args()
    result = measure(arguments.handovers)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2))
    show(result)
    return int(bool(missed(result)))


def measure(handovers: int) -> dict[str, Any]:
    """Install, load, and force so many."""
    with Stack.start() as stack, ExitStack() as scenes:
        release = Release(stack)
        release.install()
        surging, edited = (scenes.enter_context(scene(stack, name)) for name in ("surging", "edited"))
        surging.promise(replicas={"min": 1, "max": 6}, capacity={"recordsPerSecond": RATE})
        edit(edited, 0)
        surging.order((SURGE, 24 * 3600))
        settle(surging)
        began = len(surging.scales)
        forced = [force(release, edited, number) for number in range(handovers)]
        ready(release)
        assert stack.control_plane
        written = writes(requests(stack.control_plane.audit_log))
        return judge(forced, written, surging.scales[began - 1 :])


# what happens


def scene(stack: Stack, name: str) -> Scene:
    """Consumers in a namespace of their own."""
    stack.kubectl("create", "namespace", name)
    stack.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=180s")
    made = Scene(stack, name, name)
    made.connect()
    flags = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": FLAGS, "namespace": name}}
    stack.apply({**flags, "data": {"flags.json": DOCUMENT}})
    made.deploy(rate=RATE)
    return made


def edit(edited: Scene, number: int) -> None:
    """Ask for another number of replicas and another level than before."""
    ladder = {"flagsRef": {"name": FLAGS, "propagation": "3s"}, "levels": list(LEVELS)}
    least = 1 + number % 3
    edited.promise(objective={"maxAge": "10m"}, replicas={"min": least, "max": least}, degradation=ladder)
    until = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat()
    level = number % (len(LEVELS) + 1)
    edited.kubectl("annotate", "lagp", NAME, "--overwrite", f"tidegate.dev/force-level={level}; until={until}")


def settle(surging: Scene) -> None:
    """Wait until the surge is met, what had piled up is done, and nothing has been scaled for a while."""
    eventually(lambda: surging.ready == surging.replicas > 1, PATIENCE)
    eventually(lambda: surging.reason == Reason.ON_TIME and _quiet(surging), SETTLED_WITHIN)


def _quiet(surging: Scene) -> bool:
    return time.time() - surging.cluster.scales[-1].at > QUIET and surging.ready == surging.replicas


def force(release: Release, edited: Scene, number: int) -> Handover:
    """End the leader by the next kind of signal; returns when another one leads. Its pod is made anew."""
    leader = ready(release)
    time.sleep(random.uniform(0, 2))
    edit(edited, number + 1)
    time.sleep(random.uniform(0, 0.5))  # before, in, or after the writes that this asks for
    kind, before = KINDS[number % len(KINDS)], release.holder
    at = datetime.now(UTC)
    leader.signal(kind)
    how = ("--force", "--grace-period=0") if kind is signal.SIGKILL else ()
    release.kubectl("delete", "pod", leader.name, "--wait=false", *how)
    eventually(lambda: release.holder not in ("", before), PATIENCE)
    Console(stderr=True, soft_wrap=True).print(f"{number + 1}: {kind.name} to {before}, {release.holder} leads")
    return Handover(kind, at, before)


def ready(release: Release) -> Replica:
    """Wait until there are two replicas, both ready, and give the one that leads."""
    eventually(lambda: [replica.ready for replica in release.replicas] == [True, True], PATIENCE)
    leader = eventually(lambda: release.leader, PATIENCE)
    assert leader
    return leader


# what it was like


def judge(forced: Sequence[Handover], written: Sequence[Write], scales: Sequence[int]) -> dict[str, Any]:
    """The figures: how long nobody decided, who wrote out of turn, and how often the surge was scaled in."""
    took: dict[signal.Signals, list[float]] = {}
    for handover in forced:
        decided = next_decision(written, handover.at, handover.before)
        took.setdefault(handover.kind, []).append((decided.at - handover.at).total_seconds() if decided else PATIENCE)
    return {
        "handovers": len(forced),
        "terms": len(terms(written)),
        "acts": sum(write.resource in ACTS for write in written),
        "double_writes": len(double_writes(written)),
        "scale_ins_caused": len(scale_ins(scales)),
        "takeover_seconds_max": round(max(map(max, took.values())), 2),
        "kinds": {
            kind.name: {
                "handovers": len(seconds),
                "takeover_seconds_max": round(max(seconds), 2),
                "takeover_seconds_median": round(median(seconds), 2),
            }
            for kind, seconds in took.items()
        },
    }


def scale_ins(scales: Sequence[int]) -> list[int]:
    """Those below the replicas that met the surge before the first hand-over: it has not become less since."""
    return [after for before, after in pairwise(scales) if after < min(before, scales[0])]


def missed(result: dict[str, Any]) -> list[str]:
    """The bars that it misses, in words."""
    late = [
        f"{kind}: {found['takeover_seconds_max']} s, at most {BARS[signal.Signals[kind]]:.0f}"
        for kind, found in result["kinds"].items()
        if found["takeover_seconds_max"] > BARS[signal.Signals[kind]]
    ]
    wrong = [f"{name}: {result[name]}, at most 0" for name in ("double_writes", "scale_ins_caused") if result[name]]
    return [*wrong, *late]


def show(result: dict[str, Any]) -> None:
    """As a table."""
    table = Table("signal", "hand-overs", "until the next decision, at most", "median", title="Hand-overs")
    for kind, found in result["kinds"].items():
        most, usual = (f"{found[f'takeover_seconds_{what}']:.1f} s" for what in ("max", "median"))
        table.add_row(kind, str(found["handovers"]), most, usual)
    console = Console()
    console.print(table)
    console.print(
        f"{result['acts']} writes of replicas and flags in {result['terms']} terms of the Lease:"
        f" {result['double_writes']} out of turn, {result['scale_ins_caused']} scale-ins of the surge"
    )
    for bar in missed(result):
        console.print(f"MISSED: {bar}")


if __name__ == "__main__":
    sys.exit(main())
