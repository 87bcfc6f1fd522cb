"""Arrays in a gathering step's scratch folder: durable when their name exists, mapped when read again."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.core.shards import write_atomically


def scratch_file(scratch: Path, kind: str, index: int) -> Path:
    """Return the path of the array `kind` of part or band `index`."""
    return scratch / f"{kind}-{index:05d}.npy"


def save_array(path: Path, array: np.ndarray, *, name_may_wait: bool = False) -> None:
    """Write an array durably and atomically; `name_may_wait` as in `shards.write_atomically`."""
    array = np.ascontiguousarray(array)

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.reshape(-1).view(np.uint8).data)  # np.save would hide a full disk's errno

    write_atomically(path, write, name_may_wait=name_may_wait)


def open_array(path: Path) -> np.ndarray:
    """Map a saved array read-only; an empty one is read, since nothing cannot be mapped."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        if 0 in shape:
            return np.zeros(shape, kind)
        return np.memmap(file, kind, "r", file.tell(), shape)
