"""The OFREP server on a free port, with documents that a test writes, and the providers that applications use."""

import asyncio
import http.client
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.provider import AbstractProvider

from tests.unit.controllers_world import policy
from tidegate.api import FlagsRef, LagPolicy, Reason
from tidegate.cluster.flags import Seen, read_document
from tidegate.controllers.health import serving
from tidegate.controllers.ofrep.documents import Documents
from tidegate.controllers.ofrep.server import application
from tidegate.controllers.ofrep.tokens import Tokens
from tidegate.controllers.settings import Address
from tidegate.engine.observation import Objection

EVALUATE = "/ofrep/v1/evaluate/flags"
JSON = {"Content-Type": "application/json"}
POINTS = "ConfigMap/shop/points/flags.json"


def flag(default: str | None = "on", **parts: Any) -> dict[str, Any]:
    named = {} if default is None else {"defaultVariant": default}
    return {"state": "ENABLED", "variants": {"on": True, "off": False}, **named, **parts}


def document(**flags: dict[str, Any]) -> str:
    return json.dumps({"flags": flags})


class Shop:
    """What the operator knows: documents by "kind/namespace/name/key", all named by a policy, and the time."""

    def __init__(self) -> None:
        self.documents: dict[str, str | Objection] = {}
        self.unready: list[str] = []
        self.now = 1000.0
        self.reads = 0
        self.answering = threading.Event()
        """Whether the API server answers."""
        self.answering.set()

    def policies(self) -> Iterator[LagPolicy]:
        for number, place in enumerate(self.documents):
            kind, namespace, name, key = place.split("/")
            ref = {"kind": kind, "name": name, **({"key": key} if key else {})}
            degradation = {"flagsRef": ref, "levels": [{"name": "Less", "flags": {"any": "off"}}]}
            made = policy(f"policy-{number}", spec={"degradation": degradation}, metadata={"namespace": namespace})
            yield LagPolicy.parse(made)

    async def read(self, namespace: str, ref: FlagsRef, max_age: float) -> Seen | Objection:
        assert max_age == 1.0
        self.reads += 1
        while not self.answering.is_set():
            await asyncio.sleep(0.005)
        key = ref.document if ref.kind == "ConfigMap" else ""
        found = self.documents[f"{ref.kind}/{namespace}/{ref.name}/{key}"]
        if isinstance(found, Objection):
            return found
        read = read_document(found)
        return read if isinstance(read, Objection) else Seen(read, str(self.reads), "uid")


class Service:
    """The server's address."""

    def __init__(self, shop: Shop, port: int) -> None:
        self.shop = shop
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(
        self,
        flag: str | None = None,
        body: Any = None,
        base: str = "",
        headers: dict[str, str] = JSON,
        method: str = "POST",
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """Status, headers and JSON of one request; a body that is not text is sent as JSON."""
        text = body if isinstance(body, str) else json.dumps({"context": {}} if body is None else body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            path = f"{base}{EVALUATE}" + ("" if flag is None else f"/{flag}")
            connection.request(method, path, text.encode(), headers)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, answer.headers, json.loads(content) if content else None
        finally:
            connection.close()


@contextmanager
def service(shop: Shop, token_file: Path | None = None) -> Iterator[Service]:
    """Serve in a thread, as the providers block."""
    started: list[int] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        app = application(
            Documents(shop.read, shop.policies, lambda: shop.now), Tokens(token_file), lambda: shop.unready
        )
        async with serving(Address("127.0.0.1", 0), app, "OFREP") as port:
            started.append(port)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield Service(shop, started[0])
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
        loop.close()


@contextmanager
def client_of(provider: AbstractProvider) -> Iterator[OpenFeatureClient]:
    """An application's client, ready."""
    domain = uuid.uuid4().hex
    api.set_provider_and_wait(provider, domain)
    try:
        yield api.get_client(domain)
    finally:
        provider.shutdown()


def by_ofrep(service: Service, base: str = "", headers: Callable[[], dict[str, str]] | None = None) -> OFREPProvider:
    """The provider for OFREP."""
    return OFREPProvider(f"{service.url}{base}", headers_factory=headers)


def by_file(path: Path) -> FlagdProvider:
    """flagd's own provider on a mounted document."""
    return FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path))


NOT_READ = Objection(Reason.FLAGS_NOT_READ, "cannot read ConfigMap shop/points: the API server says: no")
NOT_FOUND = Objection(Reason.FLAGS_NOT_FOUND, "ConfigMap points does not exist in namespace shop")
