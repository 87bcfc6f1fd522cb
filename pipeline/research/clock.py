"""How long a search has worked, all its nights together: the hours of its budget, kept beside the ledger.

Seconds are in no event: a night that is killed and taken up again takes longer, and must write the same lines.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.files.record import read_record, write_record

FILE = "clock.json"


@dataclass(frozen=True, slots=True)
class Worked:
    """How many nights a search had, and how many seconds they worked."""

    nights: int
    seconds: float


def worked(folder: Path) -> Worked:
    """Return what was worked by now; a damaged file counts nothing, as it decides no result."""
    try:
        told = read_record(folder / FILE)
        return Worked(int(told["nights"]), float(told["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Worked(0, 0.0)


@dataclass(slots=True)
class Clock:
    """Seconds worked before this night and in it. What a kill lost since the last `keep` is not counted."""

    folder: Path
    nights: int = 0
    before: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, folder: Path) -> Clock:
        """Return the clock of a search's next night."""
        before = worked(folder)
        return cls(folder, before.nights + 1, before.seconds)

    @property
    def seconds(self) -> float:
        """Seconds of work, all nights together."""
        return self.before + self.tonight

    @property
    def tonight(self) -> float:
        """Seconds of this night."""
        return time.monotonic() - self.started

    def keep(self) -> None:
        """Write down what was worked by now."""
        write_record(self.folder / FILE, {"nights": self.nights, "seconds": round(self.seconds, 3)})
