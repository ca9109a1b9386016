"""What tests of the real parts share."""

from collections.abc import AsyncIterator, Iterator

import pytest
from kubernetes.aio.client import ApiClient

from demo.stack import Stack
from tests.stack.cluster import Space, client, configuration
from tests.stack.front import Front
from tests.stack.kafka_world import KafkaWorld, source_of
from tidegate.sources import Source


@pytest.fixture
async def api(stack: Stack) -> AsyncIterator[ApiClient]:
    """A client of the API server that may do everything."""
    async with client(stack) as opened:
        yield opened


@pytest.fixture
def space(stack: Stack, namespace: str) -> Space:
    """A namespace of the test's own."""
    return Space(stack, namespace)


@pytest.fixture
async def front(stack: Stack) -> Front:
    """What fails between a client `behind` it and the API server."""
    return Front(await configuration(stack))


@pytest.fixture(scope="module")
def world(stack: Stack) -> KafkaWorld:
    """The broker as producers, consumers and admins use it."""
    return KafkaWorld(stack.kafka.bootstrap)


@pytest.fixture
def source(stack: Stack) -> Iterator[Source]:
    """A source that reads the broker."""
    with source_of(stack.kafka.bootstrap) as opened:
        yield opened
