"""`explain NAME`: why this many replicas, in words and with the arithmetic."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.text import Text

from tidegate.api import LagPolicy
from tidegate.cli.kubectl import arithmetic, outlook
from tidegate.cli.kubectl.cluster import found, reached
from tidegate.cli.kubectl.details import decision, headline
from tidegate.cli.kubectl.options import Output, Where
from tidegate.cli.kubectl.output import Pair, console, dump, lines, pairs, show
from tidegate.cli.kubectl.status import proposals
from tidegate.cli.kubectl.summary import Consumer, consumers, value


class Section(NamedTuple):
    """A question with its answer: sentences, or figures with what they are called."""

    title: str
    sentences: tuple[str, ...] = ()
    figures: tuple[Pair, ...] = ()


async def explain(where: Where, name: str, output: Output) -> None:
    """Print it."""
    async with reached(where) as cluster:
        policy = await found(cluster, LagPolicy, name)
        [consumer] = consumers([policy.it], await proposals(cluster))
    now = datetime.now(UTC)
    sections = explained(consumer, now)
    if output is Output.TABLE:
        show(Text(headline(policy.it, policy.written, now)), *_drawn(sections, console().width))
    else:
        dump(value(consumer) | {"explanation": [_plain(section) for section in sections]}, output)


def explained(consumer: Consumer, now: datetime) -> list[Section]:
    """The whole answer."""
    return list(_sections(consumer, now))


def _sections(consumer: Consumer, now: datetime) -> Iterator[Section]:
    policy = consumer.policy
    yield Section(_question(policy), (decision(policy, now), *outlook.meaning(policy)))
    if policy.status.last_decision is not None:
        yield Section("The arithmetic", figures=tuple(arithmetic.figures(policy)))
    yield Section("What limits it", tuple(outlook.limits(policy)))
    yield Section("What holds it", tuple(outlook.holds(consumer, now)))
    yield Section("What would change it", tuple(outlook.changes(consumer, now)))
    yield Section("Where the bottleneck is", tuple(outlook.bottleneck(policy)))
    yield Section("What to do next", tuple(outlook.next_steps(consumer)))


def _question(policy: LagPolicy) -> str:
    replicas = policy.status.replicas
    wanted = replicas.current if replicas.desired is None else replicas.desired
    return "Why nothing is decided" if wanted is None else f"Why {wanted} replica{'' if wanted == 1 else 's'}"


def _drawn(sections: list[Section], width: int) -> Iterator[RenderableType]:
    for section in sections:
        yield ""
        yield Text(section.title)
        if section.sentences:
            yield lines(section.sentences, width)
        if section.figures:
            yield pairs(section.figures, width)


def _plain(section: Section) -> dict[str, Any]:
    figures = {"figures": dict(section.figures)} if section.figures else {}
    return {"title": section.title, "sentences": [each.replace("\n", " ") for each in section.sentences]} | figures
