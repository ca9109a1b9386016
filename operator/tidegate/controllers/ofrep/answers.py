"""Requests read and answers shaped as https://github.com/open-feature/protocol says (service/openapi.yaml, 0.3.0)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

Body = dict[str, Any]

STATUS_OF = {ErrorCode.FLAG_NOT_FOUND.value: 404}
"""Statuses of a failed evaluation; 400 for all others."""


class RequestError(Exception):
    """Ends a request with this answer."""

    def __init__(self, status: int, body: Body, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body.get("errorDetails", ""))
        self.status = status
        self.body = body
        self.headers = headers


def failure(key: str | None, code: ErrorCode, details: str) -> Body:
    """An evaluationFailure or flagNotFound; without a key a bulkEvaluationFailure."""
    named = {} if key is None else {"key": key}
    return {**named, "errorCode": code.value, "errorDetails": details}


def failed(key: str | None, code: ErrorCode, details: str) -> RequestError:
    """A failure that ends the request."""
    return RequestError(STATUS_OF.get(code.value, 400), failure(key, code, details))


def broken(details: str) -> RequestError:
    """A generalErrorResponse: the flags are not known here and now, so clients keep what they have or their default."""
    return RequestError(500, {"errorDetails": details})


def read_context(text: bytes, key: str | None) -> EvaluationContext:
    """The context of a request for `key` (None: for all flags). RequestError says what is wrong with it.

    The protocol wants a targetingKey, but flagd does not and the providers leave it out where the application gives
    none: a rule that needs one then gives the default variant.
    """
    try:
        body = json.loads(text, parse_constant=_no_number) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise failed(key, ErrorCode.PARSE_ERROR, f'the body must be JSON, {{"context": {{…}}}}: {error}') from None
    context = body.get("context", {}) if isinstance(body, dict) else None
    if not isinstance(context, dict):
        raise failed(key, ErrorCode.INVALID_CONTEXT, 'the body must be an object with an object: {"context": {…}}')
    targeting_key = context.get("targetingKey")
    if not isinstance(targeting_key, str | None):
        raise failed(key, ErrorCode.INVALID_CONTEXT, "context.targetingKey must be a string")
    return EvaluationContext(targeting_key, context)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def written(body: Body) -> bytes:
    """An answer as it goes out."""
    return json.dumps(body).encode()


def tag_of(answer: bytes) -> str:
    """The entity tag of an answer (RFC 9110, 8.8.3): another one whenever a single byte of the answer differs.

    So it covers all that an answer depends on: the documents, and with targeting the context and the time as well.
    """
    return hashlib.sha256(answer).hexdigest()[:32]
