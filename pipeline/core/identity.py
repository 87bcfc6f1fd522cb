"""What a result is made of, as one hash: canonical JSON of the ingredients, then BLAKE3.

Only what can change a byte of output goes in: step name, its `version`, parameters that differ from their defaults,
identities of the inputs. Values without one stable form (objects, sets, NaN, bytes) are refused rather than guessed.
`1`, `"1"`, `1.0` and `true` stay four different values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from blake3 import blake3

type_error = "identity: cannot hash {value!r} of type {kind}; use str, int, float, bool, None, list or dict."

HASH_CHARACTERS = 12

HashFile = Callable[[Path], str]  # `hash_file`, or one that remembers


def canonical(value: object) -> str:
    """Return the canonical JSON text of `value`; raise TypeError for anything without one stable form."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return {"float": value.hex()}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_plain(item) for item in value]
    raise TypeError(type_error.format(value=value, kind=type(value).__name__))


def identity_of(payload: object) -> str:
    """Return the 64-character hex identity of a payload of plain values."""
    return blake3(canonical(payload).encode()).hexdigest()


def folder_name(name: str, identity: str) -> str:
    """Return `name-<hash>`, the folder in which the artifact with this identity lives."""
    return f"{name}-{identity[:HASH_CHARACTERS]}"


def hash_file(path: Path) -> str:
    """Return the BLAKE3 hex of a file's content, read through a memory map."""
    return blake3(max_threads=1).update_mmap(path).hexdigest()
