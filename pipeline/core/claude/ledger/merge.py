"""Two ledgers that grew apart -> one: what another machine bought is entered here, and nothing is counted twice.

Rows know each other by what was recorded before anything was sent (request, moment and address; moment and size of a
batch), as numbers are each file's own. What is further in the other one is taken over; answers are never replaced.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.core.claude.ledger.layout import opened

BATCHES = """
INSERT INTO batches(server_id, endpoint, intended_at, size, state, reason)
SELECT server_id, endpoint, intended_at, size, state, reason FROM other.batches theirs
WHERE NOT EXISTS (SELECT 1 FROM main.batches ours WHERE (ours.endpoint, ours.intended_at, ours.size)
    = (theirs.endpoint, theirs.intended_at, theirs.size)) ORDER BY key;
UPDATE main.batches AS ours SET server_id = theirs.server_id, state = theirs.state, reason = theirs.reason
FROM other.batches theirs
WHERE (ours.endpoint, ours.intended_at, ours.size) = (theirs.endpoint, theirs.intended_at, theirs.size)
AND ours.state IN ('INTENDED', 'OPEN') AND theirs.state != 'INTENDED';
CREATE TEMP TABLE batch_here AS SELECT 'batch:' || theirs.key AS theirs, 'batch:' || ours.key AS ours
FROM other.batches theirs JOIN main.batches ours
ON (ours.endpoint, ours.intended_at, ours.size) = (theirs.endpoint, theirs.intended_at, theirs.size);
"""
ATTEMPTS = """
INSERT OR IGNORE INTO main.requests SELECT * FROM other.requests;
INSERT INTO main.attempts(
    request, sent_in, endpoint, sent_at, reserved_nano, outcome, error, ended_at, recipe, step, keep)
SELECT request, coalesce((SELECT ours FROM batch_here WHERE batch_here.theirs = sent_in), sent_in), endpoint, sent_at,
    reserved_nano, outcome, error, ended_at, recipe, step, keep FROM other.attempts theirs
WHERE NOT EXISTS (SELECT 1 FROM main.attempts ours
    WHERE (ours.request, ours.sent_at, ours.endpoint) = (theirs.request, theirs.sent_at, theirs.endpoint))
ORDER BY attempt;
UPDATE main.attempts AS ours SET outcome = theirs.outcome, error = theirs.error, ended_at = theirs.ended_at
FROM other.attempts theirs
WHERE (ours.request, ours.sent_at, ours.endpoint) = (theirs.request, theirs.sent_at, theirs.endpoint)
AND theirs.outcome IS NOT NULL
AND (ours.outcome IS NULL OR (ours.outcome = 'in_doubt' AND theirs.outcome = 'answered'));
"""
ANSWERS = """
UPDATE main.requests AS ours SET state = theirs.state, reason = theirs.reason FROM other.requests theirs
WHERE ours.id = theirs.id AND (ours.state IN ('PLANNED', 'SENT') OR (
    theirs.id IN (SELECT request FROM other.answers) AND ours.id NOT IN (SELECT request FROM main.answers)));
INSERT OR IGNORE INTO main.answers(request, attempt, raw, usage, cost_nano, price, landed_at)
SELECT bought.request, ours.attempt, raw, usage, cost_nano, price, landed_at FROM other.answers bought
JOIN other.attempts theirs ON theirs.attempt = bought.attempt
JOIN main.attempts ours
ON (ours.request, ours.sent_at, ours.endpoint) = (theirs.request, theirs.sent_at, theirs.endpoint);
INSERT OR IGNORE INTO main.abilities SELECT * FROM other.abilities;
"""


def merge(ledger: Path, other: Path) -> None:
    """Enter into a ledger, made if there is none, all that another has; the caller holds both. All of it or nothing.

    `other` is brought to the newest layout first. DataError if one is damaged or of a later Tamis.
    """
    opened(other).close()
    with closing(opened(ledger)) as database:
        database.execute("ATTACH ? AS other", (str(other),))
        try:
            database.executescript(f"BEGIN IMMEDIATE; {BATCHES} {ATTEMPTS} {ANSWERS} COMMIT;")
        except sqlite3.Error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise


def copy_to(ledger: Path, target: Path) -> None:
    """Write a ledger as it is at this moment to one file, which another process may go on writing to."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(ledger)) as database, closing(sqlite3.connect(target)) as copy:
        database.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def fingerprint(ledger: Path) -> str:
    """Return what changes when a ledger does: how much it holds, and what became of it; "" where there is none."""
    if not ledger.exists():
        return ""
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)) as database:
        told = [
            database.execute(query).fetchone()
            for query in (
                "SELECT count(*), coalesce(sum(length(state)), 0), sum(state = 'PLANNED') FROM requests",
                "SELECT count(*), coalesce(max(attempt), 0), count(outcome), coalesce(max(ended_at), 0) FROM attempts",
                "SELECT count(*), coalesce(max(landed_at), 0) FROM answers",
                "SELECT count(*), coalesce(sum(length(state)), 0), count(server_id) FROM batches",
                "SELECT count(*), coalesce(max(found_at), 0) FROM abilities",
            )
        ]
    return repr(told)
