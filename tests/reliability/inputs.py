"""Files of every kind, each spoilt in some place, read in a process with little memory: what became of that process.

python -m tests.reliability.inputs FORMAT COUNT SEED     (prints how many were read, refused or quarantined as JSON)
"""

from __future__ import annotations

import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipeline.core.errors import TamisError
from pipeline.recipe.names import reader_class
from tests.conftest import ROOT

MEMORY_BYTES = 2 << 30  # beyond what the process has when it begins
ROWS = [{"text": f"The rain of day {n} falls on the sea. " * 3, "id": f"d{n}", "n": n} for n in range(60)]


def _table() -> pa.Table:
    return pa.Table.from_pylist(ROWS)


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(_table(), sink, row_group_size=20)
    return bytes(sink.getvalue())


def _arrow() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, _table().schema) as writer:
        writer.write_table(_table())
    return bytes(sink.getvalue())


def _lines() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def _csv() -> bytes:
    return ("text,id,n\n" + "".join(f'"{row["text"]}",{row["id"]},{row["n"]}\n' for row in ROWS)).encode()


MADE: dict[str, tuple[str, str, Callable[[], bytes]]] = {  # reader, suffix, content
    "parquet": ("parquet", ".parquet", _parquet),
    "arrow": ("arrow", ".arrow", _arrow),
    "jsonl": ("jsonl", ".jsonl", _lines),
    "jsonl.gz": ("jsonl", ".jsonl.gz", lambda: gzip.compress(_lines(), mtime=0)),
    "jsonl.zst": ("jsonl", ".jsonl.zst", lambda: zstandard.ZstdCompressor().compress(_lines())),
    "json": ("json", ".json", lambda: json.dumps(ROWS).encode()),
    "csv": ("csv", ".csv", _csv),
}


def spoilt(content: bytes, draw: random.Random) -> bytes:
    """Return a file as a bad disk, network or attacker leaves it: bits flipped, cut, a piece twice, noise."""
    broken, kind = bytearray(content), draw.randrange(4)
    if kind == 0:
        for _ in range(draw.choice((1, 1, 4, 32))):
            broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del broken[draw.randrange(len(broken)) :]
    elif kind == 2:
        start = draw.randrange(len(broken))
        piece = broken[start : start + draw.randrange(1, 400)]
        place = draw.randrange(len(broken))
        broken[place:place] = piece
    else:
        start = draw.randrange(len(broken))
        size = min(draw.randrange(1, 64), len(broken) - start)
        broken[start : start + size] = draw.randbytes(size)
    return bytes(broken)


def read_spoilt(name: str, count: int, seed: int) -> Counter[str]:
    """Read so many spoilt files of a format in this process, which anything but a refusal ends; count the rest."""
    reader, suffix, made = MADE[name]
    content, draw, told = made(), random.Random(seed), Counter[str]()
    kind = reader_class(reader)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(content)
        _read(kind, path)  # so that what reading imports is mapped before the limit
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_BYTES, taken + MEMORY_BYTES))
        for _ in range(count):
            path.write_bytes(spoilt(content, draw))
            try:
                rows, refused = _read(kind, path)
                told["quarantined" if refused else "read" if rows == len(ROWS) else "fewer rows, none refused"] += 1
            except TamisError as error:
                told["named" if path.name in str(error) else "not named"] += 1
    return told


def _read(kind: Any, path: Path) -> tuple[int, int]:
    reader = kind(params=kind.Params.parse({"path": str(path), "id": "id"}), source="docs", base=path.parent)
    reader.check()
    chunks = [chunk for piece in reader.slices() for chunk in reader.read(piece)]
    return sum(chunk.table.num_rows for chunk in chunks), sum(len(chunk.quarantined) for chunk in chunks)


def played(name: str, count: int, *, seed: int = 1) -> Counter[str]:
    """Read spoilt files in a process of their own; one that dies counts as a crash, and the rest is not read."""
    command = [sys.executable, "-m", "tests.reliability.inputs", name, str(count), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return Counter(json.loads(done.stdout)) if done.returncode == 0 else Counter({f"crashed ({done.returncode})": 1})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read_spoilt(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
