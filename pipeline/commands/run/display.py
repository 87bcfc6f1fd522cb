"""Progress for a person: a live bar on a terminal, one plain line every 30 seconds elsewhere. Writes to stderr only."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from pipeline.core.shown import shown

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_LOOKS = 1.0


class Terminal:
    """The Progress that the command line uses."""

    def __init__(self, *, notice: Callable[[], str] = str) -> None:
        self.notice = notice  # asked when the first work begins, and what it returns said
        self.live = sys.stderr.isatty()
        self.bar: Any = None
        self.task: Any = None
        self.label = ""
        self.unit = ""
        self.total = 0
        self.done = self.documents = 0
        self.started = self.spoken = time.monotonic()
        self.closed = threading.Event()

    def __enter__(self) -> Self:
        if self.live:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self.bar.start()
        else:
            threading.Thread(target=self._remind, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed.set()
        if self.bar is not None:
            self.bar.stop()

    def _remind(self) -> None:
        """Tell the state also while a long piece of work reports nothing, such as the hashing before a dedup."""
        while not self.closed.wait(SECONDS_BETWEEN_LOOKS):
            if self.label:
                self._speak_if_due()

    def _speak_if_due(self) -> None:
        if time.monotonic() - self.spoken >= SECONDS_BETWEEN_LINES:
            self.spoken = time.monotonic()
            self._line(self._state())

    def begin(self, label: str, *, total: int, unit: str) -> None:
        notice, self.notice = self.notice(), str
        if notice:
            self.say(notice)
        self.label, self.unit, self.total, self.done, self.documents = label, unit, total, 0, 0
        self.started = self.spoken = time.monotonic()
        if self.bar is not None:
            self.task = self.bar.add_task(label, total=total or None, speed="")

    def advance(self, amount: int, *, documents: int = 0) -> None:
        self.done += amount
        self.documents += documents
        if self.bar is not None:
            self.bar.update(self.task, advance=amount, speed=f"{self._speed()} {self.unit}/s")
        else:
            self._speak_if_due()

    def end(self, counted: str = "") -> None:
        if self.bar is not None:
            self.bar.remove_task(self.task)
        seconds = time.monotonic() - self.started
        label, self.label = self.label, ""
        self.say(f"{label}: {counted or self._counted()} in {seconds:.1f} s")

    def say(self, line: str) -> None:
        line = shown(line)
        if self.bar is not None:
            self.bar.console.print(line, highlight=False, markup=False)
        else:
            self._line(line)

    def _speed(self) -> str:
        amount, unit = (self.documents, "documents") if self.documents else (self.done, self.unit)
        return f"{amount / max(time.monotonic() - self.started, 1e-9):,.0f} {unit}/s"

    def _counted(self) -> str:
        return f"{self.documents:,} documents" if self.documents else f"{self.done:,} {self.unit}"

    def _state(self) -> str:
        left = ""
        if self.total and self.done:
            seconds = (time.monotonic() - self.started) * (self.total - self.done) / self.done
            left = f", about {max(seconds, 0):.0f} s left"
        of = f" of {self.total:,}" if self.total else ""
        documents = f", {self.documents:,} documents" if self.documents else ""
        return f"{self.label}: {self.done:,}{of} {self.unit}{documents}, {self._speed()}{left}"

    def _line(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
