"""What the policy benchmark plays: circumstances, and who is let loose in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from tidegate.api import Behavior
from tidegate.simulate.conditions import Conditions, Protocol
from tidegate.simulate.fluid import FluidWorld
from tidegate.simulate.peers import (
    Brandwatch,
    Flink,
    FlinkSettings,
    Keda,
    Numaflow,
    Static,
    hpa_behavior,
    static_peak,
)
from tidegate.simulate.records import RecordWorld
from tidegate.simulate.regime import Regime, steady
from tidegate.simulate.steered import Tidegate, policy_for
from tidegate.simulate.trace import DAY, Curve, Trace
from tidegate.simulate.world import Controller, World

MAIN = Regime()
BUSY_MINUTE = 0.75 * MAIN.partitions * MAIN.service_rate
SEED = 1998
KEDA_PHASES = (0.0, 5.0, 10.0)


@dataclass(frozen=True)
class Case:
    """Circumstances: a regime and what happens in it beyond that."""

    name: str
    words: str
    regime: Regime = MAIN
    commit_every: float = 0.0
    join_spread: float = 0.0
    halved_at_half: bool = False
    everyone: bool = False  # all controllers, not only Tidegate and KEDA
    conditions: Conditions | None = None  # a world of records and partitions instead of the fluid one

    def drift(self, arrivals: Curve) -> Callable[[float], float]:
        half = len(arrivals) * self.regime.tick / 2
        return (lambda time: 0.5 if time >= half else 1.0) if self.halved_at_half else steady

    def arrivals(self, trace: Trace) -> Curve:
        return trace.first(DAY).at_busy_minute(BUSY_MINUTE).arrivals(self.regime.tick, SEED)

    def world(self, arrivals: Curve, replicas: int | None = None) -> World:
        if self.conditions is not None:
            return RecordWorld(arrivals, self.regime, self.conditions, seed=SEED, replicas=replicas)
        return FluidWorld(
            arrivals,
            self.regime,
            replicas=replicas,
            drift=self.drift(arrivals),
            commit_every=self.commit_every,
            join_spread=self.join_spread,
        )


FINE = replace(MAIN, partitions=320, most=32)
"""The engine reckons with whole partitions by design. Where there are ten for each replica, hardly any number is passed
over: each counts (nearly) in full for it, as it does in the fluid world."""

CASES = (
    Case("main", "promise 60 s, start-up 30 s, pause 10 s", everyone=True),
    Case(
        "fine",
        "320 partitions, at most 32 replicas: any number of replicas is as good as it says",
        FINE,
    ),
    Case("pause-1", "fine, with a pause of 1 s", replace(FINE, rebalance=1)),
    Case("pause-30", "fine, with a pause of 30 s", replace(FINE, rebalance=30)),
    Case("promise-15", "fine, with a promise of 15 s: below start-up and pause", replace(FINE, max_age=15)),
    Case("promise-300", "fine, with a promise of 300 s", replace(FINE, max_age=300)),
    Case("startup-10", "fine, with a start-up of 10 s", replace(FINE, startup=10)),
    Case("startup-90", "fine, with a start-up of 90 s", replace(FINE, startup=90)),
    Case("commits-5", "fine, with an auto-commit every 5 s", FINE, commit_every=5.0),
    Case(
        "halved",
        "fine, at most 64 replicas; capacity halves at mid-trace",
        replace(FINE, partitions=640, most=64),
        halved_at_half=True,
    ),
    Case("packed", "whole partitions: the busiest consumer sets the pace", replace(MAIN, packed=True)),
    Case("joins-15", "5 s commits, pods of one order join over 15 s", commit_every=5.0, join_spread=15.0),
    Case(
        "records",
        "records and 32 even partitions (range, eager), 5 s commits, pods of one order join over 15 s",
        replace(MAIN, packed=True),
        conditions=Conditions(),
    ),
    Case(
        "records-848",
        "the same with KIP-848: only partitions that move stop",
        replace(MAIN, packed=True),
        conditions=Conditions(assignor="uniform", protocol=Protocol.CONSUMER),
    ),
    Case(
        "records-rough",
        "1,000 keys of Zipf 0.5, start-ups ± 8 s, pods ± 10 %, 2 % of readings fail, 2 % are lost, all up to 1 s late",
        replace(MAIN, packed=True),
        conditions=Conditions(keys=1000, skew=0.5, startup_sd=8, pod_sd=0.1, failed=0.02, lost=0.02, jitter=1.0),
    ),
)


@dataclass(frozen=True)
class Entrant:
    """A controller to be played, `family` for those of which the best counts, and the replicas it begins with."""

    name: str
    make: Callable[[float], Controller]
    family: str = ""
    replicas: int | None = None
    phases: tuple[float, ...] = field(default=(0.0,))


def entrants(case: Case, arrivals: Curve) -> Iterator[Entrant]:
    """Who plays in a case."""
    regime = case.regime
    yield Entrant("tidegate", lambda _: Tidegate(policy_for(regime)))
    yield from _kedas(regime)
    if case.everyone:
        yield from _others(regime, arrivals)


def _kedas(regime: Regime) -> Iterator[Entrant]:
    for words, seconds in (("D/12", 1 / 12), ("D/6", 1 / 6), ("D/2", 1 / 2), ("D", 1.0)):
        threshold = regime.max_age * seconds * regime.service_rate
        yield _keda(f"keda {words}", threshold, regime)
    yield _keda("keda default (10)", 10.0, regime)


def _keda(name: str, threshold: float, regime: Regime, behavior: Behavior | None = None) -> Entrant:
    def make(phase: float) -> Keda:
        return Keda(threshold, least=regime.least, most=regime.ceiling, behavior=behavior, phase=phase, name=name)

    return Entrant(name, make, family="keda", phases=KEDA_PHASES)


def _others(regime: Regime, arrivals: Curve) -> Iterator[Entrant]:
    least, most, peak = regime.least, regime.ceiling, static_peak(arrivals, regime)
    half = regime.max_age / 2 * regime.service_rate
    yield _keda("keda D/2, behavior", half, regime, hpa_behavior())
    yield _keda("keda D/2, 60 s down", half, regime, hpa_behavior(down_window=60))
    yield Entrant("flink default", lambda _: Flink(FlinkSettings(), least=least, most=most, name="flink default"))
    tuned = FlinkSettings.tuned(regime)
    yield Entrant("flink tuned", lambda _: Flink(tuned, least=least, most=most, name="flink tuned"))
    yield Entrant("numaflow", lambda _: Numaflow(least=least, most=most))
    yield Entrant("brandwatch", lambda _: Brandwatch())
    yield Entrant("static peak", lambda _: Static(peak, "static peak"), replicas=peak)


def drift_curve(case: Case, arrivals: Curve) -> Curve:
    """The pace in each tick."""
    pace = case.drift(arrivals)
    return np.array([pace(tick * case.regime.tick) for tick in range(len(arrivals))])
