"""Compiled kernels belong to the code that they were compiled from: one cache folder per state of all kernel files.

numba checks only the file in which a kernel stands. A kernel that calls another module's would go on running that
module's old code after an update, and a constant is frozen into every kernel that names it, so the folder's name is a
hash of all modules that speak of numba or `njit` and of all that they import. Folders of earlier states, 10 MB each,
go once nobody has started with them for two weeks: a run that began before an update still compiles into its own, and
would die of its absence.

Reading all modules takes 20 ms. So a folder also says how long and of what time they were when it was named, and names
itself again, after 3 ms, while they are.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
PREFIX = "kernels-"
ROOMS = ("filters", "pipeline")
STAMPS = "stamps"  # in a folder: of the modules that it was last named after
IMPORT = re.compile(rb"^\s*(?:from|import) ((?:filters|pipeline)[\w.]*)", re.M)
KEPT_SECONDS = 14 * 24 * 3600  # longer than a run takes, since the last start


def use_own_cache() -> None:
    """Point numba, here and in processes started from here, to this code's own folder; before numba is imported."""
    if VARIABLE in os.environ:
        return
    house, home = _own_place()
    if not os.access(home if home.exists() else home.parent, os.W_OK):
        return  # numba then finds a folder of the user's
    os.environ[VARIABLE] = str(_folder_of(house, home=home))


def _own_place() -> tuple[Path, Path]:
    """Return this house, and where in it the folders are."""
    house = Path(__file__).parents[3]
    return house, house / "filters" / "__pycache__"


@functools.cache
def foreign_state() -> str:
    """Return this house's stamps where the folder in use is none of its own, which several houses may then share."""
    (house, home), folder = _own_place(), own_folder()
    own = folder is None or (folder.parent == home and folder.name.startswith(PREFIX))
    return "" if own else _stamps_of(house)


def _folder_of(house: Path, *, home: Path) -> Path:
    """Return the folder of a house's code as it is, made if it is new."""
    stamps = _stamps_of(house)
    mine = next((folder for folder in home.glob(f"{PREFIX}*") if _said(folder) == stamps), None)
    if mine is None:
        mine = home / f"{PREFIX}{_state_of(house)}"
        new = not mine.exists()
        mine.mkdir(parents=True, exist_ok=True)
        _say(mine, stamps)
        if new:
            _forget(home, before=time.time() - KEPT_SECONDS)
    os.utime(mine)
    return mine


def own_folder() -> Path | None:
    """Return the folder in use, for whatever else is compiled once; None where numba finds its own."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder is not None and os.access(folder, os.W_OK) else None


def notice() -> str:
    """Return what a person should know before the first kernels are compiled, or nothing once there are some."""
    folder = os.environ.get(VARIABLE)
    if folder is None or next(Path(folder).rglob("*.nbi"), None) is not None:
        return ""
    return "kernels are compiled when they are first used: up to a minute, once per machine"


def _forget(home: Path, *, before: float) -> None:
    """Remove the folders that no process has started with since."""
    for folder in home.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another process was faster
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)


def _said(folder: Path) -> str:
    """Return the stamps that a folder was last named after, nothing if it does not say."""
    try:
        return (folder / STAMPS).read_text(encoding="utf-8")
    except OSError:
        return ""


def _say(folder: Path, stamps: str) -> None:
    temporary = folder / f".{STAMPS}.{os.getpid()}.tmp"
    temporary.write_text(stamps, encoding="utf-8")
    os.replace(temporary, folder / STAMPS)


def _stamps_of(house: Path) -> str:
    """Return what changes when a module is edited, comes or goes, without reading any."""
    stamps, waiting = list[str](), [str(house / room) for room in ROOMS]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    found = entry.stat()
                    stamps.append(f"{entry.path} {found.st_size} {found.st_mtime_ns} {found.st_ino}\n")
                elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                    waiting.append(entry.path)
    return hashlib.sha256("".join(sorted(stamps)).encode()).hexdigest()


def _state_of(house: Path) -> str:
    code = {path: path.read_bytes() for room in ROOMS for path in (house / room).rglob("*.py")}
    waiting = [path for path in code if b"njit" in code[path] or b"numba" in code[path]]
    wanted: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in wanted:
            wanted.add(path)
            for name in IMPORT.findall(code[path]):
                place = house.joinpath(*name.decode().split("."))
                waiting += [other for other in (place.with_suffix(".py"), *place.glob("*.py")) if other in code]
    digest = hashlib.sha256()
    for path in sorted(wanted):
        digest.update(hashlib.sha256(code[path]).digest())
    return digest.hexdigest()[:12]
