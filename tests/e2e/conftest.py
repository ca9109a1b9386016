"""The installed operator that all scenes share, and a scene for each test."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.stack import Stack
from tests.e2e.operator_process import Operator, install
from tests.e2e.scene import Play, Scene
from tests.e2e.service import Service
from tests.namespaces import created

HERE = Path(__file__).parent
LAST = ("test_lifecycle.py", "test_rights.py")
"""They end the installation that all share, and look back at what all have done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of the modules: these go last."""
    last = {HERE / name: place for place, name in enumerate(LAST)}
    items.sort(key=lambda item: last.get(item.path, -1))


@pytest.fixture(scope="session")
def whole_suite(request: pytest.FixtureRequest) -> bool:
    """Whether all tests of this folder were asked for."""
    option, config = request.config.option, request.config
    modules = {item.path for item in request.session.items}
    narrowed = option.keyword or option.markexpr or option.lf or any("::" in argument for argument in config.args)
    return not narrowed and modules.issuperset(HERE.glob("test_*.py"))


@pytest.fixture(scope="session")
def shared_operator(stack: Stack) -> Operator:
    """Tidegate as `helm install` makes it, its replicas running."""
    if stack.external:
        pytest.skip("operator and consumers run as processes here, which only the stack's own Node can do")
    operator = Operator(install(stack))
    operator.start()
    return operator


@pytest.fixture(scope="session")
def installed(shared_operator: Operator) -> Stack:
    """The stack with Tidegate in it."""
    return shared_operator.release.stack


@pytest.fixture(scope="session")
def ofrep(shared_operator: Operator) -> Iterator[str]:
    """Where applications ask for flags, whichever replica answers: HOST:PORT."""
    with Service(shared_operator.release, 8016) as service:
        yield service.address


@pytest.fixture
def operator(shared_operator: Operator) -> Iterator[Operator]:
    """The operator with all replicas running; a test that fails shows what they have logged."""
    shared_operator.start()
    before = len(shared_operator.lines)
    yield shared_operator
    print("\n".join(shared_operator.lines[before:][-200:]))  # pytest shows it where the test has failed


@pytest.fixture
def scene(installed: Stack, namespace: str, topic: str) -> Iterator[Scene]:
    with Scene(installed, namespace, topic) as scene:
        yield scene


@pytest.fixture(scope="module")
def playing(
    installed: Stack, shared_operator: Operator, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[None]]]:
    """All plays that the module's tests ask for, begun at once, each in its own scene; a test waits for its own."""
    mine = [item for item in request.session.items if item.parent is request.node and hasattr(item, "callspec")]
    wanted = [item.callspec.params["play"] for item in mine]
    shared_operator.start()
    opening = threading.Lock()  # one scene after the other is set up, then all are played

    def run(play: Play, number: int) -> None:
        name = f"scene-{number}-{play.__name__.replace('_', '-')[:40].strip('-')}"
        with ExitStack() as closing:
            with opening:
                closing.enter_context(created(installed, name))
                scene = closing.enter_context(Scene(installed, name, name))
                scene.connect()
            play(scene)

    with ThreadPoolExecutor(len(wanted)) as pool:
        yield {play.__name__: pool.submit(run, play, number) for number, play in enumerate(wanted)}
