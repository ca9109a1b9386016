"""The folder a stack lives in, and who owns it."""

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from demo.stack.processes import StackError, end_all

PREFIX = "tidegate-stack-"
OWNER = "owner.json"


@dataclass(frozen=True)
class Owner:
    """The process that started the stack in a folder, and whether the folder goes with it."""

    pid: int
    started: float
    temporary: bool

    def alive(self) -> bool:
        """Whether that very process (not a later one with its number) still runs."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def owner(folder: Path) -> Owner | None:
    """Who owns the stack in this folder; None if there is none, or none of this user's."""
    try:
        return Owner(**json.loads((folder / OWNER).read_text()))
    except (OSError, ValueError):
        return None


def claim(folder: Path | None) -> Path:
    """A folder for a stack of this process: the given one, emptied, or a temporary one.

    Stacks whose owner died and whose guard could not clean up are removed on the way.
    """
    for stale in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        remove_stale(stale)
    claimed = Path(tempfile.mkdtemp(prefix=PREFIX)) if folder is None else _emptied(folder.absolute())
    me = psutil.Process()
    (claimed / OWNER).write_text(json.dumps(asdict(Owner(me.pid, me.create_time(), temporary=folder is None))))
    return claimed


def remove_stale(folder: Path) -> bool:
    """Remove the stack in this folder if its owner is gone; False if there is none or it is alive."""
    found = owner(folder)
    if found is None or found.alive():
        return False
    remove(folder)
    return True


def remove(folder: Path) -> None:
    """End what is left of the stack in this folder, and remove the folder."""
    end_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _emptied(folder: Path) -> Path:
    found = owner(folder)
    if found and found.alive():
        raise StackError(f"a stack of process {found.pid} is running in {folder}: stop it or take another folder")
    if found is None and folder.exists() and any(folder.iterdir()):
        raise StackError(f"{folder} is not empty and holds no stack: take another folder")
    remove(folder)
    folder.mkdir(parents=True)
    return folder
