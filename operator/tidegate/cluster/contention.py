"""Somebody who keeps writing `spec.replicas` after us: a GitOps tool that applies it, a script, a person.

Answering each time would be a war that nobody wins and the consumers lose: each write is a rebalance. One write by
somebody else is respected and decided upon anew; a habit of it makes Tidegate stand back for a while and say who it is.
(Seen in the wild: temporalio/temporal-worker-controller#527, kagent-dev/kagent#1848.)
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import NamedTuple

from tidegate.api import Reason, cut
from tidegate.cluster.server import FIELD_MANAGER
from tidegate.cluster.times import moment
from tidegate.cluster.workloads import Workload
from tidegate.engine.observation import Objection

TOLERATED = 2
"""Overwrites within WINDOW that may be a person's correction."""

WINDOW = 600.0
"""Seconds in which overwrites count together, and for which Tidegate stands back the first time."""

LONGEST = 3600.0
"""Seconds for which it stands back at most; each time in a row is twice as long as the one before."""


class Overwrite(NamedTuple):
    """Somebody replaced our number by another one."""

    time: float
    manager: str
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True)
class Contention:
    """What is remembered of one target; times in seconds since the epoch.

    `written` is the target as we left it, until somebody else writes. `rounds` counts how often in a row we stood back.
    """

    written: Workload | None = None
    overwrites: tuple[Overwrite, ...] = ()
    until: float = 0.0
    rounds: int = 0

    def wrote(self, workload: Workload) -> "Contention":
        """We have scaled the target; `workload` is what the API server answered."""
        return replace(self, written=workload)

    def let_go(self) -> "Contention":
        """Another part of Tidegate has the target for a while: what it writes is nobody's overwrite."""
        return replace(self, written=None)

    def saw(self, workload: Workload, now: float) -> "Contention":
        """A watch or a read showed the target. Older than our write, or with our number, it tells nothing."""
        if self.written is None or workload.resource_version <= self.written.resource_version:
            return self
        if workload.uid != self.written.uid:
            return Contention()
        if workload.replicas == self.written.replicas:
            return self
        overwrite = Overwrite(now, _manager(workload), self.written.replicas, workload.replicas)
        recent = tuple(o for o in self.overwrites if o.time > now - WINDOW)
        return replace(self, written=None, overwrites=(*recent, overwrite))._judged(now)

    def _judged(self, now: float) -> "Contention":
        if len(self.overwrites) <= TOLERATED:
            return self
        rounds = self.rounds + 1 if now < self.until + WINDOW else 1
        return replace(self, until=now + min(WINDOW * 2 ** (rounds - 1), LONGEST), rounds=rounds)

    def objection(self, now: float) -> Objection | None:
        """REPLICAS_CONTENDED while we stand back."""
        if now >= self.until:
            return None
        who = ", ".join(f'"{name}"' for name, _ in Counter(o.manager for o in self.overwrites).most_common())
        last = self.overwrites[-1]
        message = (
            f"{who} wrote spec.replicas after Tidegate {len(self.overwrites)} times within {WINDOW / 60:.0f} minutes"
            f" (last: {last.theirs} over {last.ours}): let it leave spec.replicas out or ignore it;"
            f" Tidegate tries again at {moment(self.until):%H:%M} UTC"
        )
        return Objection(Reason.REPLICAS_CONTENDED, cut(message))


def _manager(workload: Workload) -> str:
    """Who wrote the replicas last; /scale does not tell, and somebody may write under our name."""
    others = (writer.manager for writer in workload.replicas_writers if writer.manager != FIELD_MANAGER)
    return next(others, "somebody else")
