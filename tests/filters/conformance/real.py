"""The presets @datatrove-0.10 and datatrove itself on the text of the installed packages: differences and speed.

    python -m tests.filters.conformance.real --documents 20000

Both run as one chain in which each step sees what the one before wrote, then every filter judges every document on
both sides. Differences must be 0. Times are processor seconds of one process, the same documents on both sides, read
into memory before, our kernels compiled and spaCy loaded. Ours measures every rule for every document, where datatrove
stops at the first that fails, and is timed twice: cold, when spaCy's answers on text seen before are all that is
remembered, and warm, when every piece of this text was seen. Theirs is the filters' own `run`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.formatters.pii import PIIFormatter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import split_into_parts

from filters.conformance.minhash import MinHashParams, signatures_of
from filters.conformance.pii import Pii
from filters.conformance.spacy import words as our_words
from pipeline.core import rng
from pipeline.core.step import MeasuringStep
from pipeline.core.text.batch import Batch
from pipeline.sources.installed.installed_docs import InstalledDocsParams, InstalledDocsReader
from tests.filters.conformance.theirs import (
    PAIRS,
    Decided,
    Judged,
    Pair,
    compare,
    decided,
    documents_of,
    judged,
    run_theirs,
)

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
    warm_seconds: float = 0.0
    their_seconds: float = 0.0
    differences: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def ours(self, run: Callable[[], Any]) -> Any:
        """Time our work, on words that nobody found before, twice; return what it found."""
        for _ in range(2):
            our_words.LATEST.words = None
            start = time.process_time()
            found = run()
            self.our_seconds, self.warm_seconds = self.warm_seconds, self.our_seconds
            self.warm_seconds += time.process_time() - start
        return found

    def theirs(self, run: Callable[[], Any]) -> Any:
        """Time their work, their cache of words emptied; return what it found."""
        split_into_parts.cache_clear()
        start = time.process_time()
        found = run()
        self.their_seconds += time.process_time() - start
        return found

    def line(self, name: str, size_bytes: int) -> str:
        seconds = self.our_seconds, self.warm_seconds, self.their_seconds
        rates = "".join(f"{size_bytes / 1e6 / part:12.2f}" for part in seconds)
        ratios = "".join(f"{self.their_seconds / part:9.1f}" for part in seconds[:2])
        told = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common(4))
        return f"{name:26}{len(self.differences):12}{rates}{ratios}   {told}"


def chain(texts: list[str], *, pairs: Sequence[Pair] = CHAIN) -> Tally:
    """Run filters one after the other on both sides, documents stopping where theirs drops them."""
    forget()
    tally, steps, filters = Tally(), [pair.ours() for pair in pairs], [pair.make() for pair in pairs]
    for first in range(0, len(texts), BATCH):
        piece = texts[first : first + BATCH]
        batch, documents = Batch.from_texts(piece), documents_of(piece)
        ours = first_failures(tally.ours(partial(_our_chain, steps, batch)), batch)
        tally.theirs(partial(run_theirs, filters, documents))
        theirs = judged(documents)
        tally.differences += compare(pairs[0].name if len(pairs) == 1 else "chain", piece, ours=ours, theirs=theirs)
        tally.reasons.update(verdict or "kept" for verdict in theirs.verdicts)
    return tally


def _our_chain(steps: list[MeasuringStep], batch: Batch) -> list[tuple[Decided, Batch]]:
    found = []
    for step in steps:
        found.append((decided(step, batch), batch))
        text = found[-1][0].text
        batch = batch if text is None else batch.edited(text)
    return found


def first_failures(found: list[tuple[Decided, Batch]], batch: Batch) -> Judged:
    """Return each document's first reason in the whole chain, and the last texts."""
    verdicts: list[str | None] = [None] * len(batch)
    texts: list[str] = []
    for decision, seen in found:
        judgement = decision.judged(seen)
        verdicts = [old or new for old, new in zip(verdicts, judgement.verdicts, strict=True)]
        texts = judgement.texts
    return Judged(verdicts, texts)


def signatures(texts: list[str]) -> Tally:
    """Compare MinHash signatures, with SHA-1: datatrove's own xxhash call breaks with xxhash 4."""
    forget()
    tally, config = Tally(), MinhashConfig(hash_config=HashConfig(hash_fc="sha1"))
    with tempfile.TemporaryDirectory() as folder:
        stage = MinhashDedupSignature(output_folder=folder, config=config)
        for first in range(0, len(texts), BATCH):
            piece = texts[first : first + BATCH]
            batch = Batch.from_texts(piece)
            values, counts = tally.ours(partial(signatures_of, batch, params=MinHashParams(hash="sha1")))
            bands = tally.theirs(partial(their_signatures, stage, piece))
            for row, band in enumerate(bands):
                same = counts[row] == 0 if band is None else values[row].tolist() == [v for part in band for v in part]
                tally.differences += [] if same else [f"signature of {piece[row][:200]!r}"]
                tally.reasons["signed" if band is not None else "too short"] += 1
    return tally


def their_signatures(stage: MinhashDedupSignature, texts: list[str]) -> list[Any]:
    """Return each text's signature in bands, or None without shingles."""
    found = [stage.get_shingles(text) for text in texts]
    return [stage.get_signature(shingles) if shingles.size else None for shingles in found]


def rewriting(texts: list[str]) -> Tally:
    """Compare PII's rewriting, a new formatter for every document."""
    tally, step = Tally(), Pii(params=Pii.Params())
    for first in range(0, len(texts), BATCH):
        piece = texts[first : first + BATCH]
        batch, formatters = Batch.from_texts(piece), [PIIFormatter() for _ in piece]
        ours = tally.ours(partial(decided, step, batch)).judged(batch).texts
        theirs = tally.theirs(partial(their_rewriting, formatters, piece))
        tally.differences += [f"pii: {a[:99]!r} for {b[:99]!r}" for a, b in zip(ours, theirs, strict=True) if a != b]
        changed = sum(a != b for a, b in zip(theirs, piece, strict=True))
        tally.reasons.update({"left": len(piece) - changed, "rewritten": changed})
    return tally


def their_rewriting(formatters: list[PIIFormatter], texts: list[str]) -> list[str]:
    """Return each text as its formatter writes it."""
    return [formatter.format(text) for formatter, text in zip(formatters, texts, strict=True)]


def forget() -> None:
    """Forget what spaCy answered."""
    our_words.MEMORY.answers.clear()


def comparisons() -> dict[str, Callable[[list[str]], Tally]]:
    """Return the chain, every preset, signatures and rewriting."""
    filters = {pair.key: partial(chain, pairs=[pair]) for pair in PAIRS}
    return {"chain of four filters": chain, **filters, "minhash signatures (sha1)": signatures, "pii": rewriting}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000, help="how many, drawn evenly from all")
    texts = sample(parser.parse_args().documents)
    size_bytes = sum(len(text.encode()) for text in texts)
    for compared in comparisons().values():
        compared(texts[:3])  # compile and load
    memory = our_words.MEMORY
    memory.num_chunks = memory.num_asked = memory.num_remembered = 0
    tallies = {name: compared(texts) for name, compared in comparisons().items()}
    counts = memory.num_chunks, memory.num_remembered, memory.num_asked
    settled = [f"{100 * part / sum(counts):.4f} %" for part in counts]
    sys.stdout.write(f"{len(texts)} documents, {size_bytes / 1e6:.1f} MB\n")
    sys.stdout.write(
        f"{'':26}{'differences':>12}{'cold MB/s':>12}{'warm':>12}{'theirs':>12}{'cold x':>9}{'warm x':>9}\n"
    )
    told = [line for tally in tallies.values() for line in tally.differences]
    for name, tally in tallies.items():
        sys.stdout.write(tally.line(name, size_bytes) + "\n")
    sys.stdout.write("words, all passes together: kernels {}, memory {}, spaCy {}\n".format(*settled))
    sys.stdout.write("".join(f"{line}\n" for line in told[:20]))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
