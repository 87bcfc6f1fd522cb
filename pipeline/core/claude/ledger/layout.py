"""The file of the ledger: its tables, how older files get them, and the one way to open it, to write or to read.

Tables only gain columns, so a file of an earlier layout is brought up to date by whoever writes to it first; whoever
reads one says what it lacks by `layout_of`. A later layout is refused to writers, and not to readers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.core.errors import DataError

LAYOUT = 5  # PRAGMA user_version; 1 had no batches, 2 did not say who bought, 3 had no abilities, 4 no `keep`
SAYS_BUYER, KNOWS_ABILITIES, SAYS_KEEP = 3, 4, 5  # the first layouts that do

TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, model TEXT NOT NULL, purpose TEXT NOT NULL, body TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'PLANNED', reason TEXT NOT NULL DEFAULT '', planned_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (
    attempt INTEGER PRIMARY KEY AUTOINCREMENT, request TEXT NOT NULL REFERENCES requests(id),
    sent_in TEXT NOT NULL, endpoint TEXT NOT NULL, sent_at REAL NOT NULL, reserved_nano INTEGER NOT NULL,
    outcome TEXT, error TEXT NOT NULL DEFAULT '', ended_at REAL,
    recipe TEXT NOT NULL DEFAULT '', step TEXT NOT NULL DEFAULT '', keep TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS attempts_of_request ON attempts(request);
CREATE TABLE IF NOT EXISTS answers (
    request TEXT PRIMARY KEY REFERENCES requests(id), attempt INTEGER NOT NULL REFERENCES attempts(attempt),
    raw BLOB NOT NULL, usage TEXT NOT NULL, cost_nano INTEGER NOT NULL, price TEXT NOT NULL, landed_at REAL NOT NULL
) WITHOUT ROWID;
"""
BATCH_TABLES = """
CREATE TABLE IF NOT EXISTS batches (
    key INTEGER PRIMARY KEY AUTOINCREMENT, server_id TEXT, endpoint TEXT NOT NULL, intended_at REAL NOT NULL,
    size INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'INTENDED', reason TEXT NOT NULL DEFAULT '',
    UNIQUE (server_id, endpoint)
);
CREATE INDEX IF NOT EXISTS attempts_of_batch ON attempts(sent_in) WHERE sent_in != 'single';
"""
ABILITY_TABLE = """
CREATE TABLE IF NOT EXISTS abilities (
    endpoint TEXT NOT NULL, model TEXT NOT NULL, ability TEXT NOT NULL, turn INTEGER NOT NULL,
    works INTEGER, reason TEXT NOT NULL, found_at REAL NOT NULL, PRIMARY KEY (endpoint, model, ability)
) WITHOUT ROWID;
"""
BUYER_COLUMNS = """
ALTER TABLE attempts ADD COLUMN recipe TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN step TEXT NOT NULL DEFAULT '';
"""
KEEP_COLUMN = "ALTER TABLE attempts ADD COLUMN keep TEXT NOT NULL DEFAULT '';"


def opened(path: Path) -> sqlite3.Connection:
    """Open a ledger to be written, made or brought up to date; DataError where it is damaged or of a later Tamis."""
    try:
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        layout = layout_of(database)
        if layout < LAYOUT:
            tables = TABLES + BATCH_TABLES + ABILITY_TABLE
            tables += BUYER_COLUMNS if 0 < layout < SAYS_BUYER else ""
            tables += KEEP_COLUMN if 0 < layout < SAYS_KEEP else ""
            database.executescript(f"BEGIN; {tables} PRAGMA user_version={LAYOUT}; COMMIT;")
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path}: cannot be opened as a ledger ({error}). Restore a copy, or move it away.") from error
    if layout > LAYOUT:
        database.close()
        raise DataError(f"{path}: has ledger layout {layout}; this Tamis reads {LAYOUT}. Use the Tamis that wrote it.")
    return database


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open a ledger to be read, which another process may hold; None where there is none, DataError if damaged."""
    if not path.exists():
        yield None
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise DataError(f"{path}: cannot be read as a ledger ({error}). Restore a copy, or move it away.") from error


def layout_of(database: sqlite3.Connection) -> int:
    """Return the layout that a ledger was last written in."""
    (layout,) = database.execute("PRAGMA user_version").fetchone()
    return int(layout)
