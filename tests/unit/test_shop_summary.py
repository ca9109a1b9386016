"""The demo's account can fail: each kind of damage to the ledger is found, and the figures mean what they say."""

from collections import defaultdict

import pytest

from demo.shop.ledger import Ledger, Posting
from demo.shop.levels import Change, Ladder
from demo.shop.message import Deduction
from demo.shop.producer import Produced
from demo.shop.summary import (
    Account,
    Decided,
    Growth,
    Load,
    Scale,
    account,
    ages,
    growth,
    reaction,
    replica_seconds,
    summarise,
)

PROMISE = 30.0
GREW = Growth(4, 8, proposed_at=60.0, approved_at=64.5, increased_at=66.0)
STEPS = [(60.0, 0, 1), (70.0, 1, 2), (90.0, 2, 1), (110.0, 1, 0)]
UP_AND_DOWN = Ladder(tuple(Change(at, before, level, "", "", "") for at, before, level in STEPS))
ORDERS = [
    Produced(Deduction("a", "ann", 5), at=100.0),
    Produced(Deduction("b", "bob", 7), at=101.0),
    Produced(Deduction("c", "ann", 5), at=102.0),
]


def posted(order: Produced, after: float = 1.0) -> Posting:
    return Posting(*order.deduction, applied_at=order.at + after, consumer="pod/1")


def balances(*postings: Posting) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for posting in postings:
        found[posting.user] -= posting.points
    return found


def figures(*postings: Posting, shown: dict[str, int] | None = None) -> Account:
    return account(ORDERS, postings, balances(*postings) if shown is None else shown, PROMISE)


def failures(found: Account) -> list[str]:
    return summarise(
        found, len(ORDERS), PROMISE, [Scale(100.0, 1), Scale(105.0, 5)], [], GREW, UP_AND_DOWN, 110.0
    ).failures()


def test_a_whole_ledger_has_nothing_to_complain_about():
    found = figures(*map(posted, ORDERS))
    assert found == Account(applied=3, lost=0, applied_twice=0, late=0, max_age=1.0)
    assert failures(found) == []


def test_a_message_without_a_posting_is_lost_and_late():
    found = figures(posted(ORDERS[0]), posted(ORDERS[2]))
    assert (found.applied, found.lost, found.applied_twice, found.late) == (2, 1, 0, 1)
    assert "1 messages were lost" in failures(found)


def test_a_second_posting_is_a_message_applied_twice():
    found = figures(*map(posted, ORDERS), posted(ORDERS[1], after=20.0))
    assert (found.applied, found.lost, found.applied_twice) == (3, 0, 1)
    assert found.max_age == 1.0  # the first effect counts for the age
    assert "1 messages were applied twice" in failures(found)


def test_one_lost_and_another_twice_do_not_make_up_for_each_other():
    twice = posted(ORDERS[0])
    found = figures(twice, twice, posted(ORDERS[1]))  # ann's balance is right: 5 + 5
    assert (found.lost, found.applied_twice) == (1, 1)


@pytest.mark.parametrize(("ann", "lost", "twice"), [(-15, 0, 1), (-5, 1, 0)])
def test_an_effect_on_a_balance_that_no_posting_explains_is_found(ann: int, lost: int, twice: int):
    found = figures(*map(posted, ORDERS), shown={"ann": ann, "bob": -7})
    assert (found.lost, found.applied_twice) == (lost, twice)


def test_late_is_later_than_the_promise_after_the_order():
    found = figures(posted(ORDERS[0], after=30.0), posted(ORDERS[1], after=30.5), posted(ORDERS[2]))
    assert (found.late, found.max_age) == (1, 30.5)
    assert failures(found) == ["33.33% of the messages were late, allowed are 1%"]


def test_a_run_that_produced_nothing_is_no_success():
    nothing = summarise(account([], [], {}, PROMISE), 0, PROMISE, [Scale(100.0, 5)], [], GREW, UP_AND_DOWN, 110.0)
    assert nothing.failures() == ["nothing was produced"]


def test_replicas_are_paid_from_the_moment_they_are_asked_for():
    scales = [Scale(100.0, 1), Scale(110.0, 4), Scale(130.0, 2)]
    assert replica_seconds(scales, 100.0, 140.0) == 10 * 1 + 20 * 4 + 10 * 2
    found = summarise(account([], [], {}, PROMISE), 0, PROMISE, scales, [], GREW, UP_AND_DOWN, 140.0)
    assert (found.replicas_start, found.replicas_peak, found.replicas_end, found.scale_events) == (1, 4, 2, 2)


def test_the_story_of_the_partitions_is_told_in_seconds_of_the_play():
    looks = [(100.0, 4), (160.0, 4), (166.0, 8), (200.0, 8)]
    assert growth(looks, Decided(160.0, 164.5), start=100.0) == GREW
    assert GREW.words() == "4 → 8: proposed at 1:00, approved at 1:04, there at 1:06"
    assert growth(looks[:2], Decided(), start=100.0).words() == "4 → 4: no proposal"


def test_a_topic_that_did_not_grow_and_a_fleet_within_the_old_ceiling_are_no_success():
    whole = account(ORDERS, list(map(posted, ORDERS)), balances(*map(posted, ORDERS)), PROMISE)
    stayed = summarise(whole, len(ORDERS), PROMISE, [Scale(100.0, 4)], [], Growth(4, 4), UP_AND_DOWN, 110.0)
    assert stayed.failures() == [
        "the topic has no more partitions than before",
        "4 replicas are no more than there were partitions",
    ]


def test_the_reaction_counts_from_the_first_look_of_the_surge_that_led_to_it():
    scales = [Scale(100.0, 1), Scale(128.0, 3)]
    looks = [
        Load(104.0, arriving=60.0, capacity=50.0),  # an excess that passed
        Load(108.0, arriving=40.0, capacity=50.0),
        Load(121.0, arriving=55.0, capacity=50.0),  # the surge
        Load(125.0, arriving=90.0, capacity=50.0),
        Load(129.0, arriving=120.0, capacity=50.0),  # after the write
    ]
    assert reaction(looks, scales) == 7.0


def test_without_a_scale_out_there_is_no_reaction():
    assert reaction([Load(104.0, 60.0, 50.0)], [Scale(100.0, 3), Scale(110.0, 2)]) is None


def test_the_age_is_that_of_the_oldest_message_not_yet_applied():
    a, b, c = ORDERS
    postings = [posted(b, after=1.0), posted(a, after=5.0), posted(c, after=2.0)]  # b at 102, c at 104, a at 105
    assert ages(ORDERS, postings, [99.0, 100.5, 102.5, 104.5, 105.5]) == [0, 0.5, 2.5, 4.5, 0]


def test_the_ledger_applies_a_message_once_and_shows_every_effect(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    deductions = [order.deduction for order in ORDERS]
    assert ledger.apply(deductions[:2], "pod/1") == 2
    assert ledger.apply(deductions, "pod/2") == 1  # two of them are delivered again
    assert [(posting.id, posting.consumer) for posting in ledger.postings()] == [
        ("a", "pod/1"),
        ("b", "pod/1"),
        ("c", "pod/2"),
    ]
    assert ledger.balances() == {"ann": -10, "bob": -7}


def test_a_batch_that_fails_half_way_leaves_no_trace(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(ValueError, match="not a deduction"):
        ledger.apply((Deduction.decode(value) for value in (ORDERS[0].deduction.encode(), b"{}")), "pod/1")
    assert ledger.postings() == []
    assert ledger.balances() == {}
