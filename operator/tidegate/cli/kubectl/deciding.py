"""`approve` and `reject`: a partition increase, decided by a person who has seen what it can break.

What may be decided by whom is the API server's to say (the rules of the CRD, and the verb approve): it is asked by a
dry run before the person is.
"""

from datetime import UTC, datetime
from typing import NamedTuple

import typer

from tidegate.api import Choice, Method, PartitionProposal
from tidegate.cli.kubectl.case import case, ended
from tidegate.cli.kubectl.cluster import Cluster, found, reached
from tidegate.cli.kubectl.failures import CommandError
from tidegate.cli.kubectl.options import Output, Where
from tidegate.cli.kubectl.output import console, dump, show
from tidegate.cluster.objects import Change, change, read_now
from tidegate.engine.hazards import blocks

MANAGER = "kubectl-tidegate"
"""The name under which what people write stands in `metadata.managedFields`."""

STALE = "it has changed while you read it, and nothing was decided: {now}"


class Wish(NamedTuple):
    """What a person wants of a proposal; `method` None: the one that it has."""

    choice: Choice
    acknowledge: tuple[str, ...] = ()
    method: Method | None = None
    yes: bool = False


async def decide(where: Where, name: str, wish: Wish, output: Output) -> None:
    """Show the case, ask, and write the decision."""
    async with reached(where) as cluster:
        proposal = (await found(cluster, PartitionProposal, name)).it
        _still_open(proposal)
        method = wish.method or proposal.spec.method
        if output is Output.TABLE:
            show(*case(proposal, wish.choice, method, datetime.now(UTC), console().width))
        everything = _with(wish, method, *wish.acknowledge, *_blocking(proposal, wish, method))
        await _written(cluster, proposal, everything, dry_run=True)
        decided = _with(wish, method, *_acknowledged(proposal, wish, method))
        if not wish.yes:
            _asked(proposal, decided)
        told = await _written(cluster, proposal, decided)
    if output is Output.TABLE:
        typer.echo(_done(told))
    else:
        dump(told.wire(), output)


def _still_open(proposal: PartitionProposal) -> None:
    """A closed or decided one is told as it stands, before anybody reads the rest."""
    if over := ended(proposal):
        raise CommandError(f"{proposal.metadata.name} is closed: {over}")
    if proposal.spec.decision is not Choice.PENDING:
        raise CommandError(f"{proposal.metadata.name} is decided already: {_standing(proposal)}")


def _standing(proposal: PartitionProposal) -> str:
    state = f", {proposal.status.state}" if proposal.status.state else ""
    return f"{proposal.spec.decision}{state}"


def _with(wish: Wish, method: Method, *acknowledge: str) -> Wish:
    names = tuple(dict.fromkeys(acknowledge))
    return Wish(wish.choice, names if wish.choice is Choice.APPROVE else (), method, wish.yes)


def _blocking(proposal: PartitionProposal, wish: Wish, method: Method) -> tuple[str, ...]:
    """Names of the hazards that the wish does not acknowledge yet."""
    if wish.choice is not Choice.APPROVE:
        return ()
    return tuple(dict.fromkeys(h.name for h in blocks(proposal.status.hazards, method, wish.acknowledge)))


def _acknowledged(proposal: PartitionProposal, wish: Wish, method: Method) -> tuple[str, ...]:
    """What is acknowledged by flags, and what the person acknowledges when asked."""
    missing = _blocking(proposal, wish, method)
    if missing and wish.yes:
        flags = " ".join(f"--acknowledge {name}" for name in missing)
        raise CommandError(f"nothing was decided: what blocks must be acknowledged by name: {flags}")
    for name in missing:
        if not typer.confirm(f"Acknowledge {name}, as it is described above?"):
            raise CommandError(f"nothing was decided: {name} is not acknowledged")
    return (*wish.acknowledge, *missing)


def _asked(proposal: PartitionProposal, wish: Wish) -> None:
    spec = proposal.spec
    question = f"Reject that {spec.topic} gets {spec.to} partitions?"
    if wish.choice is Choice.APPROVE:
        question = f"Approve {spec.to} partitions for {spec.topic}, by method {wish.method}? It cannot be undone."
    if not typer.confirm(question):
        raise CommandError("nothing was decided")


async def _written(
    cluster: Cluster, proposal: PartitionProposal, wish: Wish, *, dry_run: bool = False
) -> PartitionProposal:
    """Write the decision if it still is as it was shown, but for what Tidegate adds to its status meanwhile."""
    while True:
        told = await change(cluster.api, proposal, *_edit(wish), manager=MANAGER, dry_run=dry_run)
        if told is not None:
            return told
        now = await read_now(cluster.api, proposal)
        if now is None:
            raise CommandError(STALE.format(now="it is gone"))
        if (now.spec, _names(now)) != (proposal.spec, _names(proposal)):
            raise CommandError(STALE.format(now=ended(now) or f"{_standing(now)}; look at it again"))
        proposal = now


def _names(proposal: PartitionProposal) -> frozenset[tuple[str, bool, str | None]]:
    return frozenset((hazard.name, hazard.blocking, hazard.method) for hazard in proposal.status.hazards)


def _edit(wish: Wish) -> tuple[Change, ...]:
    changes: list[Change] = [{"op": "add", "path": "/spec/decision", "value": wish.choice.value}]
    if wish.choice is Choice.APPROVE:
        assert wish.method is not None
        changes.append({"op": "add", "path": "/spec/method", "value": wish.method.value})
        changes.append({"op": "add", "path": "/spec/acknowledge", "value": list(wish.acknowledge)})
    return tuple(changes)


def _done(proposal: PartitionProposal) -> str:
    meta = proposal.metadata
    if proposal.spec.decision is Choice.REJECT:
        return f"{meta.name} is rejected: {proposal.spec.topic} stays as it is"
    return (
        f"{meta.name} is approved: Tidegate carries it out now. To see how far it is:\n"
        f"kubectl get pprop {meta.name} -n {meta.namespace} -w"
    )
