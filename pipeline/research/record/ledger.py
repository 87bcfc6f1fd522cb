"""Everything that a search for a better mixture did, in order: one line an event, each with the hash of all before it.

An event is written before what it announces is done, and is durable when `append` returns, so a killed night is folded
from its lines and goes on where it was. A line that was cut by a crash was never acted on and is taken away. An edited,
removed or inserted line breaks the chain and is refused: what counted as looked at or paid for would not be known.
Times and seconds stand elsewhere (`clock.py`), as the same night taken up again writes the same lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from blake3 import blake3

from pipeline.core.errors import BusyError, DataError, ServiceError, write_advice
from pipeline.core.files.writing.durable import sync_folder

FILE = "ledger.jsonl"
ROOT = "0" * 64  # hash before the first event


@dataclass(frozen=True, slots=True)
class Event:
    """One line: what happened, and the hash of everything up to here."""

    number: int
    kind: str
    body: Mapping[str, Any]
    hash: str


class Ledger:
    """The events of one search. One process at a time appends; the night's lock sees to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._size = 0  # bytes of whole lines
        self.events: list[Event] = list(self._read())

    @property
    def hash(self) -> str:
        """Return the hash of all events."""
        return self.events[-1].hash if self.events else ROOT

    def append(self, kind: str, body: Mapping[str, Any]) -> Event:
        """Make one event durable. `body` is plain JSON; halves of characters, as in names of files, become `?`."""
        plain = json.loads(json.dumps(dict(body), allow_nan=False, ensure_ascii=False).encode(errors="replace"))
        event = Event(len(self.events) + 1, kind, plain, _chained(self.hash, kind, plain))
        line = json.dumps(
            {"n": event.number, "kind": kind, "body": plain, "hash": event.hash}, ensure_ascii=False, sort_keys=True
        )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self.path.exists()
            with self.path.open("ab") as file:
                if file.tell() != self._size:
                    self._take_away(file)
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                self._size = file.tell()
            if is_new:
                sync_folder(self.path.parent)
        except OSError as error:
            raise ServiceError(f"{self.path}: cannot be written ({error.strerror}). {write_advice(error)}") from error
        self.events.append(event)
        return event

    def of(self, *kinds: str) -> list[Event]:
        """Return the events of some kinds, in order."""
        return [event for event in self.events if event.kind in kinds]

    def _read(self) -> Iterator[Event]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror}). Correct its permissions.") from error
        whole = data[: data.rfind(b"\n") + 1]
        self._size = len(whole)
        before = ROOT
        for number, line in enumerate(whole.splitlines(), start=1):
            event = self._parsed(number, line)
            if event.hash != _chained(before, event.kind, event.body) or event.number != number:
                raise self._broken(number, "does not follow from the lines before it")
            before = event.hash
            yield event

    def _take_away(self, file: BinaryIO) -> None:
        """Cut off what a crash left of a line, before anything was done by it; whoever only reads changes nothing."""
        if b"\n" in self.path.read_bytes()[self._size :]:
            raise BusyError(f"{self.path}: another process appended to it meanwhile. Run again.")
        file.truncate(self._size)

    def _parsed(self, number: int, line: bytes) -> Event:
        try:
            told = json.loads(line)
            return Event(told["n"], told["kind"], told["body"], told["hash"])
        except (ValueError, TypeError, KeyError) as error:
            raise self._broken(number, "is no event") from error

    def _broken(self, number: int, what: str) -> DataError:
        return DataError(
            f"{self.path}:{number}: {what}: somebody edited the ledger, or a disk damaged it. Take it from a backup "
            "or begin anew under another `name:`; results are kept either way."
        )


def damaged_ledgers(folder: Path) -> list[dict[str, str]]:
    """Return what is wrong with the ledgers of a workspace's searches and people's words on them, in path order."""
    found = []
    for path in sorted(folder.rglob(FILE)):
        try:
            Ledger(path.parent)
        except DataError as error:
            found.append({"path": str(path), "problem": str(error)})
    return found


def _chained(before: str, kind: str, body: Mapping[str, Any]) -> str:
    text = json.dumps([before, kind, body], sort_keys=True, separators=(",", ":"))
    return blake3(text.encode()).hexdigest()
