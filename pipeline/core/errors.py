"""Every failure that Tamis explains to its user; anything else is our bug and shows its traceback.

    TamisError
    |-- RecipeError    the recipe, a flag or the environment is wrong      exit 2
    |-- DataError      an input or a stored file is wrong                  exit 1
    |-- ServiceError   Claude, a worker or the disk failed                 exit 1
    |   |-- BudgetError    the money in the recipe is spent; resumable     exit 4
    |   |   `-- CapError       a step's own `max_usd` is, not the account    exit 4
    |   `-- BusyError      somebody else holds the workspace               exit 75
    |-- GateError      the gate refused, or the evidence is missing        exit 3
    `-- PendingError   what was sent is on its way; run again to collect   exit 0

A message says, in this order: place, found value, rule, way out. Classes take one string and no custom
`__init__`, so that they survive pickling between worker processes; add context with `add_note`.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

MOST_NAMES = 20  # of a list in a message
MOST_CHARACTERS = 160  # of a found value


class TamisError(Exception):
    """Base of all errors with a message written for the user."""

    exit_code: ClassVar[int] = 1


class RecipeError(TamisError):
    """The recipe, a flag or the environment cannot be used as given."""

    exit_code = 2


class DataError(TamisError):
    """An input file or a stored artifact cannot be used as it is."""

    exit_code = 1


class ServiceError(TamisError):
    """Something outside the process failed: Claude, a worker, the disk."""

    exit_code = 1


class BudgetError(ServiceError):
    """The reserved money is spent; raising the limit and running again resumes."""

    exit_code = 4


class CapError(BudgetError):
    """A step's own `max_usd` is spent; other steps may go on."""


class BusyError(ServiceError):
    """Another process holds the workspace."""

    exit_code = 75


class PendingError(TamisError):
    """What was asked for is on its way, and the caller did not want to wait for it; no failure."""

    exit_code = 0


class GateError(TamisError):
    """The gate did not promote, or no certificate says that it did."""

    exit_code = 3


def write_advice(error: OSError) -> str:
    """Return the way out of a write that failed: room where there was none, else a path that may be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free the disk and run again."
    if error.errno == errno.EFBIG:
        return "Raise the limit on the size of a file (ulimit -f) and run again."
    return "Correct the path or its permissions and run again."


def listed_names(names: Sequence[str]) -> str:
    """Return `a, b, c and 4 more`: the first names of a list, as it stands, and how many are left out."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"


def shortened(found: str) -> str:
    """Return a found value for a message, only its start where it is long."""
    if len(found) <= MOST_CHARACTERS:
        return found
    return f"{found[: MOST_CHARACTERS // 2]}... ({len(found):,} characters)"


def did_you_mean(wanted: str, names: Collection[str]) -> str:
    """Return ` Did you mean a, b or c?` to put behind a message, or nothing where there is no name to mean."""
    return f" Did you mean {nearest_names(wanted, names)}?" if names else ""


def nearest_names(wanted: str, names: Iterable[object]) -> str:
    """Return `a, b or c`: the three names most like `wanted`, for an error's way out."""
    import difflib

    known = sorted(str(name) for name in names)
    scored = sorted(known, key=lambda name: -difflib.SequenceMatcher(None, wanted, name).ratio())
    best = scored[:3]
    return " or ".join([", ".join(best[:-1]), best[-1]]) if len(best) > 1 else "".join(best)
