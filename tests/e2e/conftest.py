"""The running operator that all scenes share, and a scene for each test."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from demo.stack import Stack
from demo.stack.ports import Ports
from tests.e2e.operator_process import Operator, install
from tests.e2e.scene import Scene


@pytest.fixture(scope="session")
def installed(stack: Stack) -> Stack:
    """The stack with Tidegate's CRDs and rights."""
    if stack.external:
        pytest.skip("the consumers of these scenes run as processes, which only the stack's own Node can do")
    install(stack)
    return stack


@pytest.fixture(scope="session")
def ofrep() -> Iterator[str]:
    """Where the shared operator answers applications, whichever process of it runs: HOST:PORT."""
    with closing(Ports()) as ports:
        yield f"127.0.0.1:{ports.take()}"


@pytest.fixture(scope="session")
def shared_operator(installed: Stack, ofrep: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    operator = Operator(installed, tmp_path_factory.mktemp("operator"), "--ofrep-listen", ofrep)
    operator.start()
    yield operator
    if operator.running:
        assert operator.stop() == 0


@pytest.fixture
def operator(shared_operator: Operator, request: pytest.FixtureRequest) -> Iterator[Operator]:
    """The operator, running; a test that fails shows what it has logged."""
    if not shared_operator.running:
        shared_operator.start()
    before = len(shared_operator.lines)
    yield shared_operator
    print("\n".join(shared_operator.lines[before:][-200:]))  # pytest shows it where the test has failed


@pytest.fixture
def scene(installed: Stack, namespace: str, topic: str) -> Iterator[Scene]:
    with Scene(installed, namespace, topic) as scene:
        yield scene
