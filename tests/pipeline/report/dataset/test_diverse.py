"""What the page says of texts that were watched: which prompt left its band, by what, and when."""

from __future__ import annotations

import json
from types import SimpleNamespace

from pipeline.report.dataset.diverse import diversity_in
from pipeline.report.page import render
from synth.diversity.bands import Bands
from synth.diversity.governor import Governor
from synth.diversity.told import told
from tests.pipeline.report.test_report import words_of
from tests.synth.diversity.real import batch, halves, one_template


def test_groups_stand_beside_their_bands_the_retired_first() -> None:
    real, other = halves(0)
    governor = Governor(Bands.of(batch(real), most_words=60), judged=["self_repetition", "topics"])
    for name, texts in (("good", other), ("bad", one_template(700, seed=1)), ("few", other[:20])):
        governor.watch(batch(texts), groups={"prompt": [name] * len(texts)})

    shown = diversity_in({"diversity": json.loads(json.dumps(told(governor), sort_keys=True))})

    assert shown is not None and shown.course is not None and [name for _, name in shown.curves] == ["bad", "good"]
    assert [(row.name, row.weight) for row in shown.groups] == [
        ("bad", "retired"),
        ("good", "1"),
        ("few", "\N{EN DASH}"),
    ]
    assert [row.name for row in shown.numbers[:2]] == ["self repetition", "topics"]
    page = render({"item": SimpleNamespace(name="new", diversity=shown), "tables": []}, template="diversity.html")
    seen = words_of(page)
    assert "bad prompt 700 retired" in seen and "few prompt" not in seen
    assert "Of 2 prompts with enough rows 1 was weighed down; 1 had too few rows." in seen
    assert "Too few rows for a window (100 rows with" in seen and "are needed): few 20." in seen
    assert page.count("<circle") == 2 * len(shown.numbers)


def test_without_a_group_of_a_window_the_verdict_of_all_rows_says_so() -> None:
    real, _ = halves(0)
    governor = Governor(Bands.of(batch(real), most_words=60), judged=["self_repetition", "topics"])
    same = one_template(160, seed=1)
    governor.watch(batch(same), groups={"prompt": ["a", "b"] * 80})
    few = Governor(governor.bands)
    few.watch(batch(["short"] * 150))

    shown, short = (diversity_in({"diversity": told(each)}) for each in (governor, few))

    assert shown is not None and not shown.measured and shown.few.endswith("a 80, b 80")
    assert (
        shown.verdict.startswith("All rows together left the band on") and "no prompt has enough rows" in shown.verdict
    )
    assert {row.name: row.band[-2:] for row in shown.numbers}["topics"] == " %"
    assert short is not None and "too few words in them, for one window: 100 rows with" in short.why


def test_what_was_not_watched_says_why() -> None:
    shown = diversity_in({"diversity": {"not_watched": "17 real documents with words; a band needs 120"}})

    assert shown is not None and "17 real documents" in shown.why and diversity_in({"kept": 3}) is None
