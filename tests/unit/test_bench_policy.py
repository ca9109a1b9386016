"""The benchmark's bars: where they are taken, and what is said of traces that are not there."""

from bench.policy import SHORT, absent, traces
from bench.policy_cases import CASES
from bench.policy_report import LIMITS, Row, all_bars
from tidegate.simulate.outcome import Outcome


def row(case: str, trace: str, hours: float, late: float = 0.0, controller: str = "tidegate", family: str = "") -> Row:
    return Row(trace, case, controller, family, 100, Outcome(controller, hours, 100.0, late, 40.0, 59.0, 200, 200))


def test_every_bar_has_a_case_and_a_trace():
    assert {limit[0] for limit in LIMITS} <= {case.name for case in CASES}
    assert {limit[1] for limit in LIMITS} <= set(SHORT.values())


def test_the_fluid_bars_are_taken_where_every_replica_counts_in_full():
    [cost, events] = all_bars([row("fine", "twitter", 107.9)])
    assert (cost.words, cost.met) == ("≤ 1.08× the optimum where every replica counts in full, late ≤ 0.05 %", True)
    assert events.met
    [cost, _] = all_bars([row("fine", "nasa_sts70", 116.0)])
    assert not cost.met
    assert [*all_bars([row("main", "twitter", 300.0)])] == []


def test_whole_partitions_have_bars_against_an_optimum_that_knows_them():
    [cost] = all_bars([row("packed", "wc98_flash", 112.4)])
    assert (cost.words, cost.met) == ("≤ 1.125× the packing-aware optimum, late ≤ 0.05 %", True)
    [cost] = all_bars([row("packed", "wc98_flash", 112.4, late=0.001)])
    assert not cost.met


def test_what_is_shipped_is_always_played_and_what_is_not_is_named(tmp_path):
    shipped = traces(None)
    assert {"nasa_sts70", "azure_code", "nyc_taxi", "tweets_aapl"} == set(shipped)
    assert absent(shipped).endswith(": twitter, wc98_flash.")
    (tmp_path / "twitter_2021-08_gapfree23h_1s.csv").write_text("0,1\n1,2\n")
    assert absent(traces(str(tmp_path))).endswith(": wc98_flash.")
    assert absent(SHORT.values()).endswith(": none.")
