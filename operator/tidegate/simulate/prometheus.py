"""Arrivals from a Prometheus that has recorded where each partition ended: by kafka_exporter or KMinion.

Every partition's samples are put on a grid, what arrived between two of them is counted, and the partitions are summed.
`last_over_time` over one step shows samples where they were taken: a plain selector would repeat the last one for five
minutes, which looks like silence followed by a burst.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from tidegate.api.lagpolicy import KafkaSource
from tidegate.simulate.counting import Counted, counted
from tidegate.simulate.trace import Curve, Trace

TIMEOUT = 30.0
MOST_POINTS = 5000
"""Points of each series asked for at once; Prometheus gives at most 11,000."""

OF_THE_SCRAPE = {"instance", "pod", "endpoint", "container", "node", "uid", "__name__"}
"""Labels that tell who measured; series that differ in these only show the same partition."""


class PrometheusError(ValueError):
    """A Prometheus that cannot be used or does not know the records, and what would be right."""


class Dialect(NamedTuple):
    """How an exporter calls the ends of partitions, and the lag by which a group's topics are known."""

    exporter: str
    ends: str
    topic: str
    partition: str | None
    lag: str
    group: str


DIALECTS = (
    Dialect(
        "kafka_exporter",
        "kafka_topic_partition_current_offset",
        "topic",
        "partition",
        "kafka_consumergroup_lag",
        "consumergroup",
    ),
    Dialect(
        "KMinion",
        "kminion_kafka_topic_partition_high_water_mark",
        "topic_name",
        "partition_id",
        "kminion_kafka_consumer_group_topic_lag",
        "group_id",
    ),
    Dialect(
        "KMinion",
        "kminion_kafka_topic_high_water_mark_sum",
        "topic_name",
        None,
        "kminion_kafka_consumer_group_topic_lag",
        "group_id",
    ),
)


@dataclass(frozen=True)
class Span:
    """The grid of times: `points` moments, `step` seconds apart, the last one `end` (seconds since the epoch)."""

    end: float
    step: float
    points: int

    @classmethod
    def until(cls, now: float, since: float, step: float) -> "Span":
        """The last `since` seconds, on whole multiples of the step."""
        return cls(math.floor(now / step) * step, step, max(2, round(since / step) + 1))

    @property
    def start(self) -> float:
        """The first moment."""
        return self.end - (self.points - 1) * self.step

    def chunks(self) -> Iterator[tuple[float, float]]:
        """First and last moments of parts that a Prometheus answers at once."""
        for first in range(0, self.points, MOST_POINTS):
            last = min(first + MOST_POINTS, self.points) - 1
            yield self.start + first * self.step, self.start + last * self.step


@dataclass(frozen=True)
class Recorded:
    """What was found: arrivals, topics, partitions (None where only sums of topics were recorded), and what to know."""

    trace: Trace
    topics: tuple[str, ...]
    partitions: int | None
    notes: tuple[str, ...]


@dataclass
class _Series:
    """A partition's ends on the grid (not a number: no sample), and the labels it was recorded with."""

    ends: Curve
    labels: list[dict[str, str]]


class Prometheus:
    """Queries, with a time limit and errors in words."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise PrometheusError(f"{url!r} is not a URL: write one such as http://prometheus.monitoring:9090")
        self.url = url.rstrip("/")
        self._client = PrometheusConnect(url=self.url, retry=2, timeout=TIMEOUT)

    def now(self, query: str, at: float) -> list[dict[str, Any]]:
        """An instant query."""
        return self._asked(lambda: self._client.custom_query(query, params={"time": at}))

    def over(self, query: str, first: float, last: float, step: float) -> list[dict[str, Any]]:
        """A query over a range of times."""
        times = (datetime.fromtimestamp(moment, UTC) for moment in (first, last))
        return self._asked(lambda: self._client.custom_query_range(query, *times, step=f"{step:g}"))

    def _asked(self, ask: Callable[[], Any]) -> list[dict[str, Any]]:
        try:
            answer = ask()
            if not isinstance(answer, list):
                raise TypeError(f"data.result is a {type(answer).__name__}")
        except PrometheusApiClientException as error:
            raise PrometheusError(f"{self.url} refuses the query: {error}") from error
        except OSError as error:  # what the HTTP client raises, bad JSON included
            raise PrometheusError(f"{self.url} gives no answer: {error}; give the URL of a Prometheus") from error
        except (KeyError, TypeError, ValueError) as error:
            raise PrometheusError(f"{self.url} does not answer like a Prometheus ({error})") from error
        return answer


class Wanted(NamedTuple):
    """Whose records: a group, the topics of its policy, and further label matchers such as `cluster="prod"`."""

    group: str
    source: KafkaSource
    match: str = ""

    def __str__(self) -> str:
        if self.source.topics:
            return ", ".join(self.source.topics)
        pattern = self.source.topic_pattern
        return f"topics like {pattern}" if pattern else f"topics of group {self.group!r}"


def recorded(prometheus: Prometheus, wanted: Wanted, span: Span, progress: Callable[[str, int], None]) -> Recorded:
    """Arrivals over a span, from the first exporter that recorded them.

    Raises PrometheusError where nothing was recorded.
    """
    for dialect in DIALECTS:
        topics = _topics(prometheus, dialect, wanted, span)
        series = _read(prometheus, dialect, topics, wanted.match, span, progress) if topics else {}
        if series:
            return _summed(dialect, wanted, series, span)
    looked = ", ".join(f"{dialect.ends} ({dialect.exporter})" for dialect in DIALECTS)
    raise PrometheusError(
        f"{prometheus.url} has recorded no ends of {wanted} in that time; looked for {looked}."
        " Check --group, --since and --match, and the topics of the policy"
    )


def _topics(prometheus: Prometheus, dialect: Dialect, wanted: Wanted, span: Span) -> str | None:
    """The regular expression (RE2, whole names) of the topics that count; None where the group is not known."""
    if wanted.source.topic_pattern:
        return wanted.source.topic_pattern
    names = wanted.source.topics
    if not names:
        selector = _selector(dialect.lag, f"{dialect.group}={json.dumps(wanted.group)}", wanted.match)
        window = math.ceil(span.end - span.start)
        query = f"group by ({dialect.topic}) (last_over_time({selector}[{window}s]))"
        found = prometheus.now(query, span.end)
        names = tuple(sorted(row["metric"][dialect.topic] for row in found if dialect.topic in row.get("metric", {})))
    return "|".join(name.replace(".", "[.]") for name in names) or None


def _selector(metric: str, *matchers: str) -> str:
    return f"{metric}{{{','.join(matcher for matcher in matchers if matcher)}}}"


def _read(
    prometheus: Prometheus,
    dialect: Dialect,
    topics: str,
    match: str,
    span: Span,
    progress: Callable[[str, int], None],
) -> dict[tuple[str, str], _Series]:
    """Every partition's ends; where several exporters measured one, the greatest counts."""
    selector = _selector(dialect.ends, f"{dialect.topic}=~{json.dumps(topics)}", match)
    query = f"last_over_time({selector}[{math.ceil(span.step)}s])"
    found: dict[tuple[str, str], _Series] = {}
    for first, last in span.chunks():
        for row in prometheus.over(query, first, last, span.step):
            labels = row.get("metric", {})
            name = (labels.get(dialect.topic, ""), labels.get(dialect.partition, "") if dialect.partition else "")
            series = found.setdefault(name, _Series(np.full(span.points, np.nan), []))
            _put(series.ends, row.get("values", []), span)
            if labels not in series.labels:
                series.labels.append(labels)
        progress("prometheus", round((last - span.start) / span.step))
    return found


def _put(ends: Curve, samples: list[list[Any]], span: Span) -> None:
    """Put samples on the grid; what is no offset (NaN, -1) is no sample."""
    for time, text in samples:
        place, value = round((float(time) - span.start) / span.step), float(text)
        if 0 <= place < span.points and 0 <= value < math.inf:
            ends[place] = np.fmax(ends[place], value)


def _summed(dialect: Dialect, wanted: Wanted, series: dict[tuple[str, str], _Series], span: Span) -> Recorded:
    result = counted(np.array([one.ends for one in series.values()]))
    if result is None:
        raise PrometheusError(
            f"{dialect.ends} has fewer than two samples in that time; give a longer --since, or a longer --step where"
            f" samples are taken less often than every {span.step:g} s"
        )
    topics = tuple(sorted({topic for topic, _ in series}))
    return Recorded(
        Trace(f"{wanted.group} ({', '.join(topics)})", span.step, result.counts),
        topics,
        len(series) if dialect.partition else None,
        (*_ambiguous(series), *_words(result, span)),
    )


def _ambiguous(series: dict[tuple[str, str], _Series]) -> Iterator[str]:
    """A partition recorded under labels that may mean another cluster."""
    for (topic, _), one in series.items():
        names = {name for labels in one.labels for name in labels} - OF_THE_SCRAPE
        values = {name: sorted({labels.get(name, "") for labels in one.labels}) for name in sorted(names)}
        several = {name: found for name, found in values.items() if len(found) > 1}
        if several:
            name, found = next(iter(several.items()))
            yield (
                f"topic {topic} is recorded with several values of {name} ({', '.join(found)}): the greatest offset of"
                f" each partition counts; --match '{name}=\"{found[0]}\"' takes one of them"
            )
            return


def _words(result: Counted, span: Span) -> Iterator[str]:
    """What the recording lacks."""
    covered, asked = len(result.counts) * span.step, (span.points - 1) * span.step
    if covered < asked - 2 * span.step:
        yield f"samples cover {covered / 3600:.1f} h of the {asked / 3600:.1f} h asked for"
    if result.gaps:
        gone, longest = (steps * span.step / 60 for steps in (sum(result.gaps), max(result.gaps)))
        yield (
            f"no samples for {gone:.0f} min ({len(result.gaps)} gaps, the longest {longest:.0f} min):"
            " what arrived meanwhile is spread evenly, bursts in there are not seen"
        )
    if result.falls:
        yield (
            f"offsets fell {result.falls} times (a topic made anew, or records lost by a broker): what arrived in these"
            " steps is not known and counts as nothing"
        )
