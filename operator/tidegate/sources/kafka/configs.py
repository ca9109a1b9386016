"""How topics delete records: asked rarely, in the background, and done without where it cannot be had.

confluent-kafka asks: it is the client for what is privileged. It lives only while it has something to ask, so that its
threads and connections do not outlive their use.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

REFRESH_SECONDS = 300.0
REQUEST_SECONDS = 10.0
CHUNK = 200  # topics a request; a topic's configs are about 3 kB

log = logging.getLogger(__name__)


class Cleanup(NamedTuple):
    """A topic's `cleanup.policy` and `retention.ms`: seconds, None where records are not deleted by time."""

    retention: float | None
    compacted: bool


@dataclass(slots=True)
class _Request:
    """One request that is under way, and the client that made it."""

    client: Any
    answers: Mapping[str, "Future[Mapping[str, Any]]"]

    def done(self) -> bool:
        return all(answer.done() for answer in self.answers.values())


class Configs:
    """What is known of topics' configs. `settings` are those of confluent-kafka."""

    def __init__(self, settings: Mapping[str, str | int], client: Callable[..., Any] = AdminClient) -> None:
        self._settings = dict(settings)
        self._client = client
        self._known: dict[str, Cleanup] = {}
        self._asked_at: dict[str, float] = {}
        self._request: _Request | None = None
        self.generation = 0  # changes whenever an answer does

    def refresh(self, topics: Iterable[str]) -> None:
        """Take what was answered since, and ask for what is due. Does not wait, does not raise."""
        if self._request and not self._request.done():
            return
        client = self._harvest() if self._request else None
        due = time.monotonic() - REFRESH_SECONDS
        names = [name for name in topics if self._asked_at.get(name, due) <= due][:CHUNK]
        self._request = self._ask(names, client) if names else None

    def of(self, topic: str) -> Cleanup | None:
        """What is known of a topic; None where nothing is."""
        return self._known.get(topic)

    def close(self) -> None:
        """End the client, if there is one."""
        self._request = None

    def _ask(self, names: list[str], client: Any) -> _Request | None:
        self._asked_at |= dict.fromkeys(names, time.monotonic())
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        try:
            client = client or self._client(self._settings)
            answers = client.describe_configs(resources, request_timeout=REQUEST_SECONDS)
        except (KafkaException, ValueError) as error:
            log.info("configs of topics cannot be asked for: %s", error)
            return None
        return _Request(client, {resource.name: answer for resource, answer in answers.items()})

    def _harvest(self) -> Any:
        """Take the answers of the request that is done; gives its client, to ask on."""
        assert self._request
        for name, answer in self._request.answers.items():
            error = answer.exception()
            if error:
                log.info("configs of topic %s are not known: %s", name, error)
                continue
            cleanup = cleanup_of({key: entry.value for key, entry in answer.result().items()})
            self.generation += self._known.get(name) != cleanup
            self._known[name] = cleanup
        return self._request.client


def cleanup_of(config: Mapping[str, str | None]) -> Cleanup:
    """What a topic's configs say of deletion."""
    policies = {word.strip() for word in (config.get("cleanup.policy") or "").split(",")}
    milliseconds = int(config.get("retention.ms") or -1)
    by_time = "delete" in policies and milliseconds >= 0
    return Cleanup(milliseconds / 1000 if by_time else None, "compact" in policies)
