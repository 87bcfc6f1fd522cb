"""Fuzzy decontamination: the share of an item that a document holds, which item it is, and by what text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from filters.contamination.containment import SKETCH, contained_in, sketch_items
from filters.contamination.decontaminate import Decontaminate, DecontaminateParams
from filters.words.shingles import shingle_hashes, words_of
from pipeline.core.step import as_column
from pipeline.core.text.batch import Batch
from tests.filters.dedup.test_minhash_audit import unlike_texts

ITEM = "A train leaves Paris at nine and another leaves Lyon at ten; when and where do the two trains meet each other?"
MOVED = (
    "Problem 7. Another leaves Lyon at ten. A train leaves Paris at nine, and so on: "
    "when and where do the two trains meet each other? Show your work."
)


def prepared(path: Path, rows: list[str], **parameters: object) -> Decontaminate:
    (path / "items.txt").write_text("\n".join(rows), encoding="utf-8")
    step = Decontaminate(params=DecontaminateParams.parse({"against": [str(path / "items.txt")], **parameters}))
    step.prepare({"against": [path / "items.txt"]})
    return step


def signals(step: Decontaminate, texts: list[str]) -> dict[str, list]:
    found = step.measure(Batch.from_texts(texts)).signals
    return {signal.name: as_column(found[signal.name], signal=signal).to_pylist() for signal in step.signals}


def test_an_item_moved_about_is_found_with_its_text(tmp_path: Path) -> None:
    step = prepared(tmp_path, ["Which of these rivers is the longest in the whole of Europe?", ITEM], fuzzy_words=3)

    found = signals(step, ["Trains are often late in Paris.", MOVED, ""])

    assert found["overlap"] == [0, 0, 0]  # no run of 13 words
    assert found["containment"][1] > 0.8
    assert found["contained_item"] == [None, "items.txt:2", None]
    assert found["contained_excerpt"][1].startswith("Another leaves Lyon")
    assert found["contained_excerpt"][1].endswith("meet each other")
    assert found["containment"][0] == found["containment"][2] == 0
    rules = step.rules(quantile=lambda signal, fraction: 0.0)
    assert [(rule.signal, rule.op, rule.threshold) for rule in rules] == [
        ("overlap", "<=", 0), ("containment", "<=", 0.8),
    ]  # fmt: skip


def test_the_estimate_is_within_its_error_of_the_exact_share() -> None:
    items = unlike_texts(60, words=400)
    documents = [
        " ".join([*item.split()[: 10 * number], "end"]) for number, item in enumerate(items, start=1) if number < 40
    ]
    sketches = sketch_items(items, words=3, min_item_words=8)

    found = contained_in(words_of(Batch.from_texts(documents)), sketches)

    exact = (10 * np.arange(1, 40) - 2) / 398
    assert (sketches.sizes == SKETCH).all()
    met = found.items >= 0
    assert (found.items[met] == np.arange(39)[met]).all()
    assert np.abs(found.shares - exact).max() < 4 * np.sqrt(0.25 / SKETCH)
    assert abs((found.shares - exact).mean()) < 0.03


def test_a_short_item_is_known_exactly_and_repeats_count_once() -> None:
    sketches = sketch_items([ITEM, "too short"], words=3, min_item_words=8)
    words = words_of(Batch.from_texts([ITEM, f"{ITEM} {ITEM}", "leaves Paris at nine " * 30]))

    found = contained_in(words, sketches)

    hashes, _ = shingle_hashes(words.hashes[: words.offsets[1]], words.offsets[:2], 3)
    assert sketches.sizes.tolist() == [len(np.unique(hashes)), 0]
    assert found.shares[:2].tolist() == [1, 1]
    assert found.shares[2] == np.float32(2 / sketches.sizes[0])


def test_without_fuzzy_words_nothing_is_measured_and_a_threshold_is_an_error(tmp_path: Path) -> None:
    found = signals(prepared(tmp_path, [ITEM]), [MOVED])

    assert (found["containment"], found["contained_item"], found["contained_excerpt"]) == ([None], [None], [None])
    with pytest.raises(ValidationError, match="containment has no effect while fuzzy_words is 0"):
        prepared(tmp_path, [ITEM], containment=0.5)


def test_batches_do_not_show(tmp_path: Path) -> None:
    step = prepared(tmp_path, [ITEM, MOVED], fuzzy_words=4)
    texts = [MOVED, "nothing of it", ITEM, MOVED]

    together = signals(step, texts)

    assert {name: [signals(step, [text])[name][0] for text in texts] for name in together} == together
