"""JSON lines -> objects: one reading for sources, for evaluation sets and for files of grades.

Stricter than Python's reader where two people could read a line differently: a key that stands twice is refused, and
NaN and Infinity, which Python writes and JSON does not know, are null. A source sets a line aside that holds no object;
a file that somebody wrote for Tamis must be right in every line, and the first wrong one is named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pipeline.core.errors import DataError
from pipeline.core.files.reading.lines import iterate_lines

NoObject = Literal["invalid_utf8", "duplicate_key", "too_deep", "not_json", "not_object"]
LONGEST_BYTES = 64 * 2**20  # of a line that is held whole
PROBLEMS: dict[NoObject, str] = {
    "invalid_utf8": "is not UTF-8 text",
    "duplicate_key": "names a key twice",
    "too_deep": "is nested too deep",
    "not_json": "is not JSON",
    "not_object": "is not an object",
}


class _KeyTwiceError(ValueError):
    """An object names one key twice, so nobody can say which value is meant."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _KeyTwiceError
    return found


def _no_number(name: str) -> None:
    """Read NaN and Infinity as null."""


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number)


def parse_object(line: bytes) -> dict[str, Any] | NoObject:
    """Return the object that a line holds, or the reason why it holds none."""
    try:
        value = _decoder.decode(line.decode())
    except UnicodeDecodeError:
        return "invalid_utf8"
    except _KeyTwiceError:
        return "duplicate_key"
    except RecursionError:
        return "too_deep"
    except ValueError:
        return "not_json"
    return value if isinstance(value, dict) else "not_object"


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a file, plain, .gz or .zst; DataError that names the first wrong line."""
    for number, data in _whole_lines(path):
        found = parse_object(data)
        if isinstance(found, str):
            raise DataError(
                f"{path}:{number}: {PROBLEMS[found]}; each line must be one JSON object. Correct or delete the line."
            )
        yield number, found


def read_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line) of a text file, plain, .gz or .zst, without white lines; DataError likewise."""
    for number, data in _whole_lines(path):
        try:
            line = data.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: is not UTF-8 text ({error}). Convert the file.") from error
        if line.strip():
            yield number, line


def _whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    for line in iterate_lines(path, start=0, end=-1, first_number=0, cap=LONGEST_BYTES):
        if line.cut:
            raise DataError(f"{path}:{line.number + 1}: is longer than {LONGEST_BYTES >> 20} MiB. Divide the line.")
        yield line.number + 1, line.data
