"""Documents -> the address that each comes from: a field of the metadata, or else the id where that is one.

Metadata is JSON. A kernel walks it for one key of the outer object and finds its value at about 1 GB/s; Python's own
parser is asked only where an escape stands in a key or in the value, and about 30 times slower.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch
from pipeline.core.text.bits import ONE_BIT, address_of, load_byte, range_mask, zeros_below

SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,30}://", re.I)
NOTHING, STRING, ASK = 0, 1, 2  # what a row's field holds: no text, a plain string, or what Python must say
QUOTE, BACKSLASH, COLON, SPACE = 0x22, 0x5C, 0x3A, 0x20
OPENING, CLOSING = 0x7B, 0x7D  # braces; with the bit 0x20 set, square brackets too


def addresses(batch: Batch, *, field: str) -> pa.Array:
    """Return string[num_docs]: each document's field as it stands, else its id where that has a scheme, else null.

    A field that is blank or no text counts as none. A lone surrogate becomes U+FFFD.
    """
    records = pa.nulls(len(batch), pa.string()) if batch.metadata is None else batch.metadata
    found, asked = _field(records, field=field)
    missing = asked | ~np.asarray(found.is_valid())
    if not missing.any():
        return found
    urls = found.to_pylist()
    for row in np.flatnonzero(missing):
        value = json.loads(records[row].as_py()).get(field) if asked[row] else None
        if not isinstance(value, str) or not value.strip():
            value = batch.ids[row].as_py()
            value = value if SCHEME.match(value) else None
        urls[row] = None if value is None else _without_surrogates(value)
    return pa.array(urls, pa.string())


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _field(metadata: pa.Array, *, field: str) -> tuple[pa.Array, np.ndarray]:
    """Return (string[num_rows], null where it is no plain string; bool[num_rows]: Python must say)."""
    num_rows = len(metadata)
    _, offsets, values = metadata.buffers()
    data = np.frombuffer(values, np.uint8) if values is not None else np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)[metadata.offset :][: num_rows + 1] if offsets else np.zeros(1, np.int32)
    kinds, spans = find_field(data, ends, np.frombuffer(field.encode(), np.uint8))
    kinds[~np.asarray(metadata.is_valid())] = NOTHING
    is_string = kinds == STRING
    spans[~is_string] = 0
    new_offsets, copied = copy_spans(data, spans)
    validity = pa.py_buffer(np.packbits(is_string, bitorder="little"))
    found = pa.Array.from_buffers(
        pa.string(), num_rows, [validity, pa.py_buffer(new_offsets), pa.py_buffer(copied)]
    )  # fmt: skip
    return found, kinds == ASK


@njit(cache=True, nogil=True, forceinline=True)
def marks(at: Any, end: Any, limit: Any) -> Any:
    """Return what may part JSON among the bytes from `at` to `end`, 64 at most, as bits: quotes, \\ and brackets."""
    return range_mask(at, end, limit, 0, QUOTE, 1) | range_mask(at, end, limit, 0x20, OPENING, 3)


@njit(cache=True, nogil=True)
def skip_blanks(at: Any, end: Any) -> Any:
    """Return the address of the next byte that is no white space of JSON's."""
    while at < end and load_byte(at) <= SPACE:
        at += 1
    return at


@njit(cache=True, nogil=True)
def is_key(start: Any, end: Any, key: Any) -> Any:
    """Say whether the bytes between two addresses are `key`."""
    same = end - start == len(key)
    for offset in range(len(key) if same else 0):
        same &= load_byte(start + offset) == key[offset]
    return same


@njit(cache=True, nogil=True)
def find_field(data: Any, offsets: Any, key: Any) -> Any:
    """Return (int8[num_rows] of NOTHING, STRING, ASK; int64[num_rows, 2]: where the string stands)."""
    num_rows = len(offsets) - 1
    kinds, spans = np.zeros(num_rows, np.int8), np.zeros((num_rows, 2), np.int64)
    base, limit = address_of(data), address_of(data) + len(data)
    for row in range(num_rows):
        block, end = base + offsets[row], base + offsets[row + 1]
        depth, start = 0, 0  # where the string begins that we are in
        wanted = escaped = False  # whether the next string is the value; whether this one holds an escape
        skipped = 0  # the byte behind a backslash
        while block < end:
            bits = marks(block, end, limit)
            while bits != 0:
                at = block + zeros_below(bits)
                bits &= bits - ONE_BIT
                byte = load_byte(at)
                if at == skipped:
                    continue
                if byte != QUOTE:
                    if not start:
                        depth += (byte | 0x20 == OPENING) - (byte | 0x20 == CLOSING)
                    elif byte == BACKSLASH:
                        escaped, skipped = True, at + 1
                    continue
                if not start:
                    start, escaped = at + 1, False
                    continue
                if depth == 1:
                    after = skip_blanks(at + 1, end)
                    if wanted:
                        blank = start == at or load_byte(start) <= SPACE or load_byte(start) >= 0x80  # perhaps
                        kinds[row] = ASK if escaped or blank else STRING
                        spans[row, 0], spans[row, 1] = start - base, at - base
                        wanted = False
                    elif after < end and load_byte(after) == COLON:
                        if escaped:
                            kinds[row] = ASK
                        elif is_key(start, at, key):  # the last of several counts
                            kinds[row] = NOTHING
                            wanted = load_byte(min(skip_blanks(after + 1, end), limit - 1)) == QUOTE
                start = 0
                if kinds[row] == ASK:
                    break
            block = end if kinds[row] == ASK else block + 64
    return kinds, spans


@njit(cache=True, nogil=True)
def copy_spans(data: Any, spans: Any) -> Any:
    """Return (int32[len(spans) + 1] offsets, uint8[...]): the spans one after the other."""
    offsets = np.zeros(len(spans) + 1, np.int32)
    for row in range(len(spans)):
        offsets[row + 1] = offsets[row] + spans[row, 1] - spans[row, 0]
    copied = np.empty(offsets[-1], np.uint8)
    for row in range(len(spans)):
        copied[offsets[row] : offsets[row + 1]] = data[spans[row, 0] : spans[row, 1]]
    return offsets, copied
