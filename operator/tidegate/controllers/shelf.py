"""What the watches have shown of one kind: the newest of each name, small."""

from collections.abc import Collection, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")


class Name(NamedTuple):
    """Which object; the namespace is None for kinds of the whole cluster."""

    namespace: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class _Entry(NamedTuple, Generic[V]):
    uid: str
    version: int
    seen: float
    value: V


class Shelf(Generic[V]):
    """A cache of one kind.

    An object that is deleted and made anew under its name has another uid, and kopf tells each uid's events in a task
    of its own: the end of the old one may be told after the beginning of the new one. So only the uid it names is
    dropped, and what is older (resourceVersions of one kind can be compared as numbers, KEP-5504) never replaces what
    is newer.
    """

    def __init__(self) -> None:
        self._spaces: dict[str | None, dict[str, _Entry[V]]] = {}

    def put(self, name: Name, uid: str, version: int, value: V, now: float) -> bool:
        """Keep an object, seen at `now` (monotonic seconds); False where what is kept is newer."""
        space = self._spaces.setdefault(name.namespace, {})
        before = space.get(name.name)
        if before and before.uid != uid and before.version > version:
            return False
        space[name.name] = _Entry(uid, version, now, value)
        return True

    def change(self, name: Name, value: V) -> None:
        """Keep something else of an object that is there."""
        space = self._spaces[name.namespace]
        space[name.name] = space[name.name]._replace(value=value)

    def drop(self, name: Name, uid: str) -> bool:
        """Forget an object if it still is the one of this uid; False where it is not."""
        space = self._spaces.get(name.namespace, {})
        entry = space.get(name.name)
        if entry is None or entry.uid != uid:
            return False
        del space[name.name]
        if not space:
            del self._spaces[name.namespace]
        return True

    def get(self, name: Name) -> V | None:
        """The object of this name, or None."""
        entry = self._spaces.get(name.namespace, {}).get(name.name)
        return entry.value if entry else None

    def of(self, namespace: str | None) -> Iterator[V]:
        """All of a namespace."""
        return (entry.value for entry in self._spaces.get(namespace, {}).values())

    def __iter__(self) -> Iterator[V]:
        return (entry.value for space in self._spaces.values() for entry in space.values())

    def __len__(self) -> int:
        return sum(map(len, self._spaces.values()))

    def departed(self, present: Mapping[str, Name], since: float) -> list[tuple[Name, str]]:
        """Objects kept here that a roll call which began at `since` (monotonic) did not find: (name, uid)."""
        return [
            (Name(namespace, name), entry.uid)
            for namespace, space in self._spaces.items()
            for name, entry in space.items()
            if entry.uid not in present and entry.seen < since
        ]

    def missing(self, present: Collection[str]) -> set[str]:
        """Uids that a roll call found and no watch has shown."""
        return set(present) - {entry.uid for space in self._spaces.values() for entry in space.values()}
