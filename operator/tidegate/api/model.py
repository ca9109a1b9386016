"""What every resource is made of: the base model, metadata, conditions, and errors that name the field."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler
from pydantic.alias_generators import to_camel

GROUP = "tidegate.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

PAUSED_ANNOTATION = f"{GROUP}/paused"
"""Set on a LagPolicy (`"true"`) it pauses the policy during an incident, whatever `spec.mode` says."""

Message = Annotated[str, Field(max_length=1024)]
"""A sentence for a person; longer ones are cut by `cut`."""

Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z]([A-Za-z0-9]*)$")]
"""One CamelCase word. Left open, so that an older Tidegate can read what a newer one wrote."""

Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
"""A number of things."""


class InvalidResourceError(ValueError):
    """An object that cannot be read; the message names each field, what is wrong, and what would be right."""


class Model(BaseModel):
    """An immutable part of a resource: snake_case here, camelCase on the wire, unknown (newer) fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, use_attribute_docstrings=False
    )

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        """Read what the API server sent; InvalidResourceError names the fields that cannot be read."""
        try:
            return cls.model_validate(wire)
        except ValidationError as error:
            raise InvalidResourceError("; ".join(map(_sentence, error.errors()))) from None

    def wire(self) -> dict[str, Any]:
        """Write it as the API server expects it: camelCase, JSON types, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _sentence(error: Any) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).removeprefix(".")
    return f"{path}: {error['msg'].removeprefix('Value error, ')}"


def cut(message: str) -> str:
    """Shorten a message to what conditions and Events hold (1024 characters)."""
    return message if len(message) <= 1024 else message[:1021] + "..."


class Rule(NamedTuple):
    """A CEL rule that the API server checks: its message names the field and what would be right.

    `said` is a CEL expression that says the same with what is there, `field` the path of the field to blame where it is
    not the one that has the rule. A rule with `oldSelf` judges changes alone; with `created` it judges a creation too,
    where `oldSelf` has no value.
    """

    rule: str
    message: str
    said: str = ""
    field: str = ""
    created: bool = False

    def wire(self) -> dict[str, Any]:
        """As it stands in a CustomResourceDefinition."""
        said = {"messageExpression": self.said} if self.said else {}
        field = {"fieldPath": f".{self.field}"} if self.field else {}
        created = {"optionalOldSelf": True} if self.created else {}
        return {"rule": self.rule, "message": self.message, **said, **field, **created}


def rules(*each: Rule | tuple[str, str]) -> dict[str, Any]:
    """CEL rules of a model or field: Rules, or (expression, message) pairs."""
    return {"x-kubernetes-validations": [Rule(*rule).wire() for rule in each]}


def matches(pattern: str, also: str = "") -> str:
    """A CEL expression: the string matches the pattern and, if so, the further expression holds."""
    quoted = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"self.matches('{quoted}')" + (f" && {also}" if also else "")


def text(field: str, must_be: str, pattern: str, longest: int, also: str = "") -> Any:
    """A string that matches the pattern and the CEL expression `also`.

    The API server reports a `pattern` by the bare regular expression, so a rule beside it says what would be right.
    """
    extra = rules((matches(pattern, also), f"{field} must be {must_be}"))
    return Field(min_length=1, max_length=longest, pattern=pattern, json_schema_extra=extra)


def object_name(field: str, of: str) -> Any:
    """The name of a Kubernetes object (RFC 1123 subdomain)."""
    must_be = f"the name of {of}: lower-case letters, digits, '-' and '.'"
    return text(field, must_be, r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", longest=253)


def forgetful(status: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """A validator for `status`: what this version cannot read there is forgotten, so that the spec is still obeyed."""
    try:
        return read(status)
    except ValidationError:
        return read({})


class OwnerReference(Model):
    """An object that this one goes with when it is deleted."""

    kind: str
    name: str
    uid: str


class Metadata(Model):
    """The part of an object's metadata that Tidegate reads."""

    name: str
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()


class Truth(StrEnum):
    """The status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One aspect of the object's state (Kubernetes API conventions, `metav1.Condition`)."""

    type: Word = Field(description="What this condition is about, such as Ready.")
    status: Truth = Field(description="True, False, or Unknown where Tidegate cannot know yet.")
    observed_generation: Count = Field(
        default=0, description="The metadata.generation of the object that this condition was computed from."
    )
    last_transition_time: datetime = Field(description="When `status` changed last.")
    reason: Word = Field(description="Why, in one CamelCase word; the same word is in Events and metrics.")
    message: Message = Field(description="Why, in a sentence with the numbers.")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; wide ones are shown by `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class ResourceNames:
    """How the API server and kubectl call a resource."""

    plural: str
    short: str
    namespaced: bool
    columns: tuple[Column, ...]


class Resource(Model):
    """A whole object as the API server holds it. `checks` are rules about all of it: spec and status."""

    names: ClassVar[ResourceNames]
    checks: ClassVar[tuple[Rule, ...]] = ()

    api_version: str = API_VERSION
    kind: str
    metadata: Metadata
