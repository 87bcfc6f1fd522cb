"""A half-finished run as one .npz file: plain arrays and JSON, never pickle, replaced atomically.

numpy's own format and not safetensors, because the training path must run where only torch, numpy and pyarrow are
installed. The file names the run it belongs to by a hash over everything that decides the result, so it can never
continue another one.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import DataError
from pipeline.core.shards import write_atomically

Array = npt.NDArray[Any]


def fingerprint(what: Mapping[str, Any], *, streams: list[Array]) -> str:
    """Return a hash of the JSON-able settings and the bytes of the streams."""
    distinct = {id(stream): stream for stream in streams}
    hashes = {name: hashlib.sha256(np.ascontiguousarray(stream).data).hexdigest() for name, stream in distinct.items()}
    described = {**what, "streams": [hashes[id(stream)] for stream in streams]}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def save_checkpoint(path: Path, arrays: Mapping[str, Array], *, run: str) -> None:
    """Write `arrays` to `path` in one step: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    named = np.frombuffer(run.encode(), np.uint8)
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, run=named, **arrays))


def load_checkpoint(path: Path, *, run: str) -> dict[str, Array] | None:
    """Return the arrays at `path`, None where there is no file; raise DataError for another run's or a broken file."""
    if not path.exists():
        return None
    way_out = "Remove the file to train from the start."
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: not a readable checkpoint ({error}); it must be an .npz of plain arrays. {way_out}"
        ) from error
    found = arrays.pop("run", np.empty(0, np.uint8)).tobytes().decode("ascii", "replace")
    if found != run:
        raise DataError(
            f"{path}: belongs to run {found[:12]}, not to {run[:12]}; lanes, data or tier differ. {way_out}"
        )
    return arrays
