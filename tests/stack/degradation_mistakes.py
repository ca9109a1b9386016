"""Mistakes people make in spec.degradation: name → (field, value, what the API server has to say about it)."""

from typing import Any

FIELD = "spec.degradation"
OFF = {"recommendations": "off"}
REF = {"name": "points-flags"}
DURATION = "must be a duration of at most 24h, such as"


def level(name: str, **flags: Any) -> dict[str, Any]:
    """A level of a ladder."""
    return {"name": name, "flags": flags}


def ladder(*levels: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A ladder with these levels, or one that switches a flag off."""
    return {"flagsRef": REF, "levels": list(levels or (level("NoRecommendations", **OFF),))} | changes


RIGHT = {
    "a ladder of one level": ladder(),
    "a flag dimmed step by step": ladder(level("Half", images="half"), level("None", images="none")),
    "ten levels of ten flags": ladder(
        *(level(f"L{number}", **{f"flag-{number}-{i}": "off" for i in range(10)}) for number in range(10)), maxLevel=10
    ),
    "a FeatureFlag": ladder(flagsRef={"kind": "FeatureFlag", "name": "points"}),
    "a ladder for people only": ladder(maxLevel=0),
    "all of it": ladder(
        flagsRef=REF | {"kind": "ConfigMap", "key": "flags.flagd.json", "propagation": "2s"},
        escalateAfter="0s",
        restoreAfter="24h",
        maxDuration="2h30m",
    ),
}

WRONG = {
    "a ladder without flags": (FIELD, {"levels": ladder()["levels"]}, f"{FIELD}.flagsRef: Required value"),
    "a ladder without levels": (FIELD, {"flagsRef": REF}, f"{FIELD}.levels: Required value"),
    "a ladder of no level": (FIELD, ladder() | {"levels": []}, f"{FIELD}.levels in body should have at least 1 items"),
    "a ladder of eleven levels": (
        FIELD,
        ladder(*(level(f"L{number}", **{f"flag-{number}": "off"}) for number in range(11))),
        f"{FIELD}.levels: Too many: 11: must have at most 10 items",
    ),
    "two levels of one name": (
        FIELD,
        ladder(level("NoMails", a="off"), level("NoMails", b="off")),
        f"each of {FIELD}.levels must have a name of its own",
    ),
    "a level that sets a flag back": (
        FIELD,
        ladder(level("Half", images="half"), level("None", images="none"), level("HalfAgain", images="half")),
        "a flag that stands in two of spec.degradation.levels must get another variant in each",
    ),
    "a level named by a sentence": (
        FIELD,
        ladder(level("no recommendations", **OFF)),
        f"each of {FIELD}.levels[*].name must be one CamelCase word, such as NoRecommendations",
    ),
    "a level that switches nothing": (
        FIELD,
        ladder(level("Nothing")),
        f"{FIELD}.levels[0].flags in body should have at least 1 properties",
    ),
    "a bare off, which YAML reads as a boolean": (
        FIELD,
        ladder(level("NoRecommendations", recommendations=False)),
        f'{FIELD}.levels[0].flags.recommendations in body must be of type string: "boolean"',
    ),
    "a flag without a name": (
        FIELD,
        ladder(level("NoRecommendations", **{"": "off"})),
        f"the keys of {FIELD}.levels[*].flags must have 1 to 253 characters",
    ),
    "a level above the highest": (
        FIELD,
        ladder(maxLevel=2),
        f"{FIELD}.maxLevel must not be above the number of levels",
    ),
    "a level below none": (FIELD, ladder(maxLevel=-1), f"{FIELD}.maxLevel in body should be greater than or equal to"),
    "flags in a Secret": (
        FIELD,
        ladder(flagsRef={"kind": "Secret", "name": "points-flags"}),
        f'{FIELD}.flagsRef.kind: Unsupported value: "Secret": supported values: "ConfigMap", "FeatureFlag"',
    ),
    "flags without a name": (FIELD, ladder(flagsRef={}), f"{FIELD}.flagsRef.name: Required value"),
    "a FeatureFlag with a key": (
        FIELD,
        ladder(flagsRef={"kind": "FeatureFlag", "name": "points", "key": "flags.json"}),
        f"{FIELD}.flagsRef.key belongs to a ConfigMap: leave it out for a FeatureFlag",
    ),
    "a key that is a path": (
        FIELD,
        ladder(flagsRef=REF | {"key": "etc/flags.json"}),
        f"{FIELD}.flagsRef.key must be a key of a ConfigMap",
    ),
    "a propagation in words": (
        FIELD,
        ladder(flagsRef=REF | {"propagation": "fast"}),
        f"{FIELD}.flagsRef.propagation {DURATION} 90s",
    ),
    "an escalation after days": (FIELD, ladder(escalateAfter="25h"), f"{FIELD}.escalateAfter {DURATION} 30s"),
    "a restore without a unit": (FIELD, ladder(restoreAfter="5"), f"{FIELD}.restoreAfter {DURATION} 5m"),
    "a longest time in days": (FIELD, ladder(maxDuration="1d"), f"{FIELD}.maxDuration {DURATION} 1h"),
}
