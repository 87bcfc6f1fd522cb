"""Files in a gathering step's scratch folder, each with a sum: arrays, mapped when read again, and whatever else.

A step looks with `sums.is_whole` whether a killed run left a file; `Path.exists` would trust one that a disk damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.core.files.writing.durable import sync_file, sync_folder, write_atomically
from pipeline.core.files.writing.sums import sum_path

BOOT = Path("/proc/sys/kernel/random/boot_id")
UNSYNCED = "boot-"
SYNCED = "synced"  # a scratch folder of this name is written by machines of which any may be lost alone


def scratch_file(scratch: Path, kind: str, index: int) -> Path:
    """Return the path of the array `kind` of part or band `index`."""
    return scratch / f"{kind}-{index:05d}.npy"


def until_reboot(scratch: Path) -> Path:
    """Return a folder of the scratch folder, made, whose files are not synced to the disk.

    A killed process finds them again; after a power cut nobody looks for them, since the folder bears the name of the
    system's boot. Where a system does not tell its boot, or many machines write the scratch folder, it is that folder
    itself, and files are durable.
    """
    if scratch.name == SYNCED:
        scratch.mkdir(parents=True, exist_ok=True)
        return scratch
    try:
        folder = scratch / f"{UNSYNCED}{BOOT.read_text(encoding='ascii').strip()}"
    except OSError:
        folder = scratch
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_scratch(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write(file)` as `shards.write_atomically` does, with a sum; durable, but in a folder of `until_reboot`."""
    durable = not any(folder.name.startswith(UNSYNCED) for folder in (path.parent, path.parent.parent))
    write_atomically(path, write, unfinished=True, synced=durable)
    if durable:
        sync_folder(path.parent)
        sync_file(sum_path(path))


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array atomically, with a sum; durably, but in a folder of `until_reboot`."""
    array = np.ascontiguousarray(array)

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.reshape(-1).view(np.uint8).data)  # np.save would copy it

    write_scratch(path, write)


def open_array(path: Path) -> np.ndarray:
    """Map a saved array read-only; an empty one is read, since nothing cannot be mapped."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        if 0 in shape:
            return np.zeros(shape, kind)
        return np.memmap(file, kind, "r", file.tell(), shape)
