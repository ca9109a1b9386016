"""`tidegate run` as a process with the ServiceAccount of deploy/rbac.yaml: its rights in production, and no others."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from demo.stack import Stack
from tests.waiting import eventually

CHECKOUT = Path(__file__).parents[2]
PERIOD = 2.0
"""Seconds between readings: the scenarios need a number of them, not the default's length."""


def install(stack: Stack) -> None:
    """CRDs, namespace, ServiceAccount, rights and who may approve, as a platform engineer would with kubectl."""
    stack.apply(CHECKOUT / "crds")
    stack.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tidegate-system"}})
    stack.apply(CHECKOUT / "deploy" / "rbac.yaml", CHECKOUT / "deploy" / "approval.yaml")
    stack.kubectl("wait", "--for=create", "serviceaccount/tidegate", "-n", "tidegate-system", "--timeout=30s")


def service_account_kubeconfig(stack: Stack, path: Path) -> Path:
    """The administrator's kubeconfig with the operator's token instead of the administrator's key."""
    token = stack.kubectl("create", "token", "tidegate", "-n", "tidegate-system", "--duration=8h").strip()
    config: dict[str, Any] = yaml.safe_load(stack.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path.write_text(yaml.safe_dump(config))
    return path


class Operator:
    """The operator's process, started and ended as often as a test wants; its lines are in one log."""

    def __init__(self, stack: Stack, folder: Path, *arguments: str) -> None:
        self.log = folder / "operator.log"
        self._kubeconfig = service_account_kubeconfig(stack, folder / "operator.kubeconfig")
        self._env = {**os.environ, "TIDEGATE_STACK": str(stack.folder)}  # ended with the stack at the latest
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._from = 0

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = [sys.executable, "-m", "tidegate", "run", "--kubeconfig", str(self._kubeconfig)]
        command += ["--listen", "127.0.0.1:0", "--period", str(PERIOD), *self._arguments]
        self._from = len(self.lines)
        with self.log.open("ab") as lines:
            self._process = subprocess.Popen(command, stdout=lines, stderr=lines, env=self._env, cwd=CHECKOUT)
        eventually(lambda: self.ask("/readyz")[0] == 200, seconds=60)

    def kill(self) -> None:
        """SIGKILL: no goodbye of any kind."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; gives its exit code. subprocess.TimeoutExpired where it does not end."""
        assert self._process
        self._process.send_signal(number)
        return self._process.wait(15)

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process
        return self._process.pid

    @property
    def lines(self) -> list[str]:
        """All that it has logged."""
        return self.log.read_text(errors="replace").splitlines() if self.log.exists() else []

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of /healthz or /readyz; (0, {}) while it does not listen."""
        status, text = self.get(path)
        return status, json.loads(text or "{}")

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of what is served beside OFREP, such as /metrics; (0, "") while it does not listen."""
        assert self.running, "the operator has ended:\n" + "\n".join(self.lines[-30:])
        found = (re.search(r"/readyz.* on port (\d+)", line) for line in self.lines[self._from :])
        port = next((match[1] for match in found if match), None)
        if port is None:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""
