"""`perplexity`: documents -> how surprising each is to an n-gram language model of yours, an ARPA file.

What KenLM's `lmplz` writes and CCNet filters by: low for text like the model's own, high for lists and noise, and very
low for boilerplate. The file is read here, without KenLM's package; a `.binary` has to be kept as ARPA. Words are what
white space separates, as they stand, so bring text to the form that the model was made of first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.errors import DataError
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides, input_names
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

SECTION = re.compile(rb"^\\(\d+)-grams:\s*$", re.MULTILINE)
COUNT = re.compile(rb"^ngram\s+(\d+)\s*=\s*(\d+)\s*$", re.MULTILINE)
HEAD_BYTES = 1 << 16
BEGIN, END, UNKNOWN = b"<s>", b"</s>", b"<unk>"


class Perplexity(MeasuringStep):
    """Measure how surprising documents are to a language model, and keep those between two bounds."""

    name = "perplexity"
    version = 1
    signals = (Signal("perplexity", pa.float64(), "words", "10 ** (-log10 of the probability / words and line ends)."),)

    class Params(BaseParams):
        model: str = input_names(description="File of an n-gram model, ARPA text as KenLM's lmplz writes it.")
        min_perplexity: float | None = decides(None, gt=0, description="Least perplexity of a kept document.")
        max_perplexity: float | None = decides(None, gt=0, description="Greatest perplexity of a kept document.")

    params: Params
    model: Table | None = None

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Read the model: 32 to 64 bytes for each n-gram."""
        (path,) = inputs["model"]
        self.model = read_arpa(path)

    def measure(self, batch: Batch) -> Measured:
        from filters.classifier.arpa_kernels import log_probabilities

        model = self.model
        assert model is not None
        logs, counts = log_probabilities(
            batch.data, batch.offsets, model.order, model.keys, model.logs, model.backs, model.begin, model.end,
            model.unknown,
        )  # fmt: skip
        with np.errstate(over="ignore"):
            found = 10.0 ** (-logs / np.maximum(counts, 1))
        return Measured(signals={"perplexity": pa.array(found, pa.float64(), mask=counts == 0)})

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        rules = []
        if self.params.min_perplexity is not None:
            rules.append(Rule("too_plain", "perplexity", ">=", self.params.min_perplexity, "min_perplexity"))
        if self.params.max_perplexity is not None:
            rules.append(Rule("too_surprising", "perplexity", "<=", self.params.max_perplexity, "max_perplexity"))
        return tuple(rules)


@dataclass(frozen=True, slots=True)
class Table:
    """An open table of n-grams by the hash of their words."""

    order: int
    keys: np.ndarray  # uint64, a power of two of them, 0 where free
    logs: np.ndarray  # float32: log10 of the probability of the last word after the others
    backs: np.ndarray  # float32: log10 of the weight with which a longer n-gram that is missing falls back to less
    begin: Any  # hashes of `<s>` and `</s>`
    end: Any
    unknown: float  # log10 of a word that the model does not know


@cache
def read_arpa(path: Path) -> Table:
    """Read a model, once per process; DataError with the place of the first line that is none of an ARPA file's."""
    from filters.classifier.arpa_kernels import MISSING, hash_ngram, hash_word, place_of, read_entries

    try:
        data = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no ARPA file can be read ({error}). Get the file anew.") from error
    counts = {int(order): int(count) for order, count in COUNT.findall(data[:HEAD_BYTES].tobytes())}
    if not counts or sorted(counts) != list(range(1, len(counts) + 1)):
        raise DataError(f"{path}: is no ARPA file: no `ngram 1=...` at its beginning. Name what lmplz wrote.")
    size = 1 << max(2 * sum(counts.values()), 2).bit_length()
    keys, logs, backs = np.zeros(size, np.uint64), np.zeros(size, np.float32), np.zeros(size, np.float32)
    for order, start, stop in _sections(path, data, orders=len(counts)):
        found = read_entries(data, start, stop, order, keys, logs, backs)
        if found < 0:
            line = int(np.count_nonzero(data[: -1 - found] == ord("\n"))) + 1
            raise DataError(f"{path}:{line}: is no line of a section of {order}-grams. Get the file anew.")
        if found != counts[order]:
            raise DataError(f"{path}: holds {found} {order}-grams and announces {counts[order]}. Get the file anew.")

    def hashed(word: bytes) -> Any:
        return hash_word(np.frombuffer(word, np.uint8), 0, len(word))

    place = place_of(hash_ngram(np.array([hashed(UNKNOWN)], np.uint64), 0, 1), keys)
    unknown = float(logs[place]) if keys[place] else float(MISSING)
    return Table(len(counts), keys, logs, backs, hashed(BEGIN), hashed(END), unknown)


def _sections(path: Path, data: Any, *, orders: int) -> list[tuple[int, int, int]]:
    """Return (order, first byte, end) of every section of n-grams."""
    text = memoryview(data)
    marks = [(int(match[1]), match.start(), match.end()) for match in SECTION.finditer(text)]
    if [order for order, _, _ in marks] != list(range(1, orders + 1)):
        raise DataError(f"{path}: its sections of n-grams are not those that it announces. Get the file anew.")
    last = data.tobytes().rfind(b"\\end\\") if len(data) < HEAD_BYTES else _end(data)
    if last < marks[-1][2]:
        raise DataError(f"{path}: ends without `\\end\\`: it was cut off. Get the file anew.")
    ends = [*(start for _, start, _ in marks[1:]), last]
    return [(order, end, stop) for (order, _, end), stop in zip(marks, ends, strict=True)]


def _end(data: Any) -> int:
    found = data[-HEAD_BYTES:].tobytes().rfind(b"\\end\\")
    return -1 if found < 0 else len(data) - HEAD_BYTES + found
