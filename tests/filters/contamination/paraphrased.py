"""How well `paraphrases` finds planted paraphrases, and how often it takes clean text for one.

    python -m tests.filters.contamination.paraphrased            prints the figures of manual pages
    python -m tests.filters.contamination.paraphrased --write    and keeps them in paraphrased.json

Items are passages of 25 to 60 words of manual pages, of which no run of eight words, and at most a quarter of the runs
of three, stands in another document. Each is told otherwise in six ways and set amid a document of another kind.
Clean are manual pages that no item was taken from, and package documentation. One half of items and documents gives
the threshold of the step; the other half is what is told here, though weights and rule were picked with both in view.
"""

from __future__ import annotations

import ast
import gzip
import html
import json
import random
import re
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from filters.contamination.paraphrases import SIMILARITY
from filters.contamination.retold import Background, retold_in, told
from filters.words.shingles import shingle_hashes, words_of
from pipeline.core.intervals import wilson
from pipeline.core.text.batch import Batch
from tests.filters.contamination.retelling import KINDS, Retelling, passages
from tests.filters.language.labelled import number_of, printed

PAGE = Path(__file__).with_name("paraphrased.json")
LEAST_BYTES, MOST_BYTES = 800, 60_000
WHOLE_RUN, SHORT_RUN, MOST_SHORT_RUNS = 8, 3, 0.25


@dataclass(frozen=True, slots=True)
class Trial:
    """Items, each told otherwise in every way, and clean documents of two kinds."""

    items: list[str]
    told: list[list[str]]  # by item, then by KINDS
    same_kind: list[str]
    other_kind: list[str]


def prepare(same: Sequence[str], other: Sequence[str], *, items: int, seed: int) -> Trial:
    """Take items out of the first documents that have a usable passage; those left are clean."""
    every = [*same, *other]
    whole, short = _runs(every, WHOLE_RUN), _runs(every, SHORT_RUN)
    retelling, draw = Retelling(same[-300:], seed=seed), random.Random(seed)
    taken, others, at = list[str](), list[list[str]](), 0
    while len(taken) < items and at < len(same):
        choice = passages(same[at])
        draw.shuffle(choice)
        for passage in choice:
            if _elsewhere(passage, at, whole, WHOLE_RUN) or _elsewhere(passage, at, short, SHORT_RUN) > MOST_SHORT_RUNS:
                continue
            ways = [getattr(retelling, kind)(passage) for kind in KINDS]
            if all(way != passage for way in ways):
                taken.append(passage)
                others.append(ways)
                break
        at += 1
    return Trial(taken, others, list(same[at:]), list(other))


def _runs(texts: list[str], words: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (uint64 hashes of runs, ascending; int64 document of each)."""
    found = words_of(Batch.from_texts(texts))
    hashes, offsets = shingle_hashes(found.hashes, found.offsets, words)
    order = np.argsort(hashes, kind="stable")
    return hashes[order], np.repeat(np.arange(len(texts)), np.diff(offsets))[order]


def _elsewhere(passage: str, own: int, runs: tuple[np.ndarray, np.ndarray], words: int) -> float:
    """Return the largest share of a passage's runs that another document has."""
    found = words_of(Batch.from_texts([passage]))
    wanted = np.unique(shingle_hashes(found.hashes, found.offsets, words)[0])
    counts: dict[int, int] = {}
    for first, past in zip(np.searchsorted(runs[0], wanted), np.searchsorted(runs[0], wanted, "right"), strict=True):
        for doc in set(runs[1][first:past].tolist()) - {own}:
            counts[doc] = counts.get(doc, 0) + 1
    return max(counts.values(), default=0) / len(wanted)


def halves(trial: Trial) -> tuple[Trial, Trial]:
    """Return every second item and document, and the others."""
    even, odd = (
        Trial(trial.items[at::2], trial.told[at::2], trial.same_kind[at::2], trial.other_kind[at::2]) for at in (0, 1)
    )
    return even, odd


@dataclass(frozen=True, slots=True)
class Outcome:
    """Similarities: of clean documents, and of planted ones to their own item."""

    planted: np.ndarray  # float32[num_judged, len(KINDS)]
    same_kind: np.ndarray  # float32[num_docs]
    other_kind: np.ndarray
    num_short: int


def look(trial: Trial) -> Outcome:
    """Look for the items in everything; the clean documents say which words are common."""
    clean, other = Batch.from_texts(trial.same_kind), Batch.from_texts(trial.other_kind)
    known = told(trial.items, background=Background.of(clean) + Background.of(other))
    planted = np.zeros((len(trial.items), len(KINDS)), np.float32)
    for kind in range(len(KINDS)):
        hosts = [
            _planted(trial.other_kind[at % len(trial.other_kind)], ways[kind]) for at, ways in enumerate(trial.told)
        ]
        found = retold_in(Batch.from_texts(hosts), known)
        planted[:, kind] = np.where(found.items == np.arange(len(hosts)), found.similarity, 0)
    judged = np.unique(known.owners)
    same = retold_in(clean, known).similarity
    return Outcome(planted[judged], same, retold_in(other, known).similarity, known.num_short)


def _planted(host: str, text: str) -> str:
    """Return a host's beginning with a text in the middle of it."""
    words = host[:4000].split(" ")
    half = len(words) // 2
    return " ".join([*words[:half], "\n\n" + text + "\n\n", *words[half:]])


def threshold_of(outcome: Outcome, *, found: float = 0.97) -> float:
    """Return the highest threshold, in hundredths, above which this share of the planted still lies."""
    return float(np.floor(100 * np.quantile(outcome.planted, 1 - found)) / 100)


def figures(outcome: Outcome, *, threshold: float) -> dict[str, Any]:
    """Return shares with their 95 % intervals (Wilson)."""
    hit = outcome.planted > threshold

    def share(found: np.ndarray) -> dict[str, Any]:
        low, high = wilson(float(found.mean()), found.size)
        return {"of": int(found.size), "found": int(found.sum()), "share": round(float(found.mean()), 4),
                "low": round(low, 4), "high": round(high, 4)}  # fmt: skip

    return {
        "threshold": threshold,
        "planted": share(hit),
        **{kind: share(hit[:, number]) for number, kind in enumerate(KINDS)},
        "false alarms, same kind": share(outcome.same_kind > threshold),
        "false alarms, other kind": share(outcome.other_kind > threshold),
        "items too short to be judged": outcome.num_short,
    }


def manual_pages() -> list[str]:
    """Return the English manual pages of this machine, in an order by their names, without one huge family."""
    files = [file for file in Path("/usr/share/man").glob("man[1-8]/*.gz") if not file.name.startswith("gcloud")]
    pages = [printed(gzip.decompress(file.read_bytes()).decode(errors="ignore")) for file in sorted(files, key=_number)]
    return [page[:MOST_BYTES] for page in dict.fromkeys(pages) if len(page) >= LEAST_BYTES]


def package_documents() -> list[str]:
    """Return documentation of installed packages: Markdown, reStructuredText, HTML, and the docstrings of modules."""
    site = Path(sysconfig.get_paths()["purelib"])
    shared = Path("/usr/share/doc")
    files = [*(file for end in ("md", "rst", "txt") for file in site.glob(f"**/*.{end}"))]
    files += [file for name in ("*.html", "*.txt", "README*") for file in shared.glob(f"**/{name}")]
    texts = [file.read_text(errors="ignore") for file in files if file.is_file() and file.suffix != ".gz"]
    texts = [html.unescape(re.sub(r"<[^>]+>", " ", text)) for text in texts]
    modules = Path(sysconfig.get_paths()["stdlib"]).glob("**/[a-z]*.py")
    texts += ["\n\n".join(docstrings(file)) for file in modules if not {"test", "site-packages"} & {*file.parts}]
    found = [text[:MOST_BYTES] for text in dict.fromkeys(texts) if len(text) >= LEAST_BYTES]
    return sorted(found, key=number_of)


def docstrings(file: Path) -> list[str]:
    """Return the docstrings of a Python file."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    try:
        nodes = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, kinds)]
    except SyntaxError:  # a fixture of a converter of old programs
        return []
    return [text for node in nodes if (text := ast.get_docstring(node))]


def _number(file: Path) -> int:
    return number_of(file.name)


def main() -> None:
    """Print the figures, and keep them if asked to."""
    chosen, other = halves(prepare(manual_pages(), package_documents(), items=400, seed=14))
    threshold = threshold_of(look(chosen))
    if abs(threshold - SIMILARITY) > 0.001:
        sys.stdout.write(f"one half would choose {threshold:.2f}; the step's default is {SIMILARITY:.2f}\n")
    found = figures(look(other), threshold=SIMILARITY)
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in found.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    sys.stdout.write(text)
    if "--write" in sys.argv:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
