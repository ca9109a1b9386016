"""`pause`, `resume` and `drill`: annotations by which a person holds a policy, and whether Tidegate has taken note."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import typer

from tidegate.api import (
    FORCE_LEVEL_ANNOTATION,
    GROUP,
    PAUSED_ANNOTATION,
    VERSION,
    DegradationSpec,
    LagPolicy,
    Mode,
    Reason,
    format_duration,
)
from tidegate.cli.kubectl.cluster import Cluster, found, reached
from tidegate.cli.kubectl.deciding import MANAGER
from tidegate.cli.kubectl.failures import CommandError
from tidegate.cli.kubectl.options import Where
from tidegate.cli.kubectl.outlook import decided
from tidegate.cli.kubectl.output import console, pairs, show
from tidegate.cli.kubectl.summary import command
from tidegate.cluster.server import MERGE_PATCH, path_of, request

LOOK_EVERY = 0.5
UNSEEN = "Tidegate has not taken note within {within}: it may be down, or not serve this namespace"


async def pause(where: Where, names: Sequence[str], wait: float) -> None:
    """Stop Tidegate for policies: they are measured, not scaled."""
    async with reached(where) as cluster:
        policies = [(await found(cluster, LagPolicy, name)).it for name in names]
        for policy in policies:
            if policy.mode is Mode.PAUSED:
                typer.echo(f"{policy.metadata.name} is paused already")
                continue
            await _mark(cluster, policy, PAUSED_ANNOTATION, "true")
            meta = policy.metadata
            typer.echo(f"{meta.name} is paused: it is measured, not scaled, and its level stays. To go on:")
            typer.echo(command("resume", meta.name, meta.namespace))
        for policy in policies:
            await _noted(cluster, policy, wait, lambda p: decided(p) == Reason.PAUSED)


async def resume(where: Where, names: Sequence[str], wait: float) -> None:
    """Let Tidegate go on."""
    async with reached(where) as cluster:
        for policy in [(await found(cluster, LagPolicy, name)).it for name in names]:
            await _resumed(cluster, policy, wait)


async def _resumed(cluster: Cluster, policy: LagPolicy, wait: float) -> None:
    name = policy.metadata.name
    if PAUSED_ANNOTATION in policy.metadata.annotations:
        await _mark(cluster, policy, PAUSED_ANNOTATION, None)
    elif policy.mode is not Mode.PAUSED:
        typer.echo(f"{name} is not paused")
        return
    if policy.spec.mode is Mode.PAUSED:
        patch = '{"spec":{"mode":"Active"}}'
        raise CommandError(
            f"{name} stays paused by spec.mode, which is not an annotation's to change:\n"
            f"kubectl patch lagp {name} -n {policy.metadata.namespace} --type=merge -p '{patch}'"
        )
    typer.echo(f"{name} goes on from what it finds")
    await _noted(cluster, policy, wait, lambda p: decided(p) != Reason.PAUSED)


async def drill(where: Where, name: str, level: int, lasts: timedelta, yes: bool, wait: float) -> None:
    """Hold the degradation ladder at a level for a while."""
    async with reached(where) as cluster:
        policy = (await found(cluster, LagPolicy, name)).it
        spec = _ladder(policy, level)
        show(
            f"{name} is held at level {level} of {len(spec.levels)} for {format_duration(lasts)}, whatever its backlog"
        )
        show(pairs(_switched(spec, level), console().width))
        if policy.mode is Mode.DRY_RUN:
            typer.echo("spec.mode is DryRun: it will only be said what would be switched")
        if not yes and not typer.confirm("Hold it there? Users may notice."):
            raise CommandError("nothing was changed")
        until = datetime.now(UTC) + lasts
        await _mark(cluster, policy, FORCE_LEVEL_ANNOTATION, f"{level}; until={until:%Y-%m-%dT%H:%M:%SZ}")
        typer.echo(f"it ends by itself at {until:%H:%M:%S} UTC; to end it earlier:")
        typer.echo(command("drill", f"{name} --end", policy.metadata.namespace))
        await _noted(cluster, policy, wait, lambda p: _level(p) == level)


async def end_drill(where: Where, name: str, wait: float) -> None:
    """Let the ladder decide again."""
    async with reached(where) as cluster:
        policy = (await found(cluster, LagPolicy, name)).it
        if FORCE_LEVEL_ANNOTATION not in policy.metadata.annotations:
            typer.echo(f"nobody holds the ladder of {name}")
            return
        await _mark(cluster, policy, FORCE_LEVEL_ANNOTATION, None)
        typer.echo(f"the ladder of {name} decides again: what it was before comes back")
        held = _level(policy)
        await _noted(cluster, policy, wait, lambda p: _level(p) != held or not held)


def _ladder(policy: LagPolicy, level: int) -> DegradationSpec:
    spec = policy.spec.degradation
    if spec is None:
        raise CommandError(f"{policy.metadata.name} has no spec.degradation: docs/degradation.md shows one")
    if level > len(spec.levels):
        names = ", ".join(f"{number} {each.name}" for number, each in enumerate(spec.levels, 1))
        raise CommandError(f"--level is {level}, but the levels are 0 (every feature is on), {names}")
    return spec


def _switched(spec: DegradationSpec, level: int) -> list[tuple[str, str]]:
    """The levels in force, each with its flags."""
    if level == 0:
        return [("0", "every feature stays on")]
    return [
        (each.name, ", ".join(f"{flag} is {variant}" for flag, variant in each.flags.items()))
        for each in spec.levels[:level]
    ]


def _level(policy: LagPolicy) -> int:
    return policy.status.degradation.level if policy.status.degradation else 0


async def _mark(cluster: Cluster, policy: LagPolicy, annotation: str, text: str | None) -> None:
    meta = policy.metadata
    path = path_of(GROUP, VERSION, policy.names.plural, meta.namespace, meta.name)
    body = {"metadata": {"annotations": {annotation: text}}}
    query = {"fieldManager": MANAGER}
    await request(cluster.api, "PATCH", path, query=query, body=body, content_type=MERGE_PATCH)


async def _noted(cluster: Cluster, policy: LagPolicy, wait: float, seen: Callable[[LagPolicy], bool]) -> None:
    """Wait until the status shows that Tidegate obeys, for at most `wait` seconds; 0: do not wait."""
    until = time.monotonic() + wait
    here = cluster._replace(namespace=policy.metadata.namespace)
    while wait and not seen((await found(here, LagPolicy, policy.metadata.name)).it):
        if time.monotonic() > until:
            typer.echo(UNSEEN.format(within=format_duration(timedelta(seconds=wait))), err=True)
            return
        await asyncio.sleep(LOOK_EVERY)
    if wait:
        typer.echo("Tidegate has taken note")
