"""`datatrove`: the same verdicts, reasons and texts as datatrove's own run gives; mistakes named before any work."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("spacy", reason="extra [conformance]")

from filters.conformance.datatrove_step import REFUSED, DatatroveStep, classes
from pipeline.core.errors import RecipeError
from pipeline.core.text.batch import Batch
from pipeline.recipe.load import load_recipe
from tests.filters.conftest import measured_rows
from tests.pipeline.house import House, texts


def made(step: str, **params: Any) -> DatatroveStep:
    """Return the step as a worker has it."""
    found = DatatroveStep(params=DatatroveStep.Params.parse({"step": step, "params": params}))
    found.prepare({})
    return found


class Lines:
    """A writer and a pipeline block in one: every document that it meets becomes a line of JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def write(self, document: Any, rank: int) -> None:
        with self.path.open("a") as opened:
            opened.write(json.dumps([document.id, document.text, document.metadata.get("filter_reason")]) + "\n")

    def __call__(self, data: Iterator[Any], rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        for document in data:
            self.write(document, rank)
            yield document

    def read(self) -> list[Any]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


def theirs(step: str, given: list[str], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Run datatrove's own executor; return the texts let through and the reasons of the others, by id."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor

    kept, dropped = Lines(folder / "kept"), Lines(folder / "dropped")
    kind = classes()[step]
    block = kind() if hasattr(kind, "format") else kind(exclusion_writer=dropped)
    documents = [Document(id=str(number), text=text) for number, text in enumerate(given)]
    LocalPipelineExecutor(pipeline=[documents, block, kept], logging_dir=str(folder / "logs")).run()
    return {id: text for id, text, _ in kept.read()}, {id: reason for id, _, reason in dropped.read()}


@pytest.mark.parametrize(
    "step",
    [
        "GopherQualityFilter", "GopherRepetitionFilter", "C4QualityFilter", "C4ParagraphFilter",
        "FineWebQualityFilter", "SymbolLinesFormatter",
    ],
)  # fmt: skip
def test_a_step_answers_as_datatroves_own_run_does(step: str, docstrings: list[str], tmp_path: Path) -> None:
    given = [text for text in docstrings if text.strip()][::9]

    kept, dropped = theirs(step, given, tmp_path)
    rows = measured_rows(made(step), given)

    assert {str(place): row["text"] or given[place] for place, row in enumerate(rows) if row["passed"]} == kept
    assert {str(place): row["reason"] for place, row in enumerate(rows) if not row["passed"]} == dropped
    assert len(kept) + len(dropped) == len(given)


def test_a_document_is_answered_alike_in_any_company() -> None:
    """datatrove's PIIFormatter takes its replacements in turn, over all documents; here each begins with the first."""
    step = made("PIIFormatter")
    given = ["to a@b.com and c@d.com", "nothing", "and from e@f.org"]

    together = measured_rows(step, given)

    assert together == [row for text in given for row in measured_rows(step, [text])]
    assert [row["text"] for row in together] == [
        "to email@example.com and firstname.lastname@example.org", None, "and from email@example.com",
    ]  # fmt: skip


def test_a_run_drops_what_the_filter_refuses_and_a_document_that_breaks_it_costs_only_itself(tmp_path: Path) -> None:
    """The wrong type is looked at only by the rule that stands behind the length: datatrove raises for long ones."""
    house = House(tmp_path)
    house.lines("a.jsonl", texts(12))
    params = "{min_doc_words: 20, max_doc_words: 100, max_ellipsis_lines_ratio: many, stop_words: [the]}"
    house.clean([f"datatrove: {{step: GopherQualityFilter, params: {params}}}"])

    plan = house.run()

    rows = house.signals("datatrove", plan=plan)
    broken = [row for row in rows if row["error"]]
    card = house.card()
    assert broken and all("TypeError" in row["error"] and row["passed"] is None for row in broken)
    assert card.quarantined == {"datatrove": len(broken)}
    assert card.dropped == {"datatrove.refused": 12 - len(broken)}
    assert all(row["reason"].startswith("gopher_") for row in rows if not row["error"])


def test_a_class_sees_the_metadata_of_a_document(tmp_path: Path) -> None:
    """C4BadWordsFilter passes a language that has no list; for English, its default, it would fetch one."""
    house = House(tmp_path)
    house.lines("a.jsonl", [{"text": text, "language": "xx"} for text in texts(3)])
    house.clean(["datatrove: {step: C4BadWordsFilter, params: {fail_on_missing_language: false}}"])

    plan = house.run()

    assert [row["passed"] for row in house.signals("datatrove", plan=plan)] == [1, 1, 1]


def test_later_steps_see_what_a_formatter_made(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("a.jsonl", ["first line of it\n***\nsecond line of it", "plain"])
    house.clean(["datatrove: {step: SymbolLinesFormatter}", "gopher_quality: {min_words: 1}"])

    plan = house.run()

    assert [row["num_words"] for row in house.signals("gopher_quality", plan=plan)] == [8, 1]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{step: GopherQualityFilte}", "GopherQualityFilter, C4QualityFilter or FineWebQualityFilter"),
        ("{step: datatrove.pipeline.filters.GopherQualityFilter}", "a filter or formatter of datatrove's"),
        ("{step: os.system}", "a filter or formatter of datatrove's"),
        ("{step: BaseFilter}", "a filter or formatter of datatrove's"),
        ("{step: LambdaFilter}", REFUSED["LambdaFilter"]),
        ("{step: SamplerFilter, params: {rate: 0.5}}", REFUSED["SamplerFilter"]),
        ("{step: C4BadWordsFilter, params: {keep_fraction: 0.1}}", "keep_fraction must be 0"),
        ("{step: GopherQualityFilter, params: {min_words: 3}}", "did you mean min_doc_words"),
        ("{step: GopherQualityFilter, params: {exclusion_writer: null}}", "takes no `exclusion_writer` here"),
        ("{step: RegexFilter}", "RegexFilter also needs regex_exp"),
        ("{step: GopherQualityFilter, version: 0.9.0}", "it must be the installed version"),
    ],
)
def test_a_mistake_is_named_with_its_line(body: str, said: str, tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("a.jsonl", texts(2))
    house.clean([f"datatrove: {body}"])

    with pytest.raises(RecipeError) as caught:
        load_recipe(house.recipe)

    assert said in str(caught.value)
    assert "recipe.yaml:7: " in str(caught.value)


def test_arguments_that_datatrove_cannot_take_are_named() -> None:
    with pytest.raises(RecipeError, match=r"RegexFilter cannot be made of .*Correct `params`"):
        made("RegexFilter", regex_exp="(")


@pytest.mark.parametrize("package", ["spacy", "regex"])
def test_a_missing_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(ValueError, match=rf"{package} of the extra \[conformance\]: pip install -e '\.\[conform"):
        DatatroveStep.Params.parse({"step": "GopherQualityFilter"})


def test_the_version_of_datatrove_is_measured_with(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    now = DatatroveStep.Params.parse({"step": "GopherQualityFilter"})
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.10.99")
    later = DatatroveStep.Params.parse({"step": "GopherQualityFilter"})

    assert now.of_role("measure") != later.of_role("measure")
    assert DatatroveStep.Params.parse({"step": "GopherQualityFilter"}).version == "0.10.99"


def test_the_version_of_spacy_counts_where_words_are_cut() -> None:
    assert set(made("GopherQualityFilter").identity_extras()) == {"regex", "spacy"}
    assert made("PIIFormatter").identity_extras() == {}


def test_an_empty_batch_has_every_column() -> None:
    assert measured_rows(made("GopherQualityFilter"), []) == []
    assert len(made("PIIFormatter").measure(Batch.from_texts([])).text) == 0
