"""ConfigMaps, Secrets and ServiceAccount tokens, as pods refer to them."""

import asyncio
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from demo.stack.kubelet.client import LISTED, ApiError, Client, Object

Data = dict[str, bytes]


class MissingError(RuntimeError):
    """Something a pod refers to does not exist (yet); the pod waits, and its status says for what."""


TROUBLE = (MissingError, ApiError, aiohttp.ClientError, OSError)
"""What may be over in a second: something is missing, or the API server is away or refuses."""


@dataclass
class Sources:
    """Reads what pods refer to, and tells when a ConfigMap or Secret changes."""

    client: Client
    changed: Callable[[str, str, str], None] = lambda kind, namespace, name: None
    _seen: dict[tuple[str, str, str], str] = field(default_factory=dict)

    async def data(self, kind: str, namespace: str, name: str, *, optional: bool = False) -> Data:
        """The values of a ConfigMap (`configmaps`) or Secret (`secrets`) by key, fresh from the API server."""
        try:
            found = await self.client.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            if optional:
                return {}
            raise MissingError(f"{kind.removesuffix('s')} {name!r} not found in namespace {namespace}") from error
        return _values(kind, found)

    async def token(self, pod: Object, audience: str | None, seconds: int) -> str:
        """A ServiceAccount token bound to this pod (TokenRequest)."""
        meta = pod["metadata"]
        account = pod["spec"].get("serviceAccountName", "default")
        spec = {
            "audiences": [audience] if audience else [],
            "expirationSeconds": seconds,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]},
        }
        path = f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self.client.post(path, asked)
        return str(answer["status"]["token"])

    async def follow(self) -> None:
        """Call `changed(kind, namespace, name)` at every change, for ever."""
        await asyncio.gather(self._follow("configmaps"), self._follow("secrets"))

    async def _follow(self, kind: str) -> None:
        async for event, item in self.client.watch(f"/api/v1/{kind}"):
            for changed in item.get("items", ()) if event == LISTED else (item,):
                meta = changed["metadata"]
                key = (kind, meta["namespace"], meta["name"])
                if self._seen.get(key) != meta["resourceVersion"]:
                    self._seen[key] = meta["resourceVersion"]
                    self.changed(*key)


@dataclass
class Token:
    """A token that is asked for anew when four fifths of its life are over, as the real kubelet does."""

    audience: str | None
    seconds: int
    _value: str = ""
    _renew_at: float = 0.0

    async def value(self, sources: Sources, pod: Object) -> str:
        """A token that is good for a while yet."""
        if time.monotonic() >= self._renew_at:
            self._value = await sources.token(pod, self.audience, self.seconds)
            self._renew_at = time.monotonic() + 0.8 * self.seconds
        return self._value


def _values(kind: str, found: Object) -> Data:
    data = found.get("data") or {}
    binary = found.get("binaryData") or {}
    if kind == "secrets":
        return {key: b64decode(value) for key, value in data.items()}
    return {key: value.encode() for key, value in data.items()} | {
        key: b64decode(value) for key, value in binary.items()
    }
