"""The archive: its files, what is in it in words, and what is not."""

import io
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import typer

from tidegate import __version__
from tidegate.cli.kubectl.cluster import reached
from tidegate.cli.kubectl.failures import CommandError
from tidegate.cli.kubectl.options import Where
from tidegate.cli.kubectl.report.collecting import collected

README = """\
A report of Tidegate {version}, made {made} by `kubectl tidegate report`.

versions.yaml, crds.yaml    this program's and the cluster's
lagpolicies/, …             the resources of tidegate.dev: {scope}
events.yaml                 Events about them, and of the operator's namespace
operator/                   Tidegate's own pods, Deployment and Leases, their logs, metrics and health

Left out: no Secret and no ConfigMap is read. Connections name their Secrets, and no value of them. Annotations that
are not Tidegate's, values of environment variables, and whatever looks like a password, a token or a key in a log or a
message are replaced by REDACTED. A secret that looks like an ordinary word cannot be told from one: look through the
files before you send them.

Missing: {missing}
"""


async def report(where: Where, operator: str, target: Path | None) -> None:
    """Write the archive."""
    made = datetime.now(UTC)
    stem = f"tidegate-report-{made:%Y%m%d-%H%M%S}"
    path = target or Path(f"{stem}.tar.gz")
    async with reached(where) as cluster:
        files, missing = await collected(cluster, operator)
        scope = cluster.place if cluster.namespace else "all namespaces"
    said = "; ".join(missing) or "nothing"
    readme = README.format(version=__version__, made=f"{made:%Y-%m-%dT%H:%M:%SZ}", scope=scope, missing=said)
    try:
        write(path, stem, {"README.txt": readme, **files}, made)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    for each in missing:
        typer.echo(f"missing: {each}", err=True)
    typer.echo(f"{path}: {len(files) + 1} files. No secret is meant to be in it; look through it before you send it")


def write(path: Path, stem: str, files: Mapping[str, str], made: datetime) -> None:
    """A tar.gz that only its owner may read. OSError where that fails."""
    path.touch(mode=0o600, exist_ok=False)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(f"{stem}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(made.timestamp()), 0o600
            archive.addfile(entry, io.BytesIO(content))
