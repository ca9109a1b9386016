"""What watching costs: 1,000 and 10,000 groups of 12 partitions on a real broker, read to finished Readings.

Each size is read by a process of its own that has all the operator's modules loaded. `first` is the cycle that connects
and finds coordinators, topics and log starts, `past` the costlier of the two after it, which ask for the arrivals of
the past hours as well; the others are the steady ones, of which the median is shown.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from kafka.protocol.consumer import OffsetCommitRequest
from rich.console import Console
from rich.table import Table

from demo.stack import Stack
from tidegate.api import BrokerConnectionSpec
from tidegate.engine.observation import Reading
from tidegate.sources import WantedGroup, open_source
from tidegate.sources.kafka.settings import reading_settings
from tidegate.sources.kafka.source import KafkaSource
from tidegate.sources.kafka.trouble import Trouble
from tidegate.sources.kafka.wire import Wire

SIZES = (1_000, 10_000)
PARTITIONS = 12
TOPICS = 50  # the groups share them: their distinct partitions are what ListOffsets asks for
RECORDS, EVERY = 200, 60  # in each partition: 100 bytes each, and so many seconds apart
TURNS = 2  # cycles that tell the past: one does not ask for so many partitions
CYCLES = 10
BATCH = 200  # commits under way at once, while the groups are made
BARS = {1_000: {"cpu_seconds": 0.3, "rss_mb": 150}, 10_000: {"cpu_seconds": 3.0, "rss_mb": 400}}
MOST = {"requests": 10, "connections": 3}  # for every size, a broker and cycle
RESULT = Path("build/bench/watch.json")

Json = dict[str, Any]


def main() -> int:
    """Measure every size; 1 where a bar is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--read", type=int, metavar="GROUPS", help="only read so many groups, and print JSON")
    arguments.add_argument("--bootstrap", default="", help="with --read: the broker")
    given = arguments.parse_args()
    if given.read:
        sys.stdout.write(json.dumps(read(given.bootstrap, given.read)))
        return 0
    with Stack.start(kubernetes=False, kafka=True, pods=False) as stack:
        assert stack.kafka
        make_groups(stack.kafka.bootstrap, max(SIZES))
        results = [measure(stack.kafka.bootstrap, groups) for groups in SIZES]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"partitions_per_group": PARTITIONS, "topics": TOPICS, "sizes": results}, indent=2))
    show(results)
    return int(any(missed(result) for result in results))


def measure(bootstrap: str, groups: int) -> Json:
    """Read so many groups in a process of its own."""
    command = [sys.executable, "-m", "bench.watch", "--read", str(groups), "--bootstrap", bootstrap]
    result: Json = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return result


def read(bootstrap: str, groups: int) -> Json:
    """Read so many groups for some cycles: seconds of CPU and wall, requests, connections and memory."""
    import tidegate.cli.main  # noqa: F401 — the operator's modules are part of its memory

    source = open_source(spec_of(bootstrap), {})
    assert isinstance(source, KafkaSource)
    wanted = [WantedGroup(group_name(number), (topic_name(number),)) for number in range(groups)]
    first, *others = [cycle(source, wanted) for _ in range(1 + TURNS + CYCLES)]
    pasts, steady = others[:TURNS], others[TURNS:]
    if sum(one["pasts"] for one in pasts) != groups:
        raise SystemExit(f"the past was told of {[one['pasts'] for one in pasts]} groups, not of {groups}")
    result = {
        "groups": groups,
        "partitions": groups * PARTITIONS,
        "cpu_seconds": statistics.median(one["cpu"] for one in steady),
        "wall_seconds": statistics.median(one["wall"] for one in steady),
        "first_cpu_seconds": first["cpu"],
        "first_wall_seconds": first["wall"],
        "past_cpu_seconds": max(one["cpu"] for one in pasts),
        "past_wall_seconds": max(one["wall"] for one in pasts),
        "requests": max(one["requests"] for one in steady),
        "first_requests": first["requests"],
        "past_requests": max(one["requests"] for one in pasts),
        "connections": max(one["connections"] for one in (first, *others)),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    source.close()
    return result


def cycle(source: KafkaSource, wanted: list[WantedGroup]) -> Json:
    """One reading, which must be whole."""
    requests, cpu, wall = source.requests, time.process_time(), time.monotonic()
    readings = source.read(wanted)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    failed = Counter(answer.message for answer in readings.values() if not isinstance(answer, Reading))
    if failed or len(readings) != len(wanted):
        raise SystemExit(f"{sum(failed.values())} of {len(wanted)} groups were not read: {failed.most_common(3)}")
    return {
        "cpu": cpu,
        "wall": wall,
        "requests": source.requests - requests,
        "connections": connections(),
        "pasts": sum(isinstance(answer, Reading) and answer.past is not None for answer in readings.values()),
    }


def connections() -> int:
    """TCP connections of this process, all of them to the one broker."""
    return sum(one.status == psutil.CONN_ESTABLISHED for one in psutil.Process().net_connections("tcp"))


def make_groups(bootstrap: str, groups: int) -> None:
    """Topics with records, and groups that have read all of one of them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic_name(number), PARTITIONS) for number in range(TOPICS)]).values():
        future.result(60)
    fill_topics(bootstrap)
    start_coordinators(bootstrap)
    settings = reading_settings(spec_of(bootstrap).kafka, {})
    wire = Wire(settings)
    wire.run(commit_all(wire, settings.bootstrap[0], dict.fromkeys(range(groups), [RECORDS] * PARTITIONS)))
    wire.close()


def fill_topics(bootstrap: str) -> None:
    """Records of the past hours, in the order of their timestamps."""
    producer = Producer({"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 1_000_000})
    since = time.time() - RECORDS * EVERY
    for topic in range(TOPICS):
        for record in range(RECORDS * PARTITIONS):
            number, partition = divmod(record, PARTITIONS)
            at = round(1000 * (since + EVERY * number))
            producer.produce(topic_name(topic), b"x" * 100, partition=partition, timestamp=at)
        producer.poll(0)
    if producer.flush(60):
        raise SystemExit("the topics could not be filled")


def start_coordinators(bootstrap: str) -> None:
    """A fresh broker has none until a client looks for one."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group_name(0)})
    consumer.commit(offsets=[TopicPartition(topic_name(0), 0, 0)], asynchronous=False)
    consumer.close()


async def commit_all(wire: Wire, address: Any, offsets: Mapping[int, Sequence[int]]) -> None:
    """Commit the offsets of each group; a commit that the broker is not ready for is sent again."""
    todo = list(offsets)
    while todo:
        batch, todo = todo[:BATCH], todo[BATCH:]
        deadline = time.monotonic() + 30
        answers = await wire.together(wire.ask(address, commit_of(n, offsets[n]), deadline) for n in batch)
        todo += [number for number, answer in zip(batch, answers, strict=True) if not committed(answer)]


def committed(answer: Any) -> bool:
    """Whether every partition was."""
    if isinstance(answer, Trouble):
        raise answer
    return all(one.error_code == 0 for topic in answer.response.topics for one in topic.partitions)


def commit_of(number: int, offsets: Sequence[int]) -> Any:
    """One commit of one group, of a consumer that is no member; an offset for each partition."""
    topic = OffsetCommitRequest.OffsetCommitRequestTopic
    partitions = [
        topic.OffsetCommitRequestPartition(
            partition_index=index, committed_offset=offset, committed_leader_epoch=-1, committed_metadata=""
        )
        for index, offset in enumerate(offsets)
    ]
    return OffsetCommitRequest(
        group_id=group_name(number),
        generation_id_or_member_epoch=-1,
        member_id="",
        group_instance_id=None,
        retention_time_ms=-1,
        topics=[topic(name=topic_name(number), partitions=partitions)],
        max_version=8,
    )


def spec_of(bootstrap: str) -> BrokerConnectionSpec[Any]:
    return BrokerConnectionSpec.model_validate({"kafka": {"bootstrapServers": bootstrap.split(",")}})


def group_name(number: int) -> str:
    return f"watch-group-{number:05}"


def topic_name(number: int) -> str:
    return f"watch-topic-{number % TOPICS:02}"


def bars_of(result: Json) -> Json:
    return BARS[result["groups"]] | MOST


def missed(result: Json) -> list[str]:
    return [name for name, most in bars_of(result).items() if result[name] > most]


def show(results: list[Json]) -> None:
    table = Table("", *(f"{one['groups']:,} groups" for one in results), title="One cycle of watching")
    for name in [name for name in results[0] if name not in ("groups", "partitions")]:
        table.add_row(name, *(_cell(one, name) for one in results))
    Console().print(table)


def _cell(result: Json, name: str) -> str:
    bar = bars_of(result).get(name)
    number = f"{result[name]:.3f}" if name.endswith("seconds") else f"{result[name]:.0f}"
    return number if bar is None else f"{number} (at most {bar}{', MISSED' if result[name] > bar else ''})"


if __name__ == "__main__":
    sys.exit(main())
