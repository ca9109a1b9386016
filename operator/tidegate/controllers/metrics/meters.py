"""What this process measures of itself and of the brokers it reads."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, disable_created_metrics
from prometheus_client.registry import Collector

from tidegate import __version__
from tidegate.api import Reason
from tidegate.controllers.metrics.definitions import Definition, Kind
from tidegate.controllers.world import ConnectionKey
from tidegate.engine.observation import ReadingError

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each count: Prometheus does nothing with it

CONNECTION = ("kind", "namespace", "connection")

READING_DURATION = Definition(
    "tidegate_reading_duration_seconds",
    "Time of one reading of all groups of a connection.",
    CONNECTION,
    Kind.HISTOGRAM,
)
CONNECTION_UP = Definition(
    "tidegate_connection_up", "Whether the last cycle got an answer through the connection: 1 or 0.", CONNECTION
)
BROKER_ERRORS = Definition(
    "tidegate_broker_errors_total",
    "Cycles in which something could not be read through the connection, by reason.",
    (*CONNECTION, "reason"),
    Kind.COUNTER,
)
CONNECTION_METRICS = (CONNECTION_UP, READING_DURATION, BROKER_ERRORS)
"""The series of each broker connection."""

BUILD_INFO = Definition("tidegate_build_info", "1, and the version that runs.", ("version",))
LEADER = Definition("tidegate_leader", "Whether this process acts: 1, or 0 for a standby.")
RECONCILE_DURATION = Definition(
    "tidegate_reconcile_duration_seconds",
    "Time from a policy's reading to its decision carried out.",
    kind=Kind.HISTOGRAM,
)
STATUS_WRITES = Definition(
    "tidegate_status_writes_total",
    "Statuses written to the API server, by result: written or failed.",
    ("result",),
    Kind.COUNTER,
)
STATUS_WAITING = Definition("tidegate_status_writes_waiting", "Statuses that wait to be written.")
PROCESS_METRICS = (BUILD_INFO, LEADER, RECONCILE_DURATION, STATUS_WRITES, STATUS_WAITING)
"""The series of the process."""

READING_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RECONCILE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Meters:
    """One process's instruments, in a registry of our own: the library's global one has what others put there."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        BUILD_INFO.gauge(self.registry).labels(__version__).set(1)
        self.reconcile = RECONCILE_DURATION.histogram(self.registry, RECONCILE_BUCKETS)
        self._reading = READING_DURATION.histogram(self.registry, READING_BUCKETS)
        self._up = CONNECTION_UP.gauge(self.registry)
        self._errors = BROKER_ERRORS.counter(self.registry)

    def read(self, key: ConnectionKey, seconds: float, groups: Iterable[object], connection: object) -> None:
        """One reading through a connection is over; the answers for its groups and for itself may be ReadingErrors."""
        labels, groups = _labels(key), tuple(groups)
        if groups:
            self._reading.labels(*labels).observe(seconds)
        self._up.labels(*labels).set(not isinstance(connection, ReadingError))
        for reason in {answer.reason for answer in (*groups, connection) if isinstance(answer, ReadingError)}:
            self._errors.labels(*labels, reason).inc()

    def forget(self, key: ConnectionKey) -> None:
        """A connection is not read any more."""
        labels = _labels(key)
        self._reading.remove(*labels)
        self._up.remove(*labels)
        for reason in Reason:
            self._errors.remove(*labels, reason)


def _labels(key: ConnectionKey) -> tuple[str, str, str]:
    return key.kind, key.name.namespace or "", key.name.name


class ProcessMetrics(Collector):
    """What is asked at the scrape: whether this process acts, and what became of its writes of statuses."""

    def __init__(self, leads: Callable[[], bool], writes: Mapping[str, int], waiting: Callable[[], int]) -> None:
        self._leads, self._writes, self._waiting = leads, writes, waiting

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client wants it."""
        leader, waiting, writes = (d.family() for d in (LEADER, STATUS_WAITING, STATUS_WRITES))
        leader.add_metric((), float(self._leads()))
        waiting.add_metric((), float(self._waiting()))
        for result, count in self._writes.items():
            writes.add_metric((result,), count)
        return leader, waiting, writes
