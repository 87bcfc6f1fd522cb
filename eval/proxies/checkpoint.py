"""A half-trained lane as one .npz file: plain arrays and JSON, never pickle, replaced atomically.

numpy's own format and not safetensors, because the training path must run where only torch, numpy and pyarrow are
installed. The file names the run it belongs to by a hash over everything that decides the result, so it can never
continue another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import DataError
from pipeline.core.files.writing.scratch import write_scratch
from pipeline.core.files.writing.sums import is_whole

Array = npt.NDArray[Any]


def hash_of(array: Array) -> str:
    """Return the hash of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def fingerprint(what: Mapping[str, Any], *, streams: Sequence[str]) -> str:
    """Return a hash of the JSON-able settings and the hashes of the streams."""
    return hashlib.sha256(json.dumps({**what, "streams": streams}, sort_keys=True).encode()).hexdigest()


def save_checkpoint(path: Path, arrays: Mapping[str, Array], *, run: str) -> None:
    """Write `arrays` to `path` in one step: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    named = np.frombuffer(run.encode(), np.uint8)
    write_scratch(path, lambda file: np.savez(file, allow_pickle=False, run=named, **arrays))


def load_checkpoint(path: Path | None, *, run: str, only: Sequence[str] = ()) -> dict[str, Array] | None:
    """Return the arrays at `path`, or `only` some of them, None where no file is there as it was written.

    Raises DataError for another run's.
    """
    if path is None or not is_whole(path):
        return None
    with np.load(path, allow_pickle=False) as file:
        found = file["run"].tobytes().decode("ascii", "replace") if "run" in file.files else ""
        if found == run:
            return {name: file[name] for name in file.files if name != "run" and (not only or name in only)}
    raise DataError(
        f"{path}: belongs to run {found[:12]}, not to {run[:12]}; lane, data or tier differ. "
        "Remove the file to train from the start."
    )
