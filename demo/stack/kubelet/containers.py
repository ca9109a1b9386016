"""One container of a pod: a process that is started, watched, restarted and ended."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from demo.stack.kubelet import probes
from demo.stack.kubelet.client import Object
from demo.stack.kubelet.environment import Environment, command_line, environment
from demo.stack.kubelet.fields import pod_ip
from demo.stack.kubelet.sources import TROUBLE, Sources
from demo.stack.kubelet.states import ContainerState

FIRST_BACK_OFF = 1.0
LONGEST_BACK_OFF = 30.0
FORGIVEN_AFTER = 60.0
"""Seconds of running after which a crash counts as the first again. The real kubelet's three are ten times these."""


class Container:
    """Runs one container. `changed` is called after every change of `state`."""

    def __init__(
        self, pod: Object, spec: Object, root: Path, stack: Path, sources: Sources, changed: Callable[[], None]
    ) -> None:
        self.pod = pod
        self.spec = spec
        self.state = ContainerState(spec["name"], spec.get("image", ""))
        self._root = root
        self._stack = stack
        self._sources = sources
        self._changed = changed
        self._running = False
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._back_off = FIRST_BACK_OFF
        meta = pod["metadata"]
        self._logs: Path = stack / "logs" / "pods" / meta["namespace"] / f"{meta['name']}_{meta['uid'][:8]}"

    def log(self, *, previous: bool = False) -> Path:
        """The log of its present or last run, or of the run before."""
        return self._logs / f"{self.state.name}-{self.state.restarts - previous}.log"

    async def run(self, policy: str) -> None:
        """Run it, again and again as the restart policy says, until it is done or told to stop."""
        while True:
            started = time.monotonic()
            await self._run_once()
            if self._stopping.is_set() or not self._restarts(policy):
                self.state.done = True
                self._changed()
                return
            if time.monotonic() - started > FORGIVEN_AFTER:
                self._back_off = FIRST_BACK_OFF
            await self._wait_before_restart()

    async def stop(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when it has ended. Safe to call where it does not run."""
        self._stopping.set()
        deadline = time.monotonic() + grace
        asked = None
        while self._running:
            if time.monotonic() >= deadline:
                self.kill()
            elif self._process is not asked:
                asked = self._process
                self._signal(signal.SIGTERM)
            await asyncio.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to it and to all that it started."""
        self._stopping.set()
        if self._process is not None:
            _kill_group(self._process.pid)

    async def _run_once(self) -> None:
        self._running = True
        try:
            env = await self._environment()
            if env is not None:
                self._process = await self._spawn(command_line(self.spec, env), env)
                await self._watch_over(self._process, env)
        except (OSError, ValueError) as error:
            self.state.ends(128, str(error))
        finally:
            self._process = None
            self._running = False
            self._changed()

    async def _watch_over(self, process: asyncio.subprocess.Process, env: Environment) -> None:
        self.state.runs(f"process://{process.pid}")
        self._changed()
        watches = [asyncio.create_task(watch) for watch in self._watches(env)]
        code = await process.wait()
        for watch in watches:
            watch.cancel()
        _kill_group(process.pid)  # what it left behind goes with it, as with a container
        self.state.ends(code if code >= 0 else 128 - code)

    async def _environment(self) -> Environment | None:
        """Its environment once all it refers to exists; None if it is told to stop first."""
        while not self._stopping.is_set():
            try:
                return await environment(self.pod, self.spec, self._root, self._stack, self._sources)
            except (*TROUBLE, ValueError) as error:
                self.state.waits("CreateContainerConfigError", str(error))
                self._changed()
                await self._stopped_within(1.0)
        self.state.ends(128, "never started")
        return None

    async def _spawn(self, command: list[str], env: Environment) -> asyncio.subprocess.Process:
        self._logs.mkdir(parents=True, exist_ok=True)
        file = self.pod["metadata"].get("annotations", {}).get(probes.READY_FILE)
        if file:  # this run has to say so itself
            (self._root / file.lstrip("/")).unlink(missing_ok=True)
        cwd = self._root / self.spec.get("workingDir", "").lstrip("/")
        with self.log().open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                env=env,
                cwd=cwd if cwd.is_dir() else self._root,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _watches(self, env: Environment) -> list[Coroutine[None, None, None]]:
        watches = [probes.watch_readiness(self.pod, self.spec, self._root, env, self._is_ready)]
        if "livenessProbe" in self.spec:
            probe, ip = self.spec["livenessProbe"], pod_ip(self.pod)
            watches.append(probes.watch_probe(probe, self.spec, ip, env, self._is_alive))
        return watches

    def _is_ready(self, ready: bool) -> None:
        self.state.ready = ready
        self._changed()

    def _is_alive(self, alive: bool) -> None:
        process = self._process
        if not alive and process is not None:
            self._signal(signal.SIGTERM)
            grace = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
            asyncio.get_running_loop().call_later(grace, self._kill_if_still, process)

    def _kill_if_still(self, process: asyncio.subprocess.Process) -> None:
        if process is self._process:
            _kill_group(process.pid)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _restarts(self, policy: str) -> bool:
        return policy == "Always" or (policy == "OnFailure" and self.state.exit_code() != 0)

    async def _wait_before_restart(self) -> None:
        self.state.waits(
            "CrashLoopBackOff", f"back-off {self._back_off:.0f} s restarting container {self.spec['name']}"
        )
        self._changed()
        await self._stopped_within(self._back_off)
        self._back_off = min(2 * self._back_off, LONGEST_BACK_OFF)
        self.state.restarts += 1

    async def _stopped_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
