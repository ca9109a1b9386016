"""Time lines of the degradation ladder through `step`: when features go, and how they come back."""

from tests.unit.engine_ladder_world import Degradable, levels, reasons, with_ladder
from tests.unit.engine_world import T0, Line, spec, surge
from tidegate.api.reasons import Reason
from tidegate.engine import Flags, Force, Objection, Observation, step

BELOW_ALL = surge(base=200, peak=380, start=300, rise=120, hold=900, fall=300)
ABOVE_ALL = surge(base=200, peak=480, start=300, rise=120, hold=900, fall=300)
FAR_ABOVE_ALL = surge(base=200, peak=600, start=300, rise=120, hold=900, fall=300)
POLICY = with_ladder(spec("60s", most=4), restoreAfter="2m")


def test_a_surge_that_replicas_can_do_costs_no_feature():
    world = Degradable(BELOW_ALL, replicas=3, max_age=60.0)
    world.run(POLICY, 3000)
    assert not world.steps_taken
    assert max(after for _, _, after in world.changes) == 4  # it was a surge


def test_a_surge_above_all_replicas_is_survived_with_one_level_less():
    world = Degradable(ABOVE_ALL, replicas=3, max_age=60.0)
    world.run(POLICY, 3000)
    assert levels(world) == [(0, 1), (1, 0)]
    assert reasons(world) == [Reason.SCALING_EXHAUSTED, Reason.RESTORING]
    assert world.late_share == 0


def test_without_a_ladder_the_same_surge_breaks_the_promise():
    world = Degradable(ABOVE_ALL, replicas=3, max_age=60.0)
    decision = world.run(spec("60s", most=4), 3000)
    assert decision.rung is None
    assert world.late_share > 0.2


def test_a_surge_far_above_goes_up_to_the_highest_level_and_back_one_by_one():
    world = Degradable(FAR_ABOVE_ALL, replicas=3, max_age=60.0)
    world.run(POLICY, 4000)
    assert levels(world) == [(0, 1), (1, 2), (2, 1), (1, 0)]


def test_force_wins_over_everything_and_ends_where_it_began():
    world = Degradable(lambda t: 100.0, replicas=2, max_age=60.0)
    world.run(POLICY, 300)
    world.force = Force(2, world.now + 120)
    assert world.run(POLICY, 5).rung.reason is Reason.FORCED
    world.run(POLICY, 200)
    assert levels(world) == [(0, 2), (2, 0)]
    assert reasons(world) == [Reason.FORCED, Reason.FORCE_ENDED]


def test_flags_that_cannot_be_switched_stay_where_they_are():
    line = Line(POLICY)
    flags = Flags(1, 5.0, Objection(Reason.FLAGS_NOT_FOUND, "no ConfigMap points-flags"), Force(2, T0 + 1e6))
    observation = Observation(line.reading({0: (0, 0, 0)}), None, None, flags)
    decision, _ = step(line.memory, observation, POLICY, line.now)
    assert (decision.rung.level, decision.rung.reason) == (1, Reason.FLAGS_NOT_FOUND)
    assert decision.rung.message == "no ConfigMap points-flags"
