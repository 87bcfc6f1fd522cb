"""Documents -> the language each is written in, with a probability, by py3langid's bundled model of 140 languages.

Only the first `max_bytes` are read: a language shows within a few hundred bytes, and more cost time in proportion.
The model's tables are run by a kernel of ours that gives the same labels and probabilities as py3langid (a test
compares them). A document without a single known feature is `und` with score 0, where py3langid gives all languages
the same probability. The rule asks for the probability of all kept languages together.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from pipeline.core.errors import DataError, nearest_names
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text import Batch

# The labels of py3langid 1's model, mostly ISO 639-1, else 639-3; `zxx` is text without language, such as code
CODES = [
    "ace", "af", "am", "an", "ar", "ary", "arz", "as", "az", "ba", "bcl", "be", "bg", "bn", "br", "bs", "ca",
    "crh", "cs", "cy", "da", "de", "dz", "el", "en", "eo", "es", "et", "eu", "ext", "fa", "fi", "fo", "fr",
    "fuv", "fy", "ga", "gcf", "gcr", "gd", "gl", "gom", "grc", "gu", "gug", "guw", "ha", "hbo", "he", "hi",
    "hr", "ht", "hu", "hy", "id", "ig", "is", "it", "ja", "jv", "ka", "kab", "kik", "kk", "km", "kn", "ko",
    "ku", "ky", "la", "lb", "lg", "lij", "ln", "lo", "lt", "ltg", "lv", "mg", "mk", "ml", "mn", "mr", "ms",
    "mt", "my", "ne", "nl", "nn", "no", "nso", "oc", "om", "or", "pa", "pcm", "pl", "ps", "pt", "qu", "ro",
    "ru", "rw", "sa", "sdh", "se", "si", "sk", "sl", "sn", "so", "sq", "sr", "st", "sv", "sw", "ta", "te", "tg",
    "th", "tk", "tl", "tr", "tt", "ug", "uk", "ur", "uz", "uzs", "vec", "vi", "vo", "wa", "wuu", "xh", "yo",
    "yue", "zh", "zu", "zxx",
]  # fmt: skip
UNDETERMINED = "und"
LINE_BYTES = 64  # of a cache line


@dataclass(frozen=True, slots=True)
class Model:
    """py3langid's tables, laid out for the kernel."""

    codes: list[str]  # per column; two languages have two columns each, one per script
    column: np.ndarray  # int64[num_classes]: the first column of the same language
    root: np.uint32  # the first state, packed as in filters.language_kernels
    moves: np.ndarray  # uint32[rows * 256]: next state, packed, by row and byte
    firsts: np.ndarray  # int64[rows]: where the outputs of the states begin that share a row
    outputs: np.ndarray  # int32[states], by row and rank: feature seen on arrival, or -1
    weights: np.ndarray  # int16[features, WIDTH], in WEIGHT_UNIT; 0 past the last class
    priors: np.ndarray  # float32[num_classes]


class Language(MeasuringStep):
    """Keep documents in the languages wanted."""

    name = "language"
    version = 2
    leans_on = ("py3langid",)
    signals = (
        Signal("language", pa.string(), "code", "Most probable language (ISO 639); und where nothing is known of it."),
        Signal("score", pa.float64(), "probability", "Probability of that language."),
        Signal("kept_language_score", pa.float64(), "probability", "Probability of all languages in `keep` together."),
    )

    class Params(BaseParams):
        keep: tuple[str, ...] = Field(
            default=("en",), min_length=1, description="Languages to keep, as the model's codes (en, de, zh, zxx...)."
        )
        max_bytes: int = Field(
            default=4096, ge=16, le=1 << 20, description="Bytes of each document to look at, from its start."
        )
        min_score: float = decides(0.65, ge=0, le=1, description="Least probability of the kept languages. FineWeb.")

        @field_validator("keep")
        @classmethod
        def known(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
            for code in keep:
                if code not in CODES:
                    near = nearest_names(code, CODES)
                    raise ValueError(f"{code!r} is no language of the model; did you mean {near}?")
            return tuple(sorted(set(keep)))

    params: Params
    model: Model | None = None

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Load the model, 0.4 s and 75 MB."""
        self.model = load_model()

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the one rule."""
        return (Rule("not_in_kept_language", "kept_language_score", ">=", self.params.min_score, "min_score"),)

    def measure(self, batch: Batch) -> Measured:
        from filters.language_kernels import score_languages

        model = self.model = self.model or load_model()
        data, starts, ends = _readable(batch.data, batch.offsets, max_bytes=self.params.max_bytes)
        log_counts = np.log1p(np.arange(self.params.max_bytes * 4 + 1, dtype=np.float32))
        tables = (model.root, model.moves, model.firsts, model.outputs, model.weights, model.priors)
        scores, num_features = score_languages(data, starts, ends, tables, log_counts)
        for column in np.flatnonzero(model.column != np.arange(len(model.column))):
            scores[:, model.column[column]] += scores[:, column]
            scores[:, column] = 0
        known = num_features > 0
        scores[~known] = 0
        best = scores.argmax(axis=1)
        codes = np.where(known, np.array(model.codes)[best], UNDETERMINED)
        kept = [column for column, code in enumerate(model.codes) if code in self.params.keep]
        return Measured(
            signals={
                "language": pa.array(codes.tolist(), pa.string()),
                "score": scores.max(axis=1, initial=0).astype(np.float64),
                "kept_language_score": np.minimum(scores[:, kept].astype(np.float64).sum(axis=1), 1.0),
            }
        )


def load_model() -> Model:
    """Read py3langid's bundled model."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    from filters.language_kernels import FEATURE_BIT, RANK_BITS, RANK_MASK

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    codes = list(found.nb_classes)
    moves = np.frombuffer(found.tk_nextmove, np.dtype(found.tk_nextmove.typecode))
    rows = np.asarray(found.tk_row, np.int64)
    order = np.argsort(rows, kind="stable")
    firsts = np.searchsorted(rows[order], np.arange(rows.max() + 1))
    ranks = np.empty_like(rows)
    ranks[order] = np.arange(len(rows)) - firsts[rows[order]]
    assert ranks.max() <= RANK_MASK
    outputs = np.asarray(found.tk_output, np.int32)
    packed = ((outputs >= 0).astype(np.int64) << FEATURE_BIT | rows << RANK_BITS | ranks).astype(np.uint32)
    return Model(
        codes=codes,
        column=np.array([codes.index(code) for code in codes], np.int64),
        root=packed[0],
        moves=packed[moves],
        firsts=firsts,
        outputs=outputs[order],
        weights=_small(found.nb_ptc),
        priors=found.nb_pc.astype(np.float32),
    )


def _small(weights: np.ndarray) -> np.ndarray:
    """Return the weights as int16 multiples of WEIGHT_UNIT, rows on cache lines; DataError if they are none."""
    from filters.language_kernels import WEIGHT_UNIT, WIDTH

    units = weights.astype(np.float64) / WEIGHT_UNIT
    if np.abs(units).max() > np.iinfo(np.int16).max or (units != np.rint(units)).any():
        raise DataError(
            "py3langid's model has other weights than those of py3langid 0.3 and 0.4. Install one of these."
        )
    room = np.zeros(len(weights) * WIDTH + LINE_BYTES, np.int16)
    start = -room.ctypes.data % LINE_BYTES // room.itemsize
    rows = room[start : start + len(weights) * WIDTH].reshape(-1, WIDTH)
    rows[:, : weights.shape[1]] = units.astype(np.int16)
    return rows


def _readable(data: np.ndarray, offsets: np.ndarray, *, max_bytes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (data, starts, ends) of what the model reads: NFC, and lower case where all is capitals."""
    from filters.language_kernels import cut

    starts = offsets[:-1].astype(np.int64)
    ends, unusual = cut(data, offsets, max_bytes)
    extra: list[bytes] = []
    size = len(data)
    for doc in np.flatnonzero(unusual).tolist():
        raw = data[starts[doc] : ends[doc]].tobytes()
        text = raw.decode()
        plain = unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode()
        if plain != raw:
            extra.append(plain)
            starts[doc], ends[doc] = size, size + len(plain)
            size += len(plain)
    if extra:
        data = np.concatenate([data, np.frombuffer(b"".join(extra), np.uint8)])
    return data, starts, ends
