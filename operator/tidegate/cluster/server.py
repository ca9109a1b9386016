"""The API server: one request at a time, and what its refusals mean in words."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient, ApiException

from tidegate.api import Reason, cut
from tidegate.engine.observation import Objection

FIELD_MANAGER = "tidegate"
"""The name under which our writes stand in `metadata.managedFields`."""

TIMEOUT = 10.0
"""Seconds for one request: two reading cycles, so a stuck request cannot pile up behind itself."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

UNREACHABLE = (asyncio.TimeoutError, aiohttp.ClientError, OSError)
"""The errors of a request that got no answer."""

FAILURES = (ApiException, *UNREACHABLE)
"""The errors of a request that did not get the answer it wanted."""

_MISSING_RIGHT = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
)

_INVALID_VALUE = re.compile(r'^Invalid value: (?:(?:\{.*?\}|"[^"]*"): )?', re.DOTALL)


async def request(
    api: ApiClient,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    content_type: str = JSON,
) -> dict[str, Any]:
    """Send one request and give the answer's JSON object.

    Raises ApiException (`.status`) where the server refuses, and one of UNREACHABLE where it does not answer.
    """
    text = await text_of(api, method, path, query=query, body=body, content_type=content_type)
    answer: dict[str, Any] = json.loads(text)
    return answer


async def text_of(
    api: ApiClient,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    content_type: str = JSON,
    accept: str = JSON,
) -> str:
    """The same where the answer is a text, such as a log."""
    call = await api.param_serialize(
        method,
        path,
        query_params=list((query or {}).items()),
        header_params={"Accept": accept, "Content-Type": content_type},
        body=body,
        auth_settings=["BearerToken"],
    )
    response = await api.call_api(*call, _request_timeout=TIMEOUT)
    text: str = (await response.response.read()).decode(errors="replace")
    if not 200 <= response.status < 300:
        raise ApiException.from_response(http_resp=response, body=text, data=None)
    return text


def path_of(group: str, version: str, plural: str, namespace: str | None, name: str = "", subresource: str = "") -> str:
    """Where the API server keeps an object (or, without a name, its kind)."""
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    space = f"namespaces/{namespace}" if namespace else ""
    return "/".join(filter(None, (root, space, plural, name, subresource)))


def status_of(error: BaseException) -> int:
    """The HTTP status of a refusal, 0 where there was no answer."""
    return int(error.status or 0) if isinstance(error, ApiException) else 0


def transient(error: BaseException) -> bool:
    """Whether the same request may well succeed in a moment: no answer, throttled, or a fault of the server."""
    return isinstance(error, UNREACHABLE) or status_of(error) == 429 or status_of(error) >= 500


def words(error: BaseException) -> str:
    """What the API server said (`Status.message`), or what went wrong on the way to it."""
    if not isinstance(error, ApiException):
        return "it did not answer in time" if isinstance(error, asyncio.TimeoutError) else str(error) or repr(error)
    return str(_answer(error).get("message") or f"{error.status} {error.reason}")


def failed_test(error: BaseException) -> bool:
    """Whether a `test` of a JSON patch failed. The server tells only by naming nothing that would be invalid."""
    return status_of(error) == 422 and not _answer(error).get("details")


def names_object(error: BaseException) -> bool:
    """Whether a 404 is about one object; else there is no such kind at all."""
    return bool((_answer(error).get("details") or {}).get("name"))


def _answer(error: BaseException) -> dict[str, Any]:
    """The `metav1.Status` of a refusal, {} where something else than the API server answered."""
    try:
        answer = json.loads(getattr(error, "body", None) or "")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def causes(error: BaseException) -> tuple[str, ...]:
    """What is wrong with an object that was refused as invalid, a sentence for each field, without its value."""
    found = (_answer(error).get("details") or {}).get("causes") or ()
    return tuple(_INVALID_VALUE.sub("", cause.get("message", "")) for cause in found)


def denial(error: BaseException) -> str | None:
    """What a ValidatingAdmissionPolicy said, None where it was something else that refused."""
    _, denied, said = words(error).partition("denied request: ")
    return said if denied else None


def refusal(error: BaseException, namespace: str | None) -> Objection:
    """A 403 in words: the right that is missing, or what an admission rule said."""
    said = words(error)
    right = _MISSING_RIGHT.search(said)
    if right is None:
        return Objection(Reason.FORBIDDEN, cut(f"an admission rule of the cluster refused: {said}"))
    where = f"in namespace {namespace}" if namespace else "in the cluster"
    what = f"{right['resource']} {where}" + (f" (API group {right['group']})" if right["group"] else "")
    message = f"{_who(right['user'])} may not {right['verb']} {what}: grant it that right"
    return Objection(Reason.FORBIDDEN, cut(message))


def _who(user: str) -> str:
    account = user.removeprefix("system:serviceaccount:")
    return f"user {user}" if account == user else f"ServiceAccount {account.replace(':', '/')}"
