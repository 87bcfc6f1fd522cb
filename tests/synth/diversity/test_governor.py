"""Collapsed texts are seen soon and real texts never; figures over 20 seeds are in eval/LOG.md (`figures.py`)."""

from __future__ import annotations

import json

import numpy as np
import pytest

from synth.diversity.bands import Bands
from synth.diversity.governor import Governor
from synth.diversity.measures import NAMES
from synth.diversity.told import told
from tests.samples import few_and_many
from tests.synth.diversity.figures import MOST_WORDS, healthy, mixed, retired_at
from tests.synth.diversity.real import batch, halves, one_template, own_words


@pytest.fixture(scope="module")
def bands() -> Bands:
    return Bands.of(batch(halves(0)[0]), most_words=MOST_WORDS)


@pytest.fixture(scope="module")
def other() -> list[str]:
    return halves(0)[1]


@few_and_many("seeds", 2, 20)
def test_real_text_is_never_weighed_down(seeds: int) -> None:
    for seed in range(seeds):
        real, other = halves(seed)
        least = healthy(seed, Bands.of(batch(real), most_words=MOST_WORDS, seed=seed), other)[2]

        assert least == 1, f"seed {seed}"


def test_one_template_is_retired_within_a_thousand_rows(bands: Bands) -> None:
    half, none, _ = retired_at(bands, one_template(1000, seed=3))

    assert half is not None and none is not None and half <= 300


def test_a_model_that_learned_from_few_words_back_is_seen_in_its_first_generation(
    bands: Bands, other: list[str]
) -> None:
    half, none, left = retired_at(bands, own_words(other, 1000, seed=3))

    assert half is not None and none is not None and left[0] == "recurrence"


def test_a_template_among_real_texts_is_retired_alone_and_making_goes_on(bands: Bands, other: list[str]) -> None:
    governor = Governor(bands)
    texts = mixed(other, one_template(1000, seed=3), seed=3)
    real = set(other)

    governor.watch(batch(texts), groups={"style": ["good" if text in real else "bad" for text in texts]})

    assert governor.weights()["style"] == {"good": 1.0, "bad": 0.0}
    assert not governor.stop
    assert json.loads(json.dumps(told(governor)))["groups"]["style"]["bad"]["weight"] == 0


def test_numbers_that_do_not_judge_are_told_only(bands: Bands) -> None:
    governor = Governor(bands, judged=["topics"])

    windows = governor.watch(batch([f"Here is what it says: {text}" for text in halves(0)[1]]))

    assert min(window.strays[NAMES.index("openings")] for window in windows) > 1
    assert not any(window.left for window in windows)
    assert governor.weight("all", "all") == 1
    with pytest.raises(KeyError, match="no such numbers"):
        Governor(bands, judged=["beauty"])


def test_making_ends_when_what_comes_came_before(bands: Bands, other: list[str]) -> None:
    governor = Governor(bands)

    for _ in range(3):
        governor.watch(batch(other))

    assert governor.weight("all", "all") == 1  # every window is diverse by itself
    assert "was new" in governor.stop


def test_texts_in_other_portions_are_weighed_alike_while_windows_end_alike(bands: Bands, other: list[str]) -> None:
    size, texts = bands.size.documents, one_template(400, seed=1) + other
    whole, parts = Governor(bands), Governor(bands)

    whole.watch(batch(texts))
    for start in range(0, len(texts), size):
        parts.watch(batch(texts[start : start + size]))

    assert [window.weight for window in whole.windows] == [window.weight for window in parts.windows]


def test_each_number_moves_with_what_it_is_about(bands: Bands, other: list[str]) -> None:
    def of(texts: list[str]) -> dict[str, float]:
        return dict(zip(NAMES, bands.measure(bands.read(batch(texts))).tolist(), strict=True))

    usual = of(other)
    twice = of([text for text in other[:60] for _ in range(3)])
    framed = of([f"# Answer\n\nHere is what you should know about this:\n\n{text}" for text in other])
    shuffled = of([" ".join(np.random.default_rng(1).permutation(text.split())) for text in other])

    assert twice["near_duplicates"] > 0.5 > usual["near_duplicates"]
    assert twice["rare_types"] < usual["rare_types"]
    assert twice["compression"] > 1.5 * usual["compression"]
    assert framed["openings"] == 0.01 and framed["self_repetition"] > usual["self_repetition"]
    assert framed["skeleton_entropy"] < usual["skeleton_entropy"]
    assert shuffled["loss_from_real"] > usual["loss_from_real"] and shuffled["loss_to_real"] > usual["loss_to_real"]
    assert of(halves(0)[0])["near_known"] > 0.3  # half of these the bands have learned from


def test_too_few_real_documents_make_no_band() -> None:
    with pytest.raises(ValueError, match="a band needs 120"):
        Bands.of(batch(["a few words"] * 50 + [""] * 200), most_words=MOST_WORDS)
