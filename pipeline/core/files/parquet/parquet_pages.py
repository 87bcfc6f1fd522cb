"""The pages of a parquet column chunk, found by their headers alone: what each will decode to is known before it is.

A footer can say anything, a page header cannot: pyarrow makes room for exactly the bytes that it names and stops at
exactly the values that it counts. So headers are walked as pyarrow's own reader walks them, one small read a page,
20 us each. Indices, dictionaries and the row starts of nested columns are unpacked here only where the headers leave
open how large a row can be, and of a size that the headers bound.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

DATA, DICTIONARY, DATA_V2 = 0, 2, 3  # parquet's PageType
PLAIN, PLAIN_DICTIONARY, RLE, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 0, 2, 3, 7, 8  # parquet's Encoding
BY_REFERENCE = (PLAIN_DICTIONARY, RLE_DICTIONARY, DELTA_BYTE_ARRAY)  # a value may stand for one that is stored once
HEADER_BYTES, MOST_HEADER_BYTES = 256, 16 << 20  # read at first; pyarrow's own limit
UNPACKED_BYTES = 1 << 16  # of bit-packed numbers at a time, for each bit of one
CODECS = {"SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd", "LZ4_RAW": "lz4_raw"}


class PageError(ValueError):
    """Bytes that are not a page, or pages that cannot be looked into."""


@dataclass(frozen=True, slots=True)
class ParquetPage:
    """One page as its header describes it. Lengths of levels are -1 where the page itself begins with them."""

    kind: int
    encoding: int
    num_values: int
    size_bytes: int  # decompressed
    stored_bytes: int
    offset: int  # of its body in the file
    level_encoding: int = RLE
    repetition_bytes: int = -1
    plain_bytes: int = 0  # of levels, never compressed
    compressed: bool = True


def pages_of(handle: int, *, start: int, end: int, num_values: int) -> list[ParquetPage]:
    """Return the pages of one column chunk in a file, as far as pyarrow reads them; PageError for what is none."""
    found: list[ParquetPage] = []
    seen = 0
    while seen < num_values and start < end:
        page = _page_at(handle, start, end)
        found.append(page)
        seen += page.num_values if page.kind in (DATA, DATA_V2) else 0
        start = page.offset + page.stored_bytes
    return found


def _page_at(handle: int, start: int, end: int) -> ParquetPage:
    size = HEADER_BYTES
    while True:
        block = os.pread(handle, min(size, end - start), start)
        try:
            fields, used = _struct(block, 0)
            return _page(fields, start + used)
        except (IndexError, RecursionError) as error:
            if size >= MOST_HEADER_BYTES or len(block) < size:
                raise PageError("a page's header is cut") from error
            size *= 16
        except (KeyError, TypeError) as error:
            raise PageError("a page's header is incomplete") from error


def _page(fields: dict[int, Any], offset: int) -> ParquetPage:
    """Return what a PageHeader (parquet.thrift) says; KeyError for one without what it must have."""
    kind, size, stored = fields[1], fields[2], fields[3]
    if size < 0 or stored < 0:
        raise PageError("a page's header has a negative size")
    if kind == DATA_V2:
        of = fields[8]
        repetition, levels = of[6], of[6] + of[5]
        page = ParquetPage(kind, of[4], of[1], size, stored, offset, RLE, repetition, levels, of.get(7, True))
    elif kind == DATA:
        page = ParquetPage(kind, fields[5][2], fields[5][1], size, stored, offset, fields[5][4])
    elif kind == DICTIONARY:
        page = ParquetPage(kind, fields[7][2], fields[7][1], size, stored, offset)
    else:
        page = ParquetPage(kind, PLAIN, 0, size, stored, offset)
    if page.num_values < 0 or min(page.repetition_bytes, page.plain_bytes) < -1:
        raise PageError("a page's header has a negative count")
    return page


def _struct(block: bytes, at: int) -> tuple[dict[int, Any], int]:
    """Read one struct of Thrift's compact protocol; IndexError where the block ends before it."""
    fields: dict[int, Any] = {}
    number = 0
    while block[at]:
        head = block[at]
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(block, at)
        fields[number], at = _value(block, at, head & 15)
    return fields, at + 1


def _value(block: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true, false
        return kind == 1, at
    if kind in (4, 5, 6):
        return _integer(block, at)
    if kind == 12:
        return _struct(block, at)
    if kind == 3:
        return block[at], at + 1
    if kind == 7:
        return None, at + 8
    if kind == 8:  # statistics; their bytes are of no use here
        size, at = _unsigned(block, at)
        return None, at + size
    if kind in (9, 10):
        return _skipped_list(block, at)
    raise PageError("a page's header has a field of an unknown type")


def _skipped_list(block: bytes, at: int) -> tuple[None, int]:
    size, kind = block[at] >> 4, block[at] & 15
    at += 1
    if size == 15:
        size, at = _unsigned(block, at)
    for _ in range(size):
        at = at + 1 if kind in (1, 2) else _value(block, at, kind)[1]
    return None, at


def _unsigned(block: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (block[at] & 127) << shift
        at += 1
        if block[at - 1] < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise PageError("a page's header has a number that is too long")


def _integer(block: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(block, at)
    return (value >> 1) ^ -(value & 1), at  # zigzag


def _body(handle: int, page: ParquetPage, codec: str) -> bytes:
    """Return a page's body, decompressed, without the levels that stand before it apart."""
    skipped = page.plain_bytes
    stored = os.pread(handle, max(page.stored_bytes - skipped, 0), page.offset + skipped)
    if codec == "UNCOMPRESSED" or not page.compressed:
        return stored
    if codec not in CODECS:
        raise PageError(f"its pages are compressed as {codec}")
    try:
        unpacked: bytes = pa.Codec(CODECS[codec]).decompress(stored, page.size_bytes - skipped, asbytes=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PageError("a page cannot be decompressed") from error
    return unpacked


def longest_entry(handle: int, page: ParquetPage, codec: str) -> int:
    """Return the bytes of the longest value of a dictionary of byte arrays."""
    body, at, longest = _body(handle, page, codec), 0, 0
    for _ in range(page.num_values):
        size = int.from_bytes(body[at : at + 4], "little")
        at += 4 + size
        if at > len(body):
            raise PageError("a dictionary is cut")
        longest = max(longest, size)
    return longest


def most_repeats(handle: int, page: ParquetPage, codec: str, *, optional: bool, most: int) -> int:
    """Return how often one entry of the dictionary is meant by a page of a flat column; `most` stands for more."""
    body = _body(handle, page, codec)
    if optional and page.kind == DATA:
        body = body[4 + int.from_bytes(body[:4], "little") :]
    if not body or body[0] > 32:
        raise PageError("its indices are cut")
    counts = np.zeros(0, np.int64)
    for run, indices in _runs(body[1:], body[0], page.num_values, or_fewer=optional):
        if isinstance(indices, int) and run >= most:
            return most
        found = np.bincount([indices], [run]).astype(np.int64) if isinstance(indices, int) else np.bincount(indices)
        counts = np.pad(counts, (0, max(len(found) - len(counts), 0)))
        counts[: len(found)] += found
    return min(int(counts.max(initial=0)), most)


def row_starts(handle: int, pages: list[ParquetPage], codec: str, *, levels: int, most_rows: int) -> np.ndarray:
    """Return int64[rows]: the numbers of the values of a nested column with which its rows begin."""
    found, before, rows = [np.zeros(0, np.int64)], 0, 0
    for page in pages:
        done = before
        for run, values in _runs(_repetition(handle, page, codec), levels.bit_length(), page.num_values):
            if isinstance(values, int):
                starts = np.arange(0 if values else min(run, most_rows + 1))
            else:
                starts = np.flatnonzero(values == 0)
            found.append(starts + done)
            done, rows = done + run, rows + len(starts)
            if rows > most_rows:
                raise PageError("it has more rows than it says")
        before += page.num_values
    return np.concatenate(found)


def _repetition(handle: int, page: ParquetPage, codec: str) -> bytes:
    if page.kind == DATA_V2:
        return os.pread(handle, page.repetition_bytes, page.offset)
    if page.level_encoding != RLE:
        raise PageError("its levels are coded in a way that is no longer used")
    body = _body(handle, page, codec)
    return body[4 : 4 + int.from_bytes(body[:4], "little")]


def _runs(
    block: bytes, width: int, num_values: int, *, or_fewer: bool = False
) -> Iterator[tuple[int, int | np.ndarray]]:
    """Yield the runs of parquet's hybrid of run lengths and bits packed in eights: how many, and which value or values.

    Fewer values than named are there where nulls have none.
    """
    at = done = 0
    try:
        while done < num_values and not (or_fewer and at >= len(block)):
            head, at = _unsigned(block, at)
            count = head >> 1
            if not count:
                raise PageError("a run is empty")
            if not head & 1:
                value = int.from_bytes(block[at : at + (width + 7) // 8], "little")
                at += (width + 7) // 8
                run = min(count, num_values - done)
                done += run
                yield run, value
                continue
            packed = block[at : at + count * width]
            at += count * width
            for start in range(0, len(packed), UNPACKED_BYTES * max(width, 1)):
                piece = np.frombuffer(packed[start : start + UNPACKED_BYTES * width], np.uint8)
                bits = np.unpackbits(piece, bitorder="little")[: len(piece) * 8 // width * width].reshape(-1, width)
                values = (bits @ (1 << np.arange(width, dtype=np.int64)))[: num_values - done]
                done += len(values)
                yield len(values), values
            if (len(packed) < count * width and not or_fewer) or not width:
                raise PageError("a run is cut")
    except IndexError as error:
        raise PageError("a run is cut") from error
