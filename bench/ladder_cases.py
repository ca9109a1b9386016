"""What the benchmark of the degradation ladder plays: circumstances, surges, and the policy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from bench.policy_cases import SEED
from tidegate.api import LagPolicySpec
from tidegate.api.degradation import DegradationSpec
from tidegate.simulate.conditions import Conditions
from tidegate.simulate.features import Features
from tidegate.simulate.fluid import FluidWorld
from tidegate.simulate.records import RecordWorld
from tidegate.simulate.regime import Regime, steady
from tidegate.simulate.steered import policy_for
from tidegate.simulate.trace import DAY, MINUTE, Curve, Trace
from tidegate.simulate.world import World

SAVES = (0.2, 0.15)
"""Of a record's service time: recommendations, then email receipts."""

FEATURE_FLAG, CONFIG_MAP = 5.0, 90.0
"""Seconds until the application obeys: the defaults of spec.degradation.flagsRef by kind."""

CAPPED = Regime(packed=True)
FREE_PEAK = 4000.0  # records/s in the busiest minute where there is no cap
APART = 600.0
DEGRADATION = {
    "flagsRef": {"name": "flags"},
    "levels": [
        {"name": "NoRecommendations", "flags": {"recommendations": "off"}},
        {"name": "NoReceipts", "flags": {"email-receipts": "off"}},
    ],
}


@dataclass(frozen=True)
class Case:
    """Circumstances. `cap` is what all replicas do, as a share of what the busiest minute brings; None: no limit."""

    name: str
    words: str
    cap: float | None
    days: int
    regime: Regime = CAPPED
    propagation: float = FEATURE_FLAG
    conditions: Conditions | None = None  # a world of records and partitions instead of the fluid one
    only: tuple[str, ...] = ()  # traces; empty: all

    def cut(self, trace: Trace) -> Trace:
        """What is played of a trace."""
        return trace.first(self.days * DAY)

    def arrivals(self, trace: Trace) -> Curve:
        """The load, scaled by the busiest minute of what is played; longer bins count as one."""
        cut = self.cut(trace)
        peak = self.regime.capacity(self.regime.ceiling) / self.cap if self.cap else FREE_PEAK
        return cut.scaled(peak / cut.busy_minute(1.0)).arrivals(self.regime.tick, SEED)

    def features(self) -> Features:
        """All on."""
        return Features(SAVES, self.propagation)

    def policy(self, ladder: bool) -> LagPolicySpec:
        """The minimal policy, with the ladder's defaults or without a ladder."""
        spec = policy_for(self.regime)
        return spec.model_copy(update={"degradation": DegradationSpec.model_validate(DEGRADATION)}) if ladder else spec

    def world(self, arrivals: Curve, features: Features | None) -> World:
        """The same world with features and without."""
        pace = features.pace if features else steady
        if self.conditions is not None:
            return RecordWorld(arrivals, self.regime, replace(self.conditions, drift=pace), seed=SEED)
        return FluidWorld(arrivals, self.regime, drift=pace)

    def surges(self, arrivals: Curve) -> list["Surge"]:
        """Those that all replicas cannot carry; none where there is no cap."""
        return [] if self.cap is None else surges(arrivals, self.regime)


SPOT_CHECK = ("twitter", "wc98_flash", "tweets_aapl")
CASES = (
    Case("capped", "all replicas do 80 % of the busiest minute; a switch shows after 5 s (FeatureFlag)", 0.8, 3),
    Case("deep", "the first day; all replicas do two thirds of the busiest minute", 2 / 3, 1, only=SPOT_CHECK),
    Case(
        "slow flags",
        "the first day; a switch shows after 90 s (mounted ConfigMap)",
        0.8,
        1,
        propagation=CONFIG_MAP,
        only=SPOT_CHECK,
    ),
    Case(
        "records",
        "the first day as records on 32 even partitions (range, eager), 5 s commits, pods join over 15 s",
        0.8,
        1,
        conditions=Conditions(),
        only=SPOT_CHECK,
    ),
    Case("free", "96 replicas allowed: 2.4 times the busiest minute", None, 7, replace(CAPPED, partitions=96)),
)


class Surge(NamedTuple):
    """Seconds from the start: from the first minute above what all replicas do, until they would have caught up."""

    start: float
    end: float


def surges(arrivals: Curve, regime: Regime) -> list[Surge]:
    """The times in which more arrives than all replicas do with all features on, by the arrivals alone.

    A surge begins with a minute whose mean is above that. It ends when all replicas, had they been on all the time,
    have no backlog left. What begins less than ten minutes after the one before belongs to it.
    """
    able = regime.capacity(regime.ceiling) * regime.tick
    over, backlog = _in_minutes_above(arrivals, able, round(MINUTE / regime.tick)), 0.0
    found: list[Surge] = []
    for tick, come in enumerate(arrivals.tolist()):
        backlog = max(0.0, backlog + come - able)
        now, going = tick * regime.tick, bool(found) and found[-1].end == tick * regime.tick
        if over[tick] or (going and backlog > 0):
            if found and now - found[-1].end < APART:
                found[-1] = Surge(found[-1].start, now + regime.tick)
            else:
                found.append(Surge(now, now + regime.tick))
    return found


def _in_minutes_above(arrivals: Curve, able: float, width: int) -> Sequence[bool]:
    """For each tick whether a minute that it is in has a mean above `able` records per tick."""
    width = min(width, len(arrivals))
    above = np.convolve(arrivals, np.ones(width), "valid") > able * width
    reach: Sequence[bool] = (np.convolve(above, np.ones(width), "full") > 0.5).tolist()
    return reach
