"""Pages that must keep up with the code."""

import re
from pathlib import Path

import pytest

from tidegate.api import Reason
from tidegate.api.advice import ADVICE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_tells_what_to_do(reason: Reason):
    assert f"`{reason}`" in (ROOT / "docs/reasons.md").read_text()


def test_the_rows_of_the_page_are_all_that_is_advised():
    rows = re.findall(r"^\| `(\w+)`", (ROOT / "docs/reasons.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(ADVICE)


def test_no_reason_is_explained_that_is_never_given():
    rows = re.findall(r"^\| `(\w+)`", (ROOT / "docs/reasons.md").read_text(), re.MULTILINE)
    assert set(rows) <= set(Reason)


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]), ids=lambda p: p.name)
def test_links_within_the_repository_lead_somewhere(page: Path):
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", prose)
    assert [link for link in links if not (page.parent / link).exists()] == []
