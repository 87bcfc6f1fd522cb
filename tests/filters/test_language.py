from __future__ import annotations

import pytest
from pydantic import ValidationError

from filters.language import CODES, Language, load_model
from tests.filters.conftest import measured_rows, verdict_of

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


def test_labels_and_probabilities_are_those_of_py3langid(step: Language, docstrings: list[str]) -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    theirs = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    odd = ["CAPITALS ONLY ARE READ IN LOWER CASE", "DER \u00c4RGER", "cafe\u0301 au lait", "12 34", "\u0130", "A"]
    texts = [*docstrings[:2500], *TEXTS.values(), *odd, "\u00e9" * 5000]

    for text, row in zip(texts, measured_rows(step, texts), strict=True):
        code, score = theirs.classify(text.encode()[:4096])
        if row["language"] == "und":
            assert score < 0.02  # no feature found: one part in 142 for each, two for those with two scripts
            continue
        assert row["score"] == pytest.approx(score, abs=1e-4)
        assert row["language"] == code


def test_the_codes_are_those_of_the_model() -> None:
    assert sorted(set(load_model().codes)) == CODES


def test_nothing_to_read_is_undetermined_and_not_kept(step: Language) -> None:
    assert measured_rows(step, ["", "\n"])[0] == {"language": "und", "score": 0.0, "kept_language_score": 0.0}
    assert verdict_of(step, "") == "drop: not_in_kept_language"


def test_kept_languages_add_up() -> None:
    both = Language(params=Language.Params(keep=("de", "en")))

    for text in (TEXTS["en"], TEXTS["de"]):
        assert verdict_of(both, text) == "keep"


def test_an_unknown_code_names_its_neighbours() -> None:
    with pytest.raises(ValidationError, match=r"'eng' is no language of the model; did you mean en"):
        Language.Params(keep=("eng",))


def test_only_the_first_bytes_are_read() -> None:
    short = Language(params=Language.Params(max_bytes=64))

    assert measured_rows(short, [TEXTS["en"] + TEXTS["zh"] * 9]) == measured_rows(short, [TEXTS["en"][:64]])


def test_a_document_measures_the_same_in_any_batch(step: Language, docstrings: list[str]) -> None:
    texts = [*docstrings[:40], TEXTS["de"].replace("\u00fc", "u\u0308"), *TEXTS.values()]

    assert measured_rows(step, texts) == [measured_rows(step, [text])[0] for text in texts]
