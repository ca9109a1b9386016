"""Who may ask: everybody, or those who bear a token of a file."""

import hmac
from pathlib import Path

from tidegate.controllers.ofrep.answers import RequestError, broken


class TokensError(Exception):
    """The file has no token to compare with; the message says why."""


class Tokens:
    """The tokens of a file, one a line, so that an old and a new one can both be right for a while.

    The file is read for each request: it is small, and a Secret that is renewed counts at once.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> tuple[bytes, ...]:
        """The tokens. TokensError where there are none."""
        if self._path is None:
            return ()
        try:
            found = tuple(line.strip() for line in self._path.read_bytes().splitlines() if line.strip())
        except OSError as error:
            raise TokensError(f"cannot read the token file {self._path}: {error.strerror}") from None
        if not found:
            raise TokensError(f"the token file {self._path} is empty: write the token into it")
        return found

    def check(self, authorization: str | None) -> None:
        """RequestError unless the `Authorization` header bears one of them (RFC 6750)."""
        if self._path is None:
            return
        try:
            tokens = self.read()
        except TokensError:
            raise broken("the operator cannot read its own token file: see its log") from None
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized("send a token: Authorization: Bearer …", "")
        given = token.strip().encode(errors="surrogateescape")
        if not sum(hmac.compare_digest(given, each) for each in tokens):  # all are compared: the time tells nothing
            raise _unauthorized("that token is not, or no longer, right", ', error="invalid_token"')


def _unauthorized(details: str, error: str) -> RequestError:
    return RequestError(401, {"errorDetails": details}, {"WWW-Authenticate": f'Bearer realm="tidegate"{error}'})
