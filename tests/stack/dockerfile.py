"""The Dockerfile carried out without a container runtime: its own commands, on what its own COPY lines bring.

Paths of the image stand in a folder, its Python in a venv there. What only a runtime can do (to pull the base image, to
write labels) is not done.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[2]
OPT = "/opt/tidegate"
OWN = ("PYTHON", "VIRTUAL_ENV", "TIDEGATE")
"""How variables begin that tell this checkout's Python from the image's."""


class Instruction(NamedTuple):
    """One line of a Dockerfile, continued lines joined: `COPY`, `operator/ operator/`."""

    word: str
    rest: str


def instructions(text: str) -> Iterator[Instruction]:
    """All of them, in order."""
    for line in re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield Instruction(word, rest.strip())


def stages(text: str) -> list[list[Instruction]]:
    """The instructions of each stage; each begins with its FROM."""
    found: list[list[Instruction]] = []
    for one in instructions(text):
        if one.word == "FROM":
            found.append([])
        found[-1].append(one)
    return found


def pairs(rest: str) -> dict[str, str]:
    """`A=b C="d e"` of ENV, ARG and LABEL."""
    return dict(part.split("=", 1) for part in shlex.split(rest) if "=" in part)


def sent(path: str, ignore: str) -> bool:
    """Whether a file goes to the builder: the last line of .dockerignore that matches it or a folder of it decides."""
    answer = True
    for line in filter(lambda one: one and not one.startswith("#"), ignore.splitlines()):
        anywhere, pattern = line.startswith("**/"), line.removeprefix("!").removeprefix("**/")
        places = [Path(path), *Path(path).parents]
        if any(fnmatch(place.name if anywhere else str(place), pattern) for place in places):
            answer = line.startswith("!")
    return answer


@dataclass
class Build:
    """The image in `folder`. `python` is the interpreter that stands for that of the base image."""

    folder: Path
    python: str = sys.executable
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        base = self.folder / "usr" / "local"
        subprocess.run([self.python, "-m", "venv", base], check=True)
        lock = CHECKOUT / "requirements" / "build.txt"
        uv = Path(sys.executable).with_name("uv")  # what `make setup` fetched is in its cache
        subprocess.run([uv, "pip", "install", "-q", "-p", base, "--require-hashes", "-r", lock], check=True)
        kept = {name: os.environ[name] for name in os.environ if not name.startswith(OWN)}
        self.env = kept | {"PATH": f"{base / 'bin'}:{os.environ['PATH']}", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    @property
    def venv(self) -> Path:
        """What the last stage copies."""
        return self.folder / OPT[1:]

    def carry_out(self, stage: list[Instruction]) -> None:
        """Do what a stage says; CalledProcessError (with what it printed on stderr) where a RUN fails."""
        place = self.folder
        for word, rest in stage:
            match word:
                case "ARG" | "ENV":
                    self.env |= {name: self._here(value) for name, value in pairs(rest).items()}
                case "WORKDIR":
                    place = self.folder / rest[1:]
                    place.mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(shlex.split(rest), place)
                case "RUN":
                    subprocess.run(["/bin/sh", "-c", rest], cwd=place, env=self.env, check=True)

    def _here(self, value: str) -> str:
        return value.replace(OPT, str(self.venv)).replace("$PATH", self.env["PATH"])

    def _copy(self, words: list[str], place: Path) -> None:
        *sources, target = words
        if sources[0].startswith("--from="):
            assert sources[1:] == [target] == [OPT], "a venv works where it was made, and nowhere else"
            return
        ignore = (CHECKOUT / ".dockerignore").read_text()
        for source in sources:
            self._copy_one(source, place / target, ignore)

    @staticmethod
    def _copy_one(source: str, target: Path, ignore: str) -> None:
        """As COPY does it: of a folder what is in it, of a file the file."""
        root = CHECKOUT / source
        files = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
        going = [path for path in files if sent(str(path.relative_to(CHECKOUT)), ignore)]
        assert going, f"{source} is not there, or .dockerignore keeps it away"
        for path in going:
            to = target / (path.name if root.is_file() else path.relative_to(root))
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)
