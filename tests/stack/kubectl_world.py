"""`kubectl tidegate` as people run it: the real kubectl finds the plugin in PATH."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from typer.testing import CliRunner

from demo.stack import Stack, binaries
from tests.stack.cluster import install as define
from tests.waiting import eventually
from tidegate.api import LagPolicy, PartitionProposal
from tidegate.cli.calling import called
from tidegate.cli.main import app

Body = dict[str, Any]
SCRIPTS = {
    "kubectl-tidegate": "from tidegate.cli.main import main; main()",
    "kubectl_complete-tidegate": "from tidegate.cli.completion import main; main()",
}
ROOT = Path(__file__).parents[2]


class Told(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


def serve(stack: Stack) -> None:
    """Install the resources, and wait until they can be listed, which is a moment after they are established."""
    define(stack, ROOT / "crds")
    for plural in ("lagpolicies", "partitionproposals"):
        path = f"/apis/tidegate.dev/v1alpha1/{plural}"
        eventually(lambda path=path: _listed(stack, path))


def _listed(stack: Stack, path: str) -> bool:
    return stack.kubectl("get", "--raw", path, check=False).startswith("{")


def install(folder: Path) -> Path:
    """What `pip install` makes of the package's scripts, for the interpreter of the tests."""
    folder.mkdir()
    for name, code in SCRIPTS.items():
        script = folder / name
        script.write_text(f"#!{sys.executable}\n{code}\n")
        script.chmod(0o755)
    return folder


class Plugin:
    """The plugin in a namespace: within this process, or found by kubectl in its PATH."""

    def __init__(self, stack: Stack, folder: Path, namespace: str) -> None:
        self.stack = stack
        self.namespace = namespace
        self._folder = folder

    def run(
        self,
        *words: str,
        kubeconfig: Path | str | None = None,
        input: str = "",  # noqa: A002
        columns: int = 0,
    ) -> Told:
        """What `kubectl tidegate WORDS` does, in this process."""
        width = str(columns) if columns else None
        env = {"KUBECONFIG": str(kubeconfig or self.stack.env["KUBECONFIG"]), "COLUMNS": width}
        with patch.object(sys, "argv", ["kubectl-tidegate"]):
            ended = CliRunner().invoke(app, words, input=input, env=env, prog_name=called())
        return Told(ended.exit_code, ended.stdout, ended.stderr)

    def typed(self, *words: str, **env: str) -> Told:
        """Type `kubectl tidegate WORDS` for the real kubectl."""
        return self._kubectl("tidegate", *words, **env)

    def _kubectl(self, *words: str, **more: str) -> Told:
        command, env = self._command(*words)
        ended = subprocess.run(command, env=env | more, capture_output=True, text=True, check=False)
        return Told(ended.returncode, ended.stdout, ended.stderr)

    def _command(self, *words: str) -> tuple[list[str], dict[str, str]]:
        servers = binaries.kubernetes(lambda _: None)
        path = os.pathsep.join([str(self._folder), str(servers), os.environ["PATH"]])
        places = {"PATH": path, "KUBECONFIG": self.stack.env["KUBECONFIG"]}
        python = {"PYTHONPATH": os.pathsep.join([str(ROOT / "operator"), str(ROOT)])}
        return [str(servers / "kubectl"), *words], {**os.environ, **places, **python}

    def __call__(self, *words: str, **options: Any) -> str:
        """Type it for the namespace; it must succeed."""
        told = self.run(*words, "-n", self.namespace, **options)
        assert told.code == 0, told
        return told.out

    def refused(self, code: int, *words: str, **options: Any) -> str:
        """Type it for the namespace; it must end with that code, and print nothing but why."""
        told = self.run(*words, "-n", self.namespace, **options)
        assert told.code == code, told
        return told.err

    def put(self, one: LagPolicy | PartitionProposal) -> None:
        """Create it here, as the operator and its users have left it."""
        wire = one.wire()
        meta = {"name": one.metadata.name, "namespace": self.namespace, "annotations": one.metadata.annotations}
        body = {"apiVersion": wire["apiVersion"], "kind": wire["kind"], "metadata": meta, "spec": wire["spec"]}
        self.stack.apply(body)
        if wire.get("status"):
            told = json.dumps({"status": wire["status"]})
            where = (one.names.plural, one.metadata.name, "-n", self.namespace)
            self.stack.kubectl("patch", *where, "--subresource=status", "--type=merge", "-p", told)

    def complete(self, *words: str) -> str:
        """What kubectl would offer for the last word: it asks kubectl_complete-tidegate."""
        return self._kubectl("__complete", *words).out

    @contextmanager
    def terminal(self, *words: str) -> Iterator["Terminal"]:
        """Type `kubectl tidegate WORDS` in a terminal of 120 columns and 30 lines."""
        primary, secondary = pty.openpty()
        fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        command, env = self._command("tidegate", *words)
        env = {key: value for key, value in env.items() if key not in ("COLUMNS", "LINES")} | {"TERM": "xterm"}
        started = subprocess.Popen(command, env=env, stdin=secondary, stdout=secondary, stderr=secondary)
        os.close(secondary)
        try:
            yield Terminal(primary, started)
        finally:
            started.kill()
            started.wait()
            os.close(primary)


class Terminal:
    """What is on the other side of a terminal."""

    def __init__(self, primary: int, process: "subprocess.Popen[bytes]") -> None:
        os.set_blocking(primary, False)
        self._primary, self._process, self._shown = primary, process, ""

    def read(self) -> str:
        """All that was drawn so far."""
        with suppress(BlockingIOError, OSError):  # nothing new; or the other side is closed
            while more := os.read(self._primary, 65536):
                self._shown += more.decode(errors="replace")
        return self._shown

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._primary, keys.encode())

    def ended(self) -> int:
        """The exit code, once it has ended."""
        eventually(lambda: self.read() and self._process.poll() is not None, 120)
        return self._process.wait()
