"""The presets @datatrove-0.10 and datatrove itself on the text of the installed packages: differences and speed.

    python -m tests.filters.conformance.real --documents 20000

Both run as one chain in which each step sees what the one before wrote, then every filter judges every document on
both sides. Differences must be 0. Times are processor seconds of one process, the same documents on both sides, our
kernels compiled and spaCy loaded before, nothing remembered at the start. In the chain ours measures every rule for
every document, where datatrove stops at the first that fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.formatters.pii import PIIFormatter
from datatrove.utils.text import split_into_parts, split_into_words

from filters.conformance import words as our_words
from filters.conformance.minhash import MinHashParams, signatures_of
from filters.conformance.pii import Pii
from pipeline.core import rng
from pipeline.core.step import MeasuringStep
from pipeline.core.text import Batch
from pipeline.sources.installed_docs import InstalledDocsParams, InstalledDocsReader
from tests.filters.conformance.theirs import PAIRS, Judged, Pair, compare, judged_by_them, judged_by_us

BATCH = 2000  # documents
CHAIN = (PAIRS[0], PAIRS[1], PAIRS[3], PAIRS[5])  # as in examples/fineweb.py


def sample(num_documents: int, *, packages: tuple[str, ...] = ()) -> list[str]:
    """Return so many documents of the installed packages, or of those named, drawn evenly, in their order."""
    reader = InstalledDocsReader(params=InstalledDocsParams(packages=packages), source="docs", base=Path())
    pieces = [chunk.table.column("text") for piece in reader.slices() for chunk in reader.read(piece)]
    texts = pa.chunked_array([chunk for piece in pieces for chunk in piece.chunks])
    drawn = rng.generator(3, "conformance").choice(len(texts), min(num_documents, len(texts)), replace=False)
    found: list[str] = texts.take(pa.array(np.sort(drawn))).to_pylist()
    return found


@dataclass
class Tally:
    """What one comparison found."""

    our_seconds: float = 0.0
    their_seconds: float = 0.0
    differences: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def line(self, name: str, size_bytes: int) -> str:
        ours, theirs = size_bytes / 1e6 / self.our_seconds, size_bytes / 1e6 / self.their_seconds
        kept = self.reasons.pop("kept", 0)
        return (
            f"{name:32}{len(self.differences):12}{ours:12.1f}{theirs:12.2f}{ours / theirs:10.1f}   "
            f"{kept} kept, {', '.join(f'{count} {reason}' for reason, count in self.reasons.most_common(3))}"
        )


def judge(pair: Pair, step: MeasuringStep, their_filter: Any, texts: list[str], tally: Tally) -> tuple[Judged, Judged]:
    """Let both sides judge; their cache of words is emptied and our words forgotten first."""
    split_into_parts.cache_clear()
    batch = Batch.from_texts(texts)
    start = time.process_time()
    ours = judged_by_us(step, batch)
    middle = time.process_time()
    theirs = judged_by_them(their_filter, texts)
    tally.our_seconds += middle - start
    tally.their_seconds += time.process_time() - middle
    tally.differences += compare(pair.name, texts, ours=ours, theirs=theirs)
    tally.reasons.update(verdict or "kept" for verdict in theirs.verdicts)
    return ours, theirs


def single_filters(texts: list[str]) -> dict[str, Tally]:
    """Compare every preset on every document."""
    tallies = {}
    for pair in PAIRS:
        tally, step, their_filter = tallies.setdefault(pair.key, Tally()), pair.ours(), pair.make()
        for first in range(0, len(texts), BATCH):
            our_words.LATEST.words = None
            judge(pair, step, their_filter, texts[first : first + BATCH], tally)
    return tallies


def pipeline_differences(texts: list[str]) -> list[str]:
    """Run both chains and say where they differ: whom they keep, whom they drop where and why, and the last text."""
    return chain(texts).differences


def chain(texts: list[str]) -> Tally:
    """Run the filters of the chain one after the other on both sides, documents stopping where theirs drops them."""
    tally = Tally()
    steps = [pair.ours() for pair in CHAIN]
    filters = [pair.make() for pair in CHAIN]
    for first in range(0, len(texts), BATCH):
        batch = Batch.from_texts(texts[first : first + BATCH])
        ours, our_texts, our_seconds = _our_chain(steps, batch)
        split_into_parts.cache_clear()
        start = time.process_time()
        theirs, their_texts = _their_chain(filters, texts[first : first + BATCH])
        tally.their_seconds += time.process_time() - start
        tally.our_seconds += our_seconds
        tally.reasons.update(verdict or "kept" for verdict in theirs)
        judged = Judged(ours, our_texts), Judged(theirs, their_texts)
        tally.differences += compare("chain", texts[first : first + BATCH], ours=judged[0], theirs=judged[1])
    return tally


def _our_chain(steps: list[MeasuringStep], batch: Batch) -> tuple[list[str | None], list[str], float]:
    start = time.process_time()
    verdicts: list[str | None] = [None] * len(batch)
    for step in steps:
        judged = judged_by_us(step, batch)
        verdicts = [old or new for old, new in zip(verdicts, judged.verdicts, strict=True)]
        if step.edits:
            batch = Batch(ids=batch.ids, text=pa.array(judged.texts, type=pa.large_string()))
    return verdicts, batch.strings(), time.process_time() - start


def _their_chain(filters: list[Any], texts: list[str]) -> tuple[list[str | None], list[str]]:
    verdicts: list[str | None] = []
    rewritten = []
    for text in texts:
        document = Document(text=text, id="")
        verdict = None
        for their_filter in filters:
            answer = their_filter.filter(document)
            if answer is not True:
                verdict = answer[1]
                break
        verdicts.append(verdict)
        rewritten.append(document.text)
    return verdicts, rewritten


def signatures(texts: list[str]) -> Tally:
    """Compare MinHash signatures, with SHA-1: datatrove's own xxhash call breaks with xxhash 4."""
    import tempfile

    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from datatrove.utils.hashing import HashConfig

    tally, config = Tally(), MinhashConfig(hash_config=HashConfig(hash_fc="sha1"))
    with tempfile.TemporaryDirectory() as folder:
        theirs = MinhashDedupSignature(output_folder=folder, config=config)
        for first in range(0, len(texts), BATCH):
            piece = texts[first : first + BATCH]
            start = time.process_time()
            values, counts = signatures_of(Batch.from_texts(piece), params=MinHashParams(hash="sha1"))
            middle = time.process_time()
            found = [theirs.get_shingles(text) for text in piece]
            bands = [theirs.get_signature(shingles) if shingles.size else None for shingles in found]
            tally.our_seconds += middle - start
            tally.their_seconds += time.process_time() - middle
            for row, band in enumerate(bands):
                same = counts[row] == 0 if band is None else values[row].tolist() == [v for part in band for v in part]
                tally.differences += [] if same else [f"signature of {piece[row][:200]!r}"]
                tally.reasons["kept"] += band is not None
    return tally


def rewriting(texts: list[str]) -> Tally:
    """Compare PII's rewriting, a new formatter for every document."""
    tally, step = Tally(), Pii(params=Pii.Params())
    for first in range(0, len(texts), BATCH):
        piece = texts[first : first + BATCH]
        start = time.process_time()
        ours = judged_by_us(step, Batch.from_texts(piece)).texts
        middle = time.process_time()
        theirs = [PIIFormatter().format(text) for text in piece]
        tally.our_seconds += middle - start
        tally.their_seconds += time.process_time() - middle
        tally.differences += [f"pii: {a[:99]!r} for {b[:99]!r}" for a, b in zip(ours, theirs, strict=True) if a != b]
        tally.reasons["kept"] += len(piece)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000, help="how many, drawn evenly from all")
    texts = sample(parser.parse_args().documents)
    size_bytes = sum(len(text.encode()) for text in texts)
    warm = texts[:3]  # compile and load
    single_filters(warm), chain(warm), signatures(warm), rewriting(warm)
    split_into_words("warm")
    our_words.MEMORY.answers.clear()
    our_words.MEMORY.num_chunks = our_words.MEMORY.num_asked = our_words.MEMORY.num_remembered = 0
    tallies = {"chain of four filters": chain(texts)}
    memory = our_words.MEMORY
    total = memory.num_chunks + memory.num_asked + memory.num_remembered
    settled = [f"{100 * part / total:.3f} %" for part in (memory.num_chunks, memory.num_remembered, memory.num_asked)]
    tallies |= single_filters(texts)
    tallies["minhash signatures (sha1)"] = signatures(texts)
    tallies["pii"] = rewriting(texts)
    sys.stdout.write(f"{len(texts)} documents, {size_bytes / 1e6:.1f} MB\n")
    sys.stdout.write(f"{'':32}{'differences':>12}{'ours MB/s':>12}{'theirs':>12}{'ratio':>10}\n")
    told = [line for tally in tallies.values() for line in tally.differences]
    for name, tally in tallies.items():
        sys.stdout.write(tally.line(name, size_bytes) + "\n")
    sys.stdout.write("words in the chain: kernels {}, memory {}, spaCy {}\n".format(*settled))
    sys.stdout.write("".join(f"{line}\n" for line in told[:20]))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
