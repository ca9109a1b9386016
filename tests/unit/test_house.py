"""The sizes and habits that keep the house readable (CONTRIBUTING, "The house")."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for room in ("operator", "demo", "bench", "tools") for p in (ROOT / room).rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_fits_in_one_sitting(path: Path):
    text = path.read_text()
    assert text.count("\n") <= 400, "over 400 lines: split it by idea"
    too_long = [f"{f.name} ({length(f)} lines)" for f in functions(ast.parse(text)) if length(f) > 60]
    assert not too_long, "functions over 60 lines"


def test_functions_are_short():
    sizes = [length(f) for path in SOURCES for f in functions(ast.parse(path.read_text()))]
    assert len(sizes) > 100
    assert median(sizes) <= 10


def test_every_public_name_of_the_operator_has_a_docstring():
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in (ROOT / "operator").rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not bare
