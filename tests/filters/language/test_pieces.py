from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from filters.language.pieces import OTHER, character_kinds, is_plain


def plain(text: str) -> bool:
    return bool(is_plain(np.frombuffer(text.encode(), np.uint8), character_kinds()))


@pytest.mark.parametrize(
    "text",
    [
        "\u4f60\u597d\uff0c\u4e16\u754c\u3002",
        "\u3053\u3093\u306b\u3061\u306f\u3001\u4e16\u754c",
        "\uc548\ub155 \uc138\uacc4",
        "\u041f\u0440\u0438\u0432\u0435\u0442",
        "\u0645\u0631\u062d\u0628\u0627",
        "Z\u00fcrich \u2013 \u201cna\u00efve\u201d",
    ],
)
def test_ordinary_text_of_any_script_is_read_as_it_stands(text: str) -> None:
    assert plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "CAPITALS",
        "\u041f\u0420\u0418\u0412\u0415\u0422",
        "\u4f60 A",
        "\uff21\uff22",
        "cafe\u0301",
        "\u30ab\u3099",
        "\u1100\u1161",
    ],
)
def test_capitals_and_what_is_not_nfc_are_not(text: str) -> None:
    assert not plain(text)


def test_no_character_is_taken_as_it_stands_that_python_would_change() -> None:
    codes = np.flatnonzero(character_kinds() != OTHER)
    seconds = {part.split()[1] for part in map(unicodedata.decomposition, map(chr, range(0x30000))) if _joins(part)}

    assert len(codes) > 35_000
    for code in codes.tolist():
        character = chr(code)
        assert unicodedata.is_normalized("NFC", f"e{character}e")
        assert not unicodedata.combining(character)
        assert f"{code:04X}" not in seconds and not 0x1160 <= code <= 0x11FF  # nor one that joins the one before
        for text in (character, f"A{character}"):
            assert not plain(text) or not text.isupper()


def _joins(decomposition: str) -> bool:
    return len(decomposition.split()) == 2 and not decomposition.startswith("<")
