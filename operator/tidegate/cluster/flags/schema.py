"""What a flagd document must look like: the rules that https://flagd.dev/schema/v0/flags.json has for providers.

What `targeting` says inside is left to flagd: a flag of a level must have none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_NAMED: dict[str, Any] = {"type": "object", "propertyNames": {"minLength": 1}}
_METADATA: dict[str, Any] = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}

_FLAG: dict[str, Any] = {
    "type": "object",
    "required": ["state", "variants"],
    "properties": {
        "state": {"enum": ["ENABLED", "DISABLED"]},
        "defaultVariant": {"type": ["string", "null"]},
        "variants": {
            **_NAMED,
            "minProperties": 1,
            "anyOf": [{"additionalProperties": {"type": each}} for each in ("boolean", "string", "number", "object")],
        },
        "targeting": {"type": "object"},
        "metadata": _METADATA,
    },
}

DOCUMENT: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["flags"],
    "properties": {
        "flags": {**_NAMED, "additionalProperties": _FLAG},
        "$evaluators": {**_NAMED, "additionalProperties": {"type": "object"}},
        "metadata": _METADATA,
    },
}
"""A whole document (JSON Schema, draft 7)."""

EXAMPLES: Mapping[str, str] = {"flags": '{"flags": {}}', "state": '"ENABLED"', "variants": '{"on": true, "off": false}'}
"""What the required fields may look like."""

_RIGHT: Mapping[tuple[str, ...], str] = {
    ("flags",): "an object with the flags by their keys (a list of flags is understood by flagd alone)",
    ("state",): '"ENABLED" or "DISABLED"',
    ("defaultVariant",): 'the name of a variant in quotes, such as "on", or null',
    ("variants",): "an object of at least one variant, all of them true or false, or strings, or numbers, or objects",
}


def right(path: Sequence[str]) -> str:
    """What would be right at this path of a document, or of a flag."""
    in_metadata = len(path) == 2 and path[0] == "metadata"
    return _RIGHT.get(tuple(path), "a string, a number, true or false" if in_metadata else "an object")
