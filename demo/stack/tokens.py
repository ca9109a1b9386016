"""An OAuth token endpoint on the loopback, for SASL OAUTHBEARER with client credentials (RFC 6749, section 4.4).

`python -m demo.stack.tokens SETTINGS` serves `POST /token` (client id and secret by Basic authentication or in the
form) and `GET /jwks`, the public key by which the broker validates what was signed here (RFC 7517, 7519).
"""

import base64
import json
import sys
import time
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

KEY_ID = "stack"


@dataclass(frozen=True)
class TokenSettings:
    """Who may ask for a token, and what it says."""

    port: int
    key: str
    clients: dict[str, str]
    audience: str = "kafka"
    lifetime: int = 300

    @property
    def issuer(self) -> str:
        """The address of the endpoint's server."""
        return f"http://127.0.0.1:{self.port}"

    def save(self, path: Path) -> None:
        """Write the settings where `main` reads them."""
        path.write_text(json.dumps(asdict(self)))
        path.chmod(0o600)


class Issuer:
    """Signs tokens for the clients it knows."""

    def __init__(self, settings: TokenSettings) -> None:
        self.settings = settings
        key = load_pem_private_key(Path(settings.key).read_bytes(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key

    def token(self, client: str, scope: str | None) -> str:
        """A signed token whose subject is the client."""
        now = int(time.time())
        expires = now + self.settings.lifetime
        claims = {"iss": self.settings.issuer, "sub": client, "aud": self.settings.audience, "iat": now, "exp": expires}
        head = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
        signed = ".".join(
            _base64url(json.dumps(part).encode()) for part in (head, claims | {"scope": scope or "kafka"})
        )
        return f"{signed}.{_base64url(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def key_set(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set."""
        public = self._key.public_key().public_numbers()
        n, e = (_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (public.n, public.e))
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": n, "e": e}]}


class Handler(BaseHTTPRequestHandler):
    """The two endpoints."""

    issuer: Issuer

    def do_GET(self) -> None:
        if self.path == "/jwks":
            self._answer(200, self.issuer.key_set())
        else:
            self._answer(404, {"error": "not_found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        client, secret = self._basic() or (form.get("client_id", ""), form.get("client_secret", ""))
        if self.path != "/token" or form.get("grant_type") != "client_credentials":
            self._answer(400, {"error": "unsupported_grant_type"})
        elif self.issuer.settings.clients.get(client) != secret or not secret:
            self._answer(
                401, {"error": "invalid_client", "error_description": f"wrong id or secret of client '{client}'"}
            )
        else:
            token = self.issuer.token(client, form.get("scope"))
            self._answer(
                200, {"access_token": token, "token_type": "Bearer", "expires_in": self.issuer.settings.lifetime}
            )

    def _basic(self) -> tuple[str, str] | None:
        kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        client, _, secret = base64.b64decode(credentials).decode().partition(":")
        return unquote(client), unquote(secret)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def main(path: Path) -> None:
    settings = TokenSettings(**json.loads(path.read_text()))
    handler = type("OwnHandler", (Handler,), {"issuer": Issuer(settings)})
    ThreadingHTTPServer(("127.0.0.1", settings.port), handler).serve_forever()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
