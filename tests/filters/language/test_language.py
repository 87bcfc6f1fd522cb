from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from filters.language.families import FAMILIES, TOGETHER, columns_of
from filters.language.kernels import MOST, STRENGTH
from filters.language.language import CODES, DOUBTFUL, UNKNOWN, Language
from filters.language.model import load_model
from filters.language.web import rarity
from tests.filters.conftest import Case, measured_rows, read_cases, verdict_of

TEXTS = {
    "en": "The quick brown fox jumps over the lazy dog and runs away from the farm.",
    "de": "Der schnelle braune Fuchs springt \u00fcber den faulen Hund und l\u00e4uft davon.",
    "fr": "Le renard brun saute par-dessus le chien paresseux et s'enfuit de la ferme.",
    "ru": (
        "\u0411\u044b\u0441\u0442\u0440\u0430\u044f \u043b\u0438\u0441\u0430 \u043f\u0440\u044b\u0433"
        "\u0430\u0435\u0442 \u0447\u0435\u0440\u0435\u0437 \u043b\u0435\u043d\u0438\u0432\u0443\u044e"
        " \u0441\u043e\u0431\u0430\u043a\u0443 \u0438 \u0443\u0431\u0435\u0433\u0430\u0435\u0442"
        "."
    ),
    "zh": (
        "\u654f\u6377\u7684\u68d5\u8272\u72d0\u72f8\u8df3\u8fc7\u4e86\u61d2\u72d7\uff0c\u7136\u540e\u8dd1"
        "\u5f00\u4e86\u3002"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def step() -> Language:
    return Language(params=Language.Params())


@pytest.mark.parametrize("code", TEXTS)
def test_plain_sentences_are_recognised(step: Language, code: str) -> None:
    (row,) = measured_rows(step, [TEXTS[code]])

    assert row["language"] == code
    assert verdict_of(step, TEXTS[code]) == ("keep" if code == "en" else "drop: not_in_kept_language")


@pytest.fixture(scope="module")
def theirs() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def test_labels_and_probabilities_are_those_of_py3langid(theirs: Any, docstrings: list[str]) -> None:
    """Of a text in one language read to its end, but for families (see below) and the highest score."""
    whole = Language(params=Language.Params(max_bytes=1 << 20, sure=1.0))
    odd = ["CAPITALS ONLY ARE READ IN LOWER CASE", "DER \u00c4RGER", "cafe\u0301 au lait", "12 34", "\u0130", "A"]
    texts = [*docstrings[:2500], *TEXTS.values(), *odd, "\u00e9" * 5000]
    compared = 0

    for text, row in zip(texts, measured_rows(whole, texts), strict=True):
        read = theirs._encode(text)
        code, score = weighed(theirs, theirs._raw_score(read), len(read), len(read))
        if row["language"] == "und":
            assert score < UNKNOWN + 0.01
        elif not IN_FAMILIES & {code, row["language"]} and row["agreement"] == 1:
            assert row["score"] == pytest.approx(score * MOST, abs=1e-4)
            assert row["language"] == code
            compared += 1
    assert compared > 0.97 * len(texts)


def weighed(theirs: Any, logs: Any, num_bytes: int, size: int) -> tuple[str, float]:
    """Return the most probable language of a text of this size and its probability, by py3langid's logarithms."""
    logs = logs * STRENGTH * size ** (1 / 3) / num_bytes + rarity(theirs.nb_classes)
    shares: dict[str, float] = {}
    for code, share in zip(theirs.nb_classes, np.exp(logs - logs.max()), strict=True):  # two have a column per script
        shares[code] = shares.get(code, 0) + float(share)
    best = max(shares, key=lambda code: shares[code])
    return best, shares[best] / sum(shares.values())


IN_FAMILIES = {"und", *FAMILIES, *(code for inner in FAMILIES.values() for code in inner)}


def test_a_long_text_is_read_in_four_places_until_they_suffice(
    step: Language, theirs: Any, docstrings: list[str]
) -> None:
    """The same by py3langid and plain Python: pieces, their probabilities, and those of a text that goes on alike."""
    mixed = [TEXTS["en"] * 9 + TEXTS["ru"] * 40, TEXTS["de"] * 30 + TEXTS["ru"] * 2]
    texts = [*docstrings[:600], "".join(TEXTS.values()) * 3, TEXTS["ru"] * 40, *mixed]

    for text, row in zip(texts, measured_rows(step, texts), strict=True):
        raw = text.encode()
        for limit in (128, 512, 2048, 4096):
            read = pieces_of(raw, limit=limit)
            code, score = theirs.classify(read)
            doubt = doubt_of(theirs, theirs._encode(read)) if len(raw) > 128 else 0
            if (score > 0.8 and doubt <= DOUBTFUL) or len(raw) <= limit:
                break
        code, score = weighed(theirs, theirs._raw_score(theirs._encode(read)), len(read), min(len(raw), 4096))
        if not IN_FAMILIES & {code, row["language"]} and (code != "en" or row["agreement"] == 1):
            assert (row["language"], row["score"]) == (code, pytest.approx(score * MOST, abs=2e-4))


def doubt_of(theirs: Any, read: bytes) -> float:
    """Return how far a quarter of what is read prefers another language, in nats by the root of its bytes."""
    from py3langid.langid import visit_counts

    classes = theirs.nb_classes
    best = int(theirs._raw_score(read).argmax())
    own = [at for at, code in enumerate(classes) if family_of(code) & family_of(classes[best])]
    ends = [len(read) * quarter // 4 for quarter in range(5)]
    tables = theirs.tk_nextmove, theirs._rowbase, theirs.tk_output
    visits = [visit_counts(*tables, read[:end]) or {} for end in ends]
    doubts = [0.0]
    for before, after in pairwise(visits):
        here = [feature for feature, count in after.items() if count > before.get(feature, 0)]
        if here:
            logs = theirs.nb_ptc[here].astype(np.float32).sum(axis=0) * np.log(2) / (len(read) / 4) ** 0.5
            if classes[logs.argmax()] != "zxx":
                doubts.append(logs.max() - logs[own].max())
    return max(doubts)


def family_of(code: str) -> set[str]:
    return {code} | {name for name, inner in {**FAMILIES, **TOGETHER}.items() if code in (name, *inner)}


def pieces_of(raw: bytes, *, limit: int) -> bytes:
    """Return what the step reads of a text when it looks at `limit` bytes."""

    def boundary(at: int) -> int:
        return at if at >= len(raw) or raw[at] & 0xC0 != 0x80 else boundary(at - 1)

    if len(raw) <= limit:
        return raw
    starts = [(len(raw) - limit // 4) * (2 * piece + 1) // 8 for piece in range(4)]
    pieces = [raw[boundary(start) : boundary(start + limit // 4)] for start in starts]
    return b"\0".join(pieces)


@pytest.mark.parametrize("case", read_cases("kept_languages"), ids=lambda case: case.name)
def test_language_cases(case: Case) -> None:
    step = Language(params=Language.Params(keep=tuple(case.name.split()[-1].split("+"))))

    assert verdict_of(step, case.text) == case.verdict


def test_chinese_in_any_script_is_chinese_unless_it_is_spoken_cantonese(step: Language) -> None:
    texts = {name: read_case(name) for name in ("traditional, zh", "simplified, zh", "cantonese, zh")}

    rows = measured_rows(Language(params=Language.Params(keep=("zh",))), list(texts.values()))

    assert [row["language"] for row in rows] == ["zh", "zh", "yue"]
    assert min(row["kept_language_score"] for row in rows) > 0.99


def test_a_page_between_english_notices_is_no_english(step: Language) -> None:
    """English stands in texts of every language, at their ends above all; it must not speak for the whole."""
    (row,) = measured_rows(step, [read_case("french page between english notices, fr")])

    assert row["language"] == "fr"
    assert row["kept_language_score"] < 0.01
    assert row["agreement"] == 0.75


def test_a_document_half_in_another_language_is_seen(step: Language) -> None:
    half = read_case("half english, fr")
    strict = Language(params=Language.Params(keep=("en", "fr"), min_agreement=0.75))

    (row,) = measured_rows(step, [half])

    assert row["agreement"] == 0.5
    assert verdict_of(strict, half) == "drop: in_several_languages"
    assert verdict_of(strict, TEXTS["fr"] * 9) == "keep"


def test_no_score_is_higher_than_the_model_deserves(step: Language, docstrings: list[str]) -> None:
    scores = [row["score"] for row in measured_rows(step, docstrings[:300])]

    assert 0.998 < max(scores) <= 0.999


def read_case(name: str) -> str:
    return next(case.text for case in read_cases("kept_languages") if case.name == name)


def test_a_family_holds_its_members_once() -> None:
    codes = load_model().codes

    def names(*keep: str) -> list[str]:
        return [codes[column] for column in columns_of(keep, codes)]

    assert names("zh", "yue") == names("zh") == ["zh"]
    assert names("yue") == ["yue"]
    assert names("sh") == ["bs", "hr", "sr"]
    assert names("id", "ms") == ["id", "ms"]


def test_the_codes_are_those_of_the_model() -> None:
    assert sorted(set(load_model().codes)) == CODES


def test_nothing_to_read_is_undetermined_and_not_kept(step: Language) -> None:
    assert measured_rows(step, ["", "\n"])[0] == {
        "language": "und",
        "score": 0.0,
        "kept_language_score": 0.0,
        "agreement": 0.0,
    }
    assert verdict_of(step, "") == "drop: not_in_kept_language"


def test_kept_languages_add_up() -> None:
    both = Language(params=Language.Params(keep=("de", "en")))

    for text in (TEXTS["en"], TEXTS["de"]):
        assert verdict_of(both, text) == "keep"


def test_an_unknown_code_names_its_neighbours() -> None:
    with pytest.raises(ValidationError, match=r"'eng' is not a language of the model; did you mean en"):
        Language.Params(keep=("eng",))


def test_a_heading_in_english_does_not_decide(step: Language) -> None:
    (row,) = measured_rows(step, [TEXTS["en"] * 60 + TEXTS["de"] * 600])

    assert (row["language"], row["kept_language_score"]) == ("de", pytest.approx(0, abs=0.01))


def test_who_is_never_sure_reads_as_much_as_allowed(step: Language) -> None:
    text = TEXTS["en"] * 20

    for max_bytes in (64, 2048):
        never = Language(params=Language.Params(max_bytes=max_bytes, sure=1.0))
        (row,) = measured_rows(never, [text])
        assert row["language"] == "en"
        assert row != measured_rows(step, [text])[0]


@pytest.mark.parametrize("max_bytes", [16, 17, 130])
def test_no_length_reads_past_a_text_or_splits_a_character(max_bytes: int) -> None:
    few = Language(params=Language.Params(max_bytes=max_bytes))
    texts = [("a\u00e9\u4e2d\U0001f600" * 30)[:size] for size in range(90)]

    assert len(measured_rows(few, texts)) == 90


def test_a_document_measures_the_same_in_any_batch(step: Language, docstrings: list[str]) -> None:
    texts = [
        *docstrings[:40],
        TEXTS["ru"] * 200,
        TEXTS["en"] * 300,
        "CAPITALS " * 999,
        TEXTS["de"].replace("\u00fc", "u\u0308"),
        *TEXTS.values(),
    ]

    assert measured_rows(step, texts) == [measured_rows(step, [text])[0] for text in texts]


def test_what_passes_for_english_with_other_letters_is_read_on(step: Language) -> None:
    """All four places of the first look stand in the notice; the page after it is Danish."""
    notice = "Permission is granted to make copies of this manual provided this notice is kept on every one. "
    page = (
        "Kommandoen l\u00e6ser sine indstillinger fra en fil i brugerens hjemmemappe og v\u00e6lger den f\u00f8rste. "
    )

    (row,) = measured_rows(step, [notice * 14 + page * 5])

    assert row["kept_language_score"] < 0.65


def test_halves_share_the_score_and_the_rarer_language_is_less_probable(step: Language) -> None:
    (half,) = measured_rows(step, [TEXTS["ru"] * 6 + TEXTS["de"] * 11])
    (tiny,) = measured_rows(step, ["x"])

    assert half["score"] == pytest.approx(0.5, abs=0.05)
    assert (tiny["language"], tiny["score"] < UNKNOWN) == ("und", True)
    assert rarity(["es", "ext", "zxx"]).tolist() == pytest.approx([0, -3.645, 0], abs=0.01)
