"""py3langid's bundled model of 140 languages -> tables for the kernels, 71 MB, exactly the same numbers.

Its weights are float16 and whole multiples of 1/512. What a feature adds to all languages alike decides nothing, so
each row is stored about its middle, as int16; rows that speak for English come first, as they are read most on most
corpora. Unpacking the model takes 0.5 s, so the tables are kept next to the compiled code, under a name that is a hash
of the model and of the code that makes them, with a checksum: reading them takes 0.02 s. Where they cannot be kept, or
are damaged, they are made again.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
from xxhash import xxh3_64, xxh3_64_digest

from pipeline.core.errors import DataError, ServiceError
from pipeline.core.files.writing.durable import write_atomically
from pipeline.core.identity import identity_of

LINE_BYTES = 64  # of a cache line
DIGEST_BYTES = 8
SUFFIX = ".languages"
FIRST = "en"


@dataclass(frozen=True, slots=True)
class Model:
    """py3langid's tables, laid out for filters.language.kernels."""

    names: np.ndarray  # uint8: the codes of the columns, a line each; two languages have two columns, one per script
    twins: np.ndarray  # int64[num_twins, 2]: the first column and the other of such a language
    root: np.ndarray  # uint32[1]: the first state, packed
    moves: np.ndarray  # uint32[rows * 256]: next state, packed, by row and byte
    firsts: np.ndarray  # int32[rows]: where the outputs of the states begin that share a row
    outputs: np.ndarray  # int32[states], by row and rank: feature seen on arrival, or -1
    weights: (
        np.ndarray
    )  # int16[features + 1, WIDTH], in WEIGHT_UNIT; 0 in the last row; past the last column the lowest of its row
    priors: np.ndarray  # float32[WIDTH]; past the last column so low that its probability is 0

    @property
    def codes(self) -> list[str]:
        """Return the code of each column."""
        return self.names.tobytes().decode().splitlines()


def load_model(folder: Path | None = None) -> Model:
    """Return the tables, from `folder` if it holds them; else make them and keep them there."""
    from py3langid.langid import MODEL_DIR, MODEL_FILE

    home = Path(__file__).parent
    code = [*(home / name for name in ("model.py", "kernels.py", "vectors.py")), MODEL_DIR / MODEL_FILE]
    folder = home.parent / "__pycache__" if folder is None else folder  # where compiled kernels lie too
    path = folder / (identity_of([xxh3_64_digest(file.read_bytes()).hex() for file in code])[:12] + SUFFIX)
    model = read_tables(path)
    if model is None:
        model = make_tables()
        if folder.is_dir():
            _keep(model, path)
    return model


def _keep(model: Model, path: Path) -> None:
    """Store the tables in place of those of other models; a folder that cannot be written costs time, nothing else."""
    with suppress(ServiceError, OSError):
        write_atomically(path, lambda file: _store(model, file))
        for file in path.parent.glob(f"*{SUFFIX}"):
            if file != path:
                file.unlink(missing_ok=True)


def make_tables() -> Model:
    """Lay out py3langid's model; DataError if it is not of the kind that the kernels know."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    from filters.language.kernels import FEATURE_BIT, RANK_BITS, RANK_MASK
    from filters.language.pieces import BREAK
    from filters.language.vectors import WIDTH

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    codes = list(found.nb_classes)
    weights, features = _weights(found.nb_ptc, first=codes.index(FIRST))
    moves = np.frombuffer(found.tk_nextmove, np.dtype(found.tk_nextmove.typecode))
    rows = np.asarray(found.tk_row, np.int64)
    outputs = np.append(features, np.int32(-1))[np.asarray(found.tk_output, np.int32)]
    order = np.argsort(rows, kind="stable")
    firsts = np.searchsorted(rows[order], np.arange(rows.max() + 1))
    ranks = np.empty_like(rows)
    ranks[order] = np.arange(len(rows)) - firsts[rows[order]]
    if ranks.max() > RANK_MASK or moves.reshape(-1, 256)[:, BREAK].any():
        raise _unknown()
    packed = ((outputs >= 0).astype(np.int64) << FEATURE_BIT | rows << RANK_BITS | ranks).astype(np.uint32)
    priors = np.full(WIDTH, -1e9, np.float32)
    priors[: len(codes)] = found.nb_pc
    return Model(
        names=np.frombuffer("\n".join(codes).encode(), np.uint8),
        twins=np.array([(codes.index(code), at) for at, code in enumerate(codes) if codes.index(code) != at], np.int64),
        root=packed[:1],
        moves=packed[moves],
        firsts=firsts.astype(np.int32),
        outputs=outputs[order].astype(np.int32),
        weights=weights,
        priors=priors,
    )


def _weights(floats: np.ndarray, *, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows of int16 about their middles, on cache lines; the row of each feature)."""
    from filters.language.kernels import WEIGHT_UNIT
    from filters.language.vectors import LARGEST, WIDTH

    units = floats.astype(np.float32) * np.float32(1 / WEIGHT_UNIT)
    if np.abs(units).max() > np.iinfo(np.int16).max:
        raise _unknown()
    exact = units.astype(np.int16)
    if not np.array_equal(exact, units):
        raise _unknown()
    middles = (exact.max(axis=1).astype(np.int32) + exact.min(axis=1)) // 2
    exact -= middles[:, None].astype(np.int16)
    if np.abs(exact).max() > LARGEST:
        raise _unknown()
    order = np.argsort(-exact[:, first], kind="stable")
    weights = _aligned((len(exact) + 1) * WIDTH * exact.itemsize).view(np.int16).reshape(-1, WIDTH)
    weights[:-1, : exact.shape[1]] = exact[order]
    weights[:-1, exact.shape[1] :] = exact[order].min(axis=1)[:, None]
    weights[-1] = 0
    features = np.empty(len(order), np.int32)
    features[order] = np.arange(len(order), dtype=np.int32)
    return weights, features


def _unknown() -> DataError:
    return DataError("py3langid's model has other weights than those of py3langid 0.3 and 0.4. Install one of these.")


def _aligned(num_bytes: int) -> np.ndarray:
    """Return memory that begins on a cache line."""
    room = np.empty(num_bytes + LINE_BYTES, np.uint8)
    start = -room.ctypes.data % LINE_BYTES
    return room[start : start + num_bytes]


def _store(model: Model, file: BinaryIO) -> None:
    """Write the tables: their types and shapes in a line of JSON, each on a cache line, and a checksum."""
    arrays = [getattr(model, field.name) for field in fields(Model)]
    head = json.dumps([[array.dtype.str, array.shape] for array in arrays]).encode() + b"\n"
    checksum = xxh3_64()
    for part in (np.frombuffer(head, np.uint8), *arrays):
        for data in (part.reshape(-1).view(np.uint8), bytes(-part.nbytes % LINE_BYTES)):
            file.write(data)
            checksum.update(data)
    file.write(checksum.digest())


def read_tables(path: Path) -> Model | None:
    """Read what `load_model` kept; None if there is nothing, or if it is damaged."""
    try:
        buffer = np.memmap(path, np.uint8, "c").view(np.ndarray)  # nobody writes; read-only, kernels compile once more
    except (OSError, ValueError):  # not there, or empty
        return None
    body = buffer[:-DIGEST_BYTES]
    if xxh3_64_digest(body.data) != buffer[-DIGEST_BYTES:].tobytes():
        return None
    head = body[:4096].tobytes().partition(b"\n")[0]
    arrays, at = [], len(head) + 1
    for kind, shape in json.loads(head):
        at += -at % LINE_BYTES
        size = math.prod(shape) * np.dtype(kind).itemsize
        arrays.append(body[at : at + size].view(kind).reshape(shape))
        at += size
    return Model(*arrays)
