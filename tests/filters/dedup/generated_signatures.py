"""MinHash clustering of signatures that are drawn, not computed: what it takes in memory and time at any size.

    python -m tests.filters.dedup.generated_signatures 10000000 4G

draws ten million and prints what the run took. Every sixth document is a near copy of another, often of another part.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.dedup.minhash import MinHashDedup, MinHashParams
from filters.dedup.minhash_audit import Planted, Planting, save_planted
from filters.dedup.minhash_bands import save_signatures
from pipeline.commands.flags import parse_memory
from pipeline.core.files.writing.scratch import until_reboot
from pipeline.core.rng import generator
from pipeline.core.step import Gathering, Part

PART_ROWS = 10_000
COPIED_EVERY = 6
BACK = 25_001  # rows between a copy and its original: two parts back


@dataclass(frozen=True)
class Ids:
    first: int
    count: int

    def load(self, columns: Sequence[str]) -> pa.Table:
        assert list(columns) == ["id"]
        return pa.table({"id": [f"document-{row:012d}" for row in range(self.first, self.first + self.count)]})


def draw(first: int, count: int) -> np.ndarray:
    """Return uint32[count, 112]: signatures of some rows; a copy differs from its original in ten values."""
    blocks = {
        block: generator(1, "block", block).integers(0, 1 << 32, (PART_ROWS, 112), dtype=np.uint32)
        for block in {first // PART_ROWS, max(first - BACK, 0) // PART_ROWS, (first + count - BACK) // PART_ROWS}
    }
    values = blocks[first // PART_ROWS][:count].copy()
    for row in range(first, first + count):
        original = row - BACK
        if row % COPIED_EVERY == 0 and original >= 0 and original % COPIED_EVERY:
            values[row - first, :102] = blocks[original // PART_ROWS][original % PART_ROWS, :102]
    return values


def run(scratch: Path, *, num_documents: int, memory_bytes: int) -> tuple[int, int]:
    """Cluster drawn signatures; return (bytes by which the resident set grew at its peak, duplicates found)."""
    folder, scratch = scratch, until_reboot(scratch)
    step = MinHashDedup(params=MinHashParams(audit_pairs=0))
    parts = []
    none = Planting(docs=np.zeros(0, np.int64), numbers=np.zeros(0, np.int64), targets=np.zeros(0), num_pairs=0, seed=0)
    copies = Planted(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 112), np.uint32))
    for index, first in enumerate(range(0, num_documents, PART_ROWS)):
        count = min(PART_ROWS, num_documents - first)
        ones = np.full(count, 100)
        save_signatures(scratch, index, values=draw(first, count), num_words=ones, num_bytes=ones, bands=14, rows=8)
        save_planted(scratch, index, planting=none, copies=copies, keys=np.zeros((14, 0), np.uint64))
        parts.append(Part(index=index, num_rows=count, reader=Ids(first, count)))
    work = Gathering(
        parts=parts, scratch=folder, output=folder, seed=1, inputs={}, map=_map, write=_write, say=lambda line: None,
        ledger=scratch / "ledger", memory_bytes=memory_bytes,
    )  # fmt: skip
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM
    before = _resident("VmRSS")
    step.gather(work)
    return _resident("VmHWM") - before, work.details["duplicates"]


def _map(function: Any, items: Any, *, label: str) -> list[Any]:
    return [function(item) for item in items]


def _write(part: Part, columns: Mapping[str, Any]) -> None:
    assert len(columns["cluster"]) == part.num_rows


def _resident(field: str) -> int:
    """Return VmRSS, the memory that is resident now, or VmHWM, the most since the last reset, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main() -> None:
    """Run at the size and memory given, and print the time and the peak of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        scratch = Path(folder) / "scratch"
        grown, duplicates = run(scratch, num_documents=int(sys.argv[1]), memory_bytes=parse_memory(sys.argv[2]))
        sys.stdout.write(
            f"{sys.argv[1]} documents, {duplicates} duplicates, {time.perf_counter() - started:.0f} s; at the peak "
            f"{_resident('VmHWM') / 1e6:.0f} MB, {grown / 1e6:.0f} MB of them for clustering\n"
        )


if __name__ == "__main__":
    main()
