"""What is recorded of the switched flags: written to the status before they are, and kept while they are switched.

Flags that are off and of which nobody knows what they were before would stay off for ever. So this part of the status
has writes of its own, which are waited for and which never replace what another process has recorded meanwhile (an
operator that is rolled out runs beside the old one for a while); and no other write of the status touches it (see
`writing`). The finalizer is there while anything is recorded, so that a deleted policy is restored first.
"""

from typing import NamedTuple

from kubernetes.aio.client import ApiClient

from tidegate.api import GROUP, DegradationStatus, LagPolicy, LagPolicyStatus
from tidegate.cluster.objects import Change, change, hold, read_now, release

FINALIZER = f"{GROUP}/degradation"
"""Set on a LagPolicy before its first flag is switched, removed when all are as they were."""

ATTEMPTS = 5
"""Times that a write is tried on a policy that somebody changes at the same moment."""


class Recorded(NamedTuple):
    """What is recorded now. `ours` is False where that is another process's writing, and ours was left undone."""

    status: DegradationStatus | None
    ours: bool = True


class ContendedError(Exception):
    """The policy was changed by others at each attempt, or it is gone."""


async def record(
    api: ApiClient, policy: LagPolicy, before: DegradationStatus | None, after: DegradationStatus | None
) -> Recorded:
    """Record `after` where `before` was recorded, with the finalizer that belongs to it.

    A record that somebody has cleared is written anew. Raises one of FAILURES, or ContendedError.
    """
    for _ in range(ATTEMPTS):
        now = await read_now(api, policy)
        if now is None:
            break
        there = now.status.degradation
        if there is not None and _essence(there) not in (_essence(before), _essence(after)):
            return Recorded(there, ours=False)
        if await _write(api, now, after):
            return Recorded(after)
    raise ContendedError


async def recorded_now(api: ApiClient, policy: LagPolicy) -> DegradationStatus | None:
    """What is recorded now; None: nothing, or the policy is gone. Raises one of FAILURES."""
    now = await read_now(api, policy)
    return now.status.degradation if now else None


async def let_go(api: ApiClient, policy: LagPolicy) -> None:
    """Remove the finalizer, whatever is recorded. Raises one of FAILURES, or ContendedError."""
    for _ in range(ATTEMPTS):
        now = await read_now(api, policy)
        if now is None or not is_held(now) or await release(api, now, FINALIZER):
            return
    raise ContendedError


def is_held(policy: LagPolicy) -> bool:
    """Whether it is kept until its flags are as they were."""
    return FINALIZER in policy.metadata.finalizers


async def _write(api: ApiClient, seen: LagPolicy, after: DegradationStatus | None) -> bool:
    """The finalizer first, and removed last. False: the policy has changed meanwhile."""
    kept = after is not None and bool(after.flags)
    now = await hold(api, seen, FINALIZER) if kept and not is_held(seen) else seen
    if now and now.status.degradation != after:
        now = await change(api, now, _change(now, after), subresource="status")
    if now and not kept and is_held(now):
        now = await release(api, now, FINALIZER)
    return now is not None


def _change(now: LagPolicy, after: DegradationStatus | None) -> Change:
    if after is None:
        return {"op": "remove", "path": "/status/degradation"}
    if now.status == LagPolicyStatus():  # there is no status yet, so nothing can be put into it
        return {"op": "add", "path": "/status", "value": {"degradation": after.wire()}}
    return {"op": "add", "path": "/status/degradation", "value": after.wire()}


def _essence(status: DegradationStatus | None) -> object:
    """What must never be lost."""
    status = status or DegradationStatus()
    return status.level, status.pending_level, status.flags, status.flags_ref if status.flags else None
