"""A half-finished run as one .npz file: plain arrays and JSON, never pickle, replaced atomically.

numpy's own format and not safetensors, because the training path must run where only torch, numpy and pyarrow are
installed. The file names the run it belongs to by a hash over everything that decides the result, so it can never
continue another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import DataError
from pipeline.core.files.scratch import write_scratch
from pipeline.core.files.sums import is_whole

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
    write_scratch(path, lambda file: np.savez(file, allow_pickle=False, run=named, **arrays))


def load_checkpoint(path: Path, *, run: str) -> dict[str, Array] | None:
    """Return the arrays at `path`, None where no file is there as it was written; DataError for another run's."""
    if not is_whole(path):
        return None
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    found = arrays.pop("run", np.empty(0, np.uint8)).tobytes().decode("ascii", "replace")
    if found != run:
        raise DataError(
            f"{path}: belongs to run {found[:12]}, not to {run[:12]}; lanes, data or tier differ. "
            "Remove the file to train from the start."
        )
    return arrays
