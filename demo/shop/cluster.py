"""What Kubernetes shows of the shop while the demo plays: replicas, status, proposals, events; by watches."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from kubernetes import client, config, watch

from demo.shop.levels import Change, Document
from demo.shop.summary import Scale

Object = dict[str, Any]


class Happening(NamedTuple):
    """An event in words, at a time (seconds since the epoch)."""

    at: float
    what: str


class Cluster:
    """The Deployment, the LagPolicy and the events of one namespace, followed until the process ends."""

    def __init__(self, kubeconfig: Path, namespace: str, deployment: str, policy: str, flags: str) -> None:
        api = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
        self.scales: list[Scale] = []
        self.ready = 0
        self.policy: Object = {}
        self.proposals: dict[str, Object] = {}
        """PartitionProposals by name."""
        self.happenings: list[Happening] = []
        self.changes: list[Change] = []
        """The steps of the ladder, each at the time it was seen here."""
        self.documents: list[Document] = []
        """The flag document, whenever it changed."""
        self._stopping = False
        self._seen: set[tuple[str, int]] = set()
        self._api = api
        apps, core, custom = client.AppsV1Api(api), client.CoreV1Api(api), client.CustomObjectsApi(api)
        ours = {"group": "tidegate.dev", "version": "v1alpha1", "namespace": namespace}
        self._follow(self._deployment, apps.list_namespaced_deployment, namespace=namespace, name=deployment)
        policies = ours | {"plural": "lagpolicies"}
        self._follow(self._policy, custom.list_namespaced_custom_object, **policies, name=policy)
        self._follow(self._proposal, custom.list_namespaced_custom_object, **ours, plural="partitionproposals")
        self._follow(self._flags, core.list_namespaced_config_map, namespace=namespace, name=flags)
        self._follow(self._event, core.list_namespaced_event, namespace=namespace)

    @property
    def replicas(self) -> int:
        """What the Deployment asks for now."""
        return self.scales[-1].replicas if self.scales else 0

    @property
    def decision(self) -> Mapping[str, str]:
        """`status.lastDecision` of the policy: time, reason, message; empty before the first."""
        found: Mapping[str, str] = self.policy.get("status", {}).get("lastDecision") or {}
        return found

    @property
    def observing(self) -> bool:
        """Whether Tidegate has whole and fresh readings for the policy."""
        return condition(self.policy, "Observing")

    @property
    def degraded(self) -> Mapping[str, Any]:
        """`status.degradation` of the policy; empty before the first."""
        found: Mapping[str, Any] = self.policy.get("status", {}).get("degradation") or {}
        return found

    @property
    def level(self) -> int:
        """The level of the ladder that is in force."""
        return int(self.degraded.get("level", 0))

    def close(self) -> None:
        """Stop following."""
        self._stopping = True

    def _follow(self, changed: Callable[[Object], None], listing: Callable[..., Any], **where: str) -> None:
        name = where.pop("name", None)
        if name:
            where["field_selector"] = f"metadata.name={name}"

        def forever() -> None:
            while not self._stopping:
                for found in _changes(listing, where):
                    changed(found if isinstance(found, dict) else self._api.sanitize_for_serialization(found))

        threading.Thread(target=forever, daemon=True, name=f"watch {listing.__name__}").start()

    def _deployment(self, found: Object) -> None:
        replicas = found["spec"]["replicas"]
        if not self.scales or self.replicas != replicas:
            self.scales.append(Scale(time.time(), replicas))
        self.ready = found.get("status", {}).get("readyReplicas") or 0

    def _policy(self, found: Object) -> None:
        self.policy = found
        for step in self.degraded.get("history", ())[len(self.changes) :]:
            levels = found["spec"]["degradation"]["levels"]
            name = levels[step["to"] - 1]["name"] if step["to"] else ""
            self.changes.append(Change(time.time(), step["from"], step["to"], name, step["reason"], step["message"]))

    def _flags(self, found: Object) -> None:
        text = found["data"]["flags.json"]
        if not self.documents or self.documents[-1].text != text:
            self.documents.append(Document(time.time(), text))

    def _proposal(self, found: Object) -> None:
        self.proposals[found["metadata"]["name"]] = found

    def _event(self, found: Object) -> None:
        about = found["involvedObject"]["kind"]
        key = (found["metadata"]["uid"], found.get("count") or 1)
        if about in ("LagPolicy", "BrokerConnection") and key not in self._seen:
            self._seen.add(key)
            self.happenings.append(Happening(time.time(), f"{about} {found['reason']}: {found['message']}"))


def condition(found: Object, kind: str) -> bool:
    """Whether this condition of an object is true."""
    conditions = found.get("status", {}).get("conditions", ())
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def _changes(listing: Callable[..., Any], where: Mapping[str, str]) -> Iterator[Any]:
    """What one watch shows, first everything there is; ends when the watch breaks, however that may be."""
    with suppress(Exception):
        for event in watch.Watch().stream(listing, **where, timeout_seconds=3600):  # type: ignore[no-untyped-call]
            yield event["object"]
    time.sleep(0.2)
