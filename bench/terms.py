"""Who held the Lease when, and who wrote what meanwhile, from the API server's audit log.

A term begins with the first write of the Lease by a process that did not write it last. Processes are told apart by
their user agent, `tidegate/VERSION (IDENTITY)`.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from demo.stack.audit import Request

_AGENT = re.compile(r"tidegate/\S+ \((?P<identity>.+)\)")
LEASE = "leases"
ACTS = frozenset({"deployments/scale", "statefulsets/scale", "configmaps", "featureflags"})
"""What must come from one process within a term."""
DECISIONS = ACTS | {"lagpolicies/status"}
"""What shows that a process has decided."""


class Write(NamedTuple):
    """One write that the API server has accepted."""

    at: datetime
    process: str
    resource: str
    name: str


class Term(NamedTuple):
    """A process held the Lease from its first write of it on."""

    since: datetime
    process: str


def writes(requests: Iterable[Request]) -> list[Write]:
    """All that Tidegate's processes have written, in the order in which it was answered."""
    found = [
        Write(request.time, agent["identity"], request.resource, f"{request.namespace}/{request.name}")
        for request in requests
        if request.verb in ("create", "update", "patch", "delete") and 200 <= request.code < 300
        if (agent := _AGENT.search(request.user_agent))
    ]
    return sorted(found)


def terms(written: Iterable[Write]) -> list[Term]:
    """The terms, the oldest first."""
    found: list[Term] = []
    for write in written:
        if write.resource == LEASE and (not found or found[-1].process != write.process):
            found.append(Term(write.at, write.process))
    return found


def double_writes(written: Sequence[Write]) -> list[Write]:
    """Acts of a process in the term of another one, or before anybody's."""
    holder, found = "", []
    for write in written:
        if write.resource == LEASE:
            holder = write.process
        elif write.resource in ACTS and write.process != holder:
            found.append(write)
    return found


def next_decision(written: Iterable[Write], after: datetime, but: str) -> Write | None:
    """The first sign of a decision of any process but one, after a moment."""
    return next(
        (write for write in written if write.at >= after and write.process != but and write.resource in DECISIONS), None
    )
