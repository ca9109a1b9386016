"""A scene with a degradation ladder: its flags, who obeys them, and when each saw what."""

import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider

from demo.shop.features import RECEIPTS, RECOMMENDATIONS, sightings
from demo.stack import Stack, binaries
from demo.stack.cache import tell
from tests.e2e.scene import FLAGS, NAME, Scene

DOCUMENT = """\
{ "$schema": "https://flagd.dev/schema/v0/flags.json",
    "flags": {
  "recommendations" :{"variants": {"on": true, "pinned":true, "off": false}, "state": "ENABLED",
                      "defaultVariant"  :  "on", "metadata": {"owner": "größer \\u0041"} },
     "email-receipts": {"state": "ENABLED", "defaultVariant": "on", "variants": {"off": false, "on": true}},
     "checkout": {"state": "ENABLED", "defaultVariant": "on", "variants": {"on": true, "off": false}}   }
}

"""
"""As nobody would write it, so that whoever parses it and writes it anew is found out."""

RECOMMENDATIONS_ON = '"defaultVariant"  :  "on"'
RECEIPTS_ON = '"defaultVariant": "on", "variants": {"off": false,'

LEVELS = (
    {"name": "NoRecommendations", "flags": {RECOMMENDATIONS: "off"}},
    {"name": "NoReceipts", "flags": {RECEIPTS: "off"}},
)
RATE = 20.0
"""Records a second that one consumer can do with every feature on; 25 at level 1, 31 at level 2."""
CEILING = 2
"""Replicas that the policy allows."""
SURGE = 70.0
"""Records a second: more than these do, at every level."""
CALM = 12.0
"""Records a second when there is no surge: enough that every consumer is at work, and asks for its flags."""


class Seen(NamedTuple):
    """Somebody saw this flag, first or changed; every look from `since` on was answered."""

    at: float
    by: str
    flag: str
    on: bool
    since: float = 0.0


class Asking:
    """An application that asks by OFREP, ten times a second, and what it saw. What nobody answers is not seen."""

    def __init__(self, url: str, domain: str) -> None:
        self.seen: list[Seen] = []
        api.set_provider_and_wait(OFREPProvider(url, timeout=2.0), domain)
        self._client, self.domain = api.get_client(domain), domain
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        last: dict[str, bool] = {}
        since = time.time()
        while not self._stopping.wait(0.1):
            for flag in (RECOMMENDATIONS, RECEIPTS):
                details = self._client.get_boolean_details(flag, True)
                if details.error_code is not None:
                    since = time.time()
                elif last.get(flag) != details.value:
                    last[flag] = details.value
                    self.seen.append(Seen(time.time(), self.domain, flag, details.value, since))

    def close(self) -> None:
        """Stop asking."""
        self._stopping.set()
        self._thread.join(10)


class Laddered(Scene):
    """Consumers whose features cost time, their flags in a ConfigMap that is mounted, and an application that asks."""

    def __init__(self, stack: Stack, namespace: str, ofrep: str, folder: Path, max_age: str) -> None:
        super().__init__(stack, namespace, namespace)
        self._max_age = max_age
        self._sightings = folder / f"{namespace}.sightings"
        self.connect()
        self.flags_are(DOCUMENT)
        sees = {"FLAGS_FILE": f"{FLAGS}/flags.json", "SIGHTINGS": str(self._sightings)}
        self.deploy(rate=RATE, more=sees, flags=True)
        self.allow(CEILING)
        self._stop_surge: Callable[[], None] = lambda: None
        self._asking = Asking(f"http://{ofrep}/namespaces/{namespace}/ConfigMap/{FLAGS}", namespace)
        self._closing.callback(self._asking.close)

    # what people do

    def flags_are(self, document: str) -> None:
        """Apply the ConfigMap with this document, as somebody would who does not know of Tidegate."""
        metadata = {"name": FLAGS, "namespace": self.namespace}
        data = {"flags.json": document, "other": "not a flag"}
        self.stack.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def allow(self, replicas: int) -> None:
        """Apply the policy, with so many replicas at most."""
        ladder = {
            "flagsRef": {"name": FLAGS, "propagation": "3s"},
            "levels": list(LEVELS),
            "escalateAfter": "3s",
            "restoreAfter": "5s",
        }
        objective = {"maxAge": self._max_age}
        self.promise(objective=objective, replicas={"min": 1, "max": replicas}, degradation=ladder)

    def surge(self) -> None:
        """From now on more arrives than the allowed replicas can do, at any level; `calm` ends it."""
        self._stop_surge = self.order((SURGE, 3600))

    def calm(self) -> None:
        """A little arrives from now on."""
        self._stop_surge()
        self.order((CALM, 3600))

    def force(self, level: int, seconds: float) -> None:
        """Hold the ladder at a level for so long."""
        until = datetime.fromtimestamp(time.time() + seconds).astimezone().isoformat()
        self.kubectl("annotate", "lagp", NAME, "--overwrite", f"tidegate.dev/force-level={level}; until={until}")

    def typed(self, command: str) -> str:
        """What a command of the documentation prints that is typed for this policy; it must not fail."""
        here = command.replace("-n shop", f"-n {self.namespace}").replace("lagp points", f"lagp {NAME}")
        path = f"{binaries.kubernetes(tell)}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "KUBECONFIG": str(self.stack.kubeconfig), "PATH": path}
        shell = ["bash", "-c", here.replace("name=points", f"name={NAME}")]
        done = subprocess.run(shell, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{shlex.join(shell)}: {done.stderr}"
        return done.stdout

    # what can be seen

    @property
    def level(self) -> int:
        """That the policy tells of."""
        return int(self.degradation.get("level", 0))

    @property
    def degradation(self) -> dict[str, Any]:
        """`status.degradation`; empty before the first cycle."""
        found: dict[str, Any] = self.status.get("degradation") or {}
        return found

    @property
    def steps(self) -> list[tuple[int, int, str]]:
        """(from, to, reason) of each, the newest last."""
        return [(step["from"], step["to"], step["reason"]) for step in self.degradation.get("history", ())]

    @property
    def metadata(self) -> dict[str, Any]:
        """Of the policy, asked for now; empty when it is gone."""
        answer = self.kubectl("get", "lagp", NAME, "-o", "json", "--ignore-not-found")
        found: dict[str, Any] = json.loads(answer)["metadata"] if answer.strip() else {}
        return found

    @property
    def held(self) -> bool:
        """Whether the finalizer keeps the policy."""
        return "tidegate.dev/degradation" in self.metadata.get("finalizers", ())

    @property
    def flags(self) -> dict[str, Any]:
        """The ConfigMap, asked for now."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "configmap", FLAGS, "-o", "json"))
        return found

    @property
    def document(self) -> str:
        """The flags, byte for byte."""
        return str(self.flags["data"]["flags.json"])

    @property
    def documents(self) -> list[str]:
        """All that the flags have been, in order."""
        return [document.text for document in self.cluster.documents]

    @property
    def version(self) -> str:
        """The resourceVersion of the flags: it changes with each write, whatever that writes."""
        return str(self.flags["metadata"]["resourceVersion"])

    @property
    def consumers_saw(self) -> list[Seen]:
        """By the file that the kubelet renews in their pods."""
        return [Seen(one.at, one.process, one.flag, one.on) for one in sightings(self._sightings)]

    @property
    def application_saw(self) -> list[Seen]:
        """By OFREP."""
        return list(self._asking.seen)

    def all_see(self, flag: str, on: bool) -> bool:
        """Whether the application, and every consumer there is that ever saw the flag, sees this value now.

        By pod: a consumer that the broker's outage has ended starts anew in the same pod, as another process.
        AssertionError says who sees another value.
        """
        pods = {self._asking.domain, *self.kubectl("get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split()}
        told = [*self.consumers_saw, *self.application_saw]
        last = {pod: one.on for one in told if one.flag == flag and (pod := one.by.partition("/")[0]) in pods}
        assert len(last) > 1
        assert {pod: seen for pod, seen in last.items() if seen is not on} == {}
        return True

    def delays(self, seen: Iterable[Seen]) -> list[float]:
        """Seconds from the moment when a flag was switched until each of those who look saw it."""
        switches = [
            (after.at, flag, on)
            for before, after in pairwise(self.cluster.documents)
            for flag, on in _on(after.text).items()
            if _on(before.text).get(flag) != on
        ]
        changes = _changes(list(seen))
        return [
            delay for at, flag, on in switches for delay in _after(at, _next(switches, at, flag), flag, on, changes)
        ]


def at_level(level: int) -> str:
    """The document with the flags of this level off, and not another byte changed."""
    text = DOCUMENT
    if level >= 1:
        text = text.replace(RECOMMENDATIONS_ON, RECOMMENDATIONS_ON.replace("on", "off"))
    if level >= 2:
        text = text.replace(RECEIPTS_ON, RECEIPTS_ON.replace("on", "off"))
    return text


def stays(seconds: float, what: Callable[[], object]) -> None:
    """What it gives is the same for so long."""
    first, ends = what(), time.monotonic() + seconds
    while time.monotonic() < ends:
        assert what() == first
        time.sleep(0.2)


def _on(document: str) -> dict[str, bool]:
    """Which features are on."""
    flags = json.loads(document)["flags"]
    return {name: flag["variants"][flag["defaultVariant"]] for name, flag in flags.items()}


def _changes(seen: Sequence[Seen]) -> list[Seen]:
    """Without the first that each saw of each flag."""
    known: set[tuple[str, str]] = set()
    changes = []
    for one in seen:
        if (one.by, one.flag) in known:
            changes.append(one)
        known.add((one.by, one.flag))
    return changes


def _next(switches: Iterable[tuple[float, str, bool]], after: float, flag: str) -> float:
    """When a flag was switched again."""
    return min((at for at, switched, _ in switches if switched == flag and at > after), default=inf)


def _after(at: float, until: float, flag: str, on: bool, changes: Sequence[Seen]) -> list[float]:
    """How long after `at` each saw the flag so who looked all the time, before it was switched again. This process may
    learn of a write later than they.
    """
    first: dict[str, float] = {}
    for one in changes:
        if (one.flag, one.on) == (flag, on) and one.since < at - 1 < one.at < until:
            first.setdefault(one.by, one.at)
    return [max(0.0, seen - at) for seen in first.values()]
