"""The processes of a stack: started with a mark, ended with it, whatever happens to whom started them.

Every process of a stack, and so whatever it starts in turn, carries the stack's folder in its environment. A guard, a
process of its own, waits for the starting process to end (cleanly, by a crash or by SIGKILL) and then ends all that
carry the mark. Nothing is ever ended by its name.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

MARK = "TIDEGATE_STACK"
CHECKOUT = Path(__file__).parents[2]
GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL when a stack ends."""

Process = subprocess.Popen[bytes]


class StackError(RuntimeError):
    """A part of the stack did not come up; the message has the end of its log."""


class Processes:
    """The processes of the stack in `folder`. `close` ends them all; so does the end of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir()
        self._started: list[Process] = []
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "demo.stack.guard", str(folder), str(os.getpid())],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def start(self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Process:
        """Start a process that carries the stack's mark and writes to `logs/NAME.log`."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=CHECKOUT,
                env={**os.environ, **(env or {}), MARK: str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal reaches the starting process alone
            )
        self._started.append(process)
        return process

    def wait_until(self, ready: Callable[[], bool], name: str, process: Process, seconds: float = 180) -> None:
        """Wait until the process of that name is ready; StackError with the end of its log if it ends or is late."""
        deadline = time.monotonic() + seconds
        while not ready():
            ended = process.poll()
            if ended is not None or time.monotonic() > deadline:
                what = f"is not ready after {seconds:.0f} s" if ended is None else f"ended with {ended}"
                raise StackError(f"{name} {what}; the end of its log:\n{self.log_tail(name)}")
            time.sleep(0.05)

    def log_tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a process's log."""
        return "\n".join((self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def close(self) -> None:
        """End every process of the stack and, if its folder is temporary, remove it."""
        assert self._guard.stdin
        self._guard.stdin.close()
        self._guard.wait()
        for process in self._started:
            process.wait()


def marked(folder: Path) -> Iterator[psutil.Process]:
    """The processes that carry this stack's mark, this one left out."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == str(folder):
                yield process
        except psutil.Error:  # it ended meanwhile, or it is another user's
            continue


def end_all(folder: Path) -> None:
    """SIGTERM to all that carry the mark, SIGKILL to what is left after the grace, until there is none."""
    deadline = time.monotonic() + GRACE
    asked: set[int] = set()
    while remaining := list(marked(folder)):
        late = time.monotonic() > deadline
        for process in remaining:
            if late or process.pid not in asked:
                _signal(process, signal.SIGKILL if late else signal.SIGTERM)
                asked.add(process.pid)
        time.sleep(0.05)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
