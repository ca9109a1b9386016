"""Label selectors, in both forms the API server uses, and pods found by them without looking at all pods.

A workload's `spec.selector` is a structure (`metav1.LabelSelector`), the selector of a /scale is a string such as
`app=shop,tier in (a,b)`. Both become the same `Selector`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tidegate.engine.observation import Pod


class Requirement(NamedTuple):
    """One condition on one label; `operator` is In, NotIn, Exists or DoesNotExist, as in Kubernetes."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it. A label that is absent is not in any list, so NotIn holds."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case _:
                return value is None


Selector = tuple[Requirement, ...]
"""All of them must hold. Without any it selects nothing: a workload always has to say which pods are its own."""

_NEVER = Requirement("", "In")
_TERM = re.compile(r"(?:[^,(]|\([^)]*\))+")
_SET = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUALITY = re.compile(r"(?P<key>[^=!\s]+)\s*(?P<operator>==|=|!=)\s*(?P<value>\S*)")


def selector_from(wire: Mapping[str, Any] | None) -> Selector:
    """Read a `metav1.LabelSelector`."""
    labels: Mapping[str, str] = (wire or {}).get("matchLabels") or {}
    expressions = (wire or {}).get("matchExpressions") or ()
    return (
        *(Requirement(key, "In", frozenset((value,))) for key, value in labels.items()),
        *(Requirement(e["key"], e["operator"], frozenset(e.get("values") or ())) for e in expressions),
    )


def parse_selector(text: str) -> Selector:
    """Read a selector as kubectl and /scale write it; a term that cannot be read is never satisfied."""
    return tuple(_term(term.strip()) for term in _TERM.findall(text) if term.strip())


def _term(text: str) -> Requirement:
    if found := _SET.fullmatch(text):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Requirement(found["key"], "In" if found["operator"] == "in" else "NotIn", values)
    if found := _EQUALITY.fullmatch(text):
        operator = "NotIn" if found["operator"] == "!=" else "In"
        return Requirement(found["key"], operator, frozenset((found["value"],)))
    if re.fullmatch(r"!?\s*[^\s!=(),<>]+", text):
        return Requirement(text.lstrip("! "), "DoesNotExist" if text.startswith("!") else "Exists")
    return _NEVER


class LabelledPod(NamedTuple):
    """A pod that counts, and the labels by which its workload finds it."""

    labels: Mapping[str, str]
    pod: Pod


class PodIndex:
    """The pods of the cluster by (namespace, label, value): selecting costs as much as there are pods to find."""

    def __init__(self) -> None:
        self._pods: dict[tuple[str, str], LabelledPod] = {}
        self._by_label: dict[tuple[str, str, str], dict[str, LabelledPod]] = {}
        self._by_namespace: dict[str, dict[str, LabelledPod]] = {}

    def put(self, namespace: str, name: str, seen: LabelledPod | None) -> None:
        """Keep what a pod is now; None (gone, terminating or finished) forgets it."""
        self._forget(namespace, name)
        if seen is None:
            return
        self._pods[namespace, name] = seen
        self._by_namespace.setdefault(namespace, {})[name] = seen
        for key, value in seen.labels.items():
            self._by_label.setdefault((namespace, key, value), {})[name] = seen

    def select(self, namespace: str, selector: Selector) -> tuple[Pod, ...]:
        """The pods of a namespace that a selector finds, by name."""
        if not selector:
            return ()
        candidates = min((self._candidates(namespace, r) for r in selector), key=len)
        found = (c.pod for c in candidates.values() if all(r.holds(c.labels) for r in selector))
        return tuple(sorted(found))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(namespace, name) of every pod that counts."""
        return iter(self._pods)

    def __len__(self) -> int:
        return len(self._pods)

    def _candidates(self, namespace: str, requirement: Requirement) -> Mapping[str, LabelledPod]:
        if requirement.operator == "In" and len(requirement.values) == 1:
            [value] = requirement.values
            return self._by_label.get((namespace, requirement.key, value), {})
        return self._by_namespace.get(namespace, {})

    def _forget(self, namespace: str, name: str) -> None:
        old = self._pods.pop((namespace, name), None)
        if old is None:
            return
        del self._by_namespace[namespace][name]
        if not self._by_namespace[namespace]:
            del self._by_namespace[namespace]
        for key, value in old.labels.items():
            found = self._by_label[namespace, key, value]
            del found[name]
            if not found:
                del self._by_label[namespace, key, value]
