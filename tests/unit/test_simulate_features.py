"""Features that are switched off for a while: when they show, what they save, what the engine is told and obeys."""

import numpy as np
import pytest

from tidegate.api import Reason
from tidegate.engine.decision import Decision, Rung
from tidegate.engine.observation import Flags
from tidegate.simulate import steered
from tidegate.simulate.conditions import Conditions
from tidegate.simulate.features import Features
from tidegate.simulate.fleet import EPOCH
from tidegate.simulate.fluid import FluidWorld
from tidegate.simulate.outcome import outcome
from tidegate.simulate.plot import picture
from tidegate.simulate.records import RecordWorld
from tidegate.simulate.regime import Regime
from tidegate.simulate.steered import Tidegate, policy_for
from tidegate.simulate.world import Run, play

REGIME = Regime(partitions=4, service_rate=10, max_age=60, startup=30, rebalance=10)
TICKS = 60
TWELVE_A_SECOND = np.full(TICKS, 12 * REGIME.tick)


class Person:
    """Switches by hand, at given times."""

    name = "person"

    def __init__(self, features, levels):
        self.features, self.levels, self.lags = features, levels, {}

    def decide(self, view):
        now = view.now - EPOCH
        self.lags[now] = sum(o.end - (o.committed or 0) for o in view.observation.reading.partitions.values())
        if now in self.levels:
            self.features.switch(self.levels[now], now)


# --- what the application does ---


def fluid(features):
    return FluidWorld(TWELVE_A_SECOND, REGIME, replicas=1, drift=features.pace)


def of_records(features):
    calm = Conditions(commit_every=0.0, join_spread=0.0, drift=features.pace)
    return RecordWorld(TWELVE_A_SECOND, REGIME, calm, replicas=1)


@pytest.mark.parametrize("world", [fluid, of_records])
def test_each_level_makes_records_cheaper_once_it_shows(world):
    """12 records a second come, 10 can be done, 12.5 at level 1, 15.4 at level 2: each 20 s after its switch."""
    features = Features((0.2, 0.15), propagation=20.0)
    person = Person(features, {50.0: 1, 100.0: 2, 140.0: 0})
    play(world(features), person, TICKS)
    lag = person.lags
    assert lag[70] == pytest.approx(2 * 70, abs=3), "switched at 50, but it does not show before 70"
    assert lag[120] == pytest.approx(lag[70] - 0.5 * 50, abs=3)
    assert lag[150] == pytest.approx(lag[120] - (10 / 0.65 - 12) * 30, abs=2)
    assert lag[160] == pytest.approx(max(0, lag[150] - (10 / 0.65 - 12) * 10), abs=2)
    assert lag[200] == pytest.approx(lag[160] + 2 * 40, abs=2), "all features are on again and cost what they did"


def test_levels_are_counted_and_so_is_the_time_without_features():
    features = Features((0.2, 0.15), propagation=20.0)
    assert (features.level, features.off(100.0)) == (0, 0.0)
    features.switch(1, 10.0)
    features.switch(1, 20.0)
    features.switch(2, 30.0)
    features.switch(0, 50.0)
    features.switch(1, 90.0)
    assert features.steps == [(10.0, 1), (30.0, 2), (50.0, 0), (90.0, 1)], "to where it is already is no step"
    assert features.off(100.0) == (50 - 10) + (100 - 90)
    assert [features.obeyed(time) for time in (29.9, 30.0, 50.0, 69.9, 70.0, 110.0)] == [0, 1, 2, 2, 0, 1]


def test_a_level_that_is_not_on_the_ladder_cannot_be_shown():
    with pytest.raises(ValueError, match="level 3 is not on a ladder of 2 levels"):
        Features((0.2, 0.15), 5.0).switch(3, 0.0)


# --- what the engine is told, and that it is obeyed ---


def test_the_engine_is_told_the_level_shown_and_its_rungs_are_obeyed(monkeypatch):
    told = []

    def step(memory, seen, spec, now):
        told.append(seen.flags)
        up = Rung(1, Reason.SCALING_EXHAUSTED, "all replicas run")
        return Decision(None, Reason.ON_TIME, "", rung=up if now - EPOCH >= 50 else None), memory

    monkeypatch.setattr(steered, "step", step)
    features = Features((0.2,), propagation=20.0)
    engine = Tidegate(policy_for(REGIME), features=features)
    play(fluid(features), engine, 20)
    assert features.steps == [(50.0, 1)]
    assert told == [Flags(0, 20.0)] * 11 + [Flags(1, 20.0)] * 9
    assert [(at - EPOCH, rung.reason) for at, rung in engine.rungs] == [(50.0, Reason.SCALING_EXHAUSTED)]


def test_without_features_the_engine_hears_of_no_flags(monkeypatch):
    told = []

    def step(memory, seen, spec, now):
        told.append(seen.flags)
        return Decision(None, Reason.ON_TIME, "", rung=Rung(1, Reason.SCALING_EXHAUSTED, "")), memory

    monkeypatch.setattr(steered, "step", step)
    engine = Tidegate(policy_for(REGIME))
    run = play(FluidWorld(TWELVE_A_SECOND, REGIME), engine, 5)
    assert told == [None] * 5
    assert engine.rungs == []
    assert outcome(run).transitions is None


# --- what is measured and drawn ---


def lines(run: Run) -> dict[str, list[list[float]]]:
    figure = picture(TWELVE_A_SECOND, [run])
    return {line.get_label(): [list(line.get_ydata())] for axis in figure.axes for line in axis.get_lines()}


def test_the_picture_shows_the_level_and_what_it_makes_of_the_capacity():
    features = Features((0.2, 0.15), propagation=20.0)
    run = play(fluid(features), Person(features, {50.0: 1, 100.0: 2}), TICKS)
    assert "level of person" not in lines(run)
    run.features = features
    assert outcome(run).transitions == 2
    assert run.hours_off == pytest.approx((300 - 50) / 3600)
    drawn = lines(run)
    assert drawn["level of person"] == [[0, 1, 2, 2]]
    assert set(np.round(drawn["capacity of person"][0], 2)) == {10.0, 12.5, 15.38}
