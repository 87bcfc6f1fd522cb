"""How good a MinHash run was, measured in the run itself: planted near-duplicates found, and joined pairs truly alike.

Recall: copies of sampled documents, with words replaced until a chosen Jaccard similarity is left, go through the
same signatures, bands and check as extra rows behind all others; they tie to documents but never tie two documents
together, and nothing of them is written. One is found if it and its original would not both have been kept.
Precision: dropped documents and those kept instead are compared by all their shingles. Every share comes with its
95 % Wilson interval: 200 pairs tell 0.92 from 0.80, not from 0.94.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from filters.dedup.keep import Rows
from filters.dedup.minhash_kernels import HashFamily, jaccard, signatures_of
from filters.words.shingles import shingle_hashes, words_of
from pipeline.core.files.writing.scratch import open_array, save_array, scratch_file
from pipeline.core.intervals import wilson
from pipeline.core.rng import generator
from pipeline.core.sketch import order_of
from pipeline.core.step import Gathering, Part
from pipeline.core.text.batch import Batch

BOUNDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of the similarity bins; the last one holds 1.0 too
LOWEST, HIGHEST = 0.5, 0.95  # similarities planted
LEAST_SHINGLES = 20  # of a document that is copied: one word replaced leaves 15 of 25, Jaccard 0.6
MOST_BYTES = 1 << 16  # of a document that is copied: 200 copies of 1 MB took 20 s, of 10 MB 2 GB of memory


@dataclass(frozen=True, slots=True)
class Planting:
    """The copies to make of one part's documents, as long as `docs`."""

    docs: np.ndarray  # int64, positions in the part; a document may stand several times
    numbers: np.ndarray  # int64, of the copies in the whole run
    targets: np.ndarray  # float64, Jaccard similarities
    num_pairs: int  # copies asked for in the whole run; scratch files carry it, since it may change before a resume
    seed: int

    def of_at_most(self, limit: int, *, num_bytes: np.ndarray) -> Planting:
        """Leave out the documents of more bytes."""
        fits = num_bytes[self.docs] <= limit
        return replace(self, docs=self.docs[fits], numbers=self.numbers[fits], targets=self.targets[fits])


def plantings(work: Gathering, rows: Rows, *, num_pairs: int) -> list[Planting]:
    """Draw the documents to copy, each again only once all were drawn, and spread them over the parts."""
    seed, chosen = work.seed, _first(work, rows, num_pairs)
    targets = LOWEST + (HIGHEST - LOWEST) * (np.arange(num_pairs) + 0.5) / max(num_pairs, 1)
    found = []
    for position in range(len(rows.parts)):
        here = rows.within(position)
        mine = np.flatnonzero((chosen >= here.start) & (chosen < here.stop))
        docs = chosen[mine] - here.start
        found.append(Planting(docs=docs, numbers=mine, targets=targets[mine], num_pairs=num_pairs, seed=seed))
    return found


def _first(work: Gathering, rows: Rows, count: int) -> np.ndarray:
    """Return int64[count]: the global rows that come first in the seeded order, from the start again where it ends."""
    found, places = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    jobs = [(part, count, work.seed) for part in rows.parts if count]
    for start, (first, mine) in zip(rows.starts, work.map(_first_in, jobs, label="documents to copy"), strict=False):
        found.append(first + start)
        places.append(mine)
    order = np.concatenate(found)[np.argsort(np.concatenate(places), kind="stable")[:count]]
    return np.resize(order, count) if len(order) else order


def _first_in(job: tuple[Part, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of a part's documents that come first in the order, and their places in it."""
    part, count, seed = job
    places = order_of(part.load(("id",)).column("id"), seed=seed)
    first = np.argsort(places, kind="stable")[:count]
    return first, places[first]


@dataclass(frozen=True, slots=True)
class Planted:
    """The copies made of one part's documents."""

    docs: np.ndarray  # int64, positions of their originals in the part
    similarities: np.ndarray  # float64, true Jaccard similarities to these
    values: np.ndarray  # uint32[num_copies, num_values], their signatures


def plant(sample: Batch, planting: Planting, *, family: HashFamily, shingle_words: int) -> Planted:
    """Copy and edit documents, and sign the copies.

    Document i of the sample is `planting.docs[i]` of its part. One too short to be edited by degrees gives no copy.
    """
    docs, numbers, targets = planting.docs, planting.numbers, planting.targets
    words = words_of(sample, spans=True)
    texts, kept = [], []
    for copy in range(len(sample)):
        first, end = int(words.offsets[copy]), int(words.offsets[copy + 1])
        if end - first - shingle_words + 1 < LEAST_SHINGLES:
            continue
        draw = generator(planting.seed, "edits", int(numbers[copy]))
        places = edit_places(end - first, target=float(targets[copy]), shingle_words=shingle_words, draw=draw)
        fresh = [f"{word:015x}" for word in draw.integers(1 << 56, 1 << 60, len(places)).tolist()]
        document = sample.data[sample.offsets[copy] : sample.offsets[copy + 1]].tobytes()
        spans = words.spans[first:end][places] - sample.offsets[copy]
        texts.append(edited(document, spans=spans, words=fresh))
        kept.append(copy)
    copies = Batch.from_texts(texts)
    values = signatures_of(copies, family=family, shingle_words=shingle_words).values
    alike = [
        jaccard(one, other)
        for one, other in zip(
            shingle_sets(sample, shingle_words=shingle_words, docs=kept),
            shingle_sets(copies, shingle_words=shingle_words, docs=range(len(texts))),
            strict=True,
        )
    ]
    return Planted(docs[kept], np.array(alike, np.float64), values)


def edit_places(num_words: int, *, target: float, shingle_words: int, draw: np.random.Generator) -> np.ndarray:
    """Return ascending word positions whose replacement leaves a Jaccard similarity of `target` or a little more.

    With d of n shingles replaced the similarity is (n - d) / (n + d), if none of them repeats.
    """
    num_shingles = num_words - shingle_words + 1
    allowed = num_shingles * (1 - target) / (1 + target)
    order = draw.permutation(num_words)
    low, high = 1, num_words  # the first `low` places are taken anyway
    while low < high:
        middle = (low + high + 1) // 2
        touched = np.zeros(num_words + 1, np.int64)
        np.add.at(touched, np.maximum(order[:middle] - shingle_words + 1, 0), 1)
        np.add.at(touched, np.minimum(order[:middle] + 1, num_shingles), -1)
        if (np.cumsum(touched[:num_shingles]) > 0).sum() <= allowed:
            low = middle
        else:
            high = middle - 1
    places: np.ndarray = np.sort(order[:low])
    return places


def edited(document: bytes, *, spans: np.ndarray, words: Sequence[str]) -> str:
    """Return a text with the words at some byte spans, in order, replaced; each new word stands alone."""
    pieces, position = [], 0
    for (start, end), word in zip(spans.tolist(), words, strict=True):
        pieces += [document[position:start], b" ", word.encode(), b" "]
        position = end
    return b"".join([*pieces, document[position:]]).decode()


def shingle_sets(batch: Batch, *, shingle_words: int, docs: Sequence[int]) -> list[np.ndarray]:
    """Return the sorted distinct shingles of some documents of a batch."""
    words = words_of(batch)
    hashes, offsets = shingle_hashes(words.hashes, words.offsets, shingle_words)
    return [np.unique(hashes[offsets[doc] : offsets[doc + 1]]) for doc in docs]


def planted_file(scratch: Path, kind: str, index: int, *, num_pairs: int) -> Path:
    """Return the path of the `keys`, `values` or `facts` of the copies of part `index`."""
    return scratch_file(scratch, f"copies-{num_pairs}-{kind}", index)


def save_planted(scratch: Path, index: int, *, planting: Planting, copies: Planted, keys: np.ndarray) -> None:
    """Keep the copies of part `index` for the bands to tie and for the account at the end."""
    facts = np.stack([copies.docs, copies.similarities])
    for kind, array in (("keys", keys), ("values", copies.values), ("facts", facts)):
        save_array(planted_file(scratch, kind, index, num_pairs=planting.num_pairs), array)


def planted_keys(scratch: Path, indexes: Sequence[int], *, num_pairs: int, band: int) -> np.ndarray:
    """Return uint64[num_copies] of one band, all parts' copies in the order of the parts."""
    files = [planted_file(scratch, "keys", index, num_pairs=num_pairs) for index in indexes]
    return np.concatenate([np.zeros(0, np.uint64), *(np.load(file)[band] for file in files)])


Alike = Callable[[np.ndarray, np.ndarray], np.ndarray]  # signatures, global rows -> which are alike: bool


@dataclass(frozen=True, slots=True)
class Copies:
    """All planted copies: global row of the original, true similarity, and whether one of the two would have gone."""

    originals: np.ndarray  # int64
    similarities: np.ndarray  # float64
    values: np.ndarray  # uint32[num_copies, num_values]
    found: np.ndarray  # bool

    @staticmethod
    def of(scratch: Path, *, rows: Rows, num_pairs: int, num_values: int) -> Copies:
        facts, values = [np.zeros((2, 0))], [np.zeros((0, num_values), np.uint32)]
        for position, part in enumerate(rows.parts):
            docs, alike = np.load(planted_file(scratch, "facts", part.index, num_pairs=num_pairs))
            facts.append(np.stack([docs + rows.starts[position], alike]))
            values.append(np.load(planted_file(scratch, "values", part.index, num_pairs=num_pairs)))
        originals, similarities = np.concatenate(facts, axis=1)
        found = np.zeros(len(originals), np.bool_)
        return Copies(originals.astype(np.int64), similarities, np.concatenate(values), found)

    def meet(self, groups: np.ndarray, *, left: np.ndarray, copies: np.ndarray, alike: Alike) -> None:
        """Mark the copies that an edge which holds ties to a document of their original's group."""
        held = left < len(groups)  # two copies may also meet each other
        left, copies = left[held], copies[held]
        near = (groups[left] == groups[self.originals[copies]]) & ~self.found[copies]
        left, copies = left[near], copies[near]
        self.found[copies[alike(self.values[copies], left)]] = True

    def confirm(self, alike: Alike) -> None:
        """Take back those that are not alike to their original itself."""
        found = np.flatnonzero(self.found)
        self.found[found] = alike(self.values[found], self.originals[found])


def recall_account(copies: Copies, *, num_pairs: int, chance: Callable[[float], float]) -> dict[str, Any]:
    """Return the recall over all planted copies and per bin of true similarity, each beside the theory's."""
    theory = np.array([chance(float(similarity)) for similarity in copies.similarities], np.float64)
    bins = []
    for low, high, mine in _bins(copies.similarities):
        share = share_of(copies.found[mine])
        bins.append({"jaccard": f"{low} to {high}", "recall": share, "theory": _round(theory[mine].mean())})
    return {
        "planted": len(copies.found),
        "unfit_to_plant": num_pairs - len(copies.found),
        "recall": share_of(copies.found),
        "theory": _round(theory.mean()) if len(theory) else None,
        "recall_at_jaccard": {str(entry["jaccard"]): _said(entry) for entry in bins},
        "recall_bins": bins,
    }


def _said(entry: Mapping[str, Any]) -> str:
    share = entry["recall"]
    return (
        f"{share['share']:.2f} ({share['low']:.2f} to {share['high']:.2f}) of {share['pairs']}; "
        f"theory {entry['theory']:.2f}"
    )


def precision_account(similarities: np.ndarray, *, wanted: float) -> dict[str, Any]:
    """Return how many joined pairs are as alike as `wanted`, as each bound, and how many lie between two bounds."""
    spread = {f"{low} to {high}": int(mine.sum()) for low, high, mine in _bins(similarities)}
    reached = {str(bound): share_of(similarities >= bound) for bound in BOUNDS[1:-1]}
    return {
        "wanted_jaccard": _round(wanted), "precision": share_of(similarities >= wanted), "pairs_at_jaccard": spread,
        "precision_at_jaccard": reached,
    }  # fmt: skip


def _bins(similarities: np.ndarray) -> list[tuple[float, float, np.ndarray]]:
    number = np.clip(np.searchsorted(BOUNDS, similarities, side="right"), 1, len(BOUNDS) - 1)
    return [
        (BOUNDS[index - 1], BOUNDS[index], number == index)
        for index in range(1, len(BOUNDS))
        if (number == index).any()
    ]


def share_of(hits: np.ndarray) -> dict[str, float]:
    """Return the share of hits with its 95 % Wilson interval; without pairs, all that is possible."""
    count = len(hits)
    share = float(hits.mean()) if count else 0.0
    low, high = wilson(share, count) if count else (0.0, 1.0)
    return {"share": _round(share), "low": _round(max(low, 0.0)), "high": _round(min(high, 1.0)), "pairs": count}


def _round(value: float) -> float:
    return round(float(value), 4)


@dataclass(frozen=True, slots=True)
class _SetJob:
    part: Part
    scratch: Path
    docs: np.ndarray  # int64, positions in the part
    shingle_words: int


def _save_sets(job: _SetJob) -> list[int]:
    """Save the shingle sets of some documents, one behind the other; return their sizes."""
    table = job.part.load_some(("id", "text"), job.docs)
    sets = shingle_sets(Batch.from_table(table), shingle_words=job.shingle_words, docs=range(len(job.docs)))
    save_array(scratch_file(job.scratch, "audited", job.part.index), np.concatenate(sets))
    return [len(found) for found in sets]


def true_similarities(work: Gathering, *, rows: Rows, pairs: np.ndarray, shingle_words: int) -> np.ndarray:
    """Return float64[num_pairs]: the Jaccard similarity of whole shingle sets; reads only parts that hold a pair.

    The sets are mapped, not held: 200 pairs of documents of 10 MB would have about 5 GB of them.
    """
    wanted = np.unique(pairs)
    jobs = []
    for position, part in enumerate(rows.parts):
        here = rows.within(position)
        docs = wanted[(wanted >= here.start) & (wanted < here.stop)] - here.start
        if len(docs):
            jobs.append(_SetJob(part=part, scratch=work.scratch, docs=docs, shingle_words=shingle_words))
    sets: list[np.ndarray] = []
    for job, sizes in zip(jobs, work.map(_save_sets, jobs, label="pairs to audit"), strict=True):
        hashes = open_array(scratch_file(work.scratch, "audited", job.part.index))
        sets.extend(np.asarray(hashes[first:end]) for first, end in pairwise(np.cumsum([0, *sizes]).tolist()))
    return np.array([jaccard(sets[a], sets[b]) for a, b in np.searchsorted(wanted, pairs)], np.float64)


def joined_pairs(kept: np.ndarray, *, num_pairs: int, seed: int) -> np.ndarray:
    """Draw duplicates; return int64[num, 2]: (duplicate, the kept document that it is a duplicate of)."""
    duplicates = np.flatnonzero(kept != np.arange(len(kept)))
    chosen = generator(seed, "joined").choice(duplicates, min(num_pairs, len(duplicates)), replace=False)
    chosen.sort()
    return np.stack([chosen, kept[chosen]], axis=1)
