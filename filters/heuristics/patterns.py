r"""`patterns`: how often regular expressions of the user's own match in each document, with limits and replacements.

Expressions are RE2's (package google-re2), which never backtracks: no look-around, no back references, `\b` and `\w`
know ASCII alone, and `.` stops at a line end unless the expression begins with `(?s)`. RE2 takes linear time for one
match and not for all of them: 1 MB of `1,1,1,` against `\d+([\d,]*\.\d+)?` would take 5 minutes. So an expression
sees 4,096 bytes from where its match begins, and 100,000 matches are counted or replaced, no more: 0.7 s. Counted
repeats are written out, and the worst time grows with them: past MAX_SIZE an expression is refused, and once matches
that are too long used up MAX_FAILED_WORK the rest of a document is not searched. What stays slow is yours to avoid:
counted repeats whose copies overlap, 10 s a megabyte for `(?s)a.{900}.{900}.{900}c`, and 20 ms a match for
`(?s)(?:a.{100}.*){5}c|a` on a text of a and b.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import re2
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from filters.heuristics.ratio import ratio
from pipeline.core.step import Measured, MeasuringStep, Operator, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

MAX_MATCH_BYTES = 4096  # what an expression sees from where its match begins
WINDOW_BYTES = MAX_MATCH_BYTES + 1024  # searched at a time to begin with
MAX_MATCHES = 100_000  # of one expression in one document, empty ones and failed ones too
MAX_EXPRESSION = 1000  # characters; one step over the text costs as many in the worst case
MAX_SIZE = 20_000  # compiled instructions; `\p{Lu}{3,20}` has 15,821, `\p{L}+` 1,201, most have 10 to 1,000
MAX_FAILED_WORK = 1_000_000  # instructions times matches that outran MAX_MATCH_BYTES and are none within: 5 s measured
MEMORY_BYTES = 8 << 20  # of one compiled expression with its states
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
SINGLE_BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\C")
UNSUPPORTED = "RE2 has no look-around, no back references and no possessive repeats, and \\z for \\Z"


def compiled(expression: str) -> Any:
    """Compile an expression for UTF-8 bytes; ValueError with RE2's words if it cannot be, or is found everywhere."""
    options = re2.Options()
    options.log_errors = False  # to stderr
    options.never_capture = True
    options.max_mem = MEMORY_BYTES
    if len(expression) > MAX_EXPRESSION:
        raise ValueError(f"it must have {MAX_EXPRESSION:,} characters at most, and it has {len(expression):,}")
    if SINGLE_BYTE.search(expression):
        raise ValueError("`\\C` cuts characters in two; write `.` in its place")
    try:
        found = re2.compile(expression.encode(), options)
    except re2.error as error:
        told = error.args[0].decode("utf-8", "replace")
        raise ValueError(f"it must be a regular expression that RE2 takes ({told}; {UNSUPPORTED})") from error
    if found.programsize > MAX_SIZE:
        raise ValueError(
            f"it must compile to {MAX_SIZE:,} instructions at most, and RE2 makes {found.programsize:,} of it, as it "
            "writes counted repeats out; repeat fewer times, or without an upper end: `{3,}`"
        )
    if found.fullmatch(b"") is not None:
        raise ValueError("it matches nothing at all, so it would be found everywhere; ask for one character at least")
    return found


def _checked(expression: str) -> str:
    compiled(expression)
    return expression


def _named(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("a name must be of 1 to 40 of a-z, 0-9 and _, a letter first")
    return name


def _writable(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL ends a text in half of the tools that read it; write something else")
    return text


Name = Annotated[str, AfterValidator(_named)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0)]


class Patterns(MeasuringStep):
    """Count what regular expressions match, keep documents within limits, and replace what is matched."""

    name = "patterns"
    foreign = True
    leans_on = ("google-re2",)

    class Params(BaseParams):
        patterns: dict[Name, Annotated[str, AfterValidator(_checked)]] = Field(
            min_length=1, description="Regular expression by name; the names are yours and become part of the signals'."
        )
        replace: dict[str, Annotated[str, AfterValidator(_writable)]] = Field(
            default={},
            description="Text by pattern, put in the place of each match as it stands; empty to take matches out.",
        )
        max_matches: dict[str, Count] = decides({}, description="Most matches in a kept document, by pattern.")
        min_matches: dict[str, Count] = decides({}, description="Fewest matches in a kept document, by pattern.")
        max_per_1000_words: dict[str, Rate] = decides(
            {}, description="Most matches for 1,000 words of a kept document, by pattern; without words nothing counts."
        )

        @field_validator("replace", "max_matches", "min_matches", "max_per_1000_words")
        @classmethod
        def _known(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
            known = info.data.get("patterns", given)
            for name in given:
                if name not in known:
                    raise ValueError(f"`{name}` must be one of `patterns`: {', '.join(known)}")
            return given

    params: Params

    def __init__(self, *, params: Params) -> None:
        super().__init__(params=params)
        self.names = sorted(params.patterns)  # the order in which a recipe names them changes nothing
        self.signals = tuple(
            signal
            for name in self.names
            for signal in (
                Signal(f"num_{name}", pa.int64(), "matches", f"Matches of `{name}`, up to {MAX_MATCHES:,}."),
                Signal(f"per_1000_words_{name}", pa.float64(), "matches", "Those for 1,000 words; null without words."),
            )
        )
        self.edits = bool(params.replace)

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return a rule for each limit, those of a pattern together."""
        p = self.params
        limits: tuple[tuple[str, str, Operator, str, Mapping[str, float]], ...] = (
            ("too_few", "num", ">=", "min_matches", p.min_matches),
            ("too_many", "num", "<=", "max_matches", p.max_matches),
            ("too_often", "per_1000_words", "<=", "max_per_1000_words", p.max_per_1000_words),
        )
        return tuple(
            Rule(f"{rule}_{name}", f"{signal}_{name}", op, given[name], f"{key}.{name}")
            for name in self.names
            for rule, signal, op, key, given in limits
            if name in given
        )

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Compile the expressions; what is compiled stays in this process."""
        self._expressions = [compiled(self.params.patterns[name]) for name in self.names]

    def measure(self, batch: Batch) -> Measured:
        counts = np.zeros((len(self.names), len(batch)), np.int64)
        texts: list[bytes | None] = [None] * len(batch)
        replaced = [self.params.replace.get(name) for name in self.names]
        data, offsets = batch.data.data, batch.offsets.tolist()
        for doc in range(len(batch)):
            text = data[offsets[doc] : offsets[doc + 1]]
            edits: list[tuple[int, int, int]] = []
            for place, expression in enumerate(self._expressions):
                if expression.search(text) is None:
                    continue
                spans = list(matches(expression, text))
                counts[place, doc] = len(spans)
                if replaced[place] is not None:
                    edits += [(start, -end, place) for start, end in spans]
            if edits:
                texts[doc] = _rewritten(text, sorted(edits), replaced)
        num_words = np.diff(batch.words.doc_offsets)
        columns = {}
        for place, name in enumerate(self.names):
            columns[f"num_{name}"] = counts[place]
            columns[f"per_1000_words_{name}"] = ratio(1000 * counts[place], num_words)
        return Measured(signals=columns, text=pa.array(texts, pa.large_string()) if self.edits else None)


def matches(expression: Any, text: memoryview) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of matches in order, none empty, each as if only MAX_MATCH_BYTES followed its start.

    A window is searched at a time; it grows while nothing is found, so all windows together are linear in the text.
    """
    at, size, left, patience = 0, WINDOW_BYTES, MAX_MATCHES, MAX_FAILED_WORK
    while left and patience > 0 and at < len(text):
        end = min(at + size, len(text))
        last = end - MAX_MATCH_BYTES if end < len(text) else end  # what begins later is not all in the window
        size *= 2
        cut = False
        for match in expression.finditer(text, at, end):
            start, past = match.span()
            if start > last:
                break
            left, size = left - 1, WINDOW_BYTES
            if cut := past - start > MAX_MATCH_BYTES:
                shorter = expression.match(text, start, start + MAX_MATCH_BYTES)
                past = start if shorter is None else shorter.end()
                patience -= expression.programsize if shorter is None else 0
            if past > start:
                yield start, past
            at = max(past, start + 1)
            if cut or not left:
                break
        at = at if cut else max(at, last)


def _rewritten(text: memoryview, edits: list[tuple[int, int, int]], replaced: list[str | None]) -> bytes:
    """Return the text with matches replaced; of two that overlap the one that begins first, or else is longer."""
    pieces, copied = [], 0
    for start, minus_end, place in edits:
        if start >= copied:
            pieces += [bytes(text[copied:start]), (replaced[place] or "").encode()]
            copied = -minus_end
    return b"".join([*pieces, bytes(text[copied:])])
