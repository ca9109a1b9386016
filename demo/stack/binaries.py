"""The servers of the stack, built or resolved once from pinned sources into the user's cache folder.

Kubernetes and etcd are compiled from their Go modules (`pins/go.mod`, `pins/go.sum`) with the Go toolchain of the
development environment; Kafka's jars are resolved by jgo and compared with `pins/kafka.sha256`. Nothing is taken from
PATH.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path

import jgo

from demo.stack.cache import Progress, cache_folder, made_once

PINS = Path(__file__).parent / "pins"
KAFKA_VERSION = "4.4.0"
KAFKA_COORDINATE = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
GO_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
VERSION_VARIABLES = ("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion")


class BuildError(RuntimeError):
    """A server could not be built; the message has the last lines of the tool that failed."""


def kubernetes(progress: Progress) -> Path:
    """The folder with etcd, the Kubernetes servers and kubectl; about 6 minutes the first time."""
    pins = b"".join((PINS / name).read_bytes() for name in ("go.mod", "go.sum"))
    name = f"kubernetes-{kubernetes_version()}-{platform.machine()}-{hashlib.sha256(pins).hexdigest()[:8]}"
    return made_once(cache_folder() / name, lambda folder: _compile(folder, progress), progress)


def kubernetes_version() -> str:
    """The pinned version, such as `v1.36.3`."""
    found = re.search(r"k8s\.io/kubernetes (v\S+)", (PINS / "go.mod").read_text())
    assert found, "pins/go.mod names no version of k8s.io/kubernetes"
    return found[1]


def kafka(progress: Progress) -> Path:
    """The folder with Kafka's jars; about 20 seconds the first time."""
    pins = hashlib.sha256((PINS / "kafka.sha256").read_bytes()).hexdigest()[:8]
    return made_once(
        cache_folder() / f"kafka-{KAFKA_VERSION}-{pins}", lambda folder: _resolve(folder, progress), progress
    )


def _compile(folder: Path, progress: Progress) -> None:
    """All in one `go build`: they share most of their packages. Without cgo no C compiler is needed."""
    progress(
        f"Building Kubernetes {kubernetes_version()} and etcd into {folder.parent} (once; about 6 minutes on 2 cores)"
    )
    version = " ".join(f"-X {variable}={kubernetes_version()}" for variable in VERSION_VARIABLES)
    progress("  reading the packages and fetching what is missing…")
    named = _go(["list", "-deps", *GO_PACKAGES.values()], progress, of=None)
    total = sum(not line.startswith("go: ") for line in named)
    # -s and -w leave the debugger's tables out: half the size and less to link
    build = ["build", "-v", "-trimpath", "-ldflags", f"-s -w {version}", "-o", f"{folder}/", *GO_PACKAGES.values()]
    _go(build, progress, of=total)
    (folder / "server").rename(folder / "etcd")


def _go(arguments: list[str], progress: Progress, of: int | None) -> list[str]:
    """Run Go in `pins/`, telling of the packages it names one by one; its output lines."""
    go = Path(sysconfig.get_path("scripts")) / "go"
    env = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"}
    with subprocess.Popen(
        [go, *arguments], cwd=PINS, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        lines = [line.rstrip() for line in _told(process.stdout, progress, of)]
    if process.returncode:
        raise BuildError(f"go {arguments[0]} ended with {process.returncode}:\n" + "\n".join(lines[-20:]))
    return lines


def _told(lines: Iterable[str], progress: Progress, of: int | None) -> Iterable[str]:
    """The same lines, with a line of progress every 5 seconds."""
    started = told = time.monotonic()
    for count, line in enumerate(lines, start=1):
        yield line
        now = time.monotonic()
        if now - told >= 5:
            told = now
            counted = f"{count}/{of} packages" if of else line.strip()
            progress(f"  {counted}, {now - started:.0f} s")


def _resolve(folder: Path, progress: Progress) -> None:
    progress(f"Fetching Kafka {KAFKA_VERSION} into {folder.parent} (once; about 20 seconds)")
    environment = jgo.build(KAFKA_COORDINATE, cache_dir=folder / "jgo")
    for jar in environment.path.rglob("*.jar"):
        shutil.copy(jar, folder / jar.name)
    shutil.rmtree(folder / "jgo")
    pinned = (line.split() for line in (PINS / "kafka.sha256").read_text().splitlines())
    wanted = {name: digest for digest, name in pinned}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    different = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    if different:
        raise BuildError(f"these jars are not the pinned ones (pins/kafka.sha256): {', '.join(different)}")
