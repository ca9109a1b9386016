"""The load of the demo, and the settings of its consumer."""

import pytest

from demo.shop.consumer import Settings
from demo.shop.trace import Trace, load, steady

NEEDED = {"KAFKA_BOOTSTRAP": "127.0.0.1:9092", "GROUP": "g", "TOPIC": "a,b"}


def test_arrivals_follow_the_rates_and_are_the_same_for_a_seed():
    trace = Trace((0.0, 1000.0, 0.0, 50.0))
    arrivals = list(trace.arrivals(seed=7))
    assert arrivals == sorted(arrivals) == list(trace.arrivals(seed=7))
    by_second = [sum(int(at) == second for at in arrivals) for second in range(4)]
    assert by_second[0] == by_second[2] == 0
    assert 900 < by_second[1] < 1100
    assert 20 < by_second[3] < 80


def test_scaling_keeps_the_shape_and_sets_the_peak():
    scaled = load().scaled(280.0)
    assert scaled.peak == pytest.approx(280.0)
    assert scaled.rates[0] / scaled.rates[90] == pytest.approx(load().rates[0] / load().rates[90])


def test_the_crowd_starts_and_ends_where_one_consumer_is_enough():
    crowd = load().scaled(6.0)  # in consumers
    assert sum(crowd.rates[:50]) / 50 < 0.5
    assert sum(crowd.rates[-50:]) / 50 < 0.5
    assert sum(rate > 4 for rate in crowd.rates) > 20


def test_a_trace_goes_straight_from_row_to_row(tmp_path):
    (tmp_path / "counts.csv").write_text("# a remark\ntimestamp,value\n22:00,10\n22:05,20\n22:10,0\n")
    assert load(tmp_path / "counts.csv") == Trace((10, 12, 14, 16, 18, 20, 16, 12, 8, 4))


def test_quiet_load_around_a_trace_is_that_of_its_ends():
    assert steady(4.0, 30).surrounded(before=2, after=3) == steady(4.0, 35)


def test_settings_of_the_consumer_have_working_defaults():
    settings = Settings.from_env(NEEDED)
    assert (settings.topics, settings.service_rate, settings.ledger) == (("a", "b"), 50.0, None)
    assert settings.for_client()["partition.assignment.strategy"] == "cooperative-sticky"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"GROUP": ""}, "set GROUP in the environment"),
        ({"SERVICE_RATE": "fast"}, "SERVICE_RATE is 'fast'; it must be a number above 0"),
        ({"SERVICE_RATE": "0"}, "SERVICE_RATE is '0'; it must be a number above 0"),
        ({"GROUP_PROTOCOL": "new"}, "GROUP_PROTOCOL is 'new'; it must be classic or consumer"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, str], says: str):
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        Settings.from_env(NEEDED | wrong)
