"""The degradation ladder of a LagPolicy: which features may be switched off for a while, in which order."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from tidegate.api import duration
from tidegate.api.duration import Duration
from tidegate.api.model import GROUP, Count, Message, Model, Word, matches, object_name, rules, text

FORCE_LEVEL_ANNOTATION = f"{GROUP}/force-level"
"""Set on a LagPolicy (`"1; until=2026-11-24T15:00:00Z"`) it holds the ladder at that level until then, for a drill or
in an emergency, whatever the backlog says."""

ESCALATE_AFTER, RESTORE_AFTER, MAX_DURATION = timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=1)

LEVELS = 10
"""The most levels a ladder may have."""

_UNIQUE = "self.levels.all(a, self.levels.exists_one(b, a.name == b.name))"
_NOT_SET_BACK = (
    "self.levels.all(a, self.levels.all(b, a.name == b.name || "
    "a.flags.all(key, !(key in b.flags) || a.flags[key] != b.flags[key])))"
)
_BY_KIND = "self.kind == 'ConfigMap' || !has(self.key)"


class FlagsKind(StrEnum):
    """What holds the flags."""

    CONFIG_MAP = "ConfigMap"
    FEATURE_FLAG = "FeatureFlag"


def _up_to_a_day(field: str, example: str) -> dict[str, Any]:
    rule = matches(duration.PATTERN, "duration(self) <= duration('24h')")
    return rules((rule, f"spec.degradation.{field} must be a duration of at most 24h, such as {example}"))


def _by_default(field: str, default: timedelta) -> dict[str, Any]:
    """A duration with a default, which the schema must show as people write it."""
    written = duration.format_duration(default)
    return _up_to_a_day(field, written) | {"default": written}


class FlagsRef(Model):
    """The flags that the ladder switches."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (_BY_KIND, "spec.degradation.flagsRef.key belongs to a ConfigMap: leave it out for a FeatureFlag")
        )
    )

    kind: FlagsKind = Field(
        default=FlagsKind.CONFIG_MAP,
        description=(
            "ConfigMap (the default) with a flagd document in JSON under one key, or FeatureFlag of the OpenFeature "
            "Operator (core.openfeature.dev)."
        ),
    )
    name: Annotated[str, object_name("spec.degradation.flagsRef.name", "that object")] = Field(
        description="Name of that object, in the namespace of this policy. Example: points-flags."
    )
    key: (
        Annotated[
            str,
            text(
                "spec.degradation.flagsRef.key",
                "a key of a ConfigMap: letters, digits, '-', '_' and '.'",
                r"^[-._a-zA-Z0-9]+$",
                longest=253,
            ),
        ]
        | None
    ) = Field(default=None, description="The key of the ConfigMap that has the document. Default flags.json.")
    propagation: Duration | None = Field(
        default=None,
        description=(
            "Time until the application obeys a flag that was switched here. Each level waits that long for the one "
            "before it to show. Default 90s for a ConfigMap (the kubelet renews mounted ones about once a minute), 5s "
            "for a FeatureFlag; 2s is enough where the application asks Tidegate by OFREP."
        ),
        json_schema_extra=_up_to_a_day("flagsRef.propagation", "90s"),
    )

    @property
    def document(self) -> str:
        """The key of the ConfigMap that has the flags."""
        return self.key or "flags.json"


class Level(Model):
    """One level of the ladder. It includes all before it."""

    name: Annotated[
        str,
        text(
            "each of spec.degradation.levels[*].name",
            "one CamelCase word, such as NoRecommendations",
            r"^[A-Za-z][A-Za-z0-9]*$",
            longest=63,
        ),
    ] = Field(description="What is missing at this level, in one CamelCase word. Example: NoRecommendations.")
    flags: Annotated[
        dict[str, Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=10)
    ] = Field(
        description='The flags that it switches, and the variant that each gets. Example: {recommendations: "off"}.',
        json_schema_extra=rules(
            (
                "self.all(key, size(key) > 0 && size(key) <= 253)",
                "the keys of spec.degradation.levels[*].flags must have 1 to 253 characters",
            )
        ),
    )

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.flags.items()))))


class DegradationSpec(Model):
    """What may be switched off while neither replicas nor partitions can keep the promise."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (_UNIQUE, "each of spec.degradation.levels must have a name of its own"),
            (
                _NOT_SET_BACK,
                "a flag that stands in two of spec.degradation.levels must get another variant in each: no level may "
                "set back what one before it did",
            ),
            (
                "!has(self.maxLevel) || self.maxLevel <= size(self.levels)",
                "spec.degradation.maxLevel must not be above the number of levels",
            ),
        )
    )

    flags_ref: FlagsRef = Field(description="The flags that the ladder switches.")
    levels: Annotated[tuple[Level, ...], Field(min_length=1, max_length=LEVELS)] = Field(
        description="The levels, the least valuable features first. Each level includes those before it.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    max_level: Annotated[int, Field(ge=0, le=LEVELS)] | None = Field(
        default=None,
        description="Never above this level by itself; 0 leaves the ladder to people (the annotation). Default: all.",
    )
    escalate_after: Duration = Field(
        default=ESCALATE_AFTER,
        description="How long the promise must be in danger, with no help from scaling, before a level. Default 30s.",
        json_schema_extra=_by_default("escalateAfter", ESCALATE_AFTER),
    )
    restore_after: Duration = Field(
        default=RESTORE_AFTER,
        description=(
            "How long a level must have been dispensable before it is taken back, and how long what came back is "
            "watched before the next one is. It doubles after each restore that did not hold. Default 5m."
        ),
        json_schema_extra=_by_default("restoreAfter", RESTORE_AFTER),
    )
    max_duration: Duration = Field(
        default=MAX_DURATION,
        description=(
            "How long features may be off before that is an alarm of its own (reason DegradedTooLong, an Event). It "
            "ends nothing: with the features back the promise would break. Default 1h."
        ),
        json_schema_extra=_by_default("maxDuration", MAX_DURATION),
    )

    @property
    def highest(self) -> int:
        """The highest level that the ladder may take by itself."""
        return len(self.levels) if self.max_level is None else self.max_level


class SwitchedFlag(Model):
    """A flag that the ladder has switched, or is about to."""

    flag: Annotated[str, Field(max_length=253)] = Field(description="The key of the flag.")
    before: Annotated[str, Field(max_length=100)] = Field(
        description="Its `defaultVariant` before the ladder touched it: what it gets back."
    )
    previous: Annotated[str, Field(max_length=100)] | None = Field(
        default=None,
        description=(
            "What `variant` replaces, while it is not known to be written. A crash before it is made good afterwards."
        ),
    )
    variant: Annotated[str, Field(max_length=100)] = Field(description="The `defaultVariant` that the ladder gave it.")


class LevelChange(Model):
    """One step of the ladder."""

    time: datetime = Field(description="When.")
    from_: Count = Field(alias="from", description="The level before.")
    to: Count = Field(description="The level after.")
    reason: Word = Field(description="Why, in one CamelCase word.")
    message: Message = Field(description="Why, in a sentence with the numbers.")


class DegradationStatus(Model):
    """Where the ladder stands."""

    level: Count = Field(default=0, description="The level in force; 0: every feature is as it should be.")
    name: Word | None = Field(default=None, description="The name of that level.")
    pending_level: Count | None = Field(
        default=None, description="The level whose flags are being written; absent where no step is under way."
    )
    since: datetime | None = Field(default=None, description="When this level was taken.")
    degraded_since: datetime | None = Field(default=None, description="When level 0 was left.")
    flags_ref: FlagsRef | None = Field(
        default=None, description="Where the flags below are; the spec may have been changed meanwhile."
    )
    flags: Annotated[tuple[SwitchedFlag, ...], Field(max_length=200)] = Field(
        default=(),
        description="The flags that are switched, and what each was before.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    history: Annotated[tuple[LevelChange, ...], Field(max_length=20)] = Field(
        default=(),
        description="The last 20 steps, the newest last.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
