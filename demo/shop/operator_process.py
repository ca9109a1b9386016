"""Tidegate itself in the demo: the real operator process, `tidegate run`."""

import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Self

from demo.stack import Stack

GRACE = 10.0
"""Seconds the operator has to stop gracefully."""


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why and where to look."""


class Operator:
    """The operator as a process; ends with the `with` block, at the latest with the stack."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    @classmethod
    def start(cls, stack: Stack, log: Path) -> Self:
        """Start it on the stack's cluster; its lines go to `log`."""
        program = Path(sysconfig.get_path("scripts")) / "tidegate"
        command = [str(program), "run", "--kubeconfig", str(stack.kubeconfig), "--listen", "127.0.0.1:0"]
        env = {**os.environ, "TIDEGATE_STACK": str(stack.folder)}  # the stack's guard ends it if this process cannot
        with log.open("wb") as lines:
            process = subprocess.Popen(command, stdout=lines, stderr=lines, env=env, start_new_session=True)
        return cls(process, log)

    def check(self) -> None:
        """DemoError with the end of its log if it is not running any more."""
        if self._process.poll() is not None:
            lines = self._log.read_text(errors="replace").splitlines()[-15:]
            raise DemoError(f"tidegate ended with {self._process.returncode}:\n" + "\n".join(lines))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
