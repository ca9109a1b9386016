"""What tests of the chart share: Helm, the tools that judge it, and a control plane of their own."""

from collections.abc import Iterator

import pytest

from demo.stack import Stack, binaries
from demo.stack.cache import tell
from tests.chart import foreign
from tests.chart.rendering import ROOT


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build and install what is missing before the first test: visibly, and outside the tests' own time limits."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if session.config.option.collectonly or "tests.chart" not in {_room(item) for item in session.items}:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        binaries.helm(tell)
        if "cluster" in wanted:
            binaries.kubernetes(tell)
            foreign.monitoring_crds()
        if "checkov_findings" in wanted:
            foreign.checkov(tell)


def _room(item: pytest.Item) -> str:
    return ".".join(item.path.relative_to(ROOT).parts[:2])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Stack]:
    """A real control plane with a node, and no broker."""
    with Stack.start(kafka=False) as started:
        yield started
