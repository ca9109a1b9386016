"""The people who decide on a partition increase: what they see of its proposal, and what they do, with kubectl.

The first who sees it tries, and may not. Who may is called when the second feature goes off.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from demo.shop.cluster import Cluster, condition
from demo.shop.summary import Decided
from demo.stack import Stack

EDITOR, APPROVER = "egon", "olga"
"""Who may edit what is in the shop's namespace, and who may also approve; see manifests/people.yaml."""
READING = 3.0
"""Seconds that a person takes to read."""
ALARM, COMING, PATIENCE = 2, 2.0, 45.0
"""Who may approve is called at this level of the ladder, or after so much patience, and needs a while (seconds)."""


class People:
    """They wait for the first proposal, read it, and decide; all they see and type is told line by line."""

    def __init__(self, stack: Stack, cluster: Cluster, namespace: str, tell: Callable[[str], None]) -> None:
        self.decided = Decided()
        self._stack, self._cluster, self._namespace, self._tell = stack, cluster, namespace, tell
        self._leaving = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """They are there until the end of the block."""
        thread = threading.Thread(target=self._work, name="people")
        thread.start()
        try:
            yield
        finally:
            self._leaving.set()
            thread.join()

    def _work(self) -> None:
        while not (proposal := self._validated()):
            if self._leaving.wait(0.2):
                return
        self.decided = Decided(time.time())
        self._read(proposal)
        if self._leaving.wait(READING):
            return
        self._approve(proposal, EDITOR)
        self._call()
        if self._leaving.wait(COMING):
            return
        self._approve(proposal, APPROVER)
        self.decided = self.decided._replace(approved=time.time())

    def _call(self) -> None:
        until = time.monotonic() + PATIENCE
        while self._cluster.level < ALARM and time.monotonic() < until and not self._leaving.wait(0.2):
            pass
        self._tell(f"# level {self._cluster.level}: {APPROVER} is called")

    def _validated(self) -> dict[str, Any]:
        return next((each for each in self._cluster.proposals.values() if condition(each, "Validated")), {})

    def _read(self, proposal: dict[str, Any]) -> None:
        self._tell(f"$ kubectl get pprop -n {self._namespace}")
        for line in self._kubectl("get", "pprop").splitlines():
            self._tell(f"  {line}")
        self._tell(f"  Why: {proposal['spec']['evidence']['message']}")
        for hazard in proposal["status"].get("hazards", ()):
            what = "blocks" if hazard["blocking"] else "warns"
            self._tell(f"  {hazard['name']} {what}: {hazard['message']}")

    def _approve(self, proposal: dict[str, Any], user: str) -> None:
        """The editor may not; the approver may, and accepts what blocks: the order of deductions does not matter."""
        hazards = proposal["status"].get("hazards", ())
        accepted = [hazard["name"] for hazard in hazards if hazard["blocking"]]
        self._patch(proposal, user, {"decision": "Approve", "acknowledge": accepted})

    def _patch(self, proposal: dict[str, Any], user: str, spec: dict[str, Any]) -> None:
        name, patch = proposal["metadata"]["name"], json.dumps({"spec": spec})
        self._tell(f"$ kubectl patch pprop {name} -n {self._namespace} --as={user} --type=merge -p '{patch}'")
        for line in self._kubectl("patch", "pprop", name, f"--as={user}", "--type=merge", "-p", patch).splitlines():
            self._tell(f"  {line}")

    def _kubectl(self, *arguments: str) -> str:
        return self._stack.kubectl("-n", self._namespace, *arguments, check=False)
