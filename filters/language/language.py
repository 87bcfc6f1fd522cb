"""Documents -> the language each is written in, with a probability, by py3langid's bundled model of 140 languages.

A document is first looked at in four places, 128 bytes together; while no language is more probable than `sure` by
that alone, or a place seems to be in another language than the whole, in four times as many, up to `max_bytes`; and in
so many where it passes for English with letters that English has not. Its probabilities are those of a text of its
length that goes on alike, and calibrated: evidence counts by the cube root of the length, not py3langid's square root,
and what is rare on the web is less probable. Languages of one half each share the score; English stands in texts of
every language, so a place clearly in another takes three quarters from its score, and English places take nothing;
`agreement` says how much of a document is in one language. No score is above 0.999. A kernel of ours runs the model's
tables; a test holds them against py3langid. A text of which no language has a fifth is `und`, with score 0 where it has
no known feature. The rule asks for all kept languages together; `zh` keeps `wuu` and `yue` too, `no` `nn`, `ar` `ary`
and `arz`, `ku` `sdh`, `lv` `ltg`, `uz` `uzs`, and `sh` keeps `bs`, `hr` and `sr`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from filters.language.families import TOGETHER, columns_of, families_of
from filters.language.model import Model, load_model
from filters.language.web import rarity
from pipeline.core.errors import nearest_names
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Scale, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

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
LOOK_BYTES = 128  # of each document to look at first
FOREIGN = 0.003  # share of bytes that begin another letter than English has; 0 in 99 of 100 English manual pages
UNKNOWN = 0.2  # a score below which the language is `und`: of such labels three in ten are right
DOUBTFUL = 2.0  # how far a place may prefer another language before more is looked at, in nats by the root of its bytes


class Language(MeasuringStep):
    """Keep documents in the languages wanted."""

    name = "language"
    version = 5
    leans_on = ("py3langid",)
    signals = (
        Signal("language", pa.string(), "code", "Most probable language (ISO 639); und where nothing is known of it."),
        Signal("score", pa.float64(), "probability", "Probability of that language.", Scale(0, 1)),
        Signal(
            "kept_language_score",
            pa.float64(),
            "probability",
            "Probability of all languages in `keep` together.",
            Scale(0, 1),
        ),
        Signal(
            "agreement",
            pa.float64(),
            "share",
            "Share of four places that are not clearly in another language.",
            Scale(0, 1),
        ),
    )

    class Params(BaseParams):
        keep: tuple[str, ...] = Field(
            default=("en",),
            min_length=1,
            description="Languages to keep, as the model's codes (en, de, zh, zxx...), or sh.",
        )
        max_bytes: int = Field(
            default=4096, ge=16, le=1 << 20, description="Most bytes of each document to look at, in four places of it."
        )
        sure: float = Field(
            default=0.8,
            gt=0,
            le=1,
            description="Probability of a language above which 128 bytes, 512 or 2,048 are enough; 1 reads on always.",
        )
        min_score: float = decides(0.65, ge=0, le=1, description="Least probability of the kept languages. FineWeb.")
        min_agreement: float = decides(
            0,
            ge=0,
            le=1,
            description="Least share of four places in one language; 0.75 drops what is half in another, 0 nothing.",
        )

        @field_validator("keep")
        @classmethod
        def known(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
            for code in keep:
                if code not in CODES and code not in TOGETHER:
                    near = nearest_names(code, [*CODES, *TOGETHER])
                    raise ValueError(f"{code!r} is not a language of the model; did you mean {near}?")
            return tuple(sorted(set(keep)))

    params: Params
    reader: Scorer | None = None

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Load the model, 72 MB."""
        self.reader = Scorer(load_model(), keep=self.params.keep, max_bytes=self.params.max_bytes)

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rule, and a second one if it can drop anything."""
        least = self.params.min_agreement
        rules = [Rule("not_in_kept_language", "kept_language_score", ">=", self.params.min_score, "min_score")]
        if least > 0:
            rules.append(Rule("in_several_languages", "agreement", ">=", least, "min_agreement"))
        return tuple(rules)

    def measure(self, batch: Batch) -> Measured:
        from filters.language.kernels import AGREEMENT, DOUBT, KEPT, SCORE, SCORES, SURE

        if self.reader is None:
            self.prepare({})
        assert self.reader is not None
        best = np.full(len(batch), -1, np.int64)
        scores = np.zeros((len(batch), SCORES), np.float64)
        sizes = np.diff(batch.offsets)
        docs = np.arange(len(batch))
        for limit in self._limits():
            best[docs], scores[docs] = self.reader.look(batch, docs, limit=limit)
            open_still = (scores[docs, SURE] <= self.params.sure) | (scores[docs, DOUBT] > DOUBTFUL)
            docs = docs[(sizes[docs] > limit) & open_still]
        self._look_again(batch, best, scores)
        best[scores[:, SCORE] < UNKNOWN] = -1
        codes = self.reader.codes
        return Measured(
            signals={
                "language": codes.take(pa.array(np.where(best < 0, len(codes) - 1, best))),
                "score": scores[:, SCORE],
                "kept_language_score": np.minimum(scores[:, KEPT], 1.0),
                "agreement": scores[:, AGREEMENT],
            }
        )

    def _look_again(self, batch: Batch, best: np.ndarray, scores: np.ndarray) -> None:
        """Read all that may be read of what passes for English and holds letters that English has not.

        Four short places can all lie in a licence, in the comments of a page's source, or in code.
        """
        from filters.language.pieces import count_foreign

        assert self.reader is not None
        sizes = np.diff(batch.offsets)
        docs = np.flatnonzero((best == self.reader.english) & (sizes > LOOK_BYTES))
        docs = docs[count_foreign(batch.data, batch.offsets, docs) > FOREIGN * sizes[docs]]
        best[docs], scores[docs] = self.reader.look(batch, docs, limit=self.params.max_bytes)

    def _limits(self) -> list[int]:
        """Return how many bytes are looked at first, then of the documents that this leaves open, and so on."""
        limits = [self.params.max_bytes]
        if self.params.sure < 1:
            limits[:0] = [limit for limit in (LOOK_BYTES << 2 * look for look in range(7)) if limit < limits[0]]
        return limits


class Scorer:
    """What the kernels need to score batches, one after another: the model's tables and room to count in."""

    def __init__(self, model: Model, *, keep: tuple[str, ...], max_bytes: int) -> None:
        codes = model.codes
        self.english = codes.index("en")
        self.codes = pa.array([*codes, UNDETERMINED], pa.string())
        self.kept = columns_of(keep, codes)
        self.max_bytes = max_bytes
        self.counts = np.zeros(len(model.weights), np.int32)
        found = families_of(codes, twins=model.twins, width=len(model.priors))
        families = (found.twins, found.members, found.named, found.heads, found.relatives, found.special)
        rare = np.zeros(len(model.priors), np.float32)
        rare[: len(codes)] = rarity(codes)
        weighed = model.weights, (model.priors, rare), families
        self.tables = (model.root, model.moves, model.firsts, model.outputs, *weighed)

    def look(self, batch: Batch, docs: np.ndarray, *, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (best, scores) of some documents, as filters.language.kernels has them, by `limit` bytes of each."""
        from filters.language.pieces import character_kinds, gather

        text, starts, plain = gather(batch.data, batch.offsets, docs, limit, character_kinds())
        sizes = np.diff(batch.offsets)[docs]
        longer = np.where(sizes > limit, np.minimum(sizes, self.max_bytes), 0)
        best, scores = self._score(text, starts, longer)
        changed = _as_read(text, starts, np.flatnonzero(~plain))
        if changed:
            places = np.array(list(changed))
            text = np.frombuffer(b"\0".join([*changed.values(), b""]), np.uint8)
            starts = np.cumsum([0, *(len(raw) + 1 for raw in changed.values())])
            best[places], scores[places] = self._score(text, starts, longer[places])
        return best, scores

    def _score(self, text: np.ndarray, starts: np.ndarray, longer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Score texts for what they are, or for the length that `longer` gives where it is not 0."""
        from filters.language.kernels import score_languages

        read = np.diff(starts) - 1
        sizes = np.where(longer > 0, longer, read)
        log_counts = np.log1p(np.arange(read.max(initial=1) + 1, dtype=np.float32))
        best, scores = score_languages(text, starts, sizes, self.tables, self.kept, self.counts, log_counts)
        return best, scores


def _as_read(text: np.ndarray, starts: np.ndarray, docs: np.ndarray) -> dict[int, bytes]:
    """Return the texts that the model reads differently: in NFC, and in lower case where all is capitals."""
    changed = {}
    for doc in docs.tolist():
        given = text[starts[doc] : starts[doc + 1] - 1].tobytes().decode()
        read = unicodedata.normalize("NFC", given.lower() if given.isupper() else given)
        if read != given:
            changed[doc] = read.encode()
    return changed
