"""What holds of the degradation ladder for any sequence of events."""

from dataclasses import dataclass, field, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.engine_ladder_world import Degradable, with_ladder
from tests.unit.engine_world import T0, spec
from tidegate.api.reasons import Reason
from tidegate.engine import Flags, Force, Memory, Objection, ReadingError
from tidegate.engine.ladder import FREEZES_ABOVE, HOUR, WATCHED, Below, Blind, Look, View, climb
from tidegate.engine.terms import LadderTerms

CAUSES = (Reason.SCALING_EXHAUSTED, Reason.SCALING_INEFFECTIVE, Reason.SCALING_TOO_LATE)
OWN = (*CAUSES, Reason.RESTORING)
TICK = 5.0


def view(danger: bool, cause: Reason | None, does: bool) -> View:
    return View("danger" if danger else None, cause, "why", lambda level: Below(does, "numbers"), danger)


SEEN = {
    "danger": view(True, Reason.SCALING_EXHAUSTED, False),
    "danger that replicas may cure": view(True, None, False),
    "danger, others too late": view(True, Reason.SCALING_TOO_LATE, False),
    "needed": view(False, Reason.SCALING_EXHAUSTED, False),
    "calm": view(False, None, True),
    "blind": Blind(Reason.READING_FAILED, "the broker is gone"),
}
EVENTS = (*SEEN, "force 0", "force 1", "force 9", "objection", "nobody writes", "calm, nobody writes")


@dataclass
class Ride:
    """The ladder in a closed loop: what it wants is what the flags show at the next look."""

    terms: LadderTerms
    propagation: float
    memory: Memory = field(default_factory=Memory)
    level: int = 0
    now: float = T0
    steps: list[tuple[float, int, int, Reason]] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)

    @property
    def settle(self) -> float:
        return self.propagation + TICK + 30

    def go(self, event: str, ticks: int) -> None:
        for _ in range(ticks):
            self.now += TICK
            self.tick(event)

    def tick(self, event: str) -> None:
        force = Force(int(event.removeprefix("force ")), self.now + TICK) if event.startswith("force") else None
        objection = Objection(Reason.FLAGS_NOT_FOUND, "no such document") if event == "objection" else None
        flags = Flags(self.level, self.propagation, objection, force)
        before = self.memory.ladder
        self.memory = self.memory.with_flags(flags, self.now)
        if len(self.memory.ladder.failed) > len(before.failed) or self.memory.ladder.failed[-1:] > before.failed[-1:]:
            self.failures.append(self.now)
        kind = event.removesuffix(", nobody writes")
        seen = SEEN["danger" if kind == "nobody writes" else kind if kind in SEEN else "needed"]
        rung, ladder = climb(Look(self.memory.ladder, flags, self.terms, seen, self.settle, self.now))
        self.memory = self.memory._replace(ladder=ladder)
        self.check(event, rung, force, objection)
        if rung.level != self.level and not event.endswith("nobody writes"):
            self.steps.append((self.now, self.level, rung.level, rung.reason))
            self.level = rung.level

    def check(self, event, rung, force, objection) -> None:
        if objection:
            assert rung.level == self.level
        elif force:
            assert rung.level == min(force.level, len(self.terms.levels))
        elif event == "blind":
            assert rung.level == self.level or rung.reason is Reason.FORCE_ENDED
        if rung.level > self.level and rung.reason not in (Reason.FORCED, Reason.FORCE_ENDED):
            assert rung.level == self.level + 1 <= self.terms.highest
            assert rung.reason in CAUSES
            assert rung.message.endswith("danger; why")
        if rung.level < self.level and rung.reason not in (Reason.FORCED, Reason.FORCE_ENDED):
            assert rung.level == self.level - 1
            assert rung.reason is Reason.RESTORING
            assert rung.message.endswith("numbers")

    @property
    def own(self) -> list[tuple[float, int, int, Reason]]:
        return [one for one in self.steps if one[3] in OWN]


def terms(restore_after: float = 60.0, levels: int = 3, highest: int | None = None) -> LadderTerms:
    names = tuple(f"L{level}" for level in range(1, levels + 1))
    return LadderTerms(names, levels if highest is None else highest, 30.0, restore_after, 3600.0)


rides = st.builds(
    Ride,
    st.builds(terms, st.sampled_from([5.0, 60.0, 300.0]), st.integers(1, 4), st.none()),
    st.sampled_from([2.0, 5.0, 90.0]),
)
stories = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 200)), max_size=30)
WORST = [("danger", 30), ("calm", 20)] * 15


@settings(max_examples=200, deadline=None)
@given(rides, stories)
@example(Ride(terms(5.0), 2.0), WORST)
@example(Ride(terms(5.0, levels=1), 2.0), [("danger", 16), ("calm", 9)] * 60)
def test_no_story_makes_the_level_swing_faster_than_the_flap_guard_allows(ride, story):
    for event, ticks in story:
        ride.go(event, ticks)
    for (at, *_), (later, *_, reason) in zip(ride.steps, ride.steps[1:], strict=False):
        if reason in OWN:
            assert later - at >= ride.settle
        if reason is Reason.RESTORING:
            assert later - at >= ride.propagation + ride.terms.restore_after
    for at in ride.failures:
        assert sum(at <= later < at + HOUR for later in ride.failures) <= FREEZES_ABOVE + 1
    swings = [
        (at, later)
        for (at, *_, down), (later, *_, up) in zip(ride.steps, ride.steps[1:], strict=False)
        if down is Reason.RESTORING and up in CAUSES
    ]
    for at, later in swings:  # what came back and went again at once is a failure, and so counted above
        assert (
            later - at > WATCHED
            or any(later <= failure <= later + TICK for failure in ride.failures)
            or (later == ride.now)
        )


def test_that_guard_is_put_to_the_test():
    """The quickest swing that there can be does run into it."""
    ride = Ride(terms(5.0, levels=1), 2.0)
    for _ in range(60):
        for event in ("danger", "calm"):
            level, ticks = ride.level, 0
            while ride.level == level and ticks < 200:
                ride.go(event, 1)
                ticks += 1
    assert len(ride.failures) > FREEZES_ABOVE + 1
    assert ride.failures[4] - ride.failures[0] >= HOUR


@settings(max_examples=100, deadline=None)
@given(rides, stories, st.sampled_from(["danger", "calm", "needed", "blind"]))
def test_a_restart_at_any_point_reaches_the_same_level(ride, story, end):
    for event, ticks in story:
        ride.go(event, ticks)
    again = replace(ride, memory=Memory.load(ride.memory.dump()), steps=[], failures=[])
    for one in (ride, again):
        one.go(end, 2500)
    assert again.level == ride.level


@settings(max_examples=100, deadline=None)
@given(rides, stories)
def test_features_come_back_in_reverse_order_and_all_of_them_in_the_end(ride, story):
    off: list[int] = []
    for event, ticks in [*story, ("calm", 4000)]:
        ride.go(event, ticks)
    for _, before, after, _ in ride.steps:
        off = [*off, *range(before + 1, after + 1)] if after > before else off[: len(off) - (before - after)]
        assert off == list(range(1, after + 1))
    assert ride.level == 0


@settings(max_examples=100, deadline=None)
@given(rides, stories)
def test_what_is_remembered_is_small_and_reads_back(ride, story):
    for event, ticks in story:
        ride.go(event, ticks)
    text = ride.memory.dump()
    assert len(text) < 300
    assert Memory.load(text).dump() == text


@settings(max_examples=100, deadline=None)
@given(rides, stories, st.floats(61, 1e6))
def test_a_clock_that_is_set_back_ends_nothing(ride, story, back):
    for event, ticks in story:
        ride.go(event, ticks)
    ride.now -= back
    ride.go("calm", 4000)
    assert ride.level == 0


# --- through step, in a world

loads = st.lists(st.tuples(st.sampled_from([0, 100, 200, 300, 390, 450, 500, 600]), st.integers(5, 60)), min_size=3)
troubles = st.dictionaries(st.integers(0, 200), st.sampled_from(["gone", "force 1", "restart", "edit"]), max_size=8)


@settings(max_examples=15, deadline=None)
@given(loads.map(lambda all_: all_[:10]), troubles, st.sampled_from([5.0, 60.0]))
@example([(200, 40), (600, 60), (100, 60), (100, 60)], {}, 5.0)
def test_in_any_load_levels_move_by_one_and_no_replica_goes_while_one_is_up(load, at, propagation):
    rates = [rate for rate, ticks in load for _ in range(ticks)]
    world = Degradable(lambda t: rates[min(int(t / 5), len(rates) - 1)], 100.0, replicas=2, dt=0.5, max_age=60.0)
    world.propagation, policy = propagation, with_ladder(spec("60s", most=4), restoreAfter="1m")
    for tick in range(len(rates)):
        trouble, level, asked = at.get(tick), world.level, world.replicas
        if trouble == "restart":
            world.restart()
        world.force = Force(1, world.now + 20) if trouble == "force 1" else world.force
        gone = ReadingError(Reason.READING_FAILED, "the broker is gone", world.now)
        bad = (lambda gone=gone: replace(world.observation(), reading=gone)) if trouble == "gone" else None
        edited = with_ladder(spec("60s", most=3), restoreAfter="1m") if trouble == "edit" else policy
        decision = world.run(edited, 5, bad)
        rung = decision.rung
        if level:
            assert decision.replicas is None or decision.replicas >= asked or trouble == "edit"
        if rung.reason in (Reason.FORCED, Reason.FORCE_ENDED):
            continue
        assert abs(rung.level - level) <= 1
        assert trouble != "gone" or rung.level == level
        assert rung.level <= level or rung.reason in CAUSES
