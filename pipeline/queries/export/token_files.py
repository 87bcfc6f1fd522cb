"""Documents -> the files that a trainer reads tokens from: numpy's memory maps, Megatron's `.bin` and `.idx`, MDS.

numpy     NAME.bin, the tokens one after the other without a header, and NAME.offsets.npy, int64: document i of a shard
          is `tokens[offsets[i]:offsets[i + 1]]`. What `np.memmap` of nanoGPT, OLMo and their like reads.
megatron  the same NAME.bin, and NAME.idx as `IndexedDataset` of megatron-core writes it: one sequence a document. It
          knows no uint32, so a vocabulary of 65,500 and more is int32, as its own `optimal_dtype` has it.
mds       NAME.mds with a column `tokens`, an array a document; `index.json` lists all shards.

Texts are tokenised a few at a time; of a shard that is 128 MB of text, tokens are held only for MDS, whose file begins
with where each sample lies. The layouts were read from megatron-core 0.16.1 and mosaicml-streaming 0.13.0.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.core.files.writing.durable import write_atomically
from pipeline.queries.export.vocabulary import Vocabulary, tokens_of

NUMPY, MEGATRON, MDS = "numpy", "megatron", "mds"
TOKEN_FORMATS = (NUMPY, MEGATRON, MDS)
SUFFIXES = {NUMPY: ("bin", "offsets.npy"), MEGATRON: ("bin", "idx"), MDS: ("mds",)}
AT_ONCE_BYTES = 1 << 20  # of text tokenised at a time, or one document that is larger
MEGATRON_HEADER, MEGATRON_CODES, MEGATRON_UINT16 = b"MMIDIDX\x00\x00", {"uint16": 8, "int32": 4}, 65_500


def token_dtype(vocabulary: Vocabulary, format: str) -> np.dtype[Any]:
    """Return the kind of number that a token is in the files."""
    if format == MEGATRON:
        return np.dtype("<u2" if vocabulary.size < MEGATRON_UINT16 else "<i4")
    return vocabulary.dtype


def write_tokens(texts: pa.ChunkedArray, vocabulary: Vocabulary, *, stem: Path, format: str) -> np.ndarray:
    """Write a shard's tokens to `stem` with the suffixes of its format; return int64, the tokens of each document."""
    dtype = token_dtype(vocabulary, format)
    first = stem.with_name(f"{stem.name}.{SUFFIXES[format][0]}")
    if format == MDS:
        return _write_mds(first, texts, vocabulary, dtype)
    found: list[np.ndarray] = []

    def write(file: BinaryIO) -> None:
        for some in _batches(texts):
            encoded = tokens_of(some, vocabulary)
            file.write(encoded.flat.astype(dtype).tobytes())
            found.append(encoded.lengths)

    write_atomically(first, write)
    lengths = np.concatenate([np.zeros(0, np.int64), *found])
    beside = stem.with_name(f"{stem.name}.{SUFFIXES[format][1]}")
    write_atomically(beside, _offsets(lengths) if format == NUMPY else _megatron_index(lengths, dtype))
    return lengths


def _batches(texts: pa.ChunkedArray) -> Iterator[list[str]]:
    some, size = list[str](), 0
    for chunk in texts.chunks:
        for value in chunk:
            text = value.as_py()
            if some and size + len(text) > AT_ONCE_BYTES:
                yield some
                some, size = [], 0
            some.append(text)
            size += len(text)
    if some:
        yield some


def _offsets(lengths: np.ndarray) -> Callable[[BinaryIO], None]:
    return lambda file: np.save(file, np.concatenate([[0], np.cumsum(lengths)]).astype("<i8"))


def _megatron_index(lengths: np.ndarray, dtype: np.dtype[Any]) -> Callable[[BinaryIO], None]:
    """Write what `_IndexWriter` of megatron-core writes: lengths, byte offsets, and where each document begins."""

    def write(file: BinaryIO) -> None:
        file.write(MEGATRON_HEADER + struct.pack("<QB", 1, MEGATRON_CODES[dtype.name]))
        file.write(struct.pack("<QQ", len(lengths), len(lengths) + 1))
        file.write(lengths.astype("<i4").tobytes())
        file.write(((np.cumsum(lengths) - lengths) * dtype.itemsize).astype("<i8").tobytes())
        file.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())

    return write


def _mds_config(dtype: np.dtype[Any]) -> dict[str, Any]:
    return {
        "version": 2, "format": MDS, "compression": None, "hashes": [], "size_limit": None,
        "column_names": ["tokens"], "column_encodings": [f"ndarray:{dtype.name}"], "column_sizes": [None],
    }  # fmt: skip


def _write_mds(path: Path, texts: pa.ChunkedArray, vocabulary: Vocabulary, dtype: np.dtype[Any]) -> np.ndarray:
    samples, lengths = list[bytes](), [np.zeros(0, np.int64)]
    for some in _batches(texts):
        encoded = tokens_of(some, vocabulary)
        samples += [_sample(each.astype(dtype)) for each in np.split(encoded.flat, np.cumsum(encoded.lengths)[:-1])]
        lengths.append(encoded.lengths)
    config = json.dumps(_mds_config(dtype), sort_keys=True).encode()
    offsets = np.cumsum([0, *(len(sample) for sample in samples)]) + 4 * (len(samples) + 2) + len(config)

    def write(file: BinaryIO) -> None:
        file.write(struct.pack("<I", len(samples)) + offsets.astype("<u4").tobytes() + config)
        for sample in samples:
            file.write(sample)

    write_atomically(path, write)
    return np.concatenate(lengths)


def _sample(tokens: np.ndarray) -> bytes:
    """Return an array of one axis as MDS has it: how long it all is, axes and width of the shape, shape, values."""
    width, kind = next((width, kind) for width, kind in enumerate("BHIQ") if len(tokens) < 256 ** (1 << width))
    array = bytes([(1 << 2) | width]) + struct.pack(f"<{kind}", len(tokens)) + tokens.tobytes()
    return struct.pack("<I", len(array)) + array


def mds_index(files: Sequence[tuple[str, int, int]], vocabulary: Vocabulary) -> str:
    """Return `index.json` for shards of (file, bytes, samples), which lie beside it."""
    config = _mds_config(token_dtype(vocabulary, MDS))
    shards = [
        config | {
            "samples": samples, "zip_data": None, "raw_data": {"basename": name, "bytes": size, "hashes": {}}
        }
        for name, size, samples in files
    ]  # fmt: skip
    return json.dumps({"version": 2, "shards": shards}, sort_keys=True)
