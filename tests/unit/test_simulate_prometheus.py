"""Arrivals from recorded end offsets: exporters, topics, holes in the recording, a Prometheus that does not answer."""

from itertools import pairwise

import pytest
from prometheus_answers import Answers, answering

from tidegate.api.lagpolicy import KafkaSource
from tidegate.simulate.prometheus import MOST_POINTS, Prometheus, PrometheusError, Recorded, Span, Wanted, recorded

NOW = 1_700_000_040.0
SPAN = Span.until(NOW, 600.0, 60.0)
MOMENTS = [SPAN.start + place * 60.0 for place in range(SPAN.points)]
EXPORTER = "kafka_topic_partition_current_offset"


@pytest.fixture
def answers():
    with answering(Answers()) as running:
        yield running


def source(**topics) -> KafkaSource:
    return KafkaSource.model_validate({"connectionRef": {"name": "kafka"}, "group": "points", **topics})


def read(answers: Answers, span: Span = SPAN, match: str = "", **topics) -> Recorded:
    wanted = Wanted("points", source(**(topics or {"topics": ["points.deduct"]})), match)
    return recorded(Prometheus(answers.url), wanted, span, lambda name, done: None)


def line(start: float, rate: float, without: range = range(0)) -> list[tuple[float, str]]:
    """A sample five seconds before each moment, `rate` records further each time."""
    return [(moment - 5, f"{start + place * rate:.9e}") for place, moment in enumerate(MOMENTS) if place not in without]


def test_the_grid_lies_on_whole_steps():
    assert (SPAN.end, SPAN.points, SPAN.start) == (1_700_000_040.0, 11, 1_699_999_440.0)
    week = Span.until(NOW + 17, 7 * 86_400.0, 60.0)
    chunks = list(week.chunks())
    assert chunks[0][0] == week.start
    assert chunks[-1][1] == week.end == NOW
    assert all((last - first) / 60 < MOST_POINTS for first, last in chunks)
    assert [after[0] - before[1] for before, after in pairwise(chunks)] == [60.0, 60.0]


def test_kafka_exporters_partitions_are_summed(answers):
    for partition, rate in enumerate((60, 30, 0)):
        answers.record(EXPORTER, line(1e9, rate), topic="points.deduct", partition=str(partition))
    found = read(answers)
    assert found.trace.counts.tolist() == [90.0] * 10
    assert (found.trace.step, found.partitions, found.topics, found.notes) == (60.0, 3, ("points.deduct",), ())
    assert answers.asked == [f'last_over_time({EXPORTER}{{topic=~"points[.]deduct"}}[60s])']


@pytest.mark.parametrize(
    ("metric", "labels", "partitions"),
    [
        ("kminion_kafka_topic_partition_high_water_mark", {"topic_name": "points.deduct", "partition_id": "0"}, 1),
        ("kminion_kafka_topic_high_water_mark_sum", {"topic_name": "points.deduct"}, None),
    ],
)
def test_kminion_is_understood_too(answers, metric, labels, partitions):
    answers.record(metric, line(5e6, 12), **labels)
    found = read(answers)
    assert found.trace.counts.tolist() == [12.0] * 10
    assert found.partitions == partitions


def test_a_long_time_is_asked_for_in_parts(answers):
    long = Span.until(NOW, 6000 * 60.0, 60.0)
    samples = [(long.start + place * 60.0, str(place * 3)) for place in range(long.points)]
    answers.record(EXPORTER, samples, topic="points.deduct", partition="0")
    found = read(answers, long)
    assert len(answers.asked) == 2
    assert found.trace.counts.tolist() == [3.0] * 6000


def test_without_topics_in_the_policy_the_groups_own_count(answers):
    answers.record("kafka_consumergroup_lag", line(5, 0), consumergroup="points", topic="a.b", partition="0")
    answers.record("kafka_consumergroup_lag", line(5, 0), consumergroup="points", topic="c", partition="0")
    answers.record(EXPORTER, line(0, 1), topic="a.b", partition="0")
    answers.record(EXPORTER, line(0, 2), topic="c", partition="0")
    found = read(answers, offsetReset="latest")
    assert answers.asked == [
        'group by (topic) (last_over_time(kafka_consumergroup_lag{consumergroup="points"}[600s]))',
        f'last_over_time({EXPORTER}{{topic=~"a[.]b|c"}}[60s])',
    ]
    assert found.topics == ("a.b", "c")
    assert found.trace.counts.tolist() == [3.0] * 10


def test_a_pattern_and_matchers_go_to_prometheus_as_they_are(answers):
    answers.record(EXPORTER, line(0, 1), topic="points.x", partition="0")
    read(answers, topicPattern=r"points\..+", match='cluster="prod"')
    assert answers.asked == [rf'last_over_time({EXPORTER}{{topic=~"points\\..+",cluster="prod"}}[60s])']


def test_a_hole_is_spread_evenly_and_said(answers):
    answers.record(EXPORTER, line(0, 60, without=range(3, 8)), topic="points.deduct", partition="0")
    found = read(answers)
    assert found.trace.counts.tolist() == [60.0] * 10
    assert found.notes == (
        "no samples for 5 min (1 gaps, the longest 5 min): what arrived meanwhile is spread evenly, bursts in there are"
        " not seen",
    )


def test_a_recording_that_began_late_says_how_much_there_is(answers):
    answers.record(EXPORTER, line(0, 60)[5:], topic="points.deduct", partition="0")
    found = read(answers)
    assert found.trace.counts.tolist() == [60.0] * 5
    assert found.notes == ("samples cover 0.1 h of the 0.2 h asked for",)


def test_a_topic_made_anew_is_no_burst(answers):
    samples = [*line(1e6, 60)[:5], *line(0, 60)[5:]]
    answers.record(EXPORTER, samples, topic="points.deduct", partition="0")
    found = read(answers)
    assert found.trace.counts.tolist() == [60.0] * 4 + [0.0] + [60.0] * 5
    assert "offsets fell 1 times (a topic made anew" in found.notes[0]


def test_what_is_no_offset_is_no_sample(answers):
    samples = line(0, 60)
    samples[4], samples[5], samples[6] = (
        (time, text) for (time, _), text in zip(samples[4:7], ("NaN", "-1", "+Inf"), strict=True)
    )
    answers.record(EXPORTER, samples, topic="points.deduct", partition="0")
    assert read(answers).trace.counts.tolist() == [60.0] * 10


def test_two_exporters_of_one_cluster_are_one(answers):
    for pod, start in (("a", 0), ("b", 6)):
        answers.record(EXPORTER, line(start, 60), topic="points.deduct", partition="0", pod=pod, instance=pod)
    found = read(answers)
    assert found.trace.counts.tolist() == [60.0] * 10
    assert (found.partitions, found.notes) == (1, ())


def test_two_clusters_are_told_apart_by_a_matcher(answers):
    for cluster in ("prod", "test"):
        answers.record(EXPORTER, line(0, 60), topic="points.deduct", partition="0", cluster=cluster)
    [note] = read(answers).notes
    assert "several values of cluster (prod, test)" in note
    assert "--match 'cluster=\"prod\"'" in note


# --- what cannot be used ---


def test_nothing_recorded_says_what_was_looked_for(answers):
    with pytest.raises(PrometheusError, match=r"no ends of points\.deduct .* looked for kafka_topic_partition_current"):
        read(answers)
    with pytest.raises(PrometheusError, match="no ends of topics of group 'points'"):
        read(answers, offsetReset="latest")


def test_one_sample_is_too_few(answers):
    answers.record(EXPORTER, line(0, 60)[:1], topic="points.deduct", partition="0")
    with pytest.raises(PrometheusError, match="fewer than two samples"):
        read(answers)


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        (400, b'{"status":"error","error":"parse error"}', "refuses the query: .*400.*parse error"),
        (200, b"<html>Welcome</html>", "gives no answer"),
        (200, b'{"status":"success"}', "does not answer like a Prometheus"),
        (200, b'{"data":{"result":{"a":1}}}', r"does not answer like a Prometheus \(data.result is a dict\)"),
    ],
)
def test_an_answer_that_cannot_be_used_is_told_in_words(answers, status, body, complaint):
    answers.broken = (status, body)
    with pytest.raises(PrometheusError, match=complaint):
        read(answers)


def test_nobody_there(answers):
    gone = Answers(url="http://127.0.0.1:1")
    with pytest.raises(PrometheusError, match=r"http://127.0.0.1:1 gives no answer"):
        read(gone)
    with pytest.raises(PrometheusError, match="'prometheus:9090' is not a URL: write one such as http://"):
        Prometheus("prometheus:9090")
