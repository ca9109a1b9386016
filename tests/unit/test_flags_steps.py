"""From level to level: what is written, what a crash leaves to do, and whose a flag is."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidegate.api import DegradationStatus, Level, SwitchedFlag
from tidegate.cluster.flags import Standing, confirmed, standing, step_to

LEVELS = (
    Level(name="Less", flags={"recommendations": "off", "search": "half"}),
    Level(name="Lesser", flags={"receipts": "off"}),
    Level(name="Least", flags={"search": "none"}),
)
ON = {"recommendations": "on", "receipts": "on", "search": "full", "beta": "on"}
AT = [
    ON,
    {**ON, "recommendations": "off", "search": "half"},
    {**ON, "recommendations": "off", "search": "half", "receipts": "off"},
    {**ON, "recommendations": "off", "search": "none", "receipts": "off"},
]


class World:
    """A status and a document, each as it was last written."""

    def __init__(self, **variants: str) -> None:
        self.status = DegradationStatus()
        self.flags: dict[str, str | None] = {**ON, **variants}

    def begin(self, to: int, levels: tuple[Level, ...] = LEVELS) -> dict[str, str]:
        step = step_to(levels, self.status, self.flags, to)
        self.status = DegradationStatus.parse(step.status.wire())  # as the API server gives it back
        return dict(step.variants)

    def write(self, variants: dict[str, str]) -> None:
        self.flags |= variants

    def confirm(self) -> None:
        self.status = DegradationStatus.parse(confirmed(self.status).wire())

    def go(self, to: int, levels: tuple[Level, ...] = LEVELS) -> dict[str, str]:
        variants = self.begin(to, levels)
        self.write(variants)
        self.confirm()
        return variants

    @property
    def standing(self) -> Standing:
        return standing(self.status, self.flags)

    @property
    def recorded(self) -> dict[str, tuple[str, str | None, str]]:
        return {each.flag: (each.before, each.previous, each.variant) for each in self.status.flags}


def test_up_and_down_the_flags_are_as_they_were_at_each_level():
    world = World()
    for to in (1, 2, 3, 2, 1, 0):
        world.go(to)
        assert world.flags == AT[to]
        assert world.standing == Standing(to)
    assert world.status == DegradationStatus()


def test_several_levels_at_once_write_once():
    world = World()
    assert world.go(3) == {"recommendations": "off", "search": "none", "receipts": "off"}
    assert world.go(0) == {"recommendations": "on", "search": "full", "receipts": "on"}
    assert world.flags == ON


def test_what_each_flag_was_is_recorded_before_it_is_written():
    world = World()
    world.begin(1)
    assert world.recorded == {"recommendations": ("on", "on", "off"), "search": ("full", "full", "half")}
    assert world.status.pending_level == 1
    assert world.status.level == 0


def test_the_way_down_is_recorded_too():
    world = World()
    world.go(3)
    assert world.begin(2) == {"search": "half"}
    assert world.recorded["search"] == ("full", "none", "half")
    assert world.standing == Standing(3, pending={"search": "half"})


# A crash


def test_a_crash_before_the_flags_are_written_leaves_the_level_and_what_is_to_write():
    world = World()
    variants = world.begin(1)
    assert world.standing == Standing(0, pending=variants)
    world.write(dict(world.standing.pending))
    world.confirm()
    assert world.flags == AT[1]
    assert world.standing == Standing(1)


def test_a_crash_after_the_flags_are_written_leaves_only_the_confirmation():
    world = World()
    world.write(world.begin(1))
    assert world.standing == Standing(1, written=True)
    world.confirm()
    assert world.standing == Standing(1)


def test_a_step_that_could_not_be_written_is_given_up():
    world = World()
    world.begin(1)
    assert world.go(0) == {}
    assert world.status == DegradationStatus()


def test_a_restore_that_could_not_be_written_is_given_up():
    world = World()
    world.go(2)
    world.begin(0)
    assert world.go(2) == {}
    assert world.go(0) == {"recommendations": "on", "search": "full", "receipts": "on"}
    assert world.flags == ON


def test_a_step_that_was_written_but_not_confirmed_is_undone_like_any_other():
    world = World()
    world.write(world.begin(1))
    world.go(0)
    assert world.flags == ON
    assert world.status == DegradationStatus()


# A person


def test_a_flag_that_a_person_turned_on_stays_on():
    world = World()
    world.go(1)
    world.flags["recommendations"] = "on"
    assert world.standing.drifted == {"recommendations"}
    assert world.standing.level == 1
    assert world.go(2) == {"receipts": "off"}
    assert world.standing.drifted == {"recommendations"}
    world.go(0)
    assert world.flags == ON
    assert world.standing == Standing(0)


def test_a_flag_that_a_person_gave_a_variant_of_their_own_is_not_restored_over():
    world = World()
    world.go(3)
    world.flags["search"] = "tiny"
    for to in (2, 3, 1, 0):
        world.go(to)
        assert world.flags["search"] == "tiny"
    assert world.flags == {**ON, "search": "tiny"}


def test_a_person_who_takes_the_variant_of_the_next_level_first_is_not_restored_over():
    world = World()
    world.go(1)
    world.flags["search"] = "none"
    world.go(3)
    assert world.standing.drifted == {"search"}
    world.go(0)
    assert world.flags == {**ON, "search": "none"}


def test_a_person_who_undoes_their_change_gives_the_flag_back_to_the_ladder():
    world = World()
    world.go(1)
    world.flags["recommendations"] = "on"
    world.go(2)
    world.flags["recommendations"] = "off"
    assert world.standing.drifted == frozenset()
    world.go(0)
    assert world.flags == ON


def test_a_flag_that_is_gone_is_not_made_again():
    world = World()
    world.go(2)
    del world.flags["receipts"]
    assert world.standing == Standing(2, drifted=frozenset({"receipts"}))
    assert "receipts" not in world.go(0)


def test_a_feature_that_is_off_already_is_left_off():
    world = World(receipts="off")
    world.go(2)
    assert "receipts" not in world.recorded
    world.go(0)
    assert world.flags == {**ON, "receipts": "off"}


# The policy changes while a level is up


def test_edited_levels_are_followed_without_a_step():
    world = World()
    world.go(1)
    other = (Level(name="Less", flags={"receipts": "off"}),)
    assert world.go(1, other) == {"recommendations": "on", "search": "full", "receipts": "off"}
    assert world.go(1, other) == {}
    assert world.go(0, other) == {"receipts": "on"}
    assert world.flags == ON


def test_all_is_restored_when_there_are_no_levels_any_more():
    world = World()
    world.go(3)
    world.go(0, ())
    assert world.flags == ON
    assert world.status == DegradationStatus()


# Any order of all that


OTHER_LEVELS = (
    Level(name="Other", flags={"beta": "off", "search": "none"}),
    Level(name="More", flags={"search": "half"}),
)


class Ladder(RuleBasedStateMachine):
    """Steps that are cut off anywhere, and a person who edits at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.levels = LEVELS
        self.undegraded: dict[str, str | None] = dict(ON)
        self.theirs: set[str] = set()
        self.level = 0
        self.to_write: dict[str, str] = {}

    @rule(levels=st.sampled_from([LEVELS, OTHER_LEVELS, ()]))
    def somebody_edits_the_levels(self, levels: tuple[Level, ...]) -> None:
        self.levels = levels

    @rule(flag=st.sampled_from(sorted(ON)), variant=st.sampled_from(["on", "off", "full", "half", "none", "tiny"]))
    def somebody_edits_a_flag(self, flag: str, variant: str) -> None:
        record: SwitchedFlag | None = next((each for each in self.world.status.flags if each.flag == flag), None)
        in_between = record is not None and record.previous is not None
        self.world.flags[flag] = variant
        if record is None:
            self.undegraded[flag] = variant
        elif variant == record.variant or (in_between and variant == record.previous):
            self.theirs.discard(flag)  # nobody can tell it from ours
        else:
            self.theirs.add(flag)

    @rule(to=st.integers(0, 3))
    def a_step_begins(self, to: int) -> None:
        shown = self.world.standing.level
        self.to_write = self.world.begin(to, self.levels)
        assert not self.to_write.keys() & self.theirs
        assert self.world.standing.level == (shown if self.to_write else to)
        assert dict(self.world.standing.pending) == self.to_write

    @precondition(lambda self: self.world.status.pending_level is not None)
    @rule()
    def the_flags_are_written(self) -> None:
        theirs = {flag: self.world.flags[flag] for flag in self.theirs}
        self.world.write(dict(self.world.standing.pending))
        assert theirs == {flag: self.world.flags[flag] for flag in self.theirs}
        assert self.world.standing.level == self.world.status.pending_level

    @precondition(lambda self: self.world.standing.written)
    @rule()
    def the_step_is_confirmed(self) -> None:
        self.level = self.world.standing.level
        self.world.confirm()
        assert self.world.standing.level == self.world.status.level == self.level
        for flag in self.theirs - self.world.recorded.keys():
            self.undegraded[flag] = self.world.flags[flag]
        self.theirs &= self.world.recorded.keys()

    @rule(to=st.integers(0, 3))
    def a_step_goes_through(self, to: int) -> None:
        self.a_step_begins(to)
        self.the_flags_are_written()
        self.the_step_is_confirmed()
        wanted: dict[str, Any] = dict(self.undegraded)
        for level in self.levels[:to]:
            wanted |= level.flags
        shown = {flag: variant for flag, variant in self.world.flags.items() if flag not in self.theirs}
        assert shown == {flag: wanted[flag] for flag in shown}
        if to == 0:
            assert not self.world.recorded
            assert not self.theirs

    @invariant()
    def what_is_theirs_is_known_as_theirs(self) -> None:
        assert self.world.standing.drifted == self.theirs


Ladder.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestAnyOrder = Ladder.TestCase
