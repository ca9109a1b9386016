"""`make bench-step`: what one step of the engine costs, for groups of 12 and of 1,000 partitions.

A world of records is played once, steered by the engine; what was seen of it is then replayed, so that nothing but the
engine is measured: one core, a full history, readings of busy hours. Machines differ and are shared: beside the times
stands their ratio to a fixed piece of Python that runs in between. Writes build/bench/step.json.
"""

import argparse
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tidegate.api import LagPolicySpec
from tidegate.engine.learning import learn
from tidegate.engine.memory import Memory
from tidegate.engine.situation import situation
from tidegate.engine.step import step
from tidegate.engine.terms import terms_of
from tidegate.simulate.conditions import Conditions
from tidegate.simulate.records import RecordWorld
from tidegate.simulate.regime import Regime
from tidegate.simulate.steered import Tidegate, policy_for
from tidegate.simulate.trace import Curve, load
from tidegate.simulate.world import View, play

ROOT = Path(__file__).parents[1]
TRACE = ROOT / "bench" / "traces" / "nasa_1995-07-13_sts70_24h_1s.csv.gz"
RESULT = ROOT / "build" / "bench" / "step.json"
CONDITIONS = Conditions(keys=20_000, skew=0.5, startup_sd=4.0, pod_sd=0.05, jitter=0.5)
REGIMES = (Regime(partitions=12), Regime(partitions=1_000, service_rate=1_000.0, most=50))
READINGS = 1_500
FULL = 150  # readings until the history is full
BARS = {12: 200.0, 1_000: 3_000.0}  # microseconds
SEED = 1995

Json = dict[str, Any]


class Recorded(Tidegate):
    """The engine, keeping all that it was shown."""

    def __init__(self, spec: LagPolicySpec) -> None:
        super().__init__(spec)
        self.views: list[View] = []

    def decide(self, view: View) -> int | None:
        """Replicas that the engine wants written."""
        self.views.append(view)
        return super().decide(view)


def main() -> int:
    """Measure and show every size; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.step", description=__doc__)
    parser.add_argument("--readings", type=int, default=READINGS, help="readings a group (more: less noise)")
    given = parser.parse_args()
    results = [measured(regime, given.readings) for regime in REGIMES]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"trace": TRACE.name, "groups": results}, indent=2))
    show(results)
    return int(any(one["median_us"] > BARS[one["partitions"]] for one in results))


def measured(regime: Regime, readings: int) -> Json:
    """The cost of a step of one group, in microseconds, and of its parts."""
    spec = policy_for(regime)
    controller = Recorded(spec)
    play(RecordWorld(busiest(regime, readings), regime, CONDITIONS, seed=SEED), controller, readings)
    gc.collect()
    gc.disable()  # the operator freezes what it loaded; the simulator's heap is none of the engine's costs
    times = list(islice(replayed(spec, controller.views), FULL, None))
    gc.enable()
    whole, learning, gathering, unit = (median(column) / 1_000 for column in zip(*times, strict=True))
    return {
        "partitions": regime.partitions,
        "steps": len(times),
        "changes": len(controller.changes),
        "median_us": round(whole, 1),
        "p99_us": round(sorted(time[0] for time in times)[len(times) * 99 // 100] / 1_000, 1),
        "learn_us": round(learning, 1),
        "situation_us": round(gathering, 1),
        "decide_us": round(whole - learning - gathering, 1),
        "calibration_us": round(unit, 1),
        "ratio": round(whole / unit, 2),
        "memory_kb": round(remembered(spec, controller.views[: 2 * FULL]) / 1_000, 1),
    }


def busiest(regime: Regime, readings: int) -> Curve:
    """The busiest stretch of the trace, with three quarters of the largest fleet's capacity at its busiest minute."""
    rate = 0.75 * regime.service_rate * regime.ceiling
    arrivals = load(TRACE).at_busy_minute(rate).arrivals(regime.tick, SEED)
    total = np.concatenate([[0.0], np.cumsum(arrivals)])
    first = int(np.argmax(total[readings:] - total[:-readings]))
    return arrivals[first : first + readings]


def replayed(spec: LagPolicySpec, views: list[View]) -> Iterator[tuple[int, int, int, int]]:
    """Nanoseconds of each step, of its learning, of gathering its situation, and of the calibration."""
    memory, terms = Memory(), terms_of(spec)
    for view in views:
        now, observation = view.now, view.observation
        learning, learned = timed(learn, memory, observation, terms, now)
        gathering, _ = timed(situation, learned, observation, terms, now)
        whole, (_, memory) = timed(step, memory, observation, spec, now)
        yield whole, learning, gathering, timed(calibration)[0]


def remembered(spec: LagPolicySpec, views: list[View]) -> int:
    """Bytes that a policy's memory takes, beyond what it shares with the readings."""
    tracemalloc.start()
    others = _after(views, spec)  # what all policies share counts for the first
    before = _traced()
    memory = _after(views, spec)
    held = _traced() - before
    tracemalloc.stop()
    assert memory == others
    return held


def _traced() -> int:
    gc.collect()  # also empties the interpreter's free lists
    return tracemalloc.get_traced_memory()[0]


def _after(views: list[View], spec: LagPolicySpec) -> Memory:
    memory = Memory()
    for view in views:
        memory = step(memory, view.observation, spec, view.now)[1]
    return memory


def timed(work: Callable[..., Any], *given: Any) -> tuple[int, Any]:
    """Nanoseconds of this thread's CPU, and what the work gave."""
    began = thread_time_ns()
    result = work(*given)
    return thread_time_ns() - began, result


def calibration() -> int:
    """A fixed piece of what interpreters do: calls, integers, floats, a dict. Never change it."""
    seen: dict[int, float] = {}
    for number in range(300):
        seen[number % 17] = seen.get(number % 17, 0.0) + max(number, 7) / 3.0
    return len(seen)


def show(results: list[Json]) -> None:
    """Print a table, the bars beside the medians."""
    table = Table("", *(f"{one['partitions']:,} partitions" for one in results), title="One step of the engine")
    for name in [name for name in results[0] if name != "partitions"]:
        table.add_row(name, *(_cell(one, name) for one in results))
    Console().print(table)


def _cell(result: Json, name: str) -> str:
    bar = BARS[result["partitions"]]
    if name != "median_us":
        return f"{result[name]:,}"
    return f"{result[name]:,} (at most {bar:,.0f}{', MISSED' if result[name] > bar else ''})"


if __name__ == "__main__":
    sys.exit(main())
