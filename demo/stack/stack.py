"""One stack: control plane, Kafka and pods, started and stopped together."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

from demo.stack import binaries, folders
from demo.stack.cache import Progress, tell
from demo.stack.control_plane import ControlPlane
from demo.stack.kafka import Brokers, Kafka
from demo.stack.kubectl import kubectl
from demo.stack.local_node import LocalNode
from demo.stack.ports import Ports
from demo.stack.processes import Processes, StackError

Manifest = str | Path | dict[str, Any]
EXTERNAL = ("KUBECONFIG", "KAFKA_BOOTSTRAP")


class Stack:
    """Running servers. Made by `Stack.start`; ended by `close`, the `with` block, or the end of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}
        """What child processes need to find the stack: KUBECONFIG and KAFKA_BOOTSTRAP."""
        self.external = False
        """Whether cluster and brokers are the user's own."""
        self.control_plane: ControlPlane | None = None
        self.kubelet: LocalNode | None = None
        self.kafka: Brokers | None = None
        self._started = ExitStack()

    @classmethod
    def start(
        cls,
        *,
        kubernetes: bool = True,
        kafka: bool = True,
        brokers: int = 1,
        pods: bool = True,
        kafka_config: Mapping[str, str | int] | None = None,
        folder: Path | None = None,
        external: bool = False,
        progress: Progress = tell,
    ) -> Self:
        """Start the wanted parts, building what is missing first.

        `kafka_config` adds to each broker's server.properties. `folder` is emptied and kept; without one a temporary
        folder goes with the stack. With `external` nothing is started where the user's KUBECONFIG and KAFKA_BOOTSTRAP
        are both set: these are used. Raises StackError if a part does not come up and binaries.BuildError if one cannot
        be built.
        """
        if external and all(name in os.environ for name in EXTERNAL):
            return cls._of_the_user(folder)
        servers = binaries.kubernetes(progress) if kubernetes else None
        jars = binaries.kafka(progress) if kafka else None
        stack = cls(folders.claim(folder))
        with ExitStack() as started:
            ports = started.enter_context(closing(Ports()))
            processes = started.enter_context(closing(Processes(stack.folder)))
            if servers:
                stack.control_plane = ControlPlane(processes, servers, ports)
                stack.env["KUBECONFIG"] = str(stack.control_plane.kubeconfig)
                stack.kubelet = LocalNode(processes, stack.control_plane, ports) if pods else None
            if jars:
                stack.kafka = Kafka(processes, jars, ports, brokers, kafka_config)
                stack.env["KAFKA_BOOTSTRAP"] = stack.kafka.bootstrap
            stack._started = started.pop_all()
        return stack

    @classmethod
    def _of_the_user(cls, folder: Path | None) -> Self:
        stack = cls(folder or Path.cwd())
        stack.external = True
        stack.env = {name: os.environ[name] for name in EXTERNAL}
        stack.kafka = Brokers({"PLAINTEXT": os.environ["KAFKA_BOOTSTRAP"]})
        return stack

    def close(self) -> None:
        """End everything this stack started."""
        self._started.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def kubeconfig(self) -> Path:
        """The cluster administrator's kubeconfig."""
        return Path(self.env["KUBECONFIG"])

    def kubectl(self, *arguments: str | Path, input: str | None = None, check: bool = True) -> str:  # noqa: A002
        """What kubectl prints; StackError with its error output if it fails and `check` is set (else both outputs)."""
        done = kubectl(binaries.kubernetes(tell) / "kubectl", self.kubeconfig, *arguments, input=input)
        return _told("kubectl", arguments, done, check)

    def helm(self, *arguments: str | Path, check: bool = True) -> str:
        """What Helm prints, whose settings, caches and repositories are this stack's own; as `kubectl` else."""
        home = self.folder / "helm"
        folders = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        command = [binaries.helm(tell) / "helm", "--kubeconfig", self.kubeconfig, *arguments]
        done = subprocess.run(command, env={**os.environ, **folders}, text=True, capture_output=True, check=False)
        return _told("helm", arguments, done, check)

    def apply(self, *manifests: Manifest) -> str:
        """`kubectl apply` manifests: YAML text, files or folders, or objects."""
        told = [self.kubectl("apply", "-f", str(path)) for path in manifests if isinstance(path, Path)]
        texts = [
            text if isinstance(text, str) else json.dumps(text) for text in manifests if not isinstance(text, Path)
        ]
        if texts:
            told.append(self.kubectl("apply", "-f", "-", input="\n---\n".join(texts)))
        return "".join(told)

    def user_kubeconfig(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig of a user without rights of its own, for tests of RBAC."""
        if self.control_plane is None:
            raise StackError("users are made by a control plane of this stack's own, and it has none")
        return self.control_plane.user_kubeconfig(name, groups)


def _told(program: str, arguments: Sequence[str | Path], done: "subprocess.CompletedProcess[str]", check: bool) -> str:
    if check and done.returncode:
        raise StackError(f"{program} {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout if check else done.stdout + done.stderr
