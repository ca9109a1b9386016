"""The stack that tests of the real parts share, started when the first one asks for it."""

import re
import secrets
from collections.abc import Iterator

import pytest

from demo.stack import Stack, binaries
from demo.stack.cache import tell


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build missing servers before the first test: visibly, and outside the tests' own time limits."""
    if (
        any("stack" in getattr(item, "fixturenames", ()) for item in session.items)
        and not session.config.option.collectonly
    ):
        capture = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            binaries.kubernetes(tell)
            binaries.kafka(tell)
            binaries.helm(tell)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Kubernetes, Kafka (one broker) and pods; the user's own where KUBECONFIG and KAFKA_BOOTSTRAP are both set."""
    with Stack.start(external=True) as started:
        yield started


@pytest.fixture
def namespace(stack: Stack, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = _own_name(request)
    stack.kubectl("create", "namespace", name)
    stack.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=180s")
    yield name
    stack.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A prefix of topic names of the test's own."""
    return _own_name(request)


def _own_name(request: pytest.FixtureRequest) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.removeprefix("test_"))
    return f"{readable[:40].strip('-')}-{secrets.token_hex(3)}"
