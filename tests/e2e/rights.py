"""What an account may do by the roles of a release, and what it was seen doing."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from demo.stack.audit import Request

Object = Mapping[str, Any]


class Right(NamedTuple):
    """One verb on one resource."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


def granted(objects: Iterable[Object], account: str) -> frozenset[Right]:
    """By all roles that the bindings among these objects give a ServiceAccount (system:serviceaccount:SPACE:NAME)."""
    known = list(objects)
    roles = {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each for each in known}
    found = set()
    for binding in known:
        if any(_is_subject(subject, account) for subject in binding.get("subjects", ())):
            ref, space = binding["roleRef"], binding["metadata"].get("namespace")
            role = roles[ref["kind"], space if ref["kind"] == "Role" else None, ref["name"]]
            found.update(right for rule in role.get("rules") or () for right in _rights(rule))
    return frozenset(found)


def used(requests: Iterable[Request]) -> frozenset[Right]:
    """The rights without which these requests would have been refused."""
    return frozenset(Right(each.verb, each.group, each.resource) for each in requests if each.resource)


def _is_subject(subject: Object, account: str) -> bool:
    name = f"system:serviceaccount:{subject.get('namespace')}:{subject['name']}"
    return bool(subject["kind"] == "ServiceAccount" and name == account)


def _rights(rule: Object) -> Iterator[Right]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            yield from (Right(verb, group, resource) for verb in rule["verbs"])
