"""Ends a stack when the process that started it ends: `python -m demo.stack.guard FOLDER PARENT`.

The end shows as the end of standard input, a pipe that the parent holds; should a fork of the parent hold it too, as
another parent of ours.
"""

import os
import select
import signal
import sys
from pathlib import Path

from demo.stack.folders import owner, remove
from demo.stack.processes import end_all


def main(folder: Path, parent: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.getppid() == parent and not select.select([sys.stdin], [], [], 1.0)[0]:
        pass
    found = owner(folder)
    if found and found.temporary:
        remove(folder)
    else:
        end_all(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
