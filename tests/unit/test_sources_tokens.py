"""Tokens by client credentials: fetched once, kept, renewed in time; a refusal in the endpoint's words."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tidegate.sources.kafka import tokens
from tidegate.sources.kafka.tokens import TokenError, TokenProvider


class Endpoint(HTTPServer):
    """Gives tokens 1, 2, 3, …, or whatever `answer` says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str]] = []  # Authorization, form
        self.lifetime: Any = 300
        self.refusal: tuple[int, Any] | None = None

    def provider(self, scope: str | None = "kafka") -> TokenProvider:
        return TokenProvider(
            f"http://127.0.0.1:{self.server_port}/", "me", "se:cret", scope, ssl.create_default_context()
        )


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.headers["Authorization"], form))
        given = {"access_token": f"token-{len(self.server.asked)}", "expires_in": self.server.lifetime}
        status, answer = self.server.refusal or (200, given)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def test_a_token_is_asked_for_once_and_kept(endpoint: Endpoint):
    provider = endpoint.provider()
    assert [provider.token(), provider.token()] == ["token-1", "token-1"]
    assert endpoint.asked == [("Basic bWU6c2U6Y3JldA==", "grant_type=client_credentials&scope=kafka")]


def test_no_scope_is_not_sent(endpoint: Endpoint):
    endpoint.provider(scope=None).token()
    assert endpoint.asked[0][1] == "grant_type=client_credentials"


def test_a_token_is_renewed_before_it_ends(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now)
    provider = endpoint.provider()
    assert provider.token() == "token-1"
    now += 239
    assert provider.token() == "token-1"
    now += 2  # 80 % of 300 s are over
    assert provider.token() == "token-2"


@pytest.mark.parametrize("lifetime", [None, "soon"])
def test_a_lifetime_that_is_not_told_is_five_minutes(endpoint: Endpoint, lifetime: Any):
    endpoint.lifetime = lifetime
    provider = endpoint.provider()
    assert provider.token() == provider.token() == "token-1"


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((401, {"error": "invalid_client", "error_description": "unknown"}), "answers 401 invalid_client: unknown"),
        ((503, "<html>"), "answers 503 Service Unavailable"),
        ((200, {"token": "?"}), "answers without an access_token"),
        ((200, ["?"]), "answers without an access_token"),
        ((200, "no json"), "Expecting value"),
    ],
)
def test_a_refusal_is_told_in_the_endpoint_s_words(endpoint: Endpoint, refusal: tuple[int, Any], words: str):
    endpoint.refusal = refusal
    with pytest.raises(TokenError, match=words):
        endpoint.provider().token()
    endpoint.refusal = None
    assert endpoint.provider().token() == "token-2"


def test_nobody_there_is_told():
    provider = TokenProvider("http://127.0.0.1:1/", "me", "secret", None, ssl.create_default_context())
    with pytest.raises(TokenError, match=r"http://127\.0\.0\.1:1/: .*refused"):
        provider.token()
