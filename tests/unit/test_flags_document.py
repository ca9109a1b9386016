"""flagd documents: what is refused and in which words, what a ladder may switch, and not one byte more than that."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore

from tidegate.api import Level, Reason, SwitchedFlag
from tidegate.cluster.flags import Document, read_document, unfit, with_variants
from tidegate.engine.observation import Objection


def flag(default: str | None = "on", **more: Any) -> dict[str, Any]:
    return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": default, **more}


def text_of(**flags: Any) -> str:
    return json.dumps({"flags": flags})


def document(**flags: Any) -> Document:
    found = read_document(text_of(**flags))
    assert isinstance(found, Document), found
    return found


def refused(text: str) -> str:
    found = read_document(text)
    assert isinstance(found, Objection), found
    assert found.reason is Reason.FLAGS_INVALID
    assert len(found.message) <= 1024
    return found.message


# Reading


def test_a_document_gives_its_flags_and_their_variants():
    found = document(recommendations=flag(), receipts=flag(None), old={"state": "DISABLED", "variants": {"x": 1}})
    assert found.variants == {"recommendations": "on", "receipts": None, "old": None}
    assert found.flags["recommendations"]["variants"] == {"on": True, "off": False}


@pytest.mark.parametrize(
    "fields",
    [
        {"variants": {"full": 1.0, "half": 0.5, "none": 0}, "defaultVariant": "full"},
        {"variants": {"long": "a text", "short": ""}, "defaultVariant": "long"},
        {"variants": {"on": {"defaultVariant": "on"}, "off": {}}},
        {"targeting": {"if": [{"==": [{"var": "plan"}, "premium"]}, "on", "off"]}},
        {"targeting": {}, "metadata": {"level": 2, "team": "points", "by-hand": False}},
        {"a newer field": [1, 2]},
    ],
)
def test_what_flagd_knows_is_read(fields: dict[str, Any]):
    assert document(a={**flag(), **fields}).flags["a"] == {**flag(), **fields}


FLAG = 'flag "a": '
VARIANTS = "an object of at least one variant, all of them true or false, or strings, or numbers, or objects"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 'it is empty: {"flags": {}} is the least'),
        ("flags:\n  a: {}", "it must be JSON (YAML is not read here): Expecting value in line 1, column 1"),
        ('{\n "flags": {"a": }}', "it must be JSON: Expecting value in line 2, column 17"),
        ('{"flags": {}} {}', "it must be JSON: Extra data in line 1, column 15"),
        ('{"flags": NaN}', "NaN is not a number in JSON"),
        ('{"flags": {}, "flags": {}}', 'the key "flags" stands twice in one object: keep one of them'),
        ("[" * 100_000, "it is nested too deeply for a flagd document"),
        ("[]", "it is [], but must be an object"),
        ("{}", 'flags is missing, for example {"flags": {}}'),
        ('{"flags": [{"key": "a"}]}', 'flags is [{"key": "a"}], but must be an object with the flags by their keys'),
        ('{"flags": {}, "metadata": 1}', "metadata is 1, but must be an object"),
        ('{"flags": {}, "metadata": {"x": []}}', "metadata.x is [], but must be a string, a number, true or false"),
        (text_of(a=1), FLAG + "the flag is 1, but must be an object"),
        (text_of(a={"variants": {"on": True}}), FLAG + 'state is missing, for example "ENABLED"'),
        (text_of(a={"state": "ENABLED"}), FLAG + 'variants is missing, for example {"on": true, "off": false}'),
        (text_of(a=flag(state="on")), FLAG + 'state is "on", but must be "ENABLED" or "DISABLED"'),
        (text_of(a=flag(variants={})), FLAG + "variants is {}, but must be " + VARIANTS),
        (text_of(a=flag(variants={"on": True, "off": "no"})), FLAG + 'variants is {"on": true, "off": "no"}, but must'),
        (text_of(a=flag(variants={"on": None})), FLAG + 'variants is {"on": null}, but must be ' + VARIANTS),
        (text_of(a=flag(variants={"": True})), FLAG + "variants has an empty key: give it at least one character"),
        (text_of(a={**flag(), "defaultVariant": False}), FLAG + "defaultVariant is false, but must be the name of a "),
        (text_of(a=flag(targeting=[])), FLAG + "targeting is [], but must be an object"),
        (text_of(a=flag(metadata={"x": {}})), FLAG + "metadata.x is {}, but must be a string, a number, true or false"),
        (text_of(**{"": flag()}), "flags has an empty key: give it at least one character"),
        (text_of(a=flag(state="\ud800")), FLAG + 'state is "?", but must be "ENABLED" or "DISABLED"'),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(text: str, words: str):
    assert refused(text).startswith(words)


def test_a_byte_order_mark_is_refused_as_flagd_refuses_it():
    text = "\ufeff" + text_of(a=flag())
    assert refused(text) == "it begins with a byte order mark, which flagd cannot read: save it as UTF-8 without one"
    with pytest.raises(ValueError, match="BOM"):
        FlagdCore().set_flags(text)


def test_a_sentence_stays_one_even_of_a_large_document():
    assert len(refused(text_of(a=flag(variants={f"v{n}": None for n in range(1000)})))) < 300


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_it_is_it_is_read_or_refused(text: str):
    assert isinstance(read_document(text), Document | Objection)


# Judging


def level(name: str = "Less", **flags: str) -> Level:
    return Level(name=name, flags=flags)


SHOP = {"recommendations": flag(), "receipts": flag(), "search": flag(variants={"full": 2, "half": 1, "none": 0})}
SHOP["search"]["defaultVariant"] = "full"
LADDER = (level("Less", recommendations="off", search="half"), level("Least", receipts="off", search="none"))

RECORDED = (SwitchedFlag(flag="recommendations", before="on", variant="off"),)


def test_levels_that_fit_are_not_objected_to():
    assert unfit(document(**SHOP), LADDER) is None


@pytest.mark.parametrize(
    ("changed", "levels", "words"),
    [
        ({}, (level(recs="off"),), 'flag "recs" to "off": there is no such flag; there are: receipts, recommendations'),
        ({}, (level(receipts="no"),), 'flag "receipts" to "no": it has no such variant; its variants are: on, off'),
        ({"receipts": flag(state="DISABLED")}, LADDER, "its state is DISABLED, so that applications use their own"),
        ({"receipts": flag(targeting={"var": "x"})}, LADDER, "its targeting would override the switch"),
        ({"receipts": flag(None)}, LADDER, "it has no defaultVariant, so that applications use their own default"),
        ({"receipts": flag("")}, LADDER, "it has no defaultVariant"),
        ({"receipts": flag("yes")}, LADDER, 'its defaultVariant "yes" is none of its variants: on, off'),
        ({"receipts": flag("off")}, LADDER, "that is its defaultVariant without any level, so that nothing would"),
        ({}, (*LADDER, level("Back", recommendations="on")), 'level Back cannot switch flag "recommendations" to "on"'),
        (
            {"receipts": flag("o" * 101, variants={"o" * 101: True, "off": False})},
            LADDER,
            "its defaultVariant must have at most 100 printable characters",
        ),
    ],
)
def test_a_level_that_would_not_switch_is_named(changed: dict[str, Any], levels: tuple[Level, ...], words: str):
    found = unfit(document(**{**SHOP, **changed}), levels)
    assert found is not None
    assert found.reason is Reason.FLAGS_INVALID
    assert found.message.startswith("level ")
    assert words in found.message


def test_flags_of_no_level_may_be_as_they_like():
    others = {"beta": flag(targeting={"var": "x"}), "old": flag(state="DISABLED"), "code": flag(None)}
    assert unfit(document(**SHOP, **others), LADDER) is None


def test_while_a_level_is_up_it_differs_from_what_was_before_it():
    up = document(**{**SHOP, "recommendations": flag("off")})
    assert unfit(up, LADDER, RECORDED) is None
    assert unfit(up, LADDER) is not None


def test_a_variant_that_is_to_come_back_must_still_be_there():
    renamed = flag("off", variants={"enabled": True, "off": False})
    found = unfit(document(**{**SHOP, "recommendations": renamed}), LADDER, RECORDED)
    assert found is not None
    assert 'it was "on" before, which is none of its variants any more' in found.message


def test_who_turns_a_further_feature_off_while_a_level_is_up_does_not_stop_the_ladder():
    up = document(**{**SHOP, "recommendations": flag("off"), "receipts": flag("off")})
    assert unfit(up, LADDER, RECORDED) is None


def test_a_variant_that_is_spelled_in_two_ways_could_not_be_restored_to_the_byte():
    text = text_of(**SHOP).replace('"defaultVariant": "full"', '"defaultVariant": "f\\u0075ll"')
    found = read_document(text)
    assert isinstance(found, Document)
    assert found.variants["search"] == "full"
    objection = unfit(found, LADDER)
    assert objection is not None
    assert 'must be spelled "full" as in its variants' in objection.message


# Changing


STORY = """{
  "$schema": "https://flagd.dev/schema/v0/flags.json",\r
\t"defaultVariant" : "of no flag",
  "metadata": {"defaultVariant": "of no flag either", "n": 1.50e3},
  "flags":{"recommendations":{"state":"ENABLED","variants":{"on":true,"off":false} ,
      "defaultVariant"  :\t"on"
    },
    "caf\\u00e9": {"defaultVariant": "a\\u0300", "state": "ENABLED",
      "variants": {"a\\u0300": {"defaultVariant": "x"}, "off": {}}, "defaultVariants": "other"},
    "flags": { "defaultVariant":"off", "variants": { "on":true,"off":false },"state":"ENABLED" }
  } , "later": [ ]
}


"""


def test_only_the_variants_asked_for_change():
    assert with_variants(STORY, {"recommendations": "off"}) == STORY.replace(':\t"on"', ':\t"off"')
    assert with_variants(STORY, {"café": "off"}) == STORY.replace(
        '{"defaultVariant": "a\\u0300"', '{"defaultVariant": "off"'
    )
    assert with_variants(STORY, {"flags": "on"}) == STORY.replace('"defaultVariant":"off"', '"defaultVariant":"on"')
    assert with_variants(STORY, {}) == STORY


def test_what_is_switched_back_is_spelled_as_before():
    switched = with_variants(STORY, {"café": "off", "flags": "on", "recommendations": "off"})
    assert with_variants(switched, {"caf\u00e9": "a\u0300", "flags": "off", "recommendations": "on"}) == STORY


def test_flagd_sees_the_switch_and_nothing_else():
    def seen(text: str) -> dict[str, Any]:
        core = FlagdCore()
        core.set_flags(text)
        found = {key: core.resolve_boolean_value(key, True) for key in ("recommendations", "receipts")}
        return {key: (each.value, each.variant, each.reason) for key, each in found.items()}

    text = text_of(recommendations=flag(), receipts=flag())
    assert seen(text) == {"recommendations": (True, "on", "STATIC"), "receipts": (True, "on", "STATIC")}
    after = with_variants(text, {"receipts": "off"})
    assert seen(after) == {"recommendations": (True, "on", "STATIC"), "receipts": (False, "off", "STATIC")}


class Writer:
    """Writes JSON with white space and escapes by chance; the same string the same way each time."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.spelled: dict[str, str] = {}

    def write(self, value: Any) -> str:
        if isinstance(value, dict):
            return self._joined("{}", [f"{self.write(key)}{self.gap()}:{self.write(v)}" for key, v in value.items()])
        if isinstance(value, list):
            return self._joined("[]", [self.write(each) for each in value])
        return self.gap() + (self.spell(value) if isinstance(value, str) else json.dumps(value)) + self.gap()

    def _joined(self, ends: str, parts: list[str]) -> str:
        return self.gap() + ends[0] + self.gap() + ",".join(parts) + self.gap() + ends[1] + self.gap()

    def gap(self) -> str:
        return self.random.choice(["", "", " ", "\n", "\r\n\t "])

    def spell(self, string: str) -> str:
        if string not in self.spelled:
            chosen = [self.random.choice([each, f"\\u{ord(each):04x}"]) for each in string if each not in '"\\']
            self.spelled[string] = f'"{"".join(chosen)}"'
        return self.spelled[string]


NAMES = st.sampled_from(["flags", "variants", "defaultVariant", "on", "off", "metadata", "é", "a.b/c~d", "{}", ",:"])
DECOYS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | NAMES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def flags_of_a_kind(draw: st.DrawFn) -> dict[str, Any]:
    variants = draw(st.dictionaries(NAMES, st.dictionaries(NAMES, DECOYS, max_size=2), min_size=2, max_size=4))
    fields = {
        "state": "ENABLED",
        "variants": variants,
        "defaultVariant": draw(st.sampled_from(sorted(variants))),
        **draw(st.dictionaries(st.sampled_from(["flags", "on", "default", "more"]), DECOYS, max_size=2)),
    }
    order = draw(st.permutations(sorted(fields)))
    return {key: fields[key] for key in order}


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    fields = {
        "flags": draw(st.dictionaries(NAMES, flags_of_a_kind(), min_size=1, max_size=4)),
        **draw(st.dictionaries(st.sampled_from(["defaultVariant", "variants", "on", "more"]), DECOYS, max_size=3)),
    }
    content = {key: fields[key] for key in draw(st.permutations(sorted(fields)))}
    return Writer(draw(st.randoms(use_true_random=False))).write(content), content


@given(documents(), st.data())
def test_every_document_changes_there_alone_and_comes_back_to_the_byte(
    found: tuple[str, dict[str, Any]], data: st.DataObject
):
    text, content = found
    read = read_document(text)
    assert isinstance(read, Document)
    assert read.content == content
    chosen = data.draw(st.sets(st.sampled_from(sorted(read.flags)), min_size=1))
    wanted = {key: data.draw(st.sampled_from(sorted(read.flags[key]["variants"]))) for key in sorted(chosen)}

    after = with_variants(text, wanted)

    expected = json.loads(json.dumps(content))
    for key, variant in wanted.items():
        expected["flags"][key]["defaultVariant"] = variant
    assert json.loads(after) == expected
    assert with_variants(after, {key: str(read.variants[key]) for key in wanted}) == text
    levels = [Level(name="Some", flags={key: wanted[key]}) for key in wanted if wanted[key] != read.variants[key]]
    assert unfit(read, levels) is None
