"""How common languages are on the web: documents of each in FineWeb-2, after its filters and deduplication.

Where a text says little, the rarer of two languages is the less probable one. Without that, Spanish manual pages
counted as Extremaduran (440 million documents against 3,000), Italian ones as Ligurian. The numbers are those of the
table that FineWeb-2's authors publish with their code (October 2025), to two digits; English, which FineWeb-2 leaves
out, and text without language count as the commonest. Above COMMON documents no language is rarer than another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from filters.language.families import FAMILIES, TOGETHER

COMMON = 100.0  # million documents
WEIGHT = 0.35  # of their logarithm, in nats, where a text's own evidence is weighed by its length
# Millions of documents; members of a family count as it does
DOCUMENTS = {
    "ace": 0.003, "af": 2.0, "am": 0.43, "an": 0.026, "ar": 62, "as": 0.27, "az": 7.3, "ba": 0.18, "bcl": 0.0088,
    "be": 2.1, "bg": 26, "bn": 15, "br": 0.06, "bs": 21, "ca": 17, "crh": 0.034, "cs": 66, "cy": 0.83, "da": 45,
    "de": 500, "dz": 0.019, "el": 47, "en": COMMON, "eo": 0.34, "es": 440, "et": 10, "eu": 1.6, "ext": 0.003, "fa": 59,
    "fi": 37, "fo": 0.29, "fr": 360, "fuv": 0.00097, "fy": 0.35, "ga": 0.65, "gcf": 0.0024, "gcr": 0.0009, "gd": 0.22,
    "gl": 2.5, "gom": 0.0074, "grc": 0.029, "gu": 2.1, "gug": 0.011, "guw": 0.0018, "ha": 0.57, "hbo": 0.04, "he": 14,
    "hi": 22, "hr": 6.2, "ht": 0.22, "hu": 50, "hy": 1.8, "id": 100, "ig": 0.099, "is": 3.0, "it": 240, "ja": 400,
    "jv": 0.18, "ka": 3.7, "kab": 0.012, "kik": 0.0073, "kk": 3.3, "km": 1.6, "kn": 2.4, "ko": 61, "ku": 0.45,
    "ky": 1.1, "la": 1.5, "lb": 0.35, "lg": 0.036, "lij": 0.0055, "ln": 0.021, "lo": 0.36, "lt": 13, "lv": 8.0,
    "mg": 0.27, "mk": 4.2, "ml": 3.3, "mn": 1.6, "mr": 3.9, "ms": 9.4, "mt": 0.49, "my": 1.6, "ne": 4.9, "nl": 150,
    "no": 38, "nso": 0.0064, "oc": 0.069, "om": 0.048, "or": 1.3, "pa": 0.95, "pcm": 0.0012, "pl": 150, "ps": 0.64,
    "pt": 200, "qu": 0.0029, "ro": 58, "ru": 700, "rw": 0.33, "sa": 0.025, "se": 0.066, "si": 1.2, "sk": 30, "sl": 12,
    "sn": 0.084, "so": 1.1, "sq": 8.6, "sr": 4.7, "st": 0.092, "sv": 59, "sw": 1.2, "ta": 5.5, "te": 2.0, "tg": 0.69,
    "th": 36, "tk": 0.24, "tl": 2.3, "tr": 95, "tt": 0.2, "ug": 0.2, "uk": 53, "ur": 4.9, "uz": 2.6, "vec": 0.0058,
    "vi": 61, "vo": 0.0041, "wa": 0.016, "xh": 0.25, "yo": 0.08, "zh": 640, "zu": 0.13, "zxx": COMMON,
}  # fmt: skip


def rarity(codes: Sequence[str]) -> np.ndarray:
    """Return float32[len(codes)]: what each language loses for being rare, in nats, 0 or less."""
    heads = {member: family for family, members in FAMILIES.items() for member in members}
    counts = dict(DOCUMENTS)
    for members in TOGETHER.values():  # who is told apart from the others by name only
        counts.update(dict.fromkeys(members, sum(DOCUMENTS[member] for member in members)))
    millions = np.array([counts[heads.get(code, code)] for code in codes])
    return (WEIGHT * np.log(np.minimum(millions, COMMON) / COMMON)).astype(np.float32)
