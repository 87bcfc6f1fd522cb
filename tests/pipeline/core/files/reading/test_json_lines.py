"""Lines of JSON: what is one object, what is not, and in which line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.core.errors import DataError
from pipeline.core.files.reading.json_lines import PROBLEMS, parse_object, read_objects, read_texts

LINES = b'\xef\xbb\xbf{"a": 1}\n\n  \n{"a": NaN, "b": "\xc3\xa9"}\r\n'


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, "zstd").to_pybytes()
    return packed


@pytest.mark.parametrize(("suffix", "packed"), [("", bytes), (".gz", gzip.compress), (".zst", zstd)])
def test_objects_come_with_their_line_numbers(tmp_path: Path, suffix: str, packed: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(packed(LINES))

    assert list(read_objects(path)) == [(1, {"a": 1}), (4, {"a": None, "b": "\xe9"})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b"\xff{}", "invalid_utf8"),
        (b"[" * 100_000, "too_deep"),
        (b"{a: 1}", "not_json"),
        (b"[1]", "not_object"),
    ],
)
def test_a_line_that_is_no_object_is_named_with_its_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n" + line + b"\n")

    assert parse_object(line) == reason
    with pytest.raises(DataError) as caught:
        list(read_objects(path))
    assert f"a.jsonl:2: {PROBLEMS[parse_object(line)]}" in str(caught.value)


def test_lines_of_text_are_numbered_and_white_ones_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n\u00a0\nthree", encoding="utf-8")

    assert list(read_texts(path)) == [(1, "one"), (3, "three")]
