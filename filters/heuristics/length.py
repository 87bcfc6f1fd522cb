"""Documents -> how long they are, in characters, bytes, words and lines, with a smallest and a largest length of each.

The lengths are by-products of the pass over words and lines that other rules share, so the step costs what counting
costs. Words are what white space separates, lines what holds one (`pipeline.core.text.segment`); languages written
without spaces need characters or bytes. By default only documents without a word go: limits belong to the text at hand
(FineWeb's 50 words of `gopher_quality` would drop most code documentation).

Every signal in plain Python: `length` in `filters/heuristics/definitions.py`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

UNITS = {
    "chars": ("characters", "Unicode characters; CRLF counts as one."),
    "bytes": ("bytes", "Bytes of UTF-8."),
    "words": ("words", "Runs of characters other than white space."),
    "lines": ("lines", "Lines with at least one word."),
}


class Length(MeasuringStep):
    """Measure lengths and keep documents within limits."""

    name = "length"
    signals = tuple(Signal(f"num_{unit}", pa.int64(), name, meaning) for unit, (name, meaning) in UNITS.items())

    class Params(BaseParams):
        min_chars: int | None = decides(None, ge=0, description="Fewest characters; null: no limit.")
        max_chars: int | None = decides(None, ge=0, description="Most characters; null: no limit.")
        min_bytes: int | None = decides(None, ge=0, description="Fewest bytes; null: no limit.")
        max_bytes: int | None = decides(None, ge=0, description="Most bytes; null: no limit.")
        min_words: int | None = decides(1, ge=0, description="Fewest words; null: no limit.")
        max_words: int | None = decides(None, ge=0, description="Most words; null: no limit.")
        min_lines: int | None = decides(None, ge=0, description="Fewest lines; null: no limit.")
        max_lines: int | None = decides(None, ge=0, description="Most lines; null: no limit.")

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return a rule for each limit that is set."""
        rules = []
        for unit in UNITS:
            least, most = getattr(self.params, f"min_{unit}"), getattr(self.params, f"max_{unit}")
            if least is not None:
                rules.append(Rule(f"too_few_{unit}", f"num_{unit}", ">=", least, f"min_{unit}"))
            if most is not None:
                rules.append(Rule(f"too_many_{unit}", f"num_{unit}", "<=", most, f"max_{unit}"))
        return tuple(rules)

    def measure(self, batch: Batch) -> Measured:
        lines = batch.lines
        spoken = np.concatenate([[0], np.cumsum(np.diff(lines.word_offsets) > 0)])
        return Measured(
            signals={
                "num_chars": batch.segmentation.num_chars,
                "num_bytes": np.diff(batch.offsets),
                "num_words": np.diff(batch.words.doc_offsets),
                "num_lines": np.diff(spoken[lines.doc_offsets]),
            }
        )
