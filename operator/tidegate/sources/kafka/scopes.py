"""The topics of a policy and what is known of them, made once for all policies and cycles that share them."""

from collections.abc import Mapping
from typing import NamedTuple

from tidegate.sources.kafka.configs import Configs
from tidegate.sources.kafka.topics import Topic, Topics


class Scope(NamedTuple):
    """Some topics, with the parts of a Reading that are the same for every group that reads them."""

    topics: tuple[Topic, ...]
    ids: Mapping[str, str]
    retention: Mapping[str, float]
    compacted: frozenset[str]


class Scopes:
    """Scopes by their topics' names, until a topic or a config changes."""

    def __init__(self, topics: Topics, configs: Configs) -> None:
        self._topics = topics
        self._configs = configs
        self._scopes: dict[tuple[str, ...], Scope] = {}
        self._of = (-1, -1)

    def of(self, names: tuple[str, ...]) -> Scope:
        """The scope of these topics. Raises Trouble where one of them is missing."""
        current = self._topics.generation, self._configs.generation
        if current != self._of:
            self._scopes, self._of = {}, current
        if names not in self._scopes:
            self._scopes[names] = self._make(names)
        return self._scopes[names]

    def _make(self, names: tuple[str, ...]) -> Scope:
        topics = tuple(map(self._topics.find, names))
        known = {name: config for name in names if (config := self._configs.of(name))}
        return Scope(
            topics,
            {topic.name: topic.id for topic in topics},
            {name: config.retention for name, config in known.items() if config.retention is not None},
            frozenset(name for name, config in known.items() if config.compacted),
        )
