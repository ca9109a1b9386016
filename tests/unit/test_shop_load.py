"""The load of the demo, and the settings of its consumer."""

import pytest

from demo.shop.consumer import Settings
from demo.shop.features import work
from demo.shop.story import PEAK, SERVICE_RATE
from demo.shop.trace import BETWEEN_ROWS, Trace, load, steady

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


def test_the_crowd_starts_and_ends_small_and_is_for_long_more_than_four_consumers_can_do_whatever_is_off():
    crowd = load().scaled(PEAK / SERVICE_RATE)  # in consumers
    assert max(*crowd.rates[:10], *crowd.rates[-10:]) < 2
    assert sum(rate > 4 for rate in crowd.rates) > 100
    assert sum(rate > 4 / work(lambda _: False) for rate in crowd.rates) > 15


def test_a_trace_goes_straight_from_row_to_row(tmp_path):
    (tmp_path / "counts.csv").write_text("# a remark\ntimestamp,value\n22:00,10\n22:05,20\n22:10,0\n")
    up = tuple(10 + second * 10 / BETWEEN_ROWS for second in range(BETWEEN_ROWS))
    down = tuple(20 - second * 20 / BETWEEN_ROWS for second in range(BETWEEN_ROWS))
    assert load(tmp_path / "counts.csv").rates == pytest.approx(up + down)


def test_quiet_load_around_a_trace_is_that_of_its_ends():
    assert steady(4.0, 30).surrounded(before=2, after=3) == steady(4.0, 35)


def test_settings_of_the_consumer_have_working_defaults():
    settings = Settings.from_env(NEEDED)
    assert (settings.topics, settings.service_rate, settings.ledger) == (("a", "b"), 50.0, None)
    assert settings.for_client()["partition.assignment.strategy"] == "cooperative-sticky"


@pytest.mark.parametrize(
    ("env", "protocol", "assignor"),
    [
        ({"GROUP_PROTOCOL": "classic", "ASSIGNOR": "range"}, "classic", "range"),
        ({"GROUP_PROTOCOL": "classic", "ASSIGNOR": "cooperative-sticky"}, "classic", "cooperative-sticky"),
        ({"GROUP_PROTOCOL": "consumer"}, "consumer", None),  # the broker assigns
    ],
)
@pytest.mark.parametrize("reset", ["earliest", "latest"])
def test_a_consumer_can_be_of_any_protocol_and_reset(env: dict[str, str], protocol: str, assignor: str, reset: str):
    given = Settings.from_env(NEEDED | env | {"OFFSET_RESET": reset, "METADATA_REFRESH": "2.5"}).for_client()
    assert given["group.protocol"] == protocol
    assert given.get("partition.assignment.strategy") == assignor
    assert given["auto.offset.reset"] == reset
    assert given["topic.metadata.refresh.interval.ms"] == 2500


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"GROUP": ""}, "set GROUP in the environment"),
        ({"SERVICE_RATE": "fast"}, "SERVICE_RATE is 'fast'; it must be a number above 0"),
        ({"SERVICE_RATE": "0"}, "SERVICE_RATE is '0'; it must be a number above 0"),
        ({"GROUP_PROTOCOL": "new"}, "GROUP_PROTOCOL is 'new'; it must be classic or consumer"),
        ({"ASSIGNOR": "roundrobin"}, "ASSIGNOR is 'roundrobin'; it must be cooperative-sticky or range"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, str], says: str):
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        Settings.from_env(NEEDED | wrong)
