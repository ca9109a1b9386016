"""Programs compiled once from pinned Go modules, with the Go toolchain of the development environment."""

import hashlib
import os
import platform
import re
import subprocess
import sysconfig
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.stack.cache import Progress, cache_folder, made_once

PINS = Path(__file__).parent / "pins"


class BuildError(RuntimeError):
    """A server could not be built; the message has the last lines of the tool that failed."""


@dataclass(frozen=True)
class GoPrograms:
    """Programs of one module in `pins/NAME`. Without cgo no C compiler is needed."""

    name: str
    title: str
    module: str
    """Its version in go.mod is theirs."""
    packages: Mapping[str, str]
    """Package by the name of its program."""
    stamps: Mapping[str, str]
    """Go variables and what they are set to; `{version}` is the pinned one, such as v1.36.3."""
    minutes: str
    tags: tuple[str, ...] = ()

    @property
    def pins(self) -> Path:
        """The folder with their go.mod and go.sum."""
        return PINS / self.name

    @property
    def version(self) -> str:
        """The pinned version, such as `v1.36.3`."""
        found = re.search(rf"^\s*{re.escape(self.module)} (v\S+)", (self.pins / "go.mod").read_text(), re.M)
        assert found, f"pins/{self.name}/go.mod names no version of {self.module}"
        return found[1]

    def built(self, progress: Progress) -> Path:
        """The folder with the programs, compiled the first time."""
        pins = b"".join((self.pins / name).read_bytes() for name in ("go.mod", "go.sum"))
        name = f"{self.name}-{self.version}-{platform.machine()}-{hashlib.sha256(pins).hexdigest()[:8]}"
        return made_once(cache_folder() / name, lambda folder: self._compile(folder, progress), progress)

    def _compile(self, folder: Path, progress: Progress) -> None:
        """All in one `go build`: they share most of their packages."""
        progress(f"Building {self.title} {self.version} into {folder.parent} (once; about {self.minutes} on 2 cores)")
        progress("  reading the packages and fetching what is missing…")
        tags = ["-tags", ",".join(self.tags)] if self.tags else []
        packages = self.packages.values()
        named = self._go(["list", "-deps", *tags, *packages], progress, of=None)
        total = sum(not line.startswith("go: ") for line in named)
        stamps = " ".join(f"-X {name}={value.format(version=self.version)}" for name, value in self.stamps.items())
        # -s and -w leave the debugger's tables out: half the size and less to link
        flags = ["-v", "-trimpath", *tags, "-ldflags", f"-s -w {stamps}", "-o", f"{folder}/"]
        self._go(["build", *flags, *packages], progress, of=total)
        for name, package in self.packages.items():
            (folder / _named_by_go(package)).rename(folder / name)

    def _go(self, arguments: list[str], progress: Progress, of: int | None) -> list[str]:
        """Run Go on the pins, telling of the packages it names one by one; its output lines."""
        go = Path(sysconfig.get_path("scripts")) / "go"
        env = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"}
        with subprocess.Popen(
            [go, *arguments], cwd=self.pins, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout
            lines = [line.rstrip() for line in _told(process.stdout, progress, of)]
        if process.returncode:
            raise BuildError(f"go {arguments[0]} ended with {process.returncode}:\n" + "\n".join(lines[-20:]))
        return lines


def _named_by_go(package: str) -> str:
    """The last part of its path that is no major version."""
    return re.sub(r"/v\d+$", "", package).rpartition("/")[2]


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
