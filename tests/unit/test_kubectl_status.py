"""What `kubectl tidegate status` and `explain` say of consumers in every state."""

import json
from datetime import timedelta
from io import StringIO

import pytest
import yaml
from rich.console import Console, Group, RenderableType

from tests.kubectl_world import (
    BOUND,
    CEILING,
    CHANGE,
    HOT,
    KEPT,
    LADDER,
    LOSING,
    NOW,
    SURGE,
    annotated,
    blind,
    contended,
    degraded,
    policy,
    proposal,
    seen,
)
from tidegate.api import (
    FORCE_LEVEL_ANNOTATION,
    PAUSED_ANNOTATION,
    LagPolicy,
    LagPolicyStatus,
    PartitionProposal,
    Reason,
)
from tidegate.cli.kubectl import output
from tidegate.cli.kubectl.details import picture
from tidegate.cli.kubectl.explain import explained
from tidegate.cli.kubectl.options import Output
from tidegate.cli.kubectl.standing import standing, urgency
from tidegate.cli.kubectl.status import screen
from tidegate.cli.kubectl.summary import Consumer, consumers, notes, value

PAUSED = KEPT._replace(reason=Reason.PAUSED, said="paused by spec.mode: measured, not scaled")
STATES: dict[str, LagPolicy] = {
    "Kept": seen(policy()),
    "AtRisk": seen(policy(), BOUND),
    "Broken": seen(policy(), CEILING),
    "RetentionNear": seen(policy(), LOSING),
    "DryRun": seen(policy(mode="DryRun"), SURGE, 2),
    "Paused": annotated(seen(policy(), PAUSED), PAUSED_ANNOTATION, "true"),
    "New": policy(),
    "NotObserving": blind(policy()),
    "NotReady": contended(policy()),
    "Degraded": degraded(policy(degradation=LADDER), KEPT),
}
STARTING = seen(policy(), SURGE, 6, ready=2)
EVERYTHING = [*STATES.values(), degraded(policy(degradation=LADDER)), seen(policy(), HOT), STARTING]


def alone(one: LagPolicy, *proposals: PartitionProposal) -> Consumer:
    [consumer] = consumers([one], proposals)
    return consumer


def printed(*parts: RenderableType, width: int = 120) -> str:
    out = StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(Group(*parts), crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def screened(*them: LagPolicy, width: int = 120, proposals: tuple[PartitionProposal, ...] = ()) -> str:
    return printed(*screen(consumers(them, proposals), [], False, width), width=width)


def longest(text: str) -> int:
    """Characters of the longest line, but for what is there to be typed, which stays in one piece."""
    return max(len(line) for line in text.splitlines() if not line.strip().startswith("tidegate "))


def answers(one: LagPolicy, *proposals: PartitionProposal) -> dict[str, str]:
    """What `explain` says, by the title of the section."""
    sections = explained(alone(one, *proposals), NOW)
    return {s.title: "\n".join([*s.sentences, *(f"{label}: {said}" for label, said in s.figures)]) for s in sections}


# one word


@pytest.mark.parametrize("word", STATES)
def test_one_word_says_how_a_consumer_stands(word: str):
    assert standing(STATES[word]).word == word


def test_the_most_dangerous_comes_first_and_among_equals_the_latest():
    late = seen(policy("late"), KEPT._replace(backlog=KEPT.backlog._replace(age=20.0)))
    order = sorted([STATES["Kept"], late, STATES["AtRisk"], STATES["RetentionNear"], STATES["Broken"]], key=urgency)
    assert [standing(each).word for each in order] == ["RetentionNear", "Broken", "AtRisk", "Kept", "Kept"]
    assert order[3] is late


def test_a_pause_while_the_promise_breaks_is_urgent():
    broken = annotated(STATES["Broken"], PAUSED_ANNOTATION, "true")
    assert standing(broken).word == "Paused"
    assert standing(broken).danger == standing(STATES["Broken"]).danger


# the table


def test_the_table_has_what_kubectl_get_has_and_the_limits():
    [head, row, *_] = screened(degraded(policy(degradation=LADDER)), width=160, proposals=(proposal(),)).splitlines()
    shown = dict(zip(head.split(), row.split(), strict=True))
    assert shown == {
        "NAME": "points",
        "STATE": "AtRisk",
        "PROMISE": "45s",
        "BEHIND": "28s",
        "LAG": "9503",
        "IN/S": "344",
        "OUT/S": "250",
        "REPLICAS": "4",
        "NEED": "8",
        "LIMITS": "1-4p",
        "LEVEL": "1/2",
        "PROPOSAL": "6->24",
        "REASON": "Partitions",
    }


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_every_screen_fits_its_width_and_keeps_the_columns_that_matter(width: int):
    for one in EVERYTHING:
        text = screened(one, width=width, proposals=(proposal(),))
        assert longest(text) <= width
        head = text.splitlines()[0].split()
        assert [title for title in head if title in ("NAME", "STATE", "PROMISE", "BEHIND", "LAG", "REPLICAS")]
        assert head[-1] == "REASON"
        detail = printed(*picture(alone(one, proposal()), NOW, NOW, width), width=width)
        assert longest(detail) <= width


def test_a_narrow_screen_leaves_columns_out_and_never_cuts_a_name():
    name = "a-policy-with-quite-a-long-name-as-people-give-them"
    [head, row, *_] = screened(seen(policy(name)), width=80).splitlines()
    assert "IN/S" not in head
    assert row.split()[0] == name


def test_replicas_that_are_not_ready_are_told():
    assert " 2/6 " in screened(STARTING)


def test_a_consumer_nobody_has_looked_at_shows_no_number():
    [_, row, *_] = screened(STATES["New"]).splitlines()
    assert "0" not in row.replace("60s", "").split()
    assert "Tidegate has not looked at it yet" in screened(STATES["New"])


# what a person should know


def test_where_all_is_well_nothing_is_noted():
    assert [notes(alone(STATES[word])) for word in ("Kept", "DryRun")] == [[], []]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("AtRisk", "the promise of 45s is about to break; it needs 8 replicas"),
        ("Broken", "the oldest waiting record is 2m10s old, the promise is 45s"),
        ("RetentionNear", "retention starts to delete in 4m50s"),
        ("Paused", "by the annotation tidegate.dev/paused: it is measured, not scaled"),
        ("NotObserving", "SASL authentication failed"),
        ("NotReady", "the HorizontalPodAutoscaler web scales it already"),
        ("Degraded", "recommendations is off"),
    ],
)
def test_what_is_wrong_is_said_in_its_own_words(state: str, told: str):
    said = " ".join(screened(STATES[state]).split())
    assert said.count(told) == 1


def test_a_pause_and_a_proposal_come_with_what_can_be_typed():
    assert "tidegate resume points -n shop" in screened(STATES["Paused"])
    said = screened(STATES["AtRisk"], proposals=(proposal(),))
    assert "points.deduct: 6 to 24 partitions, AwaitingDecision; to acknowledge: KeyOrdering" in said
    assert "tidegate approve points-points-deduct-6-to-24-0a1b2 -n shop" in said


def test_a_proposal_that_was_approved_a_moment_ago_asks_for_nothing_more():
    said = screened(STATES["AtRisk"], proposals=(proposal(spec={"decision": "Approve"}),))
    assert "6 to 24 partitions, Approved\n" in f"{said}\n"
    assert "tidegate approve" not in said


def test_a_proposal_of_another_policy_for_the_same_topic_is_shown_where_the_status_names_it():
    other = proposal("theirs", "billing")
    mine = STATES["AtRisk"]
    named = mine.status.partitions.model_copy(update={"proposal": "billing/theirs"})
    mine = mine.model_copy(update={"status": mine.status.model_copy(update={"partitions": named})})
    assert [p.metadata.name for p in alone(mine, other, proposal("x", "elsewhere")).proposals] == ["theirs"]


def test_a_proposal_that_is_closed_or_of_another_policy_is_left_out():
    over = proposal(status={"conditions": [], "state": "Expired"}, spec={"decision": "Reject"})
    assert alone(STATES["AtRisk"], over, proposal(spec={"policy": "mails"})).proposals == ()


def test_an_edit_that_is_not_obeyed_is_told():
    kept = STATES["Kept"]
    edited = kept.model_copy(update={"metadata": kept.metadata.model_copy(update={"generation": 2})})
    assert [note.word for note in notes(alone(edited))] == ["Unseen"]


def test_the_last_line_counts_them_the_gravest_first():
    assert screened(STATES["Kept"], STATES["Broken"], STATES["Kept"]).endswith("3 consumers: 1 Broken, 2 Kept")


# one in detail


def test_the_detail_has_the_facts_and_the_last_changes():
    one = alone(seen(policy(), BOUND, history=(CHANGE,)))
    text = printed(*picture(one, NOW - timedelta(seconds=12), NOW, 400), width=400)
    assert text.startswith("points in namespace shop: AtRisk (status of 12s ago)")
    assert "within 45s of its arrival; the oldest waiting record is 28s old (62 % of it)" in text
    assert "344/s arrive, 250/s are processed: what waits grows by 94/s" in text
    assert "spec.replicas allows 1 to 12; 4 partitions feed at most 4 replicas" in text
    assert "4 asked for, all ready; needed 8, desired 4 (Partitions)" in text
    assert "10m ago  2 -> 4 Surge: 180/s arrive" in text


def test_the_detail_of_a_new_consumer_knows_that_nothing_is_known():
    text = printed(*picture(alone(STATES["New"]), None, NOW, 400), width=400)
    assert "decision     none yet" in text
    assert "how many records wait is not known" in text


# why


def test_explain_does_the_arithmetic():
    said = answers(STATES["AtRisk"])["The arithmetic"]
    assert "to keep pace: 344/s / 50/s = 6.88, so 7 replicas" in said
    assert "need: 8 replicas: 1 more than the pace, for what waits" in said
    assert "desired: 4 replicas: need 8, limited by Partitions" in said
    assert "a change costs: start-up 12s, rebalance pause 3s: new replicas work 15s after they are asked for" in said
    assert "a jump: what arrives now is already too much" in said


def test_explain_says_where_the_need_is_less_than_the_pace():
    less = KEPT._replace(need=1, desired=1)
    assert "fewer than the pace" in answers(seen(policy(), less))["The arithmetic"]


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (STATES["Kept"], "none: the replicas do what arrives"),
        (STATES["AtRisk"], "the partitions: each has its consumer"),
        (STATES["Broken"], "spec.replicas.max"),
        (seen(policy(), HOT), "single partitions (points.deduct/3)"),
        (STATES["NotObserving"], "not known, as the group cannot be read"),
        (STARTING, "the start-up of the replicas that are on their way"),
        (seen(policy(), KEPT._replace(reason=Reason.NOT_EFFECTIVE)), "what the consumers wait for"),
        (STATES["New"], "not known yet"),
    ],
)
def test_explain_finds_the_bottleneck(one: LagPolicy, told: str):
    assert told in answers(one)["Where the bottleneck is"]


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (STATES["Kept"], "nothing"),
        (STATES["Paused"], "a person paused it by the annotation tidegate.dev/paused"),
        (STATES["DryRun"], "writes nothing"),
        (STATES["NotReady"], "TargetManagedByHPA"),
        (seen(policy(), KEPT._replace(reason=Reason.REBALANCING)), "Rebalancing: it waits, and scales again by itself"),
        (annotated(STATES["Degraded"], FORCE_LEVEL_ANNOTATION, "1; until=2026-11-29T03:05:00Z"), "for another 5m"),
        (annotated(STATES["Degraded"], FORCE_LEVEL_ANNOTATION, "1 for ever"), "is ignored"),
    ],
)
def test_explain_says_what_holds(one: LagPolicy, told: str):
    assert told in answers(one)["What holds it"]


def test_explain_says_what_would_change_it():
    kept = answers(STATES["Kept"])["What would change it"]
    assert "more: arrivals above 100/s (2 replicas x 50/s)" in kept
    assert "below about 50/s (1 replica x 50/s)" in kept
    assert "more: a higher spec.replicas.max than 12" in answers(STATES["Broken"])["What would change it"]
    least = seen(policy(replicas={"min": 2, "max": 9}))
    assert "fewer: nothing: spec.replicas.min is 2" in answers(least)["What would change it"]
    assert "nothing, until tidegate resume points -n shop" in answers(STATES["Paused"])["What would change it"]
    assert "would let 24 replicas work instead of 4" in answers(STATES["AtRisk"], proposal())["What would change it"]


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (STATES["Kept"], "nothing: Tidegate goes on by itself"),
        (STATES["Broken"], "MaxReplicas: raise max, if the cluster has room"),
        (STATES["RetentionNear"], "RetentionNear: raise the topic's retention.ms now"),
        (STATES["Paused"], "resume it when you are done:\ntidegate resume points -n shop"),
        (STATES["NotReady"], "TargetManagedByHPA: delete the one you do not want"),
        (STATES["AtRisk"], "Partitions: a proposal follows if it lasts (docs/partitions.md)"),
        (degraded(policy(degradation=LADDER)), "ScalingExhausted: raise spec.replicas.max, or decide the proposal"),
    ],
)
def test_explain_says_what_to_do(one: LagPolicy, told: str):
    assert told in answers(one)["What to do next"]


def test_an_open_proposal_is_to_be_decided_first():
    steps = answers(STATES["AtRisk"], proposal())["What to do next"].splitlines()
    assert steps == [
        "decide about more partitions:",
        "tidegate approve points-points-deduct-6-to-24-0a1b2 -n shop",
    ]


def test_explain_answers_every_question_of_every_state():
    for one in EVERYTHING:
        said = answers(one, proposal())
        assert all(said.values())
        assert len(said) == 7 - (one.status == LagPolicyStatus())


# for programs


def test_programs_read_the_same_numbers(capsys: pytest.CaptureFixture[str]):
    found = value(alone(degraded(policy(degradation=LADDER)), proposal()))
    assert (found["state"], found["maxAge"], found["mode"]) == ("AtRisk", "45s", "Active")
    assert found["backlog"] == {"lag": 9503, "age": "28s", "arrivalRate": "344", "serviceRate": "250"}
    assert (found["replicas"]["need"], found["replicas"]["max"], found["replicas"]["limitedBy"]) == (
        8,
        12,
        "Partitions",
    )
    assert found["proposals"][0]["unacknowledged"] == ["KeyOrdering"]
    output.dump(found, Output.JSON)
    assert json.loads(capsys.readouterr().out) == found
    output.dump(found, Output.YAML)
    assert yaml.safe_load(capsys.readouterr().out) == found


def test_without_a_terminal_nothing_is_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    output.show(*screen(consumers([STATES["AtRisk"]], [proposal()]), [], True, output.console().width))
    text = capsys.readouterr().out
    assert "PROPOSAL" in text.splitlines()[0]
    assert not any(line.endswith(" ") for line in text.splitlines())
    assert "it needs 8 replicas, the number of partitions (4) makes it 4" in text
