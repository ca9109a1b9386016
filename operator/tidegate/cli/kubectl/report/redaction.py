"""Secrets are left out: by where they stand (objects), and by how they look (texts such as logs). Pure.

No Secret and no ConfigMap is ever read for a report. What is left are places where people put secrets although they do
not belong there: values of environment variables, arguments, annotations, and what a program writes into its log.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.api import GROUP

REDACTED = "REDACTED"

_KEY = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|authorization|jaas\.config|cookie|dsn"
    r"|(?:api|access|private|client|secret|account|signing|encryption)[-_.]?key)"
)
SECRET_KEY = re.compile(rf"(?:^|[-_.]|(?<=[a-z0-9])){_KEY}$", re.IGNORECASE)
"""Names of fields and variables whose value is a secret; not `secretKeyRef` and the like, which only say where."""

_VALUE = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\\"[^\"]*\\\"|[^\s,;&}\"']+"
_NAMED = rf"(?i)({_KEY}\\?[\"']?[ \t]*(?:=>|[:=])[ \t]*)(?!REDACTED)(?:{_VALUE})"
_FLAG = rf"(?i)(--?[\w.-]{{0,60}}{_KEY}[ \t]+)(?!-)(?:{_VALUE})"
LOOKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL), REDACTED),
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), REDACTED),
    (re.compile(r"://[^/\s:@]*:[^/\s@]+@"), f"://{REDACTED}@"),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), REDACTED),
    (re.compile(r"\b(?:gh[pousr]_|glpat-|xox[abprs]-|sk-)[A-Za-z0-9_-]{16,}"), REDACTED),
    (re.compile(_NAMED), rf"\g<1>{REDACTED}"),
    (re.compile(_FLAG), rf"\g<1>{REDACTED}"),
)
"""What a secret looks like in a text: PEM, credentials of HTTP, JSON web tokens, URLs, known tokens, `password=…`."""

KEPT_ANNOTATIONS = (f"{GROUP}/", "kubectl.kubernetes.io/default-container", "deployment.kubernetes.io/revision")
SAFE_VARIABLES = re.compile(r"TIDEGATE_[A-Z_]+|POD_(NAME|NAMESPACE|IP)|HOME|PATH|PYTHON[A-Z]*")
SHORTEST = 6
"""Characters: a shorter value is no secret worth looking for, and stands in too many words."""


def scrubbed(text: str, known: Iterable[str] = ()) -> str:
    """The text without what looks like a secret, and without the values that are known to be one."""
    for value in sorted(set(known), key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, REDACTED)
    for look, instead in LOOKS:
        text = look.sub(instead, text)
    return text


def cleaned(wire: Mapping[str, Any]) -> dict[str, Any]:
    """An object without managedFields, without annotations that are not ours, and without what may be a secret."""
    told = wire.get("metadata", {})
    meta = {key: value for key, value in told.items() if key not in ("managedFields", "annotations")}
    kept = {key: text for key, text in (told.get("annotations") or {}).items() if key.startswith(KEPT_ANNOTATIONS)}
    whole = {**wire, "metadata": meta | ({"annotations": kept} if kept else {})}
    found: dict[str, Any] = _without(whole)
    return found


def _without(part: Any) -> Any:
    """The same part of an object, with every leaf judged by its name and its look."""
    if isinstance(part, Mapping):
        return {key: _judged(key, value) for key, value in part.items()}
    if isinstance(part, list):
        return [_without(each) for each in part]
    return scrubbed(part) if isinstance(part, str) else part


def _judged(key: str, value: Any) -> Any:
    if key == "env" and isinstance(value, list):
        return [_variable(each) for each in value]
    if key in ("args", "command") and isinstance(value, list):
        return _arguments(value)
    if key == "annotations" and isinstance(value, Mapping):  # of a pod template
        return {name: _without(text) for name, text in value.items() if name.startswith(KEPT_ANNOTATIONS)}
    return REDACTED if isinstance(value, str) and SECRET_KEY.search(key) else _without(value)


def _variable(variable: dict[str, Any]) -> dict[str, Any]:
    """Where its value comes from is kept; a value only of those that are known to hold none."""
    name = str(variable.get("name", ""))
    if "value" not in variable:
        return variable
    safe = SAFE_VARIABLES.fullmatch(name) and not SECRET_KEY.search(name)
    return {**variable, "value": scrubbed(str(variable["value"])) if safe else REDACTED}


def _arguments(words: list[Any]) -> list[str]:
    """`--token X` in two words is one flag with its value."""
    told = [str(word) for word in words]
    secret = [False, *(word.startswith("-") and bool(SECRET_KEY.search(word)) for word in told[:-1])]
    return [REDACTED if hide else scrubbed(word) for word, hide in zip(told, secret, strict=True)]


def secret_values(pods: Iterable[Mapping[str, Any]]) -> set[str]:
    """The values of variables of these pods that a report leaves out, to be left out of every text as well."""
    containers = (c for pod in pods for kind in ("containers", "initContainers") for c in pod["spec"].get(kind) or ())
    values = (v for container in containers for v in container.get("env") or () if "value" in v)
    return {str(v["value"]) for v in values if _variable(v)["value"] == REDACTED}
