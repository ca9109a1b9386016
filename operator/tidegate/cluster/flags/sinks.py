"""Where the flags are kept: read with their version, and written only if they are still as they were read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from kubernetes.aio.client import ApiClient

from tidegate.api import FlagsKind, FlagsRef, Reason, cut
from tidegate.cluster.flags.document import Document, read_document
from tidegate.cluster.insisting import insist
from tidegate.cluster.server import (
    FAILURES,
    FIELD_MANAGER,
    failed_test,
    refusal,
    request,
    status_of,
    transient,
    words,
)
from tidegate.engine.observation import Objection

PROPAGATION: Mapping[FlagsKind, float] = {FlagsKind.CONFIG_MAP: 90.0, FlagsKind.FEATURE_FLAG: 5.0}
"""Seconds until an application obeys a switched flag, where the policy does not say.

The kubelet renews mounted ConfigMaps once a minute and a while later; flagd watches FeatureFlags.
"""


class Seen(NamedTuple):
    """The flags as they were read. `version` and `uid` are those of the object that has them.

    `fixed` says why nothing can be written there, None where it can.
    """

    document: Document
    version: str
    uid: str
    fixed: Objection | None = None


class FlagSink(Protocol):
    """An object of the cluster that has flags."""

    async def read(self) -> Seen | Objection:
        """The flags. FLAGS_NOT_FOUND, FLAGS_INVALID, SINK_UNAVAILABLE, FORBIDDEN, or FLAGS_NOT_READ (no answer)."""

    async def write(self, seen: Seen, variants: Mapping[str, str]) -> Seen | Objection:
        """Give flags of `seen` these variants, if the document still is as it was seen; as it is then.

        FLAGS_NOT_WRITTEN says that somebody else has changed it meanwhile (read again, decide anew), or what the API
        server refused; others as in `read`.
        """


def propagation_of(ref: FlagsRef) -> float:
    """Seconds until the application obeys a flag that was switched there."""
    return PROPAGATION[ref.kind] if ref.propagation is None else ref.propagation.total_seconds()


class ObjectSink(ABC):
    """A FlagSink in one object, by GET and PATCH with its resourceVersion."""

    kind: FlagsKind
    content_type: str

    def __init__(self, api: ApiClient, namespace: str, name: str) -> None:
        self.api = api
        self.namespace = namespace
        self.name = name

    @property
    def what(self) -> str:
        """The object in words."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    @abstractmethod
    def path(self) -> str:
        """Where the API server has it."""

    @abstractmethod
    def text_of(self, body: Mapping[str, Any]) -> str | Objection:
        """The document in the object."""

    @abstractmethod
    def patch_of(self, seen: Seen, variants: Mapping[str, str]) -> Any:
        """The patch that gives these variants, and fails where the object is not the version seen."""

    def fixed(self, body: Mapping[str, Any]) -> Objection | None:
        """Why the object cannot be changed."""
        return None

    async def read(self) -> Seen | Objection:
        """As FlagSink says."""
        try:
            return self._seen(await request(self.api, "GET", self.path))
        except FAILURES as error:
            return self.objection(error, Reason.FLAGS_NOT_READ)

    async def write(self, seen: Seen, variants: Mapping[str, str]) -> Seen | Objection:
        """As FlagSink says. A request that got no answer is repeated, and so is one that met another version of the
        object with the same document.
        """
        if seen.fixed or not variants:
            return seen.fixed or seen
        attempt = _Attempt(self, seen, variants)
        try:
            return await insist(attempt.write, attempt.may_be_repeated)
        except FAILURES as error:
            return self.objection(error, Reason.FLAGS_NOT_WRITTEN)

    async def patch(self, seen: Seen, variants: Mapping[str, str]) -> Seen | Objection:
        """Write once. Raises one of FAILURES."""
        answer = await request(
            self.api,
            "PATCH",
            self.path,
            query={"fieldManager": FIELD_MANAGER},
            body=self.patch_of(seen, variants),
            content_type=self.content_type,
        )
        return self._seen(answer)

    def _seen(self, body: Mapping[str, Any]) -> Seen | Objection:
        text = self.text_of(body)
        if isinstance(text, Objection):
            return text
        document = read_document(text)
        if isinstance(document, Objection):
            return Objection(document.reason, cut(f"{self.where}: {document.message}"))
        meta = body["metadata"]
        return Seen(document, meta["resourceVersion"], meta["uid"], self.fixed(body))

    @property
    def where(self) -> str:
        """The document in words."""
        return self.what

    def objection(self, error: BaseException, otherwise: Reason) -> Objection:
        """A request that failed, in words."""
        if status_of(error) == 403:
            return refusal(error, self.namespace)
        if status_of(error) == 404:
            return self.absent(error)
        done = "read" if otherwise is Reason.FLAGS_NOT_READ else "switch flags in"
        return Objection(otherwise, cut(f"cannot {done} {self.what}: the API server says: {words(error)}"))

    def absent(self, error: BaseException) -> Objection:
        """A 404 in words."""
        message = f"{self.kind} {self.name} does not exist in namespace {self.namespace}"
        return Objection(Reason.FLAGS_NOT_FOUND, f"{message}: create it, or mend spec.degradation.flagsRef")


@dataclass(slots=True)
class _Attempt:
    sink: ObjectSink
    seen: Seen
    variants: Mapping[str, str]
    stale: bool = False
    unanswered: bool = False

    async def write(self) -> Seen | Objection:
        if self.stale:
            now = await self.sink.read()
            if isinstance(now, Objection) or self._is_ours(now):
                return now
            if now.fixed or not self._is_as_seen(now):
                return now.fixed or self._changed()
            self.seen = now
        return await self.sink.patch(self.seen, self.variants)

    def _changed(self) -> Objection:
        message = f"{self.sink.where} was changed by somebody else at the same moment: it is read again"
        return Objection(Reason.FLAGS_NOT_WRITTEN, message)

    def _is_as_seen(self, now: Seen) -> bool:
        return now.uid == self.seen.uid and now.document.text == self.seen.document.text

    def _is_ours(self, now: Seen) -> bool:
        """Whether a write that got no answer has come through."""
        shown = {flag: now.document.variants.get(flag) for flag in self.variants}
        return self.unanswered and now.uid == self.seen.uid and shown == self.variants

    def may_be_repeated(self, error: Exception) -> bool:
        """Whether to try again; then the flags are read first, as what was seen may be old (or already written)."""
        self.unanswered = self.unanswered or transient(error)
        self.stale = status_of(error) == 409 or failed_test(error) or transient(error)
        return self.stale
