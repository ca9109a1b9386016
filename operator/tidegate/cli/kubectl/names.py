"""Names for the shell to complete: of policies, proposals and namespaces. Nothing is ever said about an error here."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from tidegate.api import PartitionProposal, Resource
from tidegate.cli.kubectl.options import Where

PATIENCE = 3.0
"""Seconds for which a shell may be kept waiting."""

Completion = list[tuple[str, str]]


def policies(context: typer.Context, incomplete: str) -> Completion:
    """LagPolicies, with the consumer group of each."""
    from tidegate.api import LagPolicy

    return _named(context, incomplete, LagPolicy, lambda p: f"group {p.spec.source.kafka.group}")


def proposals(context: typer.Context, incomplete: str) -> Completion:
    """PartitionProposals that wait for a decision, with what is proposed."""
    return _named(context, incomplete, PartitionProposal, _waiting)


def namespaces(context: typer.Context, incomplete: str) -> Completion:
    """Namespaces that have a LagPolicy."""
    from tidegate.api import LagPolicy

    found = _asked(_where(context)._replace(everywhere=True), LagPolicy)
    names = sorted({each.metadata.namespace or "" for each in found})
    return [(name, "") for name in names if name.startswith(incomplete)]


def _waiting(proposal: PartitionProposal) -> str:
    spec = proposal.spec
    return f"{spec.topic}: {spec.from_} to {spec.to}" if spec.decision == "Pending" else ""


def _named(context: typer.Context, incomplete: str, kind: type[Any], said: Callable[[Any], str]) -> Completion:
    found = [(each.metadata.name, said(each)) for each in _asked(_where(context), kind)]
    return [(name, words) for name, words in found if words and name.startswith(incomplete)]


def _where(context: typer.Context) -> Where:
    given = context.params
    kubeconfig = given.get("kubeconfig")
    return Where(
        given.get("namespace"),
        bool(given.get("everywhere")),
        given.get("context"),
        Path(kubeconfig) if kubeconfig else None,
        given.get("user"),
    )


def _asked(where: Where, kind: type[Resource]) -> list[Any]:
    from tidegate.cli.kubectl.cluster import listed, reached, readable

    async def ask() -> list[Resource]:
        async with reached(where) as cluster:
            return readable(await listed(cluster, kind))

    try:
        return asyncio.run(asyncio.wait_for(ask(), PATIENCE))
    except Exception:  # a shell that completes has no place for words
        return []
