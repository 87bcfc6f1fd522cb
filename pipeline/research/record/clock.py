"""How long a search has worked, all its nights together: the hours of its budget, kept beside the ledger.

Seconds are in no event: a night that is killed and taken up again takes longer, and must write the same lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import ServiceError
from pipeline.core.files.record import read_record, write_record

FILE = "clock.json"
KEPT_EVERY = 60.0  # seconds: what a kill forgets at most


@dataclass(frozen=True, slots=True)
class Worked:
    """How many nights a search had, how many seconds they worked, and how many of these on how many proxies."""

    nights: int = 0
    seconds: float = 0.0
    lanes: int = 0
    lane_seconds: float = 0.0


def worked(folder: Path) -> Worked:
    """Return what was worked by now; a damaged file counts nothing, as it decides no result."""
    try:
        told = read_record(folder / FILE)
        lanes, lane_seconds = int(told.get("lanes", 0)), float(told.get("lane_seconds", 0.0))
        return Worked(int(told["nights"]), float(told["seconds"]), lanes, lane_seconds)
    except (OSError, ValueError, KeyError, TypeError):
        return Worked()


@dataclass(slots=True)
class Clock:
    """Seconds worked before this night and in it. What a kill lost since the last `keep` is not counted: a minute."""

    folder: Path
    nights: int = 0
    before: float = 0.0
    lanes: int = 0  # proxies that were tried, all nights together
    lane_seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, folder: Path) -> Clock:
        """Return the clock of a search's next night."""
        before = worked(folder)
        return cls(folder, before.nights + 1, before.seconds, before.lanes, before.lane_seconds)

    @property
    def seconds(self) -> float:
        """Seconds of work, all nights together."""
        return self.before + self.tonight

    @property
    def tonight(self) -> float:
        """Seconds of this night."""
        return time.monotonic() - self.started

    @property
    def per_lane(self) -> float:
        """Seconds that one proxy takes on average, of those tried together; 0 before the first."""
        return self.lane_seconds / self.lanes if self.lanes else 0.0

    def tried(self, lanes: int, *, seconds: float) -> None:
        """Count proxies that were tried, and what they took."""
        self.lanes, self.lane_seconds = self.lanes + lanes, self.lane_seconds + seconds

    def keep(self) -> None:
        """Write down what was worked by now."""
        with self._writing:
            told = {"nights": self.nights, "seconds": round(self.seconds, 3), "lanes": self.lanes}
            write_record(self.folder / FILE, told | {"lane_seconds": round(self.lane_seconds, 3)})

    @contextmanager
    def running(self, *, every: float = KEPT_EVERY) -> Iterator[None]:
        """Keep the time again and again while something works, and at its end, whatever ends it."""
        over = threading.Event()

        def tick() -> None:
            while not over.wait(every):
                with suppress(OSError, ServiceError):  # the night's own thread meets it too, and tells it
                    self.keep()

        ticking = threading.Thread(target=tick, daemon=True, name="clock of a search")
        ticking.start()
        try:
            yield
        finally:
            over.set()
            ticking.join()
            self.keep()
