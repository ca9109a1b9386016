"""Requests to the API server, and watches that never end. Objects are the JSON that goes over the wire."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

Object = dict[str, Any]
Event = tuple[str, Object]

MERGE = "application/strategic-merge-patch+json"
LISTED = "LISTED"
"""The kind of event that starts (and restarts) a watch: its object is the whole list."""


class ApiError(RuntimeError):
    """The API server refused; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """The API server as one user sees it. Use as an async context manager."""

    def __init__(self, server: str, ca: str, certificate: str, key: str) -> None:
        self.server = server
        self.tls = ssl.create_default_context(cafile=ca)
        self.tls.load_cert_chain(certificate, key)

    async def __aenter__(self) -> "Client":
        # no total time limit: a watch may be silent for long
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        connector = aiohttp.TCPConnector(ssl=self.tls, limit=100)
        self._session = aiohttp.ClientSession(self.server, connector=connector, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, path: str, **params: str) -> Object:
        """An object, or a list of them."""
        return await self._request("GET", path, None, "application/json", params)

    async def post(self, path: str, body: Object) -> Object:
        """Create an object."""
        return await self._request("POST", path, body, "application/json", {})

    async def patch(self, path: str, body: Object) -> Object:
        """Change an object by a strategic merge patch."""
        return await self._request("PATCH", path, body, MERGE, {})

    async def delete(self, path: str, body: Object) -> Object:
        """Delete an object with the given DeleteOptions."""
        return await self._request("DELETE", path, body, "application/json", {})

    async def watch(self, path: str, **params: str) -> AsyncIterator[Event]:
        """LISTED with the list, then ADDED, MODIFIED and DELETED; LISTED again whenever the watch had to begin anew."""
        while True:
            try:
                listed = await self.get(path, **params)
                yield LISTED, listed
                async for event in self._events(path, params, listed["metadata"]["resourceVersion"]):
                    yield event
            except (aiohttp.ClientError, ApiError, TimeoutError, OSError):
                await asyncio.sleep(0.5)  # the API server is away or busy: list again

    async def _events(self, path: str, params: dict[str, str], version: str) -> AsyncIterator[Event]:
        follow = {**params, "watch": "true", "resourceVersion": version}
        async with self._session.get(path, params=follow) as response:
            buffer = b""
            async for chunk in response.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    yield event["type"], event["object"]

    async def _request(self, method: str, path: str, body: Object | None, kind: str, params: dict[str, str]) -> Object:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind}
        limit = aiohttp.ClientTimeout(total=30)
        async with self._session.request(
            method, path, data=data, headers=headers, params=params, timeout=limit
        ) as response:
            answer: Object = await response.json()
            if response.status >= 400:
                raise ApiError(response.status, answer.get("message", str(answer)))
            return answer
