"""`status`: how the consumers are, on one screen."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import typer
from rich.console import RenderableType
from rich.text import Text

from tidegate.api import LagPolicy, PartitionProposal
from tidegate.cli.kubectl import details
from tidegate.cli.kubectl.cluster import Cluster, Unreadable, found, listed, reached, readable
from tidegate.cli.kubectl.options import Output, Where
from tidegate.cli.kubectl.output import console, dump, pairs, show, table
from tidegate.cli.kubectl.standing import Danger, standing
from tidegate.cli.kubectl.summary import COLUMNS, NAMESPACE, Consumer, consumers, noted, notes, value
from tidegate.cluster.server import status_of

STYLES = {Danger.LOSS: "bold red", Danger.BROKEN: "red", Danger.RISK: "yellow", Danger.BLIND: "yellow"}
NONE = "no LagPolicy in {place}. examples/minimal.yaml is one to start from; -A looks in all namespaces"


async def status(where: Where, name: str | None, output: Output) -> None:
    """Print it: all consumers in a table with what needs a person, or one in detail."""
    async with reached(where) as cluster:
        if name is not None:
            policy = await found(cluster, LagPolicy, name)
            [consumer] = consumers([policy.it], await proposals(cluster))
            if output is not Output.TABLE:
                dump(value(consumer), output)
            else:
                show(*details.picture(consumer, policy.written, datetime.now(UTC), console().width))
            return
        policies = await listed(cluster, LagPolicy)
        them = consumers(readable(policies), await proposals(cluster))
    if output is not Output.TABLE:
        dump({"policies": [value(each) for each in them]}, output)
        return
    if not policies:
        typer.echo(NONE.format(place=cluster.place), err=True)
        return
    unreadable = [each for each in policies if isinstance(each, Unreadable)]
    show(*screen(them, unreadable, where.everywhere, console().width))


async def proposals(cluster: Cluster) -> list[PartitionProposal]:
    """The proposals here; none where they may not be read, as they are only told beside."""
    try:
        return readable(await listed(cluster, PartitionProposal))
    except Exception as error:
        if status_of(error) == 403:
            return []
        raise


def screen(
    them: Sequence[Consumer], unreadable: Sequence[Unreadable], everywhere: bool, width: int
) -> list[RenderableType]:
    """The table, and below it what a person should know."""
    parts: list[RenderableType] = []
    if them:
        columns = (NAMESPACE, *COLUMNS) if everywhere else COLUMNS
        parts.append(table(columns, them, width, style))
    for consumer in them:
        if said := notes(consumer):
            parts += ["", Text(_heading(consumer, everywhere)), pairs(noted(said), width)]
    parts += [f"\n{one.namespace}/{one.name} cannot be read by this version: {one.problem}" for one in unreadable]
    if len(them) > 1:
        parts += ["", counted(them)]
    return parts


def style(consumer: Consumer) -> str:
    """The colour of a row."""
    return STYLES.get(standing(consumer.policy).danger, "")


def _heading(consumer: Consumer, everywhere: bool) -> str:
    meta = consumer.policy.metadata
    return f"{meta.namespace}/{meta.name}" if everywhere else meta.name


def counted(them: Sequence[Consumer]) -> str:
    """`5 consumers: 1 Broken, 4 Kept`, the gravest first."""
    found = sorted(standing(each.policy)[::-1] for each in them)
    counts = Counter(word for _, word in found)
    return f"{len(them)} consumers: " + ", ".join(f"{count} {word}" for word, count in counts.items())
