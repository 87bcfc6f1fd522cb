"""A fastText `.bin` file -> its settings, words, labels and matrices: a reader of our own for supervised models.

The layout is that of fastText 0.9 (magic 793712314, version 12; version 11 had no subwords for labels), little endian:
twelve integers and a float of settings, the dictionary, the input matrix, the output matrix. Matrices stay in the file
and are mapped, so that all workers share them: a model of 2 million buckets has 800 MB. Quantised models (`.ftz`) are
refused: there are few, and each stands for a `.bin` that is more exact.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import DataError

MAGIC, VERSIONS = 793712314, (11, 12)
SUPERVISED = 3
HIERARCHICAL, SOFTMAX = 1, 3  # losses; 2 and 4 are a sigmoid for each label
LABEL = 1  # type of a dictionary's entry; words are 0
SETTINGS = (
    "dim", "ws", "epoch", "min_count", "neg", "word_ngrams", "loss", "model", "bucket", "minn", "maxn", "lr_update",
)  # fmt: skip
INT32_PRIME, INT32_BASIS = 16777619, 2166136261  # FNV-1a, 32 bits


@dataclass(frozen=True, slots=True)
class FastTextFile:
    """What a model's file holds; `input` and `output` are mapped float32 matrices."""

    word_ngrams: int
    loss: int
    bucket: int
    minn: int
    maxn: int
    num_words: int
    labels: tuple[str, ...]
    label_counts: tuple[int, ...]
    words: np.ndarray  # uint8: all words, one after the other
    word_offsets: np.ndarray  # int64[num_words + 1]
    slots: np.ndarray  # int32, a power of two of them: the word that a hash leads to, -1 for none
    input: np.ndarray
    output: np.ndarray


def read_fasttext(path: Path) -> FastTextFile:
    """Open a supervised model; DataError if it is none, or is quantised or damaged."""
    try:
        return _Reader(path).read()
    except (OSError, ValueError, struct.error, IndexError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no fastText model can be read ({error}). Get the file anew.") from error


class _Reader:
    """Walks through a file from its beginning."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: Any = np.memmap(path, np.uint8, mode="r")
        self.at = 0

    def read(self) -> FastTextFile:
        magic, version = self._unpack("<ii")
        if magic != MAGIC or version not in VERSIONS:
            raise ValueError("it does not begin as a file of fastText 0.2 to 0.9 does")
        settings = dict(zip(SETTINGS, self._unpack("<12i"), strict=True))
        self._unpack("<d")  # sampling threshold, of training alone
        if settings["model"] != SUPERVISED:
            raise DataError(f"{self.path}: holds word vectors and no classifier. Name a supervised model.")
        maxn = 0 if version == 11 else settings["maxn"]
        _, num_words, num_labels, _, pruned = self._unpack("<iiiqq")
        words, labels, counts = [], [], []
        for number in range(num_words + num_labels):
            name, count, kind = self._entry()
            if kind == LABEL:
                labels.append(name.decode())
                counts.append(count)
            else:
                words.append(name)
            if (kind == LABEL) != (number >= num_words):
                raise ValueError("its words and labels stand in no known order")
        if pruned > 0 or self._unpack("<?")[0]:
            raise DataError(f"{self.path}: is quantised. Name the `.bin` that it was made of.")
        inputs = self._matrix()
        if self._unpack("<?")[0]:
            raise DataError(f"{self.path}: is quantised. Name the `.bin` that it was made of.")
        outputs = self._matrix()
        lengths = np.array([0, *map(len, words)], np.int64)
        return FastTextFile(
            word_ngrams=settings["word_ngrams"], loss=settings["loss"], bucket=settings["bucket"],
            minn=settings["minn"], maxn=maxn, num_words=num_words, labels=tuple(labels), label_counts=tuple(counts),
            words=np.frombuffer(b"".join(words), np.uint8), word_offsets=np.cumsum(lengths),
            slots=_slots(words), input=inputs, output=outputs,
        )  # fmt: skip

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize(layout)
        found = struct.unpack(layout, self.data[self.at : self.at + size].tobytes())
        self.at += size
        return found

    def _entry(self) -> tuple[bytes, int, int]:
        """Return a dictionary's entry: a name that ends with NUL, how often it was met, and what it is."""
        window = 1 << 12
        while True:
            name = self.data[self.at : self.at + window].tobytes()
            end = name.find(b"\0")
            if end >= 0:
                break
            if len(name) < window:
                raise ValueError("it ends inside its dictionary")
            window *= 2
        self.at += end + 1
        count, kind = self._unpack("<qb")
        return name[:end], count, kind

    def _matrix(self) -> np.ndarray:
        rows, columns = self._unpack("<qq")
        size = rows * columns * 4
        if rows < 0 or columns < 1 or self.at + size > len(self.data):
            raise ValueError("it ends inside a matrix")
        found = np.memmap(self.path, np.float32, mode="r", offset=self.at, shape=(rows, columns))
        self.at += size
        return np.asarray(found)


def hash_of(word: bytes) -> int:
    """Return fastText's hash of a word: FNV-1a over signed bytes."""
    value = INT32_BASIS
    for byte in word:
        value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * INT32_PRIME) & 0xFFFFFFFF
    return value


def _slots(words: list[bytes]) -> np.ndarray:
    """Return an open table of the words' numbers, at their hashes or the next free place."""
    size = 1 << max(2 * len(words), 2).bit_length()
    slots = np.full(size, -1, np.int32)
    for number, word in enumerate(words):
        at = hash_of(word) & (size - 1)
        while slots[at] >= 0:
            at = (at + 1) & (size - 1)
        slots[at] = number
    return slots
