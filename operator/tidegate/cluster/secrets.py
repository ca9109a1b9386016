"""The Secrets that a connection refers to, read as a whole or not at all.

They are fetched by name, as often as the controllers want (the right `get` on named Secrets is enough; a watch would
ask for all of a namespace); the fingerprint says whether a client has to be built anew.
"""

import hashlib
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes.aio.client import ApiClient

from tidegate.api import BrokerConnectionSpec, Reason, SecretKeyRef, cut
from tidegate.cluster.server import FAILURES, path_of, refusal, request, status_of, words
from tidegate.engine.observation import Objection


@dataclass(frozen=True, slots=True)
class Secrets:
    """The values by the reference that asks for them. `fingerprint` is equal exactly while all of them are."""

    values: Mapping[SecretKeyRef, str] = field(repr=False)
    fingerprint: str

    def __getitem__(self, ref: SecretKeyRef) -> str:
        return self.values[ref]


async def read_secrets(api: ApiClient, spec: BrokerConnectionSpec, namespace: str) -> Secrets | Objection:
    """Read what a connection refers to. `namespace` is its own; a ClusterBrokerConnection has none and gives "".

    Objections: SECRET_NOT_FOUND (naming Secret and key), FORBIDDEN (naming the missing right), CONNECTION_FAILED (the
    API server did not answer).
    """
    refs = tuple(dict.fromkeys(spec.secret_refs()))
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    for where in dict.fromkeys((ref.namespace_or(namespace), ref.name) for ref in refs):
        data = await _read(api, *where)
        if isinstance(data, Objection):
            return data
        found[where] = data
    return _pick(refs, namespace, found)


async def _read(api: ApiClient, namespace: str, name: str) -> Mapping[str, str] | Objection:
    try:
        secret = await request(api, "GET", path_of("", "v1", "secrets", namespace, name))
    except FAILURES as error:
        return _objection(error, namespace, name)
    return secret.get("data") or {}


def _objection(error: BaseException, namespace: str, name: str) -> Objection:
    match status_of(error):
        case 403:
            return refusal(error, namespace)
        case 404:
            return Objection(Reason.SECRET_NOT_FOUND, f"Secret {name} does not exist in namespace {namespace}")
        case _:
            message = f"cannot read Secret {namespace}/{name}: the API server says: {words(error)}"
            return Objection(Reason.CONNECTION_FAILED, cut(message))


def _pick(
    refs: Iterable[SecretKeyRef], namespace: str, found: Mapping[tuple[str, str], Mapping[str, str]]
) -> Secrets | Objection:
    values: dict[SecretKeyRef, str] = {}
    for ref in refs:
        where = ref.namespace_or(namespace), ref.name
        value = _text(found[where].get(ref.key))
        if value is None:
            return _missing(ref, where[0], found[where])
        values[ref] = value
    return Secrets(values, fingerprint(values))


def _text(encoded: Any) -> str | None:
    try:
        return None if encoded is None else b64decode(encoded).decode()
    except UnicodeDecodeError:
        return None


def _missing(ref: SecretKeyRef, namespace: str, data: Mapping[str, str]) -> Objection:
    there = ", ".join(sorted(data)) or "none"
    what = "is not UTF-8 text" if ref.key in data else f"does not exist; its keys are: {there}"
    return Objection(Reason.SECRET_NOT_FOUND, cut(f"key {ref.key} of Secret {namespace}/{ref.name} {what}"))


def fingerprint(values: Mapping[SecretKeyRef, str]) -> str:
    """A hash that changes with any value; it tells nothing of them, and is kept in memory only."""
    told = sorted((ref.model_dump_json(), value) for ref, value in values.items())
    return hashlib.sha256(repr(told).encode()).hexdigest()
