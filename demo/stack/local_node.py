"""The Node of the stack: the process kubelet, seen from whoever started it."""

import json
import sys
from dataclasses import asdict

from demo.stack.binaries import kubernetes_version
from demo.stack.control_plane import ControlPlane
from demo.stack.kubelet.kubelet import Settings
from demo.stack.ports import Ports
from demo.stack.processes import Processes

NODE = "local"


class LocalNode:
    """The running kubelet and its Node."""

    def __init__(self, processes: Processes, control_plane: ControlPlane, ports: Ports) -> None:
        self.folder = processes.folder / "kubelet"
        self.folder.mkdir()
        # in the masters' group, as nothing here is about the rights of nodes
        pair = control_plane.authority.issue("kubelet", ["system:masters"], common_name=f"system:node:{NODE}")
        self._settings = Settings(
            server=control_plane.server,
            ca=str(control_plane.authority.ca.certificate),
            certificate=str(pair.certificate),
            key=str(pair.key),
            node=NODE,
            port=ports.take(),
            version=kubernetes_version(),
            stack=str(processes.folder),
        )
        path = self.folder / "settings.json"
        path.write_text(json.dumps(asdict(self._settings)))
        process = processes.start("kubelet", [sys.executable, "-m", "demo.stack.kubelet", path])
        processes.wait_until(lambda: _is_ready(control_plane), "kubelet", process)

    def set_start_delay(self, seconds: float) -> None:
        """Let pods from now on take so long to start; a pod's own annotation `tidegate.dev/start-delay` goes first."""
        new = self._settings.start_delay_file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._settings.start_delay_file)


def _is_ready(control_plane: ControlPlane) -> bool:
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return control_plane.ask("get", "node", NODE, "-o", ready, "--ignore-not-found") == "True"
