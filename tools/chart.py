"""The chart's README.md: what values.yaml says in its comments, with the types and bounds of values.schema.json."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Schema = dict[str, Any]


class ChartError(Exception):
    """values.yaml and values.schema.json do not say the same, or a value is not explained; the message says which."""


class Value(NamedTuple):
    """One row: a value people may set."""

    section: str
    key: str
    default: Any
    words: str
    schema: Schema


def chart_readme(chart: Path) -> str:
    """README.md of the chart in this folder. ChartError where its values are not all explained."""
    text = (chart / "README.md.in").read_text()
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    for word in ("version", "kubeVersion"):
        text = text.replace(f"@{word}@", about[word])
    return text.replace("@values@", "\n".join(_tables(values(chart))).strip())


def values(chart: Path) -> list[Value]:
    """All values of the chart, in the order of values.yaml."""
    text = (chart / "values.yaml").read_text()
    schema = json.loads((chart / "values.schema.json").read_text())
    tree = yaml.compose(text)
    assert isinstance(tree, yaml.MappingNode)
    found = list(_values(tree, "", schema, schema, text.splitlines()))
    silent = [value.key for value in found if not value.words]
    if silent:
        raise ChartError(f"values.yaml does not say what these are, in a comment above each: {', '.join(silent)}")
    return found


def _values(node: yaml.MappingNode, path: str, schema: Schema, root: Schema, lines: list[str]) -> Iterator[Value]:
    """A row for each value; a map whose keys the schema knows is a group of them."""
    of_a_parent_chart = set() if path else {"global", "enabled"}
    unset = set(schema["properties"]) - {key.value for key, _ in node.value} - of_a_parent_chart
    if unset:
        names = ", ".join(f"{path}{name}" for name in sorted(unset))
        raise ChartError(f"values.schema.json knows {names}, values.yaml does not")
    for key, value in node.value:
        name = f"{path}{key.value}"
        if key.value not in schema["properties"]:
            raise ChartError(f"values.yaml has {name}, values.schema.json does not know it")
        own = _resolved(schema["properties"][key.value], root)
        words = _comment(lines, key.start_mark.line)
        if isinstance(value, yaml.MappingNode) and "properties" in own and not words:
            yield from _values(value, f"{name}.", own, root, lines)
        else:
            default = yaml.safe_load(yaml.serialize(value))
            yield Value(_section(lines, key.start_mark.line), name, default, words, own)


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema behind a $ref of this file, and of the parts of an allOf together."""
    if "$ref" in schema:
        return _resolved(root["definitions"][schema["$ref"].rpartition("/")[2]], root)
    if "allOf" in schema:
        return {word: said for part in schema["allOf"] for word, said in _resolved(part, root).items()}
    return schema


def _comment(lines: list[str], line: int) -> str:
    """The comment right above a line, in one."""
    said: list[str] = []
    while line and re.match(r" *# ", lines[line - 1]):
        line -= 1
        said.insert(0, lines[line].strip().removeprefix("# "))
    return " ".join(said)


def _section(lines: list[str], line: int) -> str:
    return next(text.removeprefix("## ") for text in reversed(lines[:line]) if text.startswith("## "))


def _tables(rows: list[Value]) -> Iterator[str]:
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            yield from ("", f"### {section}", "", "| value | type | default | what it is |", "|---|---|---|---|")
        cells = (f"`{row.key}`", kind(row.schema), f"`{json.dumps(row.default)}`", row.words)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def kind(schema: Schema) -> str:
    """What may be given, in a few words: `integer, 1 to 10`, `json or text`."""
    if "enum" in schema:
        return " or ".join(str(each) for each in schema["enum"])
    if "anyOf" in schema:
        return "number or text"
    name = {"object": "map", "array": "list"}.get(schema["type"], schema["type"])
    bounds = " to ".join(str(schema[word]) for word in ("minimum", "maximum") if word in schema)
    return f"{name}, {bounds}" if bounds else str(name)
