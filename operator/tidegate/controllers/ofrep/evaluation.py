"""What a flag gives to one who asks: flagd's own rules, targeting included, by its evaluator."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagResolutionDetails

from tidegate.api import cut
from tidegate.cluster.flags import Document
from tidegate.controllers.ofrep.answers import Body, failure

_FIELDS = ("state", "variants", "defaultVariant", "targeting", "metadata")
"""What the evaluator knows of a flag. It refuses a document with more in it, where flagd does not."""

LARGEST = 2**21
"""Characters of the flags of one document; a ConfigMap has at most 2^20 bytes."""

LONGEST = 2**14
"""Characters of the targeting of one flag."""

LOOPS = ("all", "filter", "map", "none", "reduce", "some")
"""Operators that are not evaluated here: nested, a few words of theirs take hours or all memory.

Rules are written by those who may change a ConfigMap in one namespace, and run in the process that scales all of them.
Without loops what they take is bounded by their length.
"""

_Resolve = Callable[[str, EvaluationContext], FlagResolutionDetails[Any]]


class FlagSet:
    """The flags of one document. ValueError says why flagd could not evaluate them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._core = FlagdCore()
        flags = {key: {f: flag[f] for f in _FIELDS if f in flag} for key, flag in document.flags.items()}
        shared = document.content.get("$evaluators", {})
        try:
            flags = _with_shared(flags, shared)
            self._excessive = {key: words for key, flag in flags.items() if (words := _excess(flag))}
            self._core.set_flags({"flags": flags, "metadata": document.content.get("metadata", {})})
        except Exception as error:  # whatever its libraries raise
            raise ValueError(f"flagd's evaluator refuses the document: {_words(error)}") from error

    @property
    def metadata(self) -> Mapping[str, Any]:
        """That of the whole document."""
        return self._core.get_flag_set_metadata()

    def evaluate(self, key: str, context: EvaluationContext) -> Body:
        """A flag that the document has, as OFREP's evaluationSuccess or evaluationFailure."""
        if key in self._excessive:
            return failure(key, ErrorCode.GENERAL, self._excessive[key])
        try:
            found = self._resolver(key)(key, context)
        except OpenFeatureError as error:
            code = ErrorCode.PARSE_ERROR if error.error_code is ErrorCode.PARSE_ERROR else ErrorCode.GENERAL
            return failure(key, code, _words(error))
        except Exception as error:  # whatever a rule makes the libraries raise
            return failure(key, ErrorCode.GENERAL, f"its targeting fails: {_words(error)}")
        return self._success(key, found)

    def _success(self, key: str, found: FlagResolutionDetails[Any]) -> Body:
        """As flagd answers: no value where the application's own default counts.

        The variant is there even then, empty: the Python provider insists on one. The value is the document's own, as
        1 and 1.0 are different to clients that know types.
        """
        body: Body = {"key": key, "reason": str(found.reason), "variant": found.variant or ""}
        if found.variant:
            body["value"] = self.document.flags[key]["variants"][found.variant]
        return {**body, "metadata": dict(found.flag_metadata)}

    def _resolver(self, key: str) -> _Resolve:
        """The evaluator's question for the type of the flag, that of all its variants."""
        core = self._core
        match next(iter(self.document.flags[key]["variants"].values())):
            case bool():
                return lambda key, context: core.resolve_boolean_value(key, False, context)
            case str():
                return lambda key, context: core.resolve_string_value(key, "", context)
            case int() | float():
                return lambda key, context: core.resolve_float_value(key, 0.0, context)
            case _:
                return lambda key, context: core.resolve_object_value(key, {}, context)


def _with_shared(flags: Mapping[str, Any], shared: Mapping[str, Any]) -> Any:
    """The flags with the rules of `$evaluators` in place of what refers to them, in their order, as flagd does it.

    The evaluator does it too, but takes the backslashes of a rule for its own, and rules that refer to rules to no end.
    """
    text = json.dumps(flags)
    for name, rule in shared.items():
        reference, content = json.dumps({"$ref": name}), json.dumps(rule)
        if len(text) + text.count(reference) * len(content) > LARGEST:
            raise ValueError(f"with $evaluators in place it has more than {LARGEST} characters")
        text = text.replace(reference, content)
    return json.loads(text)


def _excess(flag: Mapping[str, Any]) -> str | None:
    """Why its targeting is not evaluated."""
    text = json.dumps(flag.get("targeting", {}))
    if len(text) > LONGEST:
        return f"its targeting has {len(text)} characters, and more than {LONGEST} are not evaluated here"
    loops = [name for name in LOOPS if f'"{name}": ' in text]  # a key: quotes within strings are escaped
    return f"its targeting uses {', '.join(loops)}, and loops are not evaluated here" if loops else None


def _words(error: Exception) -> str:
    told = error.error_message if isinstance(error, OpenFeatureError) else str(error)
    return cut(told or type(error).__name__)
