"""MinHash out of core: slices, memory and parts do not show in the result, and the memory asked for is kept."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from filters.dedup.minhash import MinHashDedup, MinHashParams
from pipeline.core.errors import RecipeError
from pipeline.core.step import Gathering
from tests.conftest import ROOT
from tests.filters.dedup.test_minhash_audit import unlike_texts
from tests.filters.gathering import Gathered, gather, here, parts_of

MIB = 1 << 20
MEMORY = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.filters.dedup.generated_signatures import run
run(Path(sys.argv[1]) / "warm", num_documents=2000, memory_bytes=1 << 22)
print(*run(Path(sys.argv[1]) / "measured", num_documents=200_000, memory_bytes=int(sys.argv[2])))
"""


class Small(MinHashDedup):
    """A step that is given little memory and two workers."""

    memory_bytes = 0

    def gather(self, work: Gathering) -> None:
        super().gather(replace(work, memory_bytes=self.memory_bytes, workers=2))


def run(parts: list, scratch: Path, *, memory_bytes: int, **parameters: object) -> Gathered:
    step = Small(params=MinHashParams.parse({"audit_pairs": 100, **parameters}))
    step.memory_bytes = memory_bytes
    return gather(step, parts, scratch=scratch, run=here)


def edges_in(scratch: Path) -> list[Path]:
    """The files of edges, without the sums that are kept of them."""
    return [path for path in scratch.rglob("edges-*") if path.suffix != ".sum"]


@pytest.mark.parametrize("min_jaccard", [0.0, 0.7])
def test_slices_do_not_show(tmp_path: Path, min_jaccard: float) -> None:
    texts = unlike_texts(150)
    texts += [f"{text[: len(text) * 9 // 10]} {number % 7}" for number, text in enumerate(texts)] + texts[:40]
    parts = parts_of(texts, num_parts=3)

    whole = run(parts, tmp_path / "whole", memory_bytes=1 << 30, min_jaccard=min_jaccard)
    sliced = run(parts, tmp_path / "sliced", memory_bytes=96 * len(texts), min_jaccard=min_jaccard)
    few_parts = run(parts_of(texts), tmp_path / "few", memory_bytes=1 << 30, min_jaccard=min_jaccard)

    assert len(edges_in(tmp_path / "whole")) == 14
    assert len(edges_in(tmp_path / "sliced")) == 14 * 4
    assert sliced.signals.equals(whole.signals)
    assert sliced.details == whole.details == few_parts.details
    assert whole.details["duplicates"] > 150


def test_a_run_that_cannot_fit_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"clustering 2,000 documents takes 1 MiB.*--memory 1M"):
        run(parts_of(["a b c"] * 2000), tmp_path, memory_bytes=1000)


def test_the_memory_asked_for_is_kept(tmp_path: Path) -> None:
    """Measured as growth of the resident set over a small run, in a process of its own: 200,000 documents in 24 MiB."""
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path), str(24 * MIB)], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    grown, duplicates = map(int, ran.stdout.split())
    assert duplicates == len(range(25_002, 200_000, 6))
    assert grown < 0.96 * 24 * MIB  # a reserve, since beside other processes more is resident
