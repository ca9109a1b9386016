"""A FeatureFlag of the OpenFeature Operator (core.openfeature.dev/v1beta1): the flagd document is its spec.flagSpec."""

import json
from collections.abc import Mapping
from typing import Any

from tidegate.api import FlagsKind, Reason
from tidegate.cluster.flags.sinks import ObjectSink, Seen
from tidegate.cluster.server import MERGE_PATCH, names_object, path_of
from tidegate.engine.observation import Objection

GROUP, VERSION = "core.openfeature.dev", "v1beta1"


class FeatureFlagSink(ObjectSink):
    """Sets the defaultVariants alone."""

    kind = FlagsKind.FEATURE_FLAG
    content_type = MERGE_PATCH

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return path_of(GROUP, VERSION, "featureflags", self.namespace, self.name)

    def text_of(self, body: Mapping[str, Any]) -> str | Objection:
        """The document as JSON."""
        return json.dumps((body.get("spec") or {}).get("flagSpec") or {}, ensure_ascii=False)

    def patch_of(self, seen: Seen, variants: Mapping[str, str]) -> dict[str, Any]:
        """JSON Merge Patch (RFC 7396); the server refuses (409) where the version is not that of the object."""
        flags = {flag: {"defaultVariant": variant} for flag, variant in variants.items()}
        return {"metadata": {"resourceVersion": seen.version}, "spec": {"flagSpec": {"flags": flags}}}

    def absent(self, error: BaseException) -> Objection:
        """A 404 in words: of the object, or of its kind."""
        if names_object(error):
            return super().absent(error)
        message = (
            f"the cluster has no FeatureFlags ({GROUP}/{VERSION}): install the OpenFeature Operator, or use a ConfigMap"
        )
        return Objection(Reason.SINK_UNAVAILABLE, message)
