"""A policy's backtest: the engine and whoever it is compared with, each in the same world under the same load."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.api import LagPolicySpec
from tidegate.api.lagpolicy import Mode
from tidegate.simulate.features import Features
from tidegate.simulate.fluid import FluidWorld
from tidegate.simulate.optimum import Optimum, memory_needed, optimum
from tidegate.simulate.outcome import Outcome, outcome
from tidegate.simulate.peers import Brandwatch, Flink, FlinkSettings, Keda, Numaflow, Static, static_peak
from tidegate.simulate.planned import planned
from tidegate.simulate.regime import Regime, steady
from tidegate.simulate.steered import Tidegate
from tidegate.simulate.trace import Curve
from tidegate.simulate.world import Controller, Run, play

AUTO_COMMIT = 5.0
"""Seconds: the default of Kafka's auto.commit.interval.ms."""

MOST_MEMORY = 2 << 30
OPTIMUM = "optimum"

Progress = Callable[[str, int], None]
"""Told the name of who plays and the tick that is done."""


class Rival(NamedTuple):
    """A controller, its settings in words, and what it begins with.

    `replicas` None: enough for the first minute. `features` are those that it may switch off, None where it has none.
    """

    controller: Controller
    settings: str
    replicas: int | None = None
    features: Features | None = None


@dataclass(frozen=True)
class Result:
    """How one controller did, and what happened meanwhile."""

    settings: str
    outcome: Outcome
    run: Run

    def keys(self) -> dict[str, float | int | str | None]:
        """The figures by name, for JSON."""
        return {"controller": self.outcome.controller, "settings": self.settings} | self.outcome.keys()


def keda(regime: Regime, arrivals: Curve) -> Rival:
    """KEDA's defaults, with the threshold that half the promise's worth of work makes."""
    threshold = max(1, round(regime.max_age / 2 * regime.service_rate))
    controller = Keda(threshold, least=regime.least, most=regime.ceiling, name="keda")
    return Rival(controller, f"lagThreshold {threshold}: half the promise at the service rate")


def flink(regime: Regime, arrivals: Curve) -> Rival:
    """Flink's autoscaler, set by someone who knows promise, start-up and pause."""
    controller = Flink(FlinkSettings.tuned(regime), least=max(1, regime.least), most=regime.ceiling, name="flink")
    return Rival(controller, "windows, restart and catch-up time set to the promise, start-up and pause")


def numaflow(regime: Regime, arrivals: Curve) -> Rival:
    """Numaflow's defaults."""
    return Rival(Numaflow(least=regime.least, most=regime.ceiling), "defaults")


def brandwatch(regime: Regime, arrivals: Curve) -> Rival:
    """Brandwatch's operator, told the promise."""
    return Rival(Brandwatch(sla=regime.max_age), "sla set to the promise")


def static(regime: Regime, arrivals: Curve) -> Rival:
    """The fewest replicas that, always on, keep the promise."""
    peak = static_peak(arrivals, regime)
    words = "as many as may be" if peak == regime.ceiling else "the fewest that keep the promise, known afterwards"
    return Rival(Static(peak), f"always {peak}: {words}", peak)


RIVALS: dict[str, Callable[[Regime, Curve], Rival]] = {
    rival.__name__: rival for rival in (keda, flink, numaflow, brandwatch, static)
}
COMPARABLE = (*RIVALS, OPTIMUM)


def backtest(
    spec: LagPolicySpec,
    regime: Regime,
    arrivals: Curve,
    compare: Sequence[str],
    progress: Progress,
    features: Features | None = None,
) -> list[Result]:
    """Play the policy and everyone in `compare` (names of COMPARABLE) on arrivals (records per tick).

    The policy's ladder switches `features`; without them it is left out. All others keep every feature on.
    """
    best = _optimum(regime, arrivals, progress) if OPTIMUM in compare else None
    hours = best.pod_seconds / 3600 if best else None
    rivals = [_policy(spec, features), *(RIVALS[name](regime, arrivals) for name in compare if name != OPTIMUM)]
    results = [
        Result(rival.settings, outcome(run, hours), run)
        for rival in rivals
        for run in [_played(rival, regime, arrivals, progress)]
    ]
    if best:
        results.append(Result("knows every arrival beforehand", outcome(best, hours), best))
    return results


def optimum_fits(regime: Regime, ticks: int) -> bool:
    """Whether the search for the optimum finds room in memory."""
    return memory_needed(ticks, regime) <= MOST_MEMORY


def unavoidable(regime: Regime, arrivals: Curve) -> float:
    """The share of records that are late even with all replicas always on."""
    everyone = Optimum(0.0, [regime.ceiling] * len(arrivals))
    return outcome(planned(everyone, arrivals, regime)).late_share


def _policy(spec: LagPolicySpec, features: Features | None) -> Rival:
    """The policy as it would act: a mode that only looks on is for the cluster."""
    acting = Tidegate(spec.model_copy(update={"mode": Mode.ACTIVE}), features=features)
    return Rival(acting, "the policy with its ladder" if features else "the policy", features=features)


def _played(rival: Rival, regime: Regime, arrivals: Curve, progress: Progress) -> Run:
    pace = rival.features.pace if rival.features else steady
    world = FluidWorld(arrivals, regime, replicas=rival.replicas, drift=pace, commit_every=AUTO_COMMIT)
    name = rival.controller.name
    run = play(world, rival.controller, len(arrivals), lambda tick: progress(name, tick))
    run.features = rival.features
    return run


def _optimum(regime: Regime, arrivals: Curve, progress: Progress) -> Run:
    plan = optimum(arrivals, regime, progress=lambda tick: progress(OPTIMUM, tick))
    return planned(plan, arrivals, regime)
