"""docs/reference.md: one table per object, from the same schemas that the API server validates with."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tidegate.api import Resource, duration, quantity
from tidegate.api.model import API_VERSION, PAUSED_ANNOTATION
from tools.crds import crd

Schema = dict[str, Any]

_HEAD = f"""\
<!-- Generated from operator/tidegate/api by `make generate`. Do not edit. -->
# API reference

Group and version: `{API_VERSION}`. `kubectl explain lagpolicy.spec.objective` says the same.

* **Durations** are written as in the Gateway API: `60s`, `5m`, `1h30m`, `250ms`.
* **Rates** are records a second: a whole number, or a decimal number in quotes (`120`, `"0.5"`); in a status always in
  quotes.
* A **secret** is a value kept in a Secret, named by `secretKeyRef: {{name: …, key: …}}`, and re-read when it changes.
  A BrokerConnection names Secrets of its own namespace; each `secretKeyRef` of a ClusterBrokerConnection also has a
  `namespace`.
* In a **status**, absent means unknown, never zero.
* The rules are checked by the API server itself, whether Tidegate runs or not.

| annotation of a LagPolicy | effect |
|---|---|
| `{PAUSED_ANNOTATION}: "true"` | pauses it in an incident, whatever `spec.mode` says; so does any value but `"false"` |
"""


def reference(resources: Sequence[type[Resource]]) -> str:
    """The whole page."""
    contents = "".join(f"* [{r.__name__}](#{r.__name__.lower()})\n" for r in resources)
    return "\n".join([_HEAD, contents, *map(_resource, resources)])


def _resource(resource: type[Resource]) -> str:
    manifest = crd(resource)
    names, scope = manifest["spec"]["names"], manifest["spec"]["scope"]
    version = manifest["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    kubectl = (
        f"`kubectl get {names['shortNames'][0]}` ({scope.lower()}; also in the category `{names['categories'][0]}`)"
    )
    tables = [_table(path, part) for path, part in _objects("", schema)]
    return "\n".join(
        [
            f"## {resource.__name__}\n",
            f"{resource.__doc__}\n",
            *_bullets(schema),
            f"{kubectl} shows\n",
            _columns(version),
            *tables,
        ]
    )


def _columns(version: Schema) -> str:
    wide = ("", " (`-o wide`)")
    rows = (
        f"| {column['name'].upper()}{wide[column.get('priority', 0)]} | {column.get('description', 'Its age.')} |"
        for column in version["additionalPrinterColumns"]
    )
    return "\n".join(["| column | what |", "|---|---|", *rows, ""])


def _objects(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Every object of the schema that has fields, outermost first."""
    for name, field in schema.get("properties", {}).items():
        inner, suffix = (field["items"], "[]") if field.get("type") == "array" else (field, "")
        if "properties" in inner and not _is_secret(inner):
            here = f"{path}.{name}{suffix}".removeprefix(".")
            yield here, inner
            yield from _objects(here, inner)


def _is_secret(schema: Schema) -> bool:
    return list(schema.get("properties", {})) == ["secretKeyRef"]


def _table(path: str, schema: Schema) -> str:
    required = schema.get("required", [])
    rows = (_row(name, field, name in required) for name, field in schema["properties"].items())
    head = [f"### `{path}`\n", "| field | type | default | description | rules |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows, "", *_bullets(schema)])


def _bullets(schema: Schema) -> list[str]:
    """The rules about an object as a whole."""
    rules = [f"* {rule}" for rule in _messages(schema)]
    return [*rules, ""] if rules else []


def _row(name: str, field: Schema, required: bool) -> str:
    default = "**required**" if required else _default(field)
    cells = (f"`{name}`", _type(field), default, field["description"], "; ".join(_rules(field)))
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _default(field: Schema) -> str:
    if "default" not in field or field["default"] in ({}, []):
        return ""
    return f"`{field['default']}`"


_NOTATIONS = {duration.PATTERN: "duration", quantity.PATTERN: "rate"}


def _type(field: Schema) -> str:
    if field.get("pattern") in _NOTATIONS:
        return _NOTATIONS[field["pattern"]]
    if _is_secret(field):
        return "secret"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}s"
    return "time" if field.get("format") == "date-time" else str(field["type"])


def _rules(field: Schema) -> Iterator[str]:
    """The schema's rules in words; a regular expression only where no rule says what it means."""
    if "properties" in field:
        return
    in_words = [message.rpartition(" must be ")[2] for message in _messages(field)]
    if "enum" in field:
        yield "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    yield from _bounds(field, ("minimum", "maximum"), "from {} to {}", "at least {}", "at most {}")
    yield from _bounds(field, ("minItems", "maxItems"), "{} to {} items", "", "at most {} items")
    if field.get("pattern") not in _NOTATIONS:
        yield from _bounds(field, ("minLength", "maxLength"), "{} to {} characters", "", "at most {} characters")
        if "pattern" in field and not in_words:
            yield f"matches `{field['pattern']}`"
    if field.get("x-kubernetes-list-type") == "set":
        yield "no value twice"
    yield from in_words
    if field.get("type") == "array":
        yield from (f"each: {rule}" for rule in _rules(field["items"]))


def _bounds(field: Schema, keys: tuple[str, str], both: str, low: str, high: str) -> Iterator[str]:
    least, most = (field.get(key) for key in keys)
    if least is not None and most is not None:
        yield both.format(least, most)
    elif least is not None and low:
        yield low.format(least)
    elif most is not None:
        yield high.format(most)


def _messages(schema: Schema) -> Iterable[str]:
    return (rule["message"] for rule in schema.get("x-kubernetes-validations", []))
