"""Ports of the loopback that this process may hand to its servers, and no other stack of this machine will."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import TextIO

# below 32768, where Linux takes the ports of outgoing connections from: a stopped broker finds its port free again
RANGE = range(20000, 32768)
LOCKS = Path(tempfile.gettempdir()) / f"tidegate-ports-{os.getuid()}"


class Ports:
    """Hands out free ports and holds a lock file for each until closed; the locks go with this process."""

    def __init__(self) -> None:
        self._held: list[TextIO] = []
        LOCKS.mkdir(exist_ok=True)

    def take(self) -> int:
        """A port that nobody listens on and no other stack has taken."""
        while True:
            port = random.choice(RANGE)
            lock = (LOCKS / str(port)).open("w")
            if _lock(lock) and _is_free(port):
                self._held.append(lock)
                return port
            lock.close()

    def close(self) -> None:
        """Give all ports back."""
        for lock in self._held:
            Path(lock.name).unlink(missing_ok=True)
            lock.close()
        self._held.clear()


def listens(port: int) -> bool:
    """Whether somebody accepts connections on this port of the loopback."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
