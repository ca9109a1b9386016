"""Container logs, for `kubectl logs` by way of the API server."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from demo.stack.kubelet.containers import Container

Find = Callable[[str, str, str], Container | None]
"""The container of a namespace, pod and name."""


def application(find: Find) -> web.Application:
    """Serves `/containerLogs/{namespace}/{pod}/{container}` with `follow`, `tailLines`, `limitBytes` and `previous`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        wanted = request.match_info
        container = find(wanted["namespace"], wanted["pod"], wanted["container"])
        if container is None:
            raise web.HTTPNotFound(text=f"container {wanted['container']!r} of pod {wanted['pod']!r} is not here")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        path = container.log(previous=request.query.get("previous") == "true")
        written = await _write(response, path, request.query.get("tailLines"), request.query.get("limitBytes"))
        if request.query.get("follow") == "true":
            await _follow(response, path, written, container)
        return response

    served = web.Application()
    served.router.add_get("/containerLogs/{namespace}/{pod}/{container}", answer)
    return served


async def _write(response: web.StreamResponse, path: Path, tail: str | None, limit: str | None) -> int:
    """Write what is there, cut as asked; the offset up to which it was read."""
    content = path.read_bytes() if path.exists() else b""
    lines = content.splitlines(keepends=True)
    if tail is not None:
        lines = lines[-int(tail) :] if int(tail) else []
    cut = b"".join(lines)
    await response.write(cut if limit is None else cut[: int(limit)])
    return len(content)


async def _follow(response: web.StreamResponse, path: Path, offset: int, container: Container) -> None:
    """Write what is added until this run has ended; a client that leaves ends it too, by cancelling the request."""
    ended = False
    while not ended:
        ended = path != container.log() or "terminated" in container.state.state
        if path.exists():
            with path.open("rb") as file:
                file.seek(offset)
                added = file.read()
            if added:
                offset += len(added)
                await response.write(added)
        await asyncio.sleep(0.2)
