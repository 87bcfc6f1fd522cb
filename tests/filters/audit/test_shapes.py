"""Scripts and skeletons of texts that are known."""

from __future__ import annotations

import pytest

from filters.audit.shapes import NO_SKELETON, SCRIPTS, scripts_of, skeletons_of
from pipeline.core.text.batch import Batch


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("plain words, and 12 numbers", "latin"),
        ("\u00fcber \u00e4lteste", "latin"),
        ("\u0440\u0443\u0441\u0441\u043a\u0438\u0439 text", "cyrillic"),
        ("\u05e9\u05dc\u05d5\u05dd", "hebrew"),
        ("\u0645\u0631\u062d\u0628\u0627", "arabic"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "indic"),
        ("\u4e2d\u6587\u5185\u5bb9", "han"),
        ("\u3072\u3089\u304c\u306a", "kana"),
        ("\ud55c\uad6d\uc5b4", "hangul"),
        ("1234 -- !", "none"),
        ("", "none"),
    ],
)
def test_the_script_of_most_letters_is_found(text: str, script: str):
    batch = Batch.from_texts([text])

    assert SCRIPTS[scripts_of(batch.data, batch.offsets)[0]] == script


def test_pages_of_one_template_have_one_skeleton_and_short_ones_none():
    page = "{0}\nHome News About\n{0} wrote a longer line about it, with several words.\nRead more:\nSee also"
    batch = Batch.from_texts([page.format("One"), page.format("Two"), page.format("Three long words"), "a\nb"])
    lines = batch.lines

    found = skeletons_of(batch.data, batch.offsets, lines.doc_offsets, lines.ends, lines.word_offsets)

    assert found[0] == found[1] != found[2]
    assert found[3] == NO_SKELETON
