"""What containers are doing, and the pod status that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from demo.stack.kubelet.client import Object
from demo.stack.kubelet.fields import NODE_IP
from demo.stack.kubelet.node import now


@dataclass
class ContainerState:
    """One container: exactly one of waiting, running and terminated in `state`, as in its status."""

    name: str
    image: str
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Object = field(default_factory=dict)
    ready: bool = False
    restarts: int = 0
    identity: str = ""
    done: bool = False
    """Terminated, and not to be started again."""

    def waits(self, reason: str, message: str) -> None:
        """Not running yet, or between two runs; what ended before stays visible in lastState."""
        if "terminated" in self.state:
            self.last_state = self.state
        self.state = {"waiting": {"reason": reason, "message": message}}

    def runs(self, identity: str) -> None:
        """Running from now on, as the process of that identity."""
        self.identity = identity
        self.state = {"running": {"startedAt": now()}}

    def ends(self, code: int, message: str = "") -> None:
        """Ended with an exit code; 128 + n for signal n, as a shell says it."""
        started = self.state.get("running", {}).get("startedAt", now())
        reason = "Completed" if code == 0 else "Error"
        told = {
            "exitCode": code,
            "reason": reason,
            "startedAt": started,
            "finishedAt": now(),
            "containerID": self.identity,
        }
        self.state = {"terminated": told | ({"message": message} if message else {})}
        self.ready = False

    def exit_code(self) -> int | None:
        """The exit code, None where it has not ended."""
        code = self.state.get("terminated", {}).get("exitCode")
        return None if code is None else int(code)

    def status(self) -> Object:
        """Its ContainerStatus."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "containerID": self.identity,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "started": "running" in self.state,
            "restartCount": self.restarts,
        }


def phase(containers: Sequence[ContainerState]) -> str:
    """Pending until every container has run once; Succeeded or Failed when all are done; Running in between."""
    if all(container.done for container in containers):
        return "Succeeded" if all(container.exit_code() == 0 for container in containers) else "Failed"
    return "Running" if all(container.identity for container in containers) else "Pending"


def pod_status(inits: Sequence[ContainerState], containers: Sequence[ContainerState], started: str, ip: str) -> Object:
    """The pod's status but for the times of its conditions."""
    initialized = all(init.done and init.exit_code() == 0 for init in inits)
    unready = [container.name for container in containers if not container.ready]
    ready = not unready and phase(containers) == "Running"
    why = {} if ready else {"reason": "ContainersNotReady", "message": f"containers with unready status: {unready}"}
    failed = any(init.done and init.exit_code() for init in inits)
    return {
        "phase": "Failed" if failed else phase(containers),
        "startTime": started,
        "hostIP": NODE_IP,
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "hostIPs": [{"ip": NODE_IP}],
        "initContainerStatuses": [init.status() for init in inits],
        "containerStatuses": [container.status() for container in containers],
        "conditions": [
            {"type": "PodReadyToStartContainers", "status": "True"},
            {"type": "Initialized", "status": _word(initialized)},
            {"type": "ContainersReady", "status": _word(ready), **why},
            {"type": "Ready", "status": _word(ready), **why},
        ],
    }


def with_transitions(conditions: Sequence[Object], before: Sequence[Object]) -> list[Object]:
    """The conditions with their transition times: now where the status is another than before."""
    times = {(old["type"], old["status"]): old["lastTransitionTime"] for old in before}
    # an absent reason or message is sent as null: a merge patch keeps what it does not name
    blank = {"reason": None, "message": None}
    return [
        {**blank, **new, "lastTransitionTime": times.get((new["type"], new["status"]), now())} for new in conditions
    ]


def _word(value: bool) -> str:
    return "True" if value else "False"
