"""A JSON file with a hash of its own content: a card, a pointer, a list of places. No field can be edited unseen.

The hash is over the content as JSON with sorted keys, so spaces and the order of keys may change and nothing else. It
tells edits and flipped bits from what Tamis wrote; it keeps nobody out who computes it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from pipeline.core.files.writing.durable import write_text

RECORD_ID = "record_id"  # the field that holds the hash of all others


def record_text(content: Mapping[str, Any]) -> str:
    """Return the text of a record of plain JSON values."""
    plain = json.loads(json.dumps(content))  # what will be read: keys are strings, tuples lists
    return json.dumps({**plain, RECORD_ID: _hash_of(plain)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record durably and atomically."""
    write_text(path, record_text(content))


def read_record(path: Path) -> dict[str, Any]:
    """Return the content of a record; ValueError if it is not as it was written."""
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    noted = content.pop(RECORD_ID, None)
    if noted is None:
        raise ValueError(f"it has no {RECORD_ID}: somebody edited it, or an early Tamis wrote it")
    if noted != _hash_of(content):
        raise ValueError("its content does not match its hash: somebody edited it, or a disk damaged it")
    return content


def _hash_of(content: Mapping[str, Any]) -> str:
    return blake3(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
