"""A Kafka cluster on the wire, for one thing: errors that a healthy broker will not give on demand.

Each broker is a thread that speaks the protocol by kafka-python's codecs. It knows a few requests and no more; what it
answers is in the cluster's fields, which a test may change at any time. Never use it to check how lag is counted.
"""

import socket
import struct
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from kafka.protocol.admin import (
    DescribeGroupsRequest,
    DescribeGroupsResponse,
    ListGroupsRequest,
    ListGroupsResponse,
)
from kafka.protocol.consumer import (
    ListOffsetsRequest,
    ListOffsetsResponse,
    OffsetFetchRequest,
    OffsetFetchResponse,
)
from kafka.protocol.metadata import (
    ApiVersionsRequest,
    ApiVersionsResponse,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
    MetadataRequest,
    MetadataResponse,
)

REQUESTS = {
    kind.API_KEY: kind
    for kind in (
        ApiVersionsRequest,
        MetadataRequest,
        FindCoordinatorRequest,
        OffsetFetchRequest,
        ListOffsetsRequest,
        ListGroupsRequest,
        DescribeGroupsRequest,
    )
}
LATEST = -1  # as a timestamp
MODERN = {18: 3, 3: 12, 10: 4, 9: 8, 2: 7, 16: 4, 15: 5}  # newest version by key
OLD = {18: 2, 3: 8, 10: 2, 9: 5, 2: 5, 16: 2, 15: 4}  # Kafka 2.3: a group a request, no states, no topic ids


@dataclass
class FakeTopic:
    """`leaders` and `ends` by partition; a log starts at 0, and all of its records are new."""

    leaders: list[int]
    ends: list[int]
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    error: int = 0


@dataclass
class FakeGroup:
    """Where it is, what it committed by (topic, partition), and errors to give, one an answer, before it is well."""

    coordinator: int = 0
    commits: dict[tuple[str, int], int] = field(default_factory=dict)
    state: str = "Stable"
    fetch_errors: deque[int] = field(default_factory=deque)
    find_errors: deque[int] = field(default_factory=deque)
    commit_errors: dict[tuple[str, int], int] = field(default_factory=dict)


class FakeKafka:
    """Brokers, topics and groups."""

    def __init__(self, brokers: int = 1, versions: dict[int, int] | None = None) -> None:
        self.versions = versions or MODERN
        self.topics: dict[str, FakeTopic] = {}
        self.groups: dict[str, FakeGroup] = {}
        self.left_out: set[tuple[str, str, int]] = set()  # (request, topic, partition) that an answer leaves out
        self.list_errors: dict[int, int] = {}  # by broker
        self.offset_errors: dict[tuple[str, int], deque[int]] = defaultdict(deque)  # by partition, one an answer
        self.past_error, self.past_delay = 0, 0.0  # of each partition and answer about a time; seconds
        self.delays: dict[int, float] = {}  # seconds, by broker: how long it thinks about each OffsetFetch
        self.throttle = 0  # milliseconds that an answer to OffsetFetch asks the client to be silent for
        self.drops: deque[str] = deque()  # requests that are answered by hanging up, once each
        self.then: dict[str, Callable[[], None]] = {}  # what happens after the next answer to a request
        self.asked: list[tuple[int, str]] = []  # every request: broker and name
        self.connections = 0
        self.brokers = [FakeBroker(self, number) for number in range(brokers)]

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{broker.port}" for broker in self.brokers)

    def count(self, name: str) -> int:
        """Requests of this name so far."""
        return sum(asked == name for _, asked in self.asked)

    def close(self) -> None:
        for broker in self.brokers:
            broker.close()


@contextmanager
def fake_kafka(brokers: int = 1, versions: dict[int, int] | None = None) -> Iterator[FakeKafka]:
    kafka = FakeKafka(brokers, versions)
    try:
        yield kafka
    finally:
        kafka.close()


class FakeBroker:
    """One listener; a thread each for it and for every connection."""

    def __init__(self, kafka: FakeKafka, number: int) -> None:
        self.kafka, self.number = kafka, number
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._closed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Go down: nothing listens there any more."""
        self._closed.set()
        for connection in (self._listener, *self._open):
            _hang_up(connection)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self.kafka.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while frame := _frame(connection):
                answer = self._answer(frame)
                if answer is None:
                    break
                connection.sendall(answer)
        except OSError:
            pass
        _hang_up(connection)

    def _answer(self, frame: bytes) -> bytes | None:
        key, version = struct.unpack(">hh", frame[:4])
        kind = REQUESTS[key]
        request = kind.decode(frame, version=version, header=True)
        self.kafka.asked.append((self.number, kind.__name__.removesuffix("Request")))
        if kind.__name__.removesuffix("Request") in self.kafka.drops:
            self.kafka.drops.remove(kind.__name__.removesuffix("Request"))
            return None
        answer = ANSWERS[key](self.kafka, self.number, request, version)
        self.kafka.then.pop(kind.__name__.removesuffix("Request"), lambda: None)()
        answer.with_header(correlation_id=request.header.correlation_id)
        encoded: bytes = answer.encode(header=True, framed=True)
        return encoded


def _frame(connection: socket.socket) -> bytes:
    size = _exactly(connection, 4)
    return _exactly(connection, struct.unpack(">i", size)[0]) if size else b""


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _api_versions(kafka: FakeKafka, broker: int, request: Any, version: int) -> Any:
    one = ApiVersionsResponse.ApiVersion
    keys = [one(api_key=key, min_version=0, max_version=most, version=version) for key, most in kafka.versions.items()]
    return ApiVersionsResponse(error_code=0, api_keys=keys, throttle_time_ms=0, version=version)


def _metadata(kafka: FakeKafka, broker: int, request: Any, version: int) -> Any:
    names = list(kafka.topics) if request.topics is None else [topic.name for topic in request.topics]
    brokers = [
        MetadataResponse.MetadataResponseBroker(
            node_id=one.number, host="127.0.0.1", port=one.port, rack=None, version=version
        )
        for one in kafka.brokers
        if not one._closed.is_set()
    ]
    return MetadataResponse(
        throttle_time_ms=0,
        brokers=brokers,
        cluster_id="fake",
        controller_id=0,
        topics=[_topic(kafka, name, version) for name in names],
        version=version,
    )


def _topic(kafka: FakeKafka, name: str, version: int) -> Any:
    kind = MetadataResponse.MetadataResponseTopic
    topic = kafka.topics.get(name, FakeTopic([], [], uuid.UUID(int=0), error=3))
    partitions = [
        kind.MetadataResponsePartition(
            error_code=0,
            partition_index=index,
            leader_id=leader,
            leader_epoch=0,
            replica_nodes=[leader],
            isr_nodes=[leader],
            offline_replicas=[],
            version=version,
        )
        for index, leader in enumerate(topic.leaders)
        if ("Metadata", name, index) not in kafka.left_out
    ]
    return kind(
        error_code=topic.error,
        name=name,
        topic_id=topic.id,
        is_internal=False,
        partitions=partitions,
        authorized_operations=set(),
        version=version,
    )


def _find_coordinator(kafka: FakeKafka, broker: int, request: Any, version: int) -> Any:
    def found(name: str) -> dict[str, Any]:
        group = kafka.groups.setdefault(name, FakeGroup(state=""))
        error = group.find_errors.popleft() if group.find_errors else 0
        where = kafka.brokers[group.coordinator]
        return {
            "node_id": where.number,
            "host": "127.0.0.1",
            "port": where.port,
            "error_code": error,
            "error_message": None,
        }

    if version < 4:
        return FindCoordinatorResponse(throttle_time_ms=0, **found(request.key), version=version)
    kind = FindCoordinatorResponse.Coordinator
    coordinators = [kind(key=name, **found(name), version=version) for name in request.coordinator_keys]
    return FindCoordinatorResponse(throttle_time_ms=0, coordinators=coordinators, version=version)


def _offset_fetch(kafka: FakeKafka, broker: int, request: Any, version: int) -> Any:
    time.sleep(kafka.delays.get(broker, 0.0))
    if version < 8:
        kinds = (
            OffsetFetchResponse.OffsetFetchResponseTopic,
            OffsetFetchResponse.OffsetFetchResponseTopic.OffsetFetchResponsePartition,
        )
        error, topics = _commits(kafka, request.group_id, request.topics, kinds, version)
        return OffsetFetchResponse(throttle_time_ms=kafka.throttle, topics=topics, error_code=error, version=version)
    kind = OffsetFetchResponse.OffsetFetchResponseGroup
    kinds = kind.OffsetFetchResponseTopics, kind.OffsetFetchResponseTopics.OffsetFetchResponsePartitions
    groups = []
    for asked in request.groups:
        error, topics = _commits(kafka, asked.group_id, asked.topics, kinds, version)
        groups.append(kind(group_id=asked.group_id, topics=topics, error_code=error, version=version))
    return OffsetFetchResponse(throttle_time_ms=kafka.throttle, groups=groups, version=version)


def _commits(kafka: FakeKafka, name: str, topics: Any, kinds: tuple[Any, Any], version: int) -> tuple[int, list[Any]]:
    group = kafka.groups.setdefault(name, FakeGroup(state=""))
    if group.fetch_errors:
        return group.fetch_errors.popleft(), []
    wanted = defaultdict(list)
    if topics is None:
        for topic, index in group.commits:
            wanted[topic].append(index)
    else:
        wanted.update({topic.name: topic.partition_indexes for topic in topics})
    of_topic, of_partition = kinds
    return 0, [
        of_topic(
            name=topic,
            partitions=[
                of_partition(
                    partition_index=index,
                    committed_offset=group.commits.get((topic, index), -1),
                    committed_leader_epoch=-1,
                    metadata="",
                    error_code=group.commit_errors.get((topic, index), 0),
                    version=version,
                )
                for index in indexes
                if ("OffsetFetch", topic, index) not in kafka.left_out
            ],
            version=version,
        )
        for topic, indexes in wanted.items()
    ]


def _list_offsets(kafka: FakeKafka, broker: int, request: Any, version: int) -> Any:
    kind = ListOffsetsResponse.ListOffsetsTopicResponse

    def answer(topic: str, asked: Any) -> Any:
        errors = kafka.offset_errors[topic, asked.partition_index]
        error = errors.popleft() if errors else 0
        if asked.timestamp >= 0:
            error = kafka.past_error
        if kafka.topics[topic].leaders[asked.partition_index] != broker:
            error = 6
        end = 0 if asked.timestamp != LATEST else kafka.topics[topic].ends[asked.partition_index]
        if asked.timestamp > 1000 * time.time():
            end = -1
        return kind.ListOffsetsPartitionResponse(
            partition_index=asked.partition_index,
            error_code=error,
            timestamp=-1,
            offset=-1 if error else end,
            leader_epoch=0,
            version=version,
        )

    if any(asked.timestamp >= 0 for topic in request.topics for asked in topic.partitions):
        time.sleep(kafka.past_delay)
    topics = [
        kind(
            name=topic.name,
            partitions=[
                answer(topic.name, asked)
                for asked in topic.partitions
                if ("ListOffsets", topic.name, asked.partition_index) not in kafka.left_out
            ],
            version=version,
        )
        for topic in request.topics
    ]
    return ListOffsetsResponse(throttle_time_ms=0, topics=topics, version=version)


def _list_groups(kafka: FakeKafka, broker: int, request: Any, version: int) -> Any:
    kind = ListGroupsResponse.ListedGroup
    groups = [
        kind(group_id=name, protocol_type="consumer", group_state=group.state, version=version)
        for name, group in kafka.groups.items()
        if group.state and group.coordinator == broker
    ]
    error = kafka.list_errors.get(broker, 0)
    return ListGroupsResponse(throttle_time_ms=0, error_code=error, groups=[] if error else groups, version=version)


def _describe_groups(kafka: FakeKafka, broker: int, request: Any, version: int) -> Any:
    groups = [
        DescribeGroupsResponse.DescribedGroup(
            error_code=0,
            group_id=name,
            group_state=kafka.groups[name].state,
            protocol_type="consumer",
            protocol_data="range",
            members=[],
            authorized_operations=set(),
            version=version,
        )
        for name in request.groups
    ]
    return DescribeGroupsResponse(throttle_time_ms=0, groups=groups, version=version)


ANSWERS: dict[int, Callable[[FakeKafka, int, Any, int], Any]] = {
    ApiVersionsRequest.API_KEY: _api_versions,
    MetadataRequest.API_KEY: _metadata,
    FindCoordinatorRequest.API_KEY: _find_coordinator,
    OffsetFetchRequest.API_KEY: _offset_fetch,
    ListOffsetsRequest.API_KEY: _list_offsets,
    ListGroupsRequest.API_KEY: _list_groups,
    DescribeGroupsRequest.API_KEY: _describe_groups,
}
