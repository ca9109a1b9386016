"""The stack that tests of the real parts share, started when the first one asks for it."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack import Stack, binaries
from demo.stack.cache import tell
from tests.namespaces import created


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build missing servers before the first test: visibly, and outside the tests' own time limits."""
    used = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if used.isdisjoint({"stack", "prometheus_programs"}) or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        if "stack" in used:
            binaries.kubernetes(tell)
            binaries.kafka(tell)
            binaries.helm(tell)
        if "prometheus_programs" in used:
            binaries.prometheus(tell)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Kubernetes, Kafka (one broker) and pods; the user's own where KUBECONFIG and KAFKA_BOOTSTRAP are both set."""
    with Stack.start(external=True) as started:
        yield started


@pytest.fixture(scope="session")
def prometheus_programs() -> Path:
    """The folder with prometheus and promtool."""
    return binaries.prometheus(tell)


@pytest.fixture
def namespace(stack: Stack, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    with created(stack, _own_name(request)) as name:
        yield name


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A prefix of topic names of the test's own."""
    return _own_name(request)


def _own_name(request: pytest.FixtureRequest) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.removeprefix("test_"))
    return f"{readable[:40].strip('-')}-{secrets.token_hex(3)}"
