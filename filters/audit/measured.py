"""Texts -> the columns that an audit keeps of each document, 300 bytes instead of the text: everything is counted once.

What depends on other documents, such as whether a text stands twice, is kept as a hash and decided for any set of
documents later, since a floor asks it of forty sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
import xxhash

from filters.audit.shapes import scripts_of, skeletons_of
from filters.audit.terms import TermCounts, count_terms, load_terms
from filters.dedup.minhash_kernels import band_keys, hash_family, signatures_of
from filters.language.language import Language
from filters.privacy.pii import KINDS
from filters.privacy.pii_kernels import count_kinds, find_spans
from filters.words.shingles import words_of
from pipeline.core.text.batch import Batch

BANDS, ROWS, SHINGLE_WORDS = 14, 8, 5  # FineWeb's MinHash, as `minhash_dedup` has it by default
MOST_LINES = 200  # of a document, from its start
LEAST_WORDS = 3  # of a line that counts


@dataclass(frozen=True, slots=True)
class Measured:
    """Columns of many documents, in their order."""

    num_bytes: np.ndarray  # int64[num_docs]
    num_words: np.ndarray  # int64[num_docs]
    texts: np.ndarray  # uint64[num_docs], of the bytes
    bands: np.ndarray  # uint64[num_docs, BANDS]
    lines: np.ndarray  # uint64[num_lines], each once in a document
    num_lines: np.ndarray  # int64[num_docs]
    skeletons: np.ndarray  # uint64[num_docs]
    scripts: np.ndarray  # int8[num_docs]
    languages: np.ndarray  # str[num_docs]
    pii: np.ndarray  # int64[num_docs, kinds]
    toxic: np.ndarray  # int64[num_docs]
    markers: np.ndarray  # int64[num_docs]
    windows: np.ndarray  # int32[num_docs, num_groups]
    ill: np.ndarray  # int32[num_docs, num_groups]

    def __len__(self) -> int:
        return len(self.num_bytes)

    @staticmethod
    def joined(pieces: Sequence[Measured]) -> Measured:
        """Return the columns of all pieces, one after the other."""
        return Measured(
            *(np.concatenate([getattr(piece, field.name) for piece in pieces]) for field in fields(Measured))
        )


def measure(batch: Batch, *, language: Language, languages: np.ndarray | None = None) -> Measured:
    """Measure a batch; `languages` where they are known already."""
    words = words_of(batch)
    terms: TermCounts = count_terms(words.hashes, words.offsets, terms=load_terms())
    spans, doc_spans = find_spans(batch.data, batch.offsets, (1 << len(KINDS)) - 1)
    lines, num_lines = _lines(batch)
    places = batch.lines
    if languages is None:
        column = language.measure(batch).signals["language"]
        languages = np.array(column.to_pylist(), dtype="U8")
    return Measured(
        num_bytes=np.diff(batch.offsets),
        num_words=np.diff(words.offsets),
        texts=_text_hashes(batch),
        bands=_bands(batch),
        lines=lines,
        num_lines=num_lines,
        skeletons=skeletons_of(batch.data, batch.offsets, places.doc_offsets, places.ends, places.word_offsets),
        scripts=scripts_of(batch.data, batch.offsets),
        languages=languages.astype("U8"),
        pii=count_kinds(spans, doc_spans).T.copy(),
        toxic=terms.toxic,
        markers=terms.markers,
        windows=terms.windows,
        ill=terms.ill,
    )


def _text_hashes(batch: Batch) -> np.ndarray:
    data, bounds = memoryview(batch.data.tobytes()), batch.offsets.tolist()
    hashes = [xxhash.xxh3_64_intdigest(data[start:end]) for start, end in pairwise(bounds)]
    return np.array(hashes, np.uint64)


def _bands(batch: Batch) -> np.ndarray:
    """Return the band keys of every document; those of one without words say nothing."""
    family = hash_family(0, num_values=BANDS * ROWS)
    signatures = signatures_of(batch, family=family, shingle_words=SHINGLE_WORDS)
    return band_keys(signatures.values, BANDS, ROWS).T.copy()


def _lines(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return (hashes, how many of each document): its first lines of several words, each once."""
    lines = batch.lines
    docs = np.repeat(np.arange(len(batch)), np.diff(lines.doc_offsets))
    place = np.arange(len(docs)) - lines.doc_offsets[docs]
    counted = (np.diff(lines.word_offsets) >= LEAST_WORDS) & (place < MOST_LINES)
    docs, hashes = docs[counted], lines.hashes[counted]
    order = np.lexsort((hashes, docs))
    docs, hashes = docs[order], hashes[order]
    new = np.ones(len(docs), np.bool_)
    new[1:] = (docs[1:] != docs[:-1]) | (hashes[1:] != hashes[:-1])
    return hashes[new], np.bincount(docs[new], minlength=len(batch))
