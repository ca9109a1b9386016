"""The user's cache folder: what is built once and used by every later stack."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[str], None]
"""Where a long step says what it is doing: one line a call."""


def tell(line: str) -> None:
    """Print at once, also into a pipe or a file."""
    print(line, flush=True)


def cache_folder() -> Path:
    """`TIDEGATE_CACHE`, or `tidegate` in the XDG cache folder."""
    named = os.environ.get("TIDEGATE_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"


def made_once(folder: Path, make: Callable[[Path], None], progress: Progress) -> Path:
    """The folder, filled by `make` unless it is there; it appears whole or not at all, also with two makers at once."""
    if folder.is_dir():
        return folder
    lock = folder.with_name(f"{folder.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"Waiting for another process that is making {folder.name}…")
            fcntl.flock(file, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fill(folder, make)
    return folder


def _fill(folder: Path, make: Callable[[Path], None]) -> None:
    for abandoned in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(abandoned)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    unfinished.chmod(0o755)
    try:
        make(unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
