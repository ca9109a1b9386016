"""A flagd document: read, judged for a ladder, and changed without touching any other byte."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from jsonschema import Draft7Validator, ValidationError

from tidegate.api import Level, Reason, SwitchedFlag, cut
from tidegate.cluster.flags.schema import DOCUMENT, EXAMPLES, right
from tidegate.engine.observation import Objection

LONGEST_VARIANT = 100
"""Characters of the name of a variant that can be kept in the status, to be restored."""

_VALIDATOR = Draft7Validator(DOCUMENT)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Document:
    """A valid flagd document. `text` is it as it stands, `content` what it says.

    The content is shared by all who read the same text: nobody may change it. (flagd's evaluator does: give it the
    text.)
    """

    text: str = field(repr=False)
    content: Mapping[str, Any] = field(repr=False)

    @property
    def flags(self) -> Mapping[str, Mapping[str, Any]]:
        """The flags by their keys."""
        flags: Mapping[str, Mapping[str, Any]] = self.content["flags"]
        return flags

    @property
    def variants(self) -> Mapping[str, str | None]:
        """The `defaultVariant` of each flag: what it gives to everybody. None: the code's own default."""
        return {key: flag.get("defaultVariant") for key, flag in self.flags.items()}


# Reading


@lru_cache(maxsize=256)
def read_document(text: str) -> Document | Objection:
    """Read a document; FLAGS_INVALID names the flag, the field and what would be right.

    The same text is read once, as long as it is among the last ones.
    """
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except ValueError as error:
        return _invalid(_not_json(text, error))
    except RecursionError:
        return _invalid("it is nested too deeply for a flagd document")
    wrong = next(_VALIDATOR.iter_errors(content), None)
    return Document(text, content) if wrong is None else _invalid(_wrong(wrong))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, if no key stands twice in it: which of the two counts differs from reader to reader."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {_quoted(key)} stands twice in one object: keep one of them")
        found[key] = value
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _not_json(text: str, error: ValueError) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    if text.startswith("\ufeff"):
        return "it begins with a byte order mark, which flagd cannot read: save it as UTF-8 without one"
    if not text.strip():
        return "it is empty: " + EXAMPLES["flags"] + " is the least"
    yaml = "" if text.lstrip()[0] in "{[" else " (YAML is not read here)"
    return f"it must be JSON{yaml}: {error.msg} in line {error.lineno}, column {error.colno}"


def _wrong(error: ValidationError) -> str:
    """An error of the schema in one sentence, with what would be right."""
    path = tuple(map(str, error.absolute_path))
    flag = path[1] if path[0:1] == ("flags",) and len(path) > 1 else None
    words = _blamed(error, path if flag is None else path[2:], "it" if flag is None else "the flag")
    return words if flag is None else f"flag {_quoted(flag)}: {words}"


def _blamed(error: ValidationError, path: tuple[str, ...], whole: str) -> str:
    told: Any = error.validator_value
    instance: Any = error.instance
    name = ".".join(path)
    if error.validator == "required":
        missing = next(each for each in told if each not in instance)
        return f"{'.'.join((*path, missing))} is missing, for example {EXAMPLES[missing]}"
    if "propertyNames" in error.absolute_schema_path:
        return f"{name or 'flags'} has an empty key: give it at least one character"
    return f"{name or whole} is {_quoted(instance)}, but must be {right(path)}"


# Judging


def unfit(document: Document, levels: Sequence[Level], recorded: Sequence[SwitchedFlag] = ()) -> Objection | None:
    """Why these levels cannot be switched in this document (FLAGS_INVALID naming the level), None where they can.

    `recorded` are the flags that are switched: a level must differ from what such a flag was before. Of others this is
    asked only while nothing is switched: who turns a feature off by hand during an incident must not stop the ladder.
    """
    undegraded = {each.flag: each.before for each in recorded} or document.variants
    for level in levels:
        for flag, variant in level.flags.items():
            if words := _no_switch(document, flag, variant, undegraded.get(flag)):
                return _invalid(f"level {level.name} cannot switch flag {_quoted(flag)} to {_quoted(variant)}: {words}")
    return None


def _no_switch(document: Document, key: str, variant: str, undegraded: str | None) -> str:
    """Why a flag cannot be switched, "" where it can."""
    if (flag := document.flags.get(key)) is None:
        return f"there is no such flag; there are: {', '.join(sorted(document.flags)) or 'none'}"
    if variant not in flag["variants"]:
        return f"it has no such variant; its variants are: {', '.join(flag['variants'])}"
    if flag["state"] == "DISABLED":
        return "its state is DISABLED, so that applications use their own default: make it ENABLED"
    if flag.get("targeting"):
        return "its targeting would override the switch: remove the targeting, or name another flag"
    if not (now := flag.get("defaultVariant")):
        return "it has no defaultVariant, so that applications use their own default: give it one"
    if now not in flag["variants"]:
        return f"its defaultVariant {_quoted(now)} is none of its variants: {', '.join(flag['variants'])}"
    if undegraded is not None and undegraded not in flag["variants"]:
        return f"it was {_quoted(undegraded)} before, which is none of its variants any more: add that again"
    if variant == undegraded:
        return "that is its defaultVariant without any level, so that nothing would change"
    return _not_restorable(document, key, now)


def _not_restorable(document: Document, key: str, now: str) -> str:
    """Why the flag could not be given back just as it is."""
    if len(now) > LONGEST_VARIANT or not now.isprintable():
        return (
            f"its defaultVariant must have at most {LONGEST_VARIANT} printable characters, to be restored from status"
        )
    spelled = _spelling(document.text, key)
    if spelled.now != spelled.variants[now]:
        return (
            f"its defaultVariant must be spelled {spelled.variants[now]} as in its variants, to be restored to the byte"
        )
    return ""


def _invalid(words: str) -> Objection:
    """The sentence, without the halves of surrogate pairs that JSON allows in escapes and UTF-8 does not know."""
    return Objection(Reason.FLAGS_INVALID, cut(words.encode(errors="replace").decode()))


def _quoted(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."


# Changing


def with_variants(text: str, variants: Mapping[str, str]) -> str:
    """The document with another `defaultVariant` for the flags named; all else stays byte for byte.

    The text is that of a Document which has the flags, each with a `defaultVariant`. The new one is spelled as among
    the variants of the flag: so a flag that is switched and switched back is the same to the byte.
    """
    spelled = sorted(((_spelling(text, flag), variant) for flag, variant in variants.items()), reverse=True)
    for (start, end, _, literals), variant in spelled:
        text = text[:start] + (literals.get(variant) or json.dumps(variant)) + text[end:]
    return text


class _Spelling(NamedTuple):
    """From where to where the defaultVariant of a flag reaches, how it is spelled, and how its variants are."""

    start: int
    end: int
    now: str
    variants: Mapping[str, str]


class _Member(NamedTuple):
    """A member of a JSON object: its key, the key as it is spelled, and from where to where its value reaches."""

    key: str
    spelled: str
    start: int
    end: int


def _spelling(text: str, flag: str) -> _Spelling:
    flags = _member(text, 0, "flags")
    fields = _member(text, flags.start, flag)
    default = _member(text, fields.start, "defaultVariant")
    variants = {each.key: each.spelled for each in _members(text, _member(text, fields.start, "variants").start)}
    return _Spelling(default.start, default.end, text[default.start : default.end], variants)


def _member(text: str, at: int, key: str) -> _Member:
    return next(each for each in _members(text, at) if each.key == key)


def _members(text: str, at: int) -> Iterator[_Member]:
    """The members of the object that begins at `at` or behind white space there."""
    at = _solid(text, at)
    while text[at] != "}":  # at "{" or ","
        key_at = _solid(text, at + 1)
        if text[key_at] == "}":
            return
        key, key_end = _DECODER.raw_decode(text, key_at)
        start = _solid(text, _solid(text, key_end) + 1)  # behind the colon
        _, end = _DECODER.raw_decode(text, start)
        yield _Member(key, text[key_at:key_end], start, end)
        at = _solid(text, end)


def _solid(text: str, at: int) -> int:
    """The first character from there that is no white space."""
    while text[at] in " \t\r\n":
        at += 1
    return at
