"""The FeatureFlag of the OpenFeature Operator: as much of its CRD as says what may stand in a flagd document."""

from typing import Any

_FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_FLAG = {
    "type": "object",
    "required": ["defaultVariant", "state", "variants"],
    "properties": {
        "state": {"type": "string", "enum": ["ENABLED", "DISABLED"]},
        "variants": _FREE,
        "defaultVariant": {"type": "string"},
        "targeting": _FREE,
        "metadata": _FREE,
    },
}
_DOCUMENT = {
    "type": "object",
    "required": ["flags"],
    "properties": {
        "flags": {"type": "object", "additionalProperties": _FLAG},
        "$evaluators": _FREE,
        "metadata": _FREE,
    },
}
_SPEC = {"type": "object", "properties": {"flagSpec": _DOCUMENT}}

FEATURE_FLAGS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "featureflags.core.openfeature.dev"},
    "spec": {
        "group": "core.openfeature.dev",
        "scope": "Namespaced",
        "names": {"plural": "featureflags", "singular": "featureflag", "kind": "FeatureFlag", "shortNames": ["ff"]},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": _SPEC, "status": _FREE}}},
            }
        ],
    },
}


def feature_flag(name: str, document: dict[str, Any]) -> dict[str, Any]:
    """A FeatureFlag with this flagd document."""
    return {
        "apiVersion": "core.openfeature.dev/v1beta1",
        "kind": "FeatureFlag",
        "metadata": {"name": name},
        "spec": {"flagSpec": document},
    }
