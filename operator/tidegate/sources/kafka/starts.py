"""Offset 0 for new partitions, committed in a group that has members.

A broker takes no plain commit from outside while a group has members. It takes those of a transaction, which carry
neither member nor generation in the protocol's older versions (KIP-447; the coordinator checks them only where they are
given). While the transaction is open, consumers that ask for the group's commits are told to wait, so that nobody
starts at the end of a new partition once the broker has the commit.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tidegate.sources.kafka.trouble import (
    GROUP_FORBIDDEN,
    TOPIC_FORBIDDEN,
    TRANSACTION_FORBIDDEN,
    UNKNOWN_TOPIC,
    Trouble,
    of_act,
)

OPEN_SECONDS = 10.0  # of a transaction: consumers of the partitions wait as long if we die within it
PREPARE_SECONDS = 15.0  # the very first transaction of a cluster makes a topic
REHEARSE_SECONDS = 0.3, 3.0  # of each try; librdkafka asks again and again for a partition that is not there
COMMIT_SECONDS = 5.0

Settings = Mapping[str, str | int]
"""Of confluent-kafka."""


class LiveStarts:
    """Offset 0 in one topic, for one group after the other; everything but the commits themselves is done before.

    `missing` is a partition that the topic does not have: what the broker answers to a commit for it shows whether the
    rights are there. Making one raises Trouble.
    """

    def __init__(self, settings: Settings, groups: Collection[str], topic: str, missing: int) -> None:
        self._topic = topic
        self._own = f"tidegate-{topic}"  # the next of that name ends what one that died has left open
        limits = {"transaction.timeout.ms": int(1000 * OPEN_SECONDS), "retry.backoff.ms": 10}
        try:
            self._outsiders = {group: _outsider(settings, group) for group in groups}
            self._producer = Producer({**settings, **limits, "transactional.id": self._own})
            self._producer.init_transactions(PREPARE_SECONDS)
        except KafkaException as error:
            raise self._trouble(error, "") from error
        for group in groups:
            self._rehearse(group, missing)

    def commit(self, group: str, partitions: Collection[int]) -> None:
        """Commit offset 0 for these partitions. Raises Trouble."""
        try:
            self._send(group, partitions, COMMIT_SECONDS)
            self._producer.commit_transaction(COMMIT_SECONDS)
        except KafkaException as error:
            self._abort()
            raise self._trouble(error, group) from error

    def _rehearse(self, group: str, missing: int) -> None:
        """The broker finds that the partition is missing only after it has found that the rights are there."""
        for seconds in REHEARSE_SECONDS:
            try:
                self._send(group, [missing], seconds)
            except KafkaException as error:
                self._abort()
                if error.args[0].code() == UNKNOWN_TOPIC:
                    return
                trouble = self._trouble(error, group)
        raise trouble

    def _send(self, group: str, partitions: Collection[int], seconds: float) -> None:
        offsets = [TopicPartition(self._topic, partition, 0) for partition in partitions]
        self._producer.begin_transaction()
        self._producer.send_offsets_to_transaction(offsets, self._outsiders[group], seconds)

    def _abort(self) -> None:
        with suppress(KafkaException):  # nothing is open, or it ends by itself
            self._producer.abort_transaction(COMMIT_SECONDS)

    def _trouble(self, error: KafkaException, group: str) -> Trouble:
        rights = {
            TRANSACTION_FORBIDDEN: ("Write", f"TransactionalId {self._own}"),
            GROUP_FORBIDDEN: ("Read", f"Group {group}"),
            TOPIC_FORBIDDEN: ("Read", f"Topic {self._topic}"),
        }
        return of_act(error.args[0], f"commit offset 0 for new partitions of topic {self._topic}", rights)


def _outsider(settings: Settings, group: str) -> Any:
    """The group's metadata as one has it who is no member: no member id, generation -1. Nothing is sent."""
    consumer = Consumer({**settings, "group.id": group})
    try:
        return consumer.consumer_group_metadata()
    finally:
        consumer.close()
