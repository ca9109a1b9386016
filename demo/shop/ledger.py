"""The ledger of points, in one SQLite file that all consumer processes share.

The message log and the effect of a message are written in one transaction: a message that is delivered again finds its
id in the log and has no effect. Whether that really held can be seen independently of the log: every effect is also a
posting (`postings` has no unique key, a second effect would be a second row), and balances are sums that know no ids.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from demo.shop.message import Deduction

SCHEMA = """
CREATE TABLE IF NOT EXISTS log (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS postings (id TEXT, user TEXT, points INTEGER, applied_at REAL, consumer TEXT);
CREATE TABLE IF NOT EXISTS balances (user TEXT PRIMARY KEY, points INTEGER) WITHOUT ROWID;
"""


class Posting(NamedTuple):
    """One effect on the ledger; `applied_at` in seconds since the epoch, `consumer` the process that applied it."""

    id: str
    user: str
    points: int
    applied_at: float
    consumer: str


class Ledger:
    """The ledger in a file; several processes may open it at once (WAL: readers never wait, writers wait in turn)."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
        # NORMAL: a commit survives any end of the process; only a power failure could take it back
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {SCHEMA}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def apply(self, deductions: Iterable[Deduction], consumer: str) -> int:
        """Apply those the log does not have yet, all or none of the batch; returns how many were new."""
        with self._transaction():
            now = time.time()
            return sum(self._apply(deduction, now, consumer) for deduction in deductions)

    def _apply(self, deduction: Deduction, now: float, consumer: str) -> bool:
        logged = self._db.execute("INSERT INTO log VALUES (?) ON CONFLICT DO NOTHING", (deduction.id,))
        if not logged.rowcount:
            return False
        self._db.execute("INSERT INTO postings VALUES (?, ?, ?, ?, ?)", (*deduction, now, consumer))
        self._db.execute(
            "INSERT INTO balances VALUES (?, ?) ON CONFLICT DO UPDATE SET points = points + excluded.points",
            (deduction.user, -deduction.points),
        )
        return True

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def postings(self, after: int = 0) -> list[Posting]:
        """The effects in the order they were applied, leaving out the first `after`."""
        rows = self._db.execute("SELECT * FROM postings WHERE rowid > ? ORDER BY rowid", (after,))
        return [Posting(*row) for row in rows]

    def balances(self) -> dict[str, int]:
        """Points by user; everyone starts at 0, so a balance is minus what was deducted."""
        return dict(self._db.execute("SELECT user, points FROM balances"))
