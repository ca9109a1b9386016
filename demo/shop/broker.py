"""What the broker shows of the shop, measured by the demo itself and not by Tidegate."""

import time
from typing import NamedTuple

import stamina
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError


class Look(NamedTuple):
    """Records ever produced and ever committed (sums of offsets), at that time (seconds since the epoch)."""

    at: float
    produced: int
    committed: int


class Broker:
    """One topic and one group on it."""

    def __init__(self, bootstrap: str, topic: str, group: str) -> None:
        self._topic, self._group = topic, group
        self._client = KafkaAdminClient(bootstrap_servers=bootstrap.split(","), client_id="demo")
        self.partitions = 0
        """Of the topic, at the last look."""

    def create_topic(self, partitions: int) -> None:
        """Create the topic and wait until it has its leaders; an error of the broker is raised."""
        self._client.create_topics({self._topic: {"num_partitions": partitions}}, wait_for_metadata=True)
        self.partitions = partitions

    def increase(self, partitions: int) -> None:
        """Give the topic so many partitions, without a thought for who reads it."""
        self._client.create_partitions({self._topic: partitions})

    @stamina.retry(on=lambda error: isinstance(error, KafkaError) and error.retriable, timeout=20, wait_max=1)
    def look(self) -> Look:
        """Committed offsets first, so that the difference never shows a record as done that is not.

        What a broker answers that is still starting is asked again; any other KafkaError is raised.
        """
        self.partitions = len(self._client.describe_topics([self._topic])[0]["partitions"])
        all_of_them = [TopicPartition(self._topic, number) for number in range(self.partitions)]
        committed = self._client.list_group_offsets({self._group: all_of_them})[self._group]
        ends = self._client.list_partition_offsets(dict.fromkeys(all_of_them, OffsetSpec.LATEST))
        return Look(
            at=time.time(),
            produced=sum(end.offset for end in ends.values()),
            committed=sum(max(0, done.offset) for done in committed.values()),
        )

    def close(self) -> None:
        """Disconnect."""
        self._client.close()
