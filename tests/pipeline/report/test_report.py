"""The report shows what is stored: the verdict first, every count, every drop, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline import catalog
from pipeline.core.errors import DataError
from pipeline.core.files.card import read_card
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.process import kernel_cache
from pipeline.plan.graph import Plan
from pipeline.report import page
from pipeline.report.dataset.teaching import notes_of
from pipeline.report.draw import figures
from pipeline.report.page import write_report
from pipeline.sources.texts.jsonl import JsonlReader
from tests.pipeline.report.report_parts import STEPS, finish, plan_of, write_lines

EXPERIMENT = """
mixtures:
  baseline: {weights: {raw: 1.0}}
  candidate: {weights: {clean: 0.9, tasks: 0.1}}
proxy: {tier: t0, tokens: 1M, seeds: 3, learning_rates: [1.0, 0.3]}
gate: {candidate: candidate, baseline: baseline, on: [held], min_gain: 0.004, guards: {held: 0.01}}
"""
RECIPE = """
name: trial
sources:
  docs: {read: jsonl, path: DIR/docs.jsonl}
  more: {read: jsonl, path: DIR/held.jsonl}
datasets:
  held: {from: more}
  raw: {from: docs}
  clean:
    from: docs
    steps: [toy_words, toy_twins, {decontaminate: {against: [held]}}]
  tasks: {make: {verified_tasks: {documents: 40, part_documents: 5}}}
"""
SMALL = """
sources: {docs: {read: jsonl, path: DIR/docs.jsonl}}
datasets: {clean: {from: docs, steps: [STEPS]}}
"""


@pytest.fixture(autouse=True)
def toy_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, place in STEPS.items():
        monkeypatch.setitem(catalog.STEPS, name, place)


def documents(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        base = number % 130  # so that some texts come twice
        words = [f"word{(base * 7 + k * k) % 90}" for k in range(base % 40)]
        text = "poison in a text of five words" if number % 50 == 3 else " ".join(["start", *words])
        yield {"id": f"d{number}", "text": text}


def recipe(folder: Path, text: str) -> str:
    """Write the inputs and return the recipe with their place in it."""
    write_lines(folder / "docs.jsonl", list(documents(300)))
    held = [{"id": f"h{n}", "text": f"held out text {n} " + "about one more thing " * (n % 5)} for n in range(60)]
    write_lines(folder / "held.jsonl", held)
    return text.replace("DIR", str(folder))


def page_of(folder: Path, text: str, *, gain: float | None = None, unsound: Mapping[str, str] | None = None) -> str:
    plan = finish(recipe(folder, text), folder=folder, gain=gain, unsound=unsound)
    write_report(plan, path=folder / "out" / "report.html")
    return (folder / "out" / "report.html").read_text(encoding="utf-8")


def words_of(html: str) -> str:
    """Return what a reader sees, on one line."""
    html = html.replace("<wbr>", "")
    body = re.sub(r"<(style|title)[^>]*>.*?</\1>", " ", html, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


@pytest.mark.parametrize(("gain", "outcome"), [(0.03, "promote"), (-0.03, "reject"), (0.004, "undecided")])
def test_the_verdict_is_the_first_thing_said(tmp_path: Path, gain: float, outcome: str) -> None:
    found = page_of(tmp_path, RECIPE + EXPERIMENT, gain=gain)

    assert f'<section class="verdict {outcome}"' in found
    start = words_of(found)[:400].lower()
    assert f"tamis report on trial {outcome} candidate needs" in start
    assert ("next step." in start) == (outcome == "undecided")


def test_the_page_says_of_the_curves_what_was_found_in_them(tmp_path: Path) -> None:
    unsound = {"candidate/seed1/lr1": "its loss jumped by 4.2 bits per token at step 50"}
    (tmp_path / "sound").mkdir()
    (tmp_path / "unsound").mkdir()

    sound = words_of(page_of(tmp_path / "sound", RECIPE + EXPERIMENT, gain=0.05))
    damaged = words_of(page_of(tmp_path / "unsound", RECIPE + EXPERIMENT, gain=0.05, unsound=unsound))

    assert "proxies trained soundly" in sound
    assert "trained soundly" not in damaged
    assert "candidate/seed1/lr1: its loss jumped by 4.2 bits per token at step 50" in damaged


def test_every_steps_counts_are_those_of_the_card(tmp_path: Path) -> None:
    plan = finish(recipe(tmp_path, RECIPE), folder=tmp_path)
    write_report(plan, path=tmp_path / "report.html")

    seen = words_of((tmp_path / "report.html").read_text(encoding="utf-8"))

    card = read_card(plan.datasets["clean"].node.folder)
    reached = card.rows_in
    for label in ("toy_words", "toy_twins", "decontaminate"):
        dropped = sum(number for reason, number in card.dropped.items() if reason.startswith(label))
        broken = card.quarantined.get(label, 0)
        assert f"{label} {reached} {dropped} {broken} {reached - dropped - broken}" in seen
        reached -= dropped + broken
    assert f"{card.rows_out} of {card.rows_in} documents kept" in seen


def test_each_rule_tells_first_reason_alone_and_only(tmp_path: Path) -> None:
    texts = ("one 1 2 3 4 5 6 7", "12 34", "good words are here now", "a b")
    write_lines(tmp_path / "docs.jsonl", [{"text": text} for text in texts])
    text = SMALL.replace("STEPS", "toy_words")

    plan = finish(text.replace("DIR", str(tmp_path)), folder=tmp_path)
    write_report(plan, path=tmp_path / "report.html")

    seen = words_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    # `12 34` fails both rules, `a b` only the first and `one 1 2 ...` only the second
    assert re.search(r"too_few 2 50\.0 % (\S+ )?2 1 words \N{GREATER-THAN OR EQUAL TO} 5", seen)
    assert re.search(r"alert\(1\)&lt;/script&gt; 1 25\.0 % (\S+ )?2 1 letters \N{GREATER-THAN OR EQUAL TO} 0\.6", seen)


def test_quoted_documents_say_the_value_that_decided(tmp_path: Path) -> None:
    seen = words_of(page_of(tmp_path, RECIPE))

    assert "words 4, nearest to the threshold" in seen
    assert "words 5, nearest to the threshold" in seen
    assert "Kept in their place" in seen  # the twin of a duplicate
    assert "toy_words: ValueError: the text holds &lt;i&gt;poison&lt;/i&gt; 6" in seen


def test_the_teacher_and_the_classifier_are_named_as_what_they_are(tmp_path: Path) -> None:
    good = "A heap is a tree because each node is smaller than its children. For example, the root of a heap of {0} "
    good += (
        "values is the smallest, so that it can be found in 1 step. This means that sorting takes {0} log {0} steps. "
    )
    poor = "heap.push({0}) heap_pop size_{0} "  # as long as the good ones: length alone must not tell them apart
    texts = [good.format(n) * 3 if n % 2 else poor.format(n) * (15 + n % 20) for n in range(200)]
    write_lines(tmp_path / "docs.jsonl", [{"text": f"{n} {text}"} for n, text in enumerate(texts)])
    text = SMALL.replace("STEPS", "{label: {documents: 200}}, {quality: {min_score: 2.2}}")

    plan = finish(text.replace("DIR", str(tmp_path)), folder=tmp_path)
    write_report(plan, path=tmp_path / "report.html")
    rules = read_card(plan.datasets["clean"].node.folder).details["rules"]
    (rule,) = (rule for rule in rules if rule["step"] == "quality")

    seen = words_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "offline-rubric-v1 (signals, not a model) , the offline rubric: counts of words and marks, no model" in seen
    assert "Classifier: quality" in seen and "95 % interval" in seen and "Calibration" in seen
    assert f"precision at the threshold {rule['threshold']:.2f}, in force" in seen
    assert "what is kept, in force" in seen  # no operating point of the card lies at 2.2


def test_held_out_items_met_in_other_order_are_shown_beside_those_met_word_for_word(tmp_path: Path) -> None:
    item = (
        "A train leaves Paris at nine and another leaves Lyon at ten; when and where do the two trains meet each other?"
    )
    moved = (
        "Another leaves Lyon at ten. A train leaves Paris at nine. When and where do the two trains meet each other?"
    )
    partly = "A train leaves Paris at nine and nobody knows when it arrives, as all of its clocks have stopped."
    write_lines(tmp_path / "docs.jsonl", [{"text": text} for text in (moved, partly, "Nothing of the kind.")])
    (tmp_path / "items.txt").write_text(item, encoding="utf-8")
    steps = "{decontaminate: {against: [DIR/items.txt], fuzzy_words: 3, containment: 0.7}}"

    plan = finish(SMALL.replace("STEPS", steps).replace("DIR", str(tmp_path)), folder=tmp_path)
    write_report(plan, path=tmp_path / "report.html")

    seen = words_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Held-out text met: decontaminate No document holds words of a held-out item." in seen
    assert (
        "Held-out text met in other order or wording: decontaminate CSV "
        "1 of 3 documents holds more than 70.0 % of 1 held-out item." in seen
    )
    assert "items.txt:1 Another leaves Lyon at ten. A train leaves Paris" in seen


def test_what_measures_a_step_stands_before_its_other_figures() -> None:
    series = {f"at {number}": number for number in range(60)}
    recall = {"share": 0.67, "low": 0.6022, "high": 0.7314, "pairs": 1200}

    found = notes_of({"audit": {**series, "recall": recall, "theory": 0.68}, "clusters": 6192, "teacher": "offline"})

    assert found[:4] == [
        ("audit recall", "0.67 (0.6022 to 0.7314) of 1,200"),
        ("clusters", "6,192"), ("teacher", "offline"), ("audit at 0", "0"),
    ]  # fmt: skip
    assert found[-1] == ("left out", "16 more, in card.json")


def test_what_a_source_leaves_out_is_said_and_stands_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JsonlReader, "notes", lambda self: ["half of it lies elsewhere."])

    page = page_of(tmp_path, RECIPE)

    assert "docs: half of it lies elsewhere." in words_of(page)


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first = page_of(tmp_path, RECIPE + EXPERIMENT, gain=0.03)

    plan = plan_of((tmp_path / "recipe.yaml").read_text(encoding="utf-8"), folder=tmp_path)
    write_report(plan, path=tmp_path / "out" / "report.html")

    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == first


def test_templates_compiled_before_give_the_same_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kernel_cache.VARIABLE, raising=False)
    pages = {page_of(tmp_path, RECIPE)}
    plan = plan_of((tmp_path / "recipe.yaml").read_text(encoding="utf-8"), folder=tmp_path)
    (tmp_path / "compiled").mkdir()

    for folder in ("compiled", "compiled", "gone"):
        monkeypatch.setenv(kernel_cache.VARIABLE, str(tmp_path / folder))
        write_report(plan, path=tmp_path / "report.html")
        pages.add((tmp_path / "report.html").read_text(encoding="utf-8"))

    assert len(pages) == 1
    assert any((tmp_path / "compiled").iterdir())


def test_a_page_that_would_be_too_large_quotes_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = page_of(tmp_path, RECIPE)
    assert whole.count("<pre>") > 12

    monkeypatch.setattr(page, "MOST_BYTES", len(whole.encode()) - 2000)
    plan = plan_of((tmp_path / "recipe.yaml").read_text(encoding="utf-8"), folder=tmp_path)
    write_report(plan, path=tmp_path / "report.html")

    smaller = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 0 < smaller.count("<pre>") < whole.count("<pre>")
    assert len(smaller.encode()) <= len(whole.encode()) - 2000


@pytest.mark.parametrize(
    "texts",
    [["one document with quite enough words"], ["all of these are kept here", "and so is this one too"], ["", "x"]],
    ids=["one document", "no drops", "all dropped"],
)
def test_a_small_recipe_has_a_report_too(tmp_path: Path, texts: list[str]) -> None:
    write_lines(tmp_path / "docs.jsonl", [{"text": text} for text in texts])
    text = SMALL.replace("STEPS", "toy_words, toy_twins")

    plan = finish(text.replace("DIR", str(tmp_path)), folder=tmp_path)
    write_report(plan, path=tmp_path / "report.html")

    seen = words_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    kept = sum(row["kept"] for row in verdicts_of(plan))
    size = sum(row["num_bytes"] for row in verdicts_of(plan) if row["kept"])
    rows = (
        f"{len(texts)} rows kept, 1 quarantined" if "" in texts else f"{figures.counted(len(texts), 'document')} kept"
    )
    told = f"clean: {kept} of {rows} {figures.size(size)} of "
    assert f"Tamis report on recipe {told}" in seen
    assert "The recipe has no gate, so nothing was judged." in seen
    assert "judged." not in seen.partition(" Flow Documents ")[2] and "verdict" not in seen.lower()


def verdicts_of(plan: Plan) -> list[dict[str, Any]]:
    folder = plan.datasets["clean"].node.folder
    return [row for path in sorted(folder.glob("verdicts-*")) for row in read_table(path).to_pylist()]


def test_the_headline_names_what_the_recipe_is_for_and_not_what_it_is_made_from(tmp_path: Path) -> None:
    write_lines(tmp_path / "docs.jsonl", list(documents(50)))
    text = SMALL.replace(
        "clean:", "one: {from: docs, steps: [toy_words]}, two: {from: one, steps: [toy_twins]}, clean:"
    )
    text = text.replace("STEPS", "{decontaminate: {against: [two]}}").replace("DIR", str(tmp_path))

    plan = finish(text, folder=tmp_path)
    write_report(plan, path=tmp_path / "report.html")

    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'<p class="outcome made">(\w+):', html) == ["clean"]


def test_the_reasons_of_rows_that_are_no_documents_stand_in_the_sources_row(tmp_path: Path) -> None:
    write_lines(tmp_path / "docs.jsonl", [{"text": "one document with enough words"}, {"text": ""}, {"body": "x"}])

    plan = finish(SMALL.replace("STEPS", "toy_words").replace("DIR", str(tmp_path)), folder=tmp_path)
    write_report(plan, path=tmp_path / "report.html")

    seen = words_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    reasons = read_card(plan.sources["docs"].folder).quarantined
    assert "source docs " + " ".join(f"{n} {reason}" for reason, n in sorted(reasons.items())) + " 3 0 2 1" in seen
    assert "empty_text" in reasons


def test_equal_datasets_keep_their_own_names(tmp_path: Path) -> None:
    write_lines(tmp_path / "docs.jsonl", list(documents(50)))
    text = SMALL.replace("STEPS", "toy_words").replace("clean:", "one: {from: docs, steps: [toy_words]}, two:")

    plan = finish(text.replace("DIR", str(tmp_path)), folder=tmp_path)
    write_report(plan, path=tmp_path / "report.html")

    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count('id="dataset-one"') == html.count('id="dataset-two"') == 1


def test_a_half_built_recipe_says_what_is_missing(tmp_path: Path) -> None:
    seen = words_of(page_of(tmp_path, RECIPE + EXPERIMENT))

    assert "The recipe has a gate, but its experiment is not finished." in seen
    assert re.search(r"[0-9]+ results of this recipe are not built yet", seen)


def test_a_recipe_without_results_has_no_report(tmp_path: Path) -> None:
    plan = plan_of(recipe(tmp_path, RECIPE), folder=tmp_path)

    with pytest.raises(DataError, match="nothing of this recipe is built"):
        write_report(plan, path=tmp_path / "report.html")
