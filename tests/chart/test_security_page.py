"""docs/security.md has every right that the chart gives the operator, and no other."""

import re
from collections.abc import Iterator

from tests.chart.rendering import ROOT, Manifests

ROW = re.compile(r"^\| `tidegate[a-z-]*` \| (.+?) \| ([a-z, ]+) \|", re.MULTILINE)
RESOURCE = re.compile(r"`([a-z/]+)\.?([a-z0-9.]*)`(?: named `([a-z]+)`)?")


def documented() -> Iterator[tuple[str, str, str]]:
    for resources, verbs in ROW.findall((ROOT / "docs" / "security.md").read_text()):
        for resource, group, name in RESOURCE.findall(resources):
            for verb in verbs.split(", "):
                yield group, f"{resource}/{name}" if name else resource, verb


def test_the_page_has_the_rights_that_the_chart_gives():
    given = set[tuple[str, str, str]]().union(*Manifests.of({}).rights("tidegate").values())
    assert set(documented()) == given
