"""Apache Kafka, read at protocol level: a handful of requests a cycle, whatever the number of groups."""

import logging

from tidegate.sources.kafka.source import open_kafka

__all__ = ["open_kafka"]

# every failure is told where it matters, in a ReadingError; kafka-python would log each of them as well, several times
logging.getLogger("kafka").setLevel(logging.CRITICAL)
