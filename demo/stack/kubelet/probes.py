"""Readiness and liveness: asking a container how it is."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp

from demo.stack.kubelet.client import Object
from demo.stack.kubelet.fields import pod_ip

READY_FILE = "tidegate.dev/ready-file"
"""Pod annotation: the file below POD_ROOT whose existence says "ready", where there is no readinessProbe."""

Env = Mapping[str, str]
Told = Callable[[bool], None]


async def watch_readiness(pod: Object, container: Object, root: Path, env: Env, told: Told) -> None:
    """Tell at every change whether the container is ready: by its probe, by the ready file, or at once."""
    file = pod["metadata"].get("annotations", {}).get(READY_FILE)
    if "readinessProbe" in container:
        await watch_probe(container["readinessProbe"], container, pod_ip(pod), env, told)
    elif file:
        await _watch_file(root / file.lstrip("/"), told)
    else:
        told(True)


async def watch_probe(probe: Object, container: Object, ip: str, env: Env, told: Told) -> None:
    """Ask at the probe's period, for ever, and tell once a threshold is reached; over the network at the pod's IP."""
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
    streak, last = 0, None
    while True:
        good = await _succeeds(probe, container, ip, env)
        streak = streak + 1 if good == last else 1
        last = good
        if streak == needed[good]:
            told(good)
        await asyncio.sleep(probe.get("periodSeconds", 10))


async def _watch_file(path: Path, told: Told) -> None:
    ready = False
    while True:
        if path.exists() != ready:
            ready = not ready
            told(ready)
        await asyncio.sleep(0.2)


async def _succeeds(probe: Object, container: Object, ip: str, env: Env) -> bool:
    try:
        async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
            if "exec" in probe:
                return await _runs(probe["exec"]["command"], env)
            if "httpGet" in probe:
                return await _answers(probe["httpGet"], container, ip)
            if "tcpSocket" in probe:
                return await _accepts(ip, port_number(container, probe["tcpSocket"]["port"]))
    except (OSError, TimeoutError, aiohttp.ClientError):
        return False
    raise ValueError(f"the process kubelet does not know probes of the kind {sorted(probe)}")


async def _runs(command: list[str], env: Env) -> bool:
    devnull = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, env=env, cwd=env["POD_ROOT"], stdin=devnull, stdout=devnull, stderr=devnull
    )
    try:
        return await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _answers(get: Object, container: Object, ip: str) -> bool:
    port = port_number(container, get["port"])
    url = f"{get.get('scheme', 'HTTP').lower()}://{get.get('host', ip)}:{port}{get.get('path', '/')}"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as response:
        return 200 <= response.status < 400


async def _accepts(ip: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(ip, port)
    writer.close()
    return True


def port_number(container: Object, port: int | str) -> int:
    """The number of a port that may be given by its name in the container's `ports`."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    return next(int(known["containerPort"]) for known in container["ports"] if known.get("name") == port)
