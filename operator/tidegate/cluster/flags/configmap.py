"""A ConfigMap with a flagd document under one key."""

from collections.abc import Mapping
from typing import Any

from kubernetes.aio.client import ApiClient

from tidegate.api import FlagsKind, Reason, cut
from tidegate.cluster.flags.document import with_variants
from tidegate.cluster.flags.sinks import ObjectSink, Seen
from tidegate.cluster.server import JSON_PATCH, path_of
from tidegate.engine.observation import Objection


class ConfigMapSink(ObjectSink):
    """Replaces that key alone, as a whole text."""

    kind = FlagsKind.CONFIG_MAP
    content_type = JSON_PATCH

    def __init__(self, api: ApiClient, namespace: str, name: str, key: str) -> None:
        super().__init__(api, namespace, name)
        self.key = key

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return path_of("", "v1", "configmaps", self.namespace, self.name)

    @property
    def where(self) -> str:
        """The document in words."""
        return f"{self.key} of {self.what}"

    def text_of(self, body: Mapping[str, Any]) -> str | Objection:
        """The document; FLAGS_NOT_FOUND names the keys that there are."""
        data: Mapping[str, str] = body.get("data") or {}
        if self.key in data:
            return data[self.key]
        if self.key in (body.get("binaryData") or {}):
            message = f"{self.where} is binary data: put the document there as text, under `data`"
            return Objection(Reason.FLAGS_INVALID, message)
        message = f"{self.what} has no key {self.key}; its keys are: {', '.join(sorted(data)) or 'none'}"
        return Objection(Reason.FLAGS_NOT_FOUND, cut(message))

    def patch_of(self, seen: Seen, variants: Mapping[str, str]) -> list[dict[str, Any]]:
        """JSON Patch (RFC 6902): tests the version and replaces the text. No name of a key has a `/` or `~`."""
        text = with_variants(seen.document.text, variants)
        return [
            {"op": "test", "path": "/metadata/resourceVersion", "value": seen.version},
            {"op": "replace", "path": f"/data/{self.key}", "value": text},
        ]

    def fixed(self, body: Mapping[str, Any]) -> Objection | None:
        """An immutable ConfigMap cannot be changed."""
        if not body.get("immutable"):
            return None
        message = f"{self.what} is immutable, so its flags cannot be switched: create it anew without `immutable: true`"
        return Objection(Reason.FLAGS_INVALID, message)
