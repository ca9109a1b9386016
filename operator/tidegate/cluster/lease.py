"""Which of several processes acts: the one that holds a Lease (coordination.k8s.io/v1), while it is sure of it.

As client-go's leader election: the holder renews every RETRY_EVERY seconds and stops when it has not managed to for
RENEW_WITHIN; another takes the Lease when the record has not changed for the `leaseDurationSeconds` that stand in it.
Every write is a compare-and-swap on the resourceVersion, so of two that want it one gets it. The holder counts from
the moment it *sent* the renewal that was answered, the others from the moment they *saw* it, each by a clock of its
own: with clocks that run alike there are DURATION - RENEW_WITHIN seconds at least between one acting and the next.
What the times in the record say is for people.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple, Protocol

from kubernetes.aio.client import ApiClient

from tidegate.cluster.server import FAILURES, path_of, refusal, request, status_of, words
from tidegate.cluster.times import micro_time
from tidegate.cluster.times import seconds as seconds_of

logger = logging.getLogger(__name__)

GROUP, VERSION, LEASES = "coordination.k8s.io", "v1", "leases"

DURATION, RENEW_WITHIN, RETRY_EVERY = 15.0, 10.0, 2.0
"""Seconds: what others wait for, after which the holder itself gives up, and between renewals."""

SPARE = 1.0
"""Seconds before the holder's deadline in which no write is begun any more."""

LOOK_EVERY = 1.0
"""Seconds between a standby's looks at the Lease, give or take a fifth."""

AGAIN_AFTER = 0.5
"""Seconds until something that failed is tried again."""

ANSWER_WITHIN = 5.0
"""Seconds for one request: so a lost answer leaves time for another attempt before the deadline."""

RELEASE_WITHIN = 1.0
"""Seconds for giving the Lease back; else it expires."""


RETIRED = "retired"
"""The holder after the last process has stopped for good: nobody acts, and who finds that stands by for a while."""


class LeaseLostError(Exception):
    """The Lease is not ours any more; the message says why. The process has to end."""


class LeaseName(NamedTuple):
    """Which Lease."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Record:
    """A Lease as the API server has it. `body` is the whole object."""

    body: Mapping[str, Any]

    @property
    def spec(self) -> Mapping[str, Any]:
        """Of the object; {} where it has none."""
        return self.body.get("spec") or {}

    @property
    def holder(self) -> str:
        """The identity of who holds it; "" nobody."""
        return str(self.spec.get("holderIdentity") or "")

    @property
    def duration(self) -> float:
        """Seconds for which it is its holder's after a change of the record."""
        return float(self.spec.get("leaseDurationSeconds") or DURATION)

    @property
    def renewed(self) -> float:
        """When, by its holder's clock: seconds since the epoch; infinite where it does not say."""
        return seconds_of(self.spec["renewTime"]) if self.spec.get("renewTime") else inf

    @property
    def version(self) -> str:
        """Another one after every change."""
        return str(self.body["metadata"]["resourceVersion"])


class Store(Protocol):
    """Where the record is. Both raise one of FAILURES."""

    @property
    def namespace(self) -> str:
        """Where rights to it have to be granted."""

    async def read(self) -> Record | None:
        """As it is now; None: there is none."""

    async def write(self, seen: Record | None, spec: Mapping[str, Any]) -> Record | None:
        """Replace what was seen (None: make it); None: somebody else has changed, made or deleted it meanwhile."""


class LeaseObject:
    """A Lease on the API server."""

    def __init__(self, api: ApiClient, name: LeaseName) -> None:
        self._api = api
        self._name = name

    @property
    def namespace(self) -> str:
        """See Store."""
        return self._name.namespace

    async def read(self) -> Record | None:
        """See Store."""
        try:
            return Record(await request(self._api, "GET", self._path(self._name.name)))
        except FAILURES as error:
            if status_of(error) == 404:
                return None
            raise

    async def write(self, seen: Record | None, spec: Mapping[str, Any]) -> Record | None:
        """See Store. What else is in the object stays."""
        meta = {**(seen.body["metadata"] if seen else {"namespace": self._name.namespace, "name": self._name.name})}
        meta.pop("managedFields", None)
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Lease", "metadata": meta, "spec": spec}
        method, path = ("PUT", self._path(self._name.name)) if seen else ("POST", self._path())
        try:
            return Record(await request(self._api, method, path, body=body))
        except FAILURES as error:
            if status_of(error) == 409 or (seen and status_of(error) == 404):
                return None
            raise

    def _path(self, name: str = "") -> str:
        return path_of(GROUP, VERSION, LEASES, self._name.namespace, name)


def steady() -> float:
    """Seconds that nobody sets, and that go on while the machine sleeps (where it can tell)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Elector:
    """One candidate for the Lease, and its holder from `acquired` on until it is lost or released."""

    def __init__(
        self,
        store: Store,
        identity: str,
        *,
        clock: Callable[[], float] = steady,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self.identity = identity
        self._clock = clock
        self._wall = wall
        self.leads = False
        self.problem: str | None = None
        """The right that is missing, in words."""
        self._mine: Record | None = None  # as we wrote it last, where that was answered
        self._until = -inf  # when it stops being ours
        self._seized = False  # or tried to
        self._doubted = False  # somebody else has written it, and we have not looked yet
        self._seen = ""  # the version that was seen last
        self._holder = ""  # as told last
        self._theirs_until = -inf
        self._kept = False
        self._trouble = ""

    def left(self) -> float:
        """See fence.Tenure."""
        return 0.0 if self._doubted else self._time()

    def _time(self) -> float:
        """Seconds until it has to be renewed."""
        return max(0.0, self._until - self._clock())

    def may_act(self) -> bool:
        """See fence.Tenure."""
        return self.left() > SPARE

    async def run(self, acquired: Callable[[], None]) -> None:
        """Compete, call `acquired` once, then renew, until cancelled. LeaseLostError: it was ours and is no more."""
        while True:
            led, settled = self.leads, await self._survive_turn()
            if self.leads and not led:
                logger.info("%s leads", self.identity)
                acquired()
            if self.leads and not self._time():
                raise self._lost(f"the Lease could not be renewed for {RENEW_WITHIN:.0f} s: {self._trouble}")
            await asyncio.sleep(self._rest(settled))

    def keep(self) -> None:
        """See fence.Tenure."""
        self._kept = True

    async def release(self) -> None:
        """Give it back, so that the next one need not wait."""
        self._until = -inf
        if self._kept:
            logger.warning("the Lease is not given back, as a write is still under way: it has to expire")
        if self._kept or not (self.leads or self._seized):
            return
        try:
            async with asyncio.timeout(RELEASE_WITHIN):
                while not await self._gave_back():
                    pass
        except FAILURES as error:
            logger.warning("the Lease is not given back, it has to expire: %s", words(error))

    async def seize(self, seconds: float) -> None:
        """See fence.Tenure. Nobody renews it: this process acts until a third of DURATION before the others may."""
        self._seized = True
        while True:
            record, sent = await self._store.read(), self._clock()
            if await self._store.write(record, self._claim(record, seconds)):
                break
        if record and record.holder and not self.leads:  # ours by an earlier attempt is as good as another's
            await asyncio.sleep(RENEW_WITHIN)
        self._until, self.leads = sent + seconds - (DURATION - RENEW_WITHIN), True

    async def retire(self, seconds: float) -> None:
        """See fence.Tenure. Raises one of FAILURES."""
        self._until = -inf
        while (record := await self._store.read()) and record.holder == self.identity:
            if await self._store.write(record, {**self._claim(record, seconds), "holderIdentity": RETIRED}):
                break

    # one turn

    async def _survive_turn(self) -> bool:
        """Whether it is clear who holds it; what fails is told once, and tried again soon."""
        try:
            async with asyncio.timeout(
                min(ANSWER_WITHIN, self._until - self._clock()) if self.leads else ANSWER_WITHIN
            ):
                settled = await self._turn()
        except FAILURES as error:
            self._complain(error)
            return False
        self._trouble, self.problem = "", None
        return settled

    async def _turn(self) -> bool:
        record = self._mine or await self._look()
        if self._is_free(record):
            return await self._take(record)
        if self.leads:
            raise self._lost(f"{record.holder if record else 'another process'} has taken the Lease")
        return True

    async def _look(self) -> Record | None:
        record = await self._store.read()
        version = record.version if record else ""
        if record and version != self._seen:
            if self._is_theirs(record):
                self._theirs_until = self._clock() + self._theirs_for(record)
                self._notice(record)
            else:
                self._theirs_until = -inf
        if record is None and self._seen:  # its holder, if there is one, makes it anew or stops within DURATION
            self._theirs_until = min(self._theirs_until, self._clock() + DURATION)
        self._seen = version
        return record

    def _theirs_for(self, record: Record) -> float:
        """Seconds. Of one that is retired nobody acts, so its own word for when that began is good enough."""
        if record.holder != RETIRED:
            return record.duration
        return min(record.duration, max(0.0, record.renewed + record.duration - self._wall()))

    def _is_theirs(self, record: Record) -> bool:
        return record.holder not in ("", self.identity)

    def _is_free(self, record: Record | None) -> bool:
        """A Lease that somebody has deleted is still its holder's, who has not noticed yet."""
        if record and (record is self._mine or not self._is_theirs(record)):
            return True
        return not (self.leads and record) and self._clock() >= self._theirs_until

    async def _take(self, record: Record | None) -> bool:
        """Take it, or renew it; False: somebody else was faster."""
        sent, self._mine = self._clock(), None
        written = await self._store.write(record, self._claim(record, DURATION))
        self._doubted = written is None
        if written is None:
            return False
        self._mine, self._until, self.leads = written, sent + RENEW_WITHIN, True
        return True

    def _claim(self, record: Record | None, seconds: float) -> dict[str, Any]:
        """The spec that says that it is ours from now on."""
        before, now = record.spec if record else {}, micro_time(self._wall())
        again = record is not None and record.holder == self.identity
        transitions = int(before.get("leaseTransitions") or 0)
        return {
            **before,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(seconds),
            "acquireTime": (before.get("acquireTime") if again else None) or now,
            "renewTime": now,
            "leaseTransitions": transitions + int(record is not None and not again),
        }

    async def _gave_back(self) -> bool:
        """False: something has come between."""
        record, self._mine = self._mine or await self._store.read(), None
        if record is None or record.holder != self.identity:
            return True
        now = micro_time(self._wall())
        spec = {**record.spec, "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now}
        return await self._store.write(record, spec) is not None

    def _lost(self, why: str) -> LeaseLostError:
        self._until = -inf
        return LeaseLostError(why)

    # what is told, and when it goes on

    def _rest(self, settled: bool) -> float:
        if not self.leads:
            return (LOOK_EVERY if settled else AGAIN_AFTER) * random.uniform(0.8, 1.2)
        return min(RETRY_EVERY if settled else AGAIN_AFTER, self._time() + 0.01)

    def _notice(self, record: Record) -> None:
        if self._holder != record.holder:
            who = "nobody for a while, it was retired" if record.holder == RETIRED else f"{record.holder} leads"
            logger.info("standing by: %s", who)
        self._holder = record.holder

    def _complain(self, error: BaseException) -> None:
        forbidden = status_of(error) == 403
        said = refusal(error, self._store.namespace).message if forbidden else words(error)
        if said != self._trouble:
            logger.warning("the Lease: %s", said)
        self._trouble, self.problem = said, said if forbidden else None
