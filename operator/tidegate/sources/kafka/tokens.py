"""OAuth 2.0 tokens by client credentials (RFC 6749 section 4.4), kept until shortly before they end."""

import json
import ssl
import time
from base64 import b64encode
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from kafka.net.sasl.oauth import AbstractTokenProvider

TIMEOUT = 2.0  # seconds; the reading of the whole connection waits for it
LIFETIME = 300.0  # seconds, where the endpoint does not say
KEPT = 0.8  # of a token's lifetime; Kafka's own clients renew at the same share (sasl.login.refresh.window.factor)
LARGEST = 1 << 20  # bytes of an answer


class TokenError(Exception):
    """No token, and why."""


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python is not typed
    """What kafka-python asks for a token at each (re-)authentication."""

    def __init__(
        self, endpoint: str, client_id: str, client_secret: str, scope: str | None, context: ssl.SSLContext
    ) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._login = b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._context = context
        self._token = ""
        self._renew_at = 0.0

    def token(self) -> str:
        """A token that is valid for a while. TokenError where the endpoint gives none."""
        now = time.monotonic()
        if now >= self._renew_at:
            answer = self._ask()
            self._token = answer["access_token"]
            self._renew_at = now + KEPT * _lifetime(answer)
        return self._token

    def _ask(self) -> dict[str, Any]:
        request = Request(
            self._endpoint,
            data=urlencode(self._form).encode(),
            headers={"Authorization": f"Basic {self._login}", "Accept": "application/json"},
        )
        try:
            with urlopen(request, timeout=TIMEOUT, context=self._context) as response:
                answer = json.loads(response.read(LARGEST))
        except HTTPError as error:
            raise TokenError(f"token endpoint {self._endpoint} answers {error.code} {_said(error)}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise TokenError(f"token endpoint {self._endpoint}: {getattr(error, 'reason', error)}") from error
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise TokenError(f"token endpoint {self._endpoint} answers without an access_token")
        return answer


def _lifetime(answer: dict[str, Any]) -> float:
    try:
        return float(answer.get("expires_in", LIFETIME))
    except (TypeError, ValueError):
        return LIFETIME


def _said(error: HTTPError) -> str:
    """The endpoint's own words (RFC 6749 section 5.2), or HTTP's."""
    try:
        answer = json.loads(error.read(LARGEST))
        return ": ".join(str(answer[key]) for key in ("error", "error_description") if key in answer) or error.reason
    except (OSError, HTTPException, ValueError, TypeError):
        return str(error.reason)
