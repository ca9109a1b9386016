"""The flags by HTTP: `POST {base}/ofrep/v1/evaluate/flags[/{key}]`."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from tidegate.cluster.flags import Place
from tidegate.controllers.health import serving
from tidegate.controllers.ofrep.answers import (
    STATUS_OF,
    Body,
    RequestError,
    broken,
    failed,
    failure,
    read_context,
    tag_of,
    written,
)
from tidegate.controllers.ofrep.documents import GONE, Documents, Scope, base_of
from tidegate.controllers.ofrep.evaluation import FlagSet
from tidegate.controllers.ofrep.tokens import Tokens
from tidegate.controllers.services import Services
from tidegate.engine.observation import Objection

logger = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
"""Bytes of a request: a context is a few hundred."""

FLAGS = "/ofrep/v1/evaluate/flags"
BASES = (
    "",
    "/namespaces/{namespace}/{kind:ConfigMap|FeatureFlag}/{name}",
    "/namespaces/{namespace}/{kind:ConfigMap}/{name}/{document}",
)
"""The paths of base URLs: all documents, or one of them."""

Found = Mapping[Place, FlagSet | Objection]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving_flags(services: Services, unready: Callable[[], list[str]]) -> AsyncIterator[int | None]:
    """Serve OFREP while the block runs, where the settings ask for it; gives the port.

    `unready` names what has not been seen of the cluster yet. TokensError where the token file is of no use,
    ListenError where the address cannot be listened on.
    """
    settings = services.settings
    if settings.ofrep_listen is None:
        yield None
        return
    tokens = Tokens(settings.ofrep_token_file)
    tokens.read()
    documents = Documents(services.flags.read, services.world.policies)
    async with serving(settings.ofrep_listen, application(documents, tokens, unready), f"OFREP ({FLAGS})") as port:
        yield port


def application(documents: Documents, tokens: Tokens, unready: Callable[[], list[str]]) -> web.Application:
    """All routes. Every answer, errors too, is JSON."""

    @web.middleware
    async def authorized(request: web.Request, handler: _Handler) -> web.StreamResponse:
        tokens.check(request.headers.get("Authorization"))
        return await handler(request)

    api = _Flags(documents, unready)
    app = web.Application(middlewares=[_in_json, authorized], client_max_size=LARGEST_BODY)
    for base in BASES:
        app.router.add_post(f"{base}{FLAGS}", api.all_flags)
        app.router.add_post(f"{base}{FLAGS}/", api.all_flags)
        app.router.add_post(f"{base}{FLAGS}/{{flag:.+}}", api.one_flag)
    return app


@web.middleware
async def _in_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RequestError as error:
        return web.json_response(error.body, status=error.status, headers=error.headers)
    except web.HTTPException as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.json_response({"errorDetails": error.reason}, status=error.status, headers=allow)
    except Exception:
        logger.exception("OFREP: %s failed", request.path)
        return web.json_response({"errorDetails": "the operator failed to answer: see its log"}, status=500)


class _Flags:
    """The two questions of the protocol."""

    def __init__(self, documents: Documents, unready: Callable[[], list[str]]) -> None:
        self._documents = documents
        self._unready = unready

    async def one_flag(self, request: web.Request) -> web.Response:
        """Evaluate one flag (evaluateFlag)."""
        key = request.match_info["flag"]
        context = await _context(request, key)
        found = await self._found(request, key)
        sets = _sets_with(key, found)
        if not sets:
            self._must_be_known(found)
            raise failed(key, ErrorCode.FLAG_NOT_FOUND, f"no flag {key!r} in {_scope(request)}")
        body = _evaluated(key, sets, context, request)
        return web.json_response(body, status=STATUS_OF.get(body["errorCode"], 400) if "errorCode" in body else 200)

    async def all_flags(self, request: web.Request) -> web.Response:
        """Evaluate all flags (evaluateFlagsBulk); 304 to one who has that answer already."""
        context = await _context(request, None)
        found = await self._found(request, None)
        self._must_be_known(found)
        sets = [each for each in found.values() if isinstance(each, FlagSet)]
        keys = sorted({key for each in sets for key in each.document.flags})
        body: Body = {"flags": [_evaluated(key, _sets_with(key, found), context, request) for key in keys]}
        if len(sets) == 1:
            body["metadata"] = dict(sets[0].metadata)
        return _unless_known(request, written(body))

    async def _found(self, request: web.Request, key: str | None) -> Found:
        """The documents that are asked for."""
        scope = _scope(request)
        found = await self._documents.within(scope)
        if scope != Scope() and all(isinstance(each, Objection) and each.reason in GONE for each in found.values()):
            self._must_be_known({})
            told = "; ".join(each.message for each in found.values() if isinstance(each, Objection))
            raise failed(key, ErrorCode.FLAG_NOT_FOUND, told or f"no LagPolicy names {scope} in spec.degradation")
        return found

    def _must_be_known(self, found: Found) -> None:
        """Nobody is told that a flag does not exist while some flags are not known: he would drop what he knows."""
        if missing := self._unready():
            raise broken(f"not all LagPolicies are known yet: {', '.join(missing)}")
        unknown = [each for each in found.values() if isinstance(each, Objection) and each.reason not in GONE]
        if unknown:
            raise broken("; ".join(each.message for each in unknown))


def _scope(request: web.Request) -> Scope:
    return Scope(*(request.match_info.get(field) for field in Scope._fields))


async def _context(request: web.Request, key: str | None) -> EvaluationContext:
    try:
        text = await request.read()
    except (web.RequestPayloadError, ConnectionError) as error:  # packed wrongly, or whoever asked is gone
        raise failed(key, ErrorCode.PARSE_ERROR, f"the body cannot be read: {error}") from None
    kind = request.content_type
    if text and kind != "application/json" and not kind.endswith("+json"):
        raise RequestError(415, {"errorDetails": f"the body is {kind}: send Content-Type: application/json"})
    return read_context(text, key)


def _sets_with(key: str, found: Found) -> dict[Place, FlagSet]:
    return {place: each for place, each in found.items() if isinstance(each, FlagSet) and key in each.document.flags}


def _evaluated(key: str, sets: Mapping[Place, FlagSet], context: EvaluationContext, request: web.Request) -> Body:
    """The flag, where only one document has it: which of two is meant, a base URL must say."""
    if len(sets) == 1:
        (flags,) = sets.values()
        return flags.evaluate(key, context)
    bases = " or ".join(f"{request.url.origin()}{base_of(place)}" for place in sets)
    return failure(key, ErrorCode.GENERAL, f"{len(sets)} documents have flag {key!r}: ask with the base URL {bases}")


def _unless_known(request: web.Request, answer: bytes) -> web.Response:
    """The answer, or 304 (RFC 9110, 13.1.2; by the protocol also for a POST) where `If-None-Match` has its tag."""
    tag = tag_of(answer)
    asked = request.if_none_match or ()
    known = any(each.value in (tag, "*") for each in asked)
    response = web.Response(status=304) if known else web.Response(body=answer, content_type="application/json")
    response.etag = tag
    return response
