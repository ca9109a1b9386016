"""Tidegate as the tests see it: installed by Helm, its replicas started and ended as often as a test wants."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from demo.stack import Stack
from demo.stack.audit import Request, requests
from demo.stack.release import Release, Replica
from tests.waiting import eventually

CHECKOUT = Path(__file__).parents[2]
PERIOD = 2.0
"""Seconds between readings: the scenarios need a number of them, not the default's length."""
REPLICAS = 2
VALUES: Mapping[str, Any] = {"operator": {"period": PERIOD}, "ofrep": {"enabled": True}}
"""All that differs from the chart's defaults, but for what the process kubelet needs."""


ANY = "*"


class Taken(NamedTuple):
    """A right that it lacked for a while, on purpose."""

    verb: str
    resource: str
    since: datetime
    until: datetime

    def explains(self, refused: Request) -> bool:
        """Whether the request was refused for lack of it."""
        same = self.verb in (ANY, refused.verb) and self.resource in (ANY, refused.resource)
        return same and self.since <= refused.time <= self.until


class Operator:
    """The replicas of a release. One leads: it acts, and has the metrics of policies; the others stand by.

    Whoever is killed had no time to give its Lease back: the next to lead waits up to 15 s for it to expire.
    """

    def __init__(self, release: Release) -> None:
        self.release = release
        self.taken: list[Taken] = []
        """Rights that it has lacked for a while."""
        self._lines: list[str] = []
        self._read: dict[Path, int] = {}

    # what happens to it

    def start(self) -> None:
        """Let all replicas run, and wait until each is ready and one of them leads."""
        if not self._complete:
            self.release.scale(REPLICAS)
        eventually(lambda: self._complete, seconds=120)

    def kill(self) -> None:
        """SIGKILL to all at once, none of which starts again before `start`: no goodbye of any kind."""
        for replica in self.release.replicas:
            replica.signal(signal.SIGSTOP)  # so that none of them hears of the end, or takes over
        self.release.scale(0)
        eventually(self._all_are_leaving)
        pods = ("pods", "-l", "app.kubernetes.io/component=operator")
        self.release.kubectl("delete", *pods, "--force", "--grace-period=0")  # the kubelet answers with SIGKILL
        self._wait_for_the_end()

    def stop(self) -> None:
        """Ask all to end, by SIGTERM."""
        self.release.scale(0)
        self._wait_for_the_end()

    def uninstall(self) -> None:
        """As `helm uninstall` does it: the rights go while the processes are still ending."""
        began = datetime.now(UTC)
        self.release.uninstall()
        rights_gone = min(each.time for each in self.asked if each.time >= began and _takes_a_right(each))
        self.taken.append(Taken(ANY, ANY, rights_gone, datetime.now(UTC)))

    @contextmanager
    def without(self, verb: str, resource: str, subresource: str = "") -> Iterator[None]:
        """A test takes this right away within; afterwards `helm upgrade` gives it back."""
        since = datetime.now(UTC)
        try:
            yield
        finally:
            self.release.upgrade(VALUES)
            may = (
                "auth",
                "can-i",
                verb,
                resource,
                f"--subresource={subresource}",
                "-A",
                f"--as={self.release.account}",
            )
            eventually(lambda: self.release.stack.kubectl(*may, check=False).startswith("yes"))
            whole = "/".join(part for part in (resource, subresource) if part)
            self.taken.append(Taken(verb, whole, since, datetime.now(UTC)))

    # what can be seen

    @property
    def running(self) -> bool:
        """Whether one of the replicas leads."""
        return self.release.leader is not None

    @property
    def leader(self) -> Replica:
        """The one that leads, once one does."""
        found = eventually(lambda: self.release.leader)
        assert found
        return found

    @property
    def lines(self) -> list[str]:
        """All that all of them have ever logged; what is new is at the end."""
        for log in self.release.logs:
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                whole, _, _ = file.read().rpartition(b"\n")
            if whole:
                self._read[log] = self._read.get(log, 0) + len(whole) + 1
                self._lines += whole.decode(errors="replace").splitlines()
        return self._lines

    @property
    def asked(self) -> list[Request]:
        """All that anybody has asked the API server for."""
        assert self.release.stack.control_plane
        return list(requests(self.release.stack.control_plane.audit_log))

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the leader's /healthz or /readyz; (0, {}) while it does not listen."""
        status, text = self.get(path)
        return status, json.loads(text or "{}")

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of what the leader serves, such as /metrics; (0, "") while it does not listen."""
        return got(f"http://{self.leader.ip}:8080{path}")

    @property
    def _complete(self) -> bool:
        replicas = self.release.replicas
        return self.running and len(replicas) == REPLICAS and all(replica.ready for replica in replicas)

    def _all_are_leaving(self) -> bool:
        """From then on no pod comes in the place of another."""
        pods = self.release.kubectl("get", "pods", "-l", "app.kubernetes.io/component=operator", "-o", "json")
        return all("deletionTimestamp" in pod["metadata"] for pod in json.loads(pods)["items"])

    def _wait_for_the_end(self) -> None:
        eventually(lambda: not self.release.replicas, seconds=120)


def install(stack: Stack, *values: Mapping[str, Any]) -> Release:
    """`helm install` with the chart's defaults but for these values, and VALUES; two replicas are ready then."""
    release = Release(stack)
    release.install(VALUES, *values)
    return release


def _takes_a_right(request: Request) -> bool:
    by_helm = request.user_agent.startswith("Helm/") and request.verb == "delete"
    return by_helm and request.group == "rbac.authorization.k8s.io"


class Process:
    """One `tidegate run` outside of any pod, with the rights of the release's ServiceAccount and a log of its own."""

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
        return self._process.wait(60)

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
        return got(f"http://127.0.0.1:{port}{path}") if port else (0, "")


def service_account_kubeconfig(stack: Stack, path: Path) -> Path:
    """The administrator's kubeconfig with the operator's token instead of the administrator's key."""
    token = stack.kubectl("create", "token", "tidegate", "-n", "tidegate-system", "--duration=8h").strip()
    config: dict[str, Any] = yaml.safe_load(stack.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path.write_text(yaml.safe_dump(config))
    return path


def got(url: str) -> tuple[int, str]:
    """Status and text; (0, "") where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""
