"""Where results live: one folder per result under its kind, one lock for writers, one ledger.

    <root>/source measured gathered dataset made counted /<name>-<hash>/
    <root>/tokenizer tokens mixture lane score search comparison certificate claims /<name>-<hash>/
    <root>/registry/  <root>/reports/  <root>/runs/  <root>/dedup/  <root>/prepared/  <root>/ledger.sqlite  <root>/lock

The lock is the kernel's (flock): a killed run frees it at once, so there is no unlock command. The folder is locked
beside the file, so that whoever removes the file, as people do with locks, lets nobody in. Readers need no lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import BusyError, DataError, RecipeError, listed_names, nearest_names
from pipeline.core.files.card import Card, is_complete, read_card
from pipeline.core.files.names import CARD, STORE
from pipeline.core.files.record import read_record, write_record
from pipeline.core.files.writing.durable import write_text
from pipeline.core.identity import folder_name

LATEST = "latest.json"
NAMED_SECONDS = 0.5  # in which whoever takes the lock says who it is


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder of results."""

    root: Path

    def folder(self, kind: str, name: str, identity: str) -> Path:
        """Return the folder of one result, whether or not it exists."""
        return self.root / kind / folder_name(name, identity)

    def by_identity(self, kind: str, identity: str) -> Path | None:
        """Return the folder of a complete result, whatever it is called; None where it is gone."""
        found = sorted((self.root / kind).glob(folder_name("*", identity)))
        return next((folder for folder in found if is_complete(folder, identity)), None)

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.sqlite"

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    @property
    def prepared(self) -> Path:
        """Where steps keep what all workers map, such as hashed lists; it may be deleted between runs."""
        return self.root / "prepared"

    def report(self, recipe: str) -> Path:
        return self.root / "reports" / f"{recipe}.html"

    def complete(self, kind: str, name: str) -> list[Path]:
        """Return the complete folders of `kind/name-*`, the newest card last."""
        if "/" in name:
            return []  # no result is called so, and as a pattern it could lead elsewhere
        found = [
            path.parent
            for path in (self.root / kind).glob(f"{escape(name)}-*/{CARD}")
            if path.parent.name.rpartition("-")[0] == name
        ]
        return sorted(found, key=lambda folder: ((folder / CARD).stat().st_mtime_ns, folder.name))

    def dataset(self, name: str) -> tuple[Path, Card]:
        """Return the dataset called `name` that a run built or reused last, or the folder called `name-<hash>`."""
        for kind in ("dataset", "made", "source"):
            if (exact := self._named_in_full(kind, name)) is not None:
                return exact, read_card(exact)
        if (unfinished := self.unfinished(name)) is not None:
            raise DataError(self._not_built(name, unfinished))
        used = self.latest().get(name)
        if used is not None and "/" not in name:
            return self.root / used, read_card(self.root / used)
        for kind in ("dataset", "made", "source"):
            folders = self.complete(kind, name)
            if folders:
                return folders[-1], read_card(folders[-1])
        names = {
            path.parent.name.rpartition("-")[0]
            for kind in ("dataset", "made")
            for path in (self.root / kind).glob(f"*/{CARD}")
        }
        if not names:
            raise DataError(
                f"{self.root}: holds no datasets yet. Run a recipe first: tamis run recipes/quickstart.yaml"
            )
        raise RecipeError(f"`{name}` is not a dataset in {self.root}. Did you mean {nearest_names(name, names)}?")

    def _named_in_full(self, kind: str, name: str) -> Path | None:
        folder = self.root / kind / name
        try:
            return folder if (folder / CARD).exists() else None
        except (OSError, ValueError):  # no file can be called so
            return None

    def unfinished(self, name: str) -> Path | None:
        """Return the folder that the last run with `name` was to build, if it did not: what is older is not meant."""
        used = self.latest().get(name)
        return None if used is None or (self.root / used / CARD).exists() else self.root / used

    def _not_built(self, name: str, folder: Path) -> str:
        earlier = [done.name for kind in ("dataset", "made", "source") for done in self.complete(kind, name)]
        listed = f", or name an earlier result: {listed_names(earlier[::-1])}" if earlier else ""
        return (
            f"`{name}`: the last run that was to build it stopped before {folder.parent.name}/{folder.name} was "
            f"finished. Run its recipe again{listed}."
        )

    def mixture(self, name: str) -> tuple[Path, Card] | None:
        """Return the mixture called `name` that a run built or reused last, or the folder called `name-<hash>`."""
        if (exact := self._named_in_full("mixture", name)) is not None:
            return exact, read_card(exact)
        if (unfinished := self.unfinished(f"mixture/{name}")) is not None:
            raise DataError(self._not_built(f"mixture/{name}", unfinished))
        used = self.latest().get(f"mixture/{name}")
        folder = self.root / used if used is not None else next(reversed(self.complete("mixture", name)), None)
        return (folder, read_card(folder)) if folder is not None else None

    def latest(self) -> dict[str, str]:
        """Return name, `mixture/NAME` of a mixture -> the folder that the last run built, reused or was to build."""
        path = self.root / LATEST
        try:
            return dict(read_record(path)["folders"])
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{path}: is not as it was written ({error}). Delete it; the next run writes it again."
            ) from error

    def remember(self, name: str, folder: Path) -> None:
        """Make `folder` what `name` means from now on; by a file and not by age, so a restored recipe restores it.

        It need not be finished: until it is, the name means nothing, rather than a result of another recipe.
        """
        try:
            known = self.latest()
        except DataError:  # without it, the newest result of a name is meant
            known = {}
        now = known | {name: f"{folder.parent.name}/{folder.name}"}
        if now != known:
            self.root.mkdir(parents=True, exist_ok=True)
            write_record(self.root / LATEST, {"folders": now})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the workspace for writing; BusyError names who else does."""
        owner = self.root / "lock.json"
        lock, folder = FileLock(self.root / "lock", timeout=0), ExitStack()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            folder.enter_context(_held(self.root))
        except (Timeout, BlockingIOError) as error:
            lock.release()
            raise BusyError(
                f"{self.root}: in use by {_describe(owner)}. Wait for it, or give --workspace another folder."
            ) from error
        except OSError as error:
            raise RecipeError(
                f"{self.root}: cannot be used as a workspace ({error.strerror}). Give --workspace another folder."
            ) from error
        try:
            for left in self.root.glob(".*.tmp"):  # what a killed run was about to rename
                left.unlink(missing_ok=True)
            write_text(owner, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
            with ExitStack() as held:
                if (self.root / STORE).exists():
                    from pipeline.store.remote.cached import writing  # what a folder needs not

                    held.enter_context(writing(self.root))
                yield
        finally:
            folder.close()
            lock.release()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Lock a folder itself; BlockingIOError if another process does. Where folders cannot be locked, lock nothing."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # NFS locks only what is open for writing, which a folder never is
            pass
        yield
    finally:
        os.close(descriptor)


def _describe(owner: Path) -> str:
    """Return who holds the lock; whoever has it by an instant has not said so yet, and the dead may have before."""
    deadline = time.monotonic() + NAMED_SECONDS
    while time.monotonic() < deadline:
        try:
            data = json.loads(owner.read_text(encoding="utf-8"))
            if data["host"] != socket.gethostname() or _runs(data["pid"]):
                return f"process {data['pid']} on {data['host']}"
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.01)
    return "another process"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
