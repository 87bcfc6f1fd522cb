"""Text bytes -> the mean vector of a document's words, subwords and word n-grams, as fastText's classifier takes it.

Tokens are what white space and NUL separate; a line end is white space here, where fastText's own command reads a line
at a time, and the end-of-sentence token stands once, at the end. Hashes, their signs and the order of sums are
fastText's (dictionary.cc, model.cc of 0.9.2).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit

BASIS, PRIME = np.uint32(2166136261), np.uint32(16777619)
NGRAM_PRIME = np.uint64(116049371)
BEGIN, END = np.uint8(ord("<")), np.uint8(ord(">"))
EOS = np.frombuffer(b"</s>", np.uint8)
LABEL_PREFIX = np.frombuffer(b"__label__", np.uint8)


@njit(cache=True, nogil=True)
def _step(value: Any, byte: Any) -> Any:
    """Return FNV-1a's next value; bytes are signed in fastText."""
    wide = np.uint32(byte) | np.uint32(0xFFFFFF00) if byte >= 128 else np.uint32(byte)
    return np.uint32((value ^ wide) * PRIME)


@njit(cache=True, nogil=True)
def _number(data: Any, start: Any, end: Any, value: Any, words: Any, word_offsets: Any, slots: Any) -> Any:
    """Return the number of the word data[start:end] with this hash, -1 if it is in no dictionary."""
    mask = len(slots) - 1
    at = np.int64(value) & mask
    while slots[at] >= 0:
        number = slots[at]
        first = word_offsets[number]
        if word_offsets[number + 1] - first == end - start:
            same = True
            for place in range(end - start):
                if words[first + place] != data[start + place]:
                    same = False
                    break
            if same:
                return number
        at = (at + 1) & mask
    return -1


@njit(cache=True, nogil=True)
def _add(row: Any, total: Any) -> None:
    for dim in range(len(total)):
        total[dim] += row[dim]


@njit(cache=True, nogil=True)
def _add_subwords(
    data: Any, start: Any, end: Any, minn: Any, maxn: Any, bucket: Any, num_words: Any, matrix: Any, total: Any
) -> Any:
    """Add the vectors of the character n-grams of `<word>`; return how many."""
    size = end - start + 2
    added = 0
    for first in range(size):
        byte = BEGIN if first == 0 else END if first == size - 1 else data[start + first - 1]
        if byte & 0xC0 == 0x80:
            continue
        value, at, length = BASIS, first, 1
        while at < size and length <= maxn:
            value = _step(value, BEGIN if at == 0 else END if at == size - 1 else data[start + at - 1])
            at += 1
            while at < size - 1 and data[start + at - 1] & 0xC0 == 0x80:
                value = _step(value, data[start + at - 1])
                at += 1
            if length >= minn and not (length == 1 and (first == 0 or at == size)):
                _add(matrix[num_words + np.int64(value) % bucket], total)
                added += 1
            length += 1
    return added


@njit(cache=True, nogil=True)
def _starts_with(data: Any, start: Any, end: Any, prefix: Any) -> Any:
    if end - start < len(prefix):
        return False
    same = True
    for place in range(len(prefix)):
        same = same and data[start + place] == prefix[place]
    return same


@njit(cache=True, nogil=True)
def _is_space(byte: Any) -> Any:
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@njit(cache=True, nogil=True)
def _add_words(
    data: Any, at: Any, end: Any, words: Any, word_offsets: Any, slots: Any, matrix: Any, num_words: Any, minn: Any,
    maxn: Any, bucket: Any, hashes: Any, total: Any,
) -> Any:  # fmt: skip
    """Add the vectors of the words and subwords of data[at:end], which the end of a sentence ends.

    Return how many vectors, and how many words: the hashes of these are written into `hashes`.
    """
    added, found = 0, 0
    while at < end:
        start, value = at, BASIS
        while at < end and not _is_space(data[at]):
            value = _step(value, data[at])
            at += 1
        if at > start and not _starts_with(data, start, at, LABEL_PREFIX):
            is_eos = at - start == 4 and _starts_with(data, start, at, EOS)
            number = _number(data, start, at, value, words, word_offsets, slots)
            if number >= 0:
                _add(matrix[number], total)
                added += 1
            if maxn > 0 and not is_eos:
                added += _add_subwords(data, start, at, minn, maxn, bucket, num_words, matrix, total)
            hashes[found] = np.int32(value)
            found += 1
            if is_eos:
                return added, found
        at += 1
    value = BASIS
    for byte in EOS:
        value = _step(value, byte)
    number = _number(EOS, 0, 4, value, words, word_offsets, slots)
    if number >= 0:
        _add(matrix[number], total)
        added += 1
    hashes[found] = np.int32(value)
    return added, found + 1


@njit(cache=True, nogil=True)
def _add_ngrams(hashes: Any, found: Any, ngrams: Any, bucket: Any, num_words: Any, matrix: Any, total: Any) -> Any:
    """Add the vectors of the word n-grams of a document's `found` hashes; return how many."""
    added = 0
    for first in range(found):
        mixed = np.uint64(np.int64(hashes[first]))
        for place in range(first + 1, min(first + ngrams, found)):
            mixed = mixed * NGRAM_PRIME + np.uint64(np.int64(hashes[place]))
            _add(matrix[num_words + np.int64(mixed % np.uint64(bucket))], total)
            added += 1
    return added


@njit(cache=True, nogil=True)
def document_vectors(
    data: Any, offsets: Any, words: Any, word_offsets: Any, slots: Any, matrix: Any, num_words: Any, minn: Any,
    maxn: Any, ngrams: Any, bucket: Any,
) -> Any:  # fmt: skip
    """Return float32[num_docs, dim], zero where fastText would see nothing, and int64[num_docs]: the vectors added."""
    num_docs, dim = len(offsets) - 1, matrix.shape[1]
    vectors = np.zeros((num_docs, dim), np.float32)
    counts = np.zeros(num_docs, np.int64)
    longest = 0
    for doc in range(num_docs):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    hashes = np.empty(longest // 2 + 2, np.int32)
    for doc in range(num_docs):
        total = vectors[doc]
        added, found = _add_words(
            data, offsets[doc], offsets[doc + 1], words, word_offsets, slots, matrix, num_words, minn, maxn, bucket,
            hashes, total,
        )  # fmt: skip
        if bucket > 0:
            added += _add_ngrams(hashes, found, ngrams, bucket, num_words, matrix, total)
        counts[doc] = added
        if added:
            scale = np.float32(1.0 / added)
            for place in range(dim):
                total[place] *= scale
    return vectors, counts


@njit(cache=True, nogil=True)
def softmax_share(vectors: Any, output: Any, label: Any) -> Any:
    """Return float32[num_docs]: the probability of a label among all."""
    found = np.empty(len(vectors), np.float32)
    logits = np.empty(len(output), np.float32)
    for doc in range(len(vectors)):
        for row in range(len(output)):
            logits[row] = _dot(output[row], vectors[doc])
        top, total = logits.max(), 0.0
        for row in range(len(output)):
            total += np.exp(logits[row] - top)
        found[doc] = np.exp(logits[label] - top) / total
    return found


@njit(cache=True, nogil=True)
def sigmoid_product(vectors: Any, output: Any, rows: Any, signs: Any) -> Any:
    """Return float32[num_docs]: the product over `rows` of the sigmoid of the row's product, turned by its sign."""
    found = np.empty(len(vectors), np.float32)
    for doc in range(len(vectors)):
        share = 1.0
        for at in range(len(rows)):
            share /= 1.0 + np.exp(-signs[at] * _dot(output[rows[at]], vectors[doc]))
        found[doc] = share
    return found


@njit(cache=True, nogil=True)
def sigmoid_steps(vectors: Any, output: Any, label: Any) -> Any:
    """Return float32[num_docs]: the sigmoid of a label's product, in fastText's 512 steps from -8 to 8 (loss.cc)."""
    found = np.empty(len(vectors), np.float32)
    for doc in range(len(vectors)):
        value = _dot(output[label], vectors[doc])
        step = np.floor((value + 8) * 32) / 32 - 8
        found[doc] = 0.0 if value < -8 else 1.0 if value > 8 else 1 / (1 + np.exp(-step))
    return found


@njit(cache=True, nogil=True)
def _dot(row: Any, vector: Any) -> Any:
    total = np.float32(0)
    for dim in range(len(vector)):
        total += row[dim] * vector[dim]
    return total
