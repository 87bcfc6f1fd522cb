"""Our steps inside datatrove's own executor: the same verdicts, signals and texts as a run of ours gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dill
import pytest
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from pipeline import datatrove_bridge
from pipeline.core.errors import RecipeError
from pipeline.core.files.parquet.shards import read_table
from pipeline.datatrove_bridge import REASON, tamis_step
from tests.conftest import ROOT, need_conformance
from tests.filters.conformance.test_datatrove_step import Lines
from tests.pipeline.house import House, texts
from tests.pipeline.recipe.test_plugins import VOWELS


class Rows(Lines):
    """Lines that hold the metadata too."""

    def write(self, document: Document, rank: int) -> None:
        with self.path.open("a") as opened:
            opened.write(json.dumps({"id": document.id, "text": document.text, **document.metadata}) + "\n")


SAMPLE = [*texts(60), "Write to ann@acme.org. " * 9, "the of and to in is that " * 30, "end", "word " * 200]


def through(*steps: PipelineStep, folder: Path, given: list[str] = SAMPLE) -> list[dict[str, Any]]:
    """Run datatrove's executor over the given texts; return what comes out."""
    kept = Rows(folder / "kept.txt")
    documents = [Document(id=f"docs/docs:{number}", text=text) for number, text in enumerate(given)]
    LocalPipelineExecutor(pipeline=[documents, *steps, kept], logging_dir=str(folder / "logs")).run()
    return kept.read()


def test_a_datatrove_pipeline_and_a_run_of_ours_give_the_same_verdicts_signals_and_texts(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("docs.jsonl", SAMPLE)
    house.clean(["pii: {max_per_kind: 3}", "gopher_quality: {min_words: 20}", "gopher_repetition"])
    dropped = Rows(tmp_path / "dropped.txt")

    plan = house.run()
    kept = through(
        tamis_step("pii", max_per_kind=3, exclusion_writer=dropped),
        tamis_step("gopher_quality", min_words=20, exclusion_writer=dropped),
        tamis_step("gopher_repetition", exclusion_writer=dropped),
        folder=tmp_path,
    )

    ours = house.documents()
    assert [(row["id"], row["text"]) for row in kept] == [(row["id"], row["text"]) for row in ours]
    (file,) = house.workspace.dataset("clean")[0].glob("verdicts-*.parquet")
    verdicts = read_table(file).to_pylist()
    reasons = {row["id"]: row["reason"].split(".")[1] for row in verdicts if not row["kept"]}
    assert {row["id"]: row[REASON] for row in dropped.read()} == reasons
    assert len(reasons) > 5
    signals = house.signals("gopher_repetition", plan=plan)
    by_id = {verdict["id"]: signal for verdict, signal in zip(verdicts, signals, strict=True)}
    for row in kept:
        for name, value in by_id[row["id"]].items():
            assert name == "error" or row[f"gopher_repetition.{name}"] == value


def test_a_step_that_went_through_dill_answers_the_same(tmp_path: Path) -> None:
    step = tamis_step("gopher_quality", min_words=20)

    there = dill.loads(dill.dumps(step))

    given = [Document(id=str(number), text=text) for number, text in enumerate(SAMPLE)]
    again = [Document(id=str(number), text=text) for number, text in enumerate(SAMPLE)]
    assert list(there.run(iter(given))) == list(step.run(iter(again))) != []


@pytest.mark.slow
def test_worker_processes_of_datatrove_run_it(tmp_path: Path) -> None:
    step = tamis_step("gopher_quality", min_words=20)
    kept = Rows(tmp_path / "kept.txt")
    documents = [Document(id=str(number), text=text) for number, text in enumerate(SAMPLE)]

    LocalPipelineExecutor(pipeline=[documents, step, kept], tasks=2, workers=2, logging_dir=str(tmp_path / "l")).run()

    ids = [row["id"] for row in kept.read()]  # datatrove gives a list of documents to each of the tasks
    assert len(ids) == 2 * len(set(ids)) > 0


@pytest.mark.parametrize("documents", [1, 7])
def test_order_and_answers_do_not_depend_on_the_batch(documents: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers() -> list[Document]:
        given = [Document(id=str(number), text=text) for number, text in enumerate(SAMPLE)]
        return list(tamis_step("gopher_quality", min_words=20).run(iter(given)))

    whole = answers()
    monkeypatch.setattr(datatrove_bridge, "BATCH_DOCUMENTS", documents)

    assert answers() == whole


def test_what_cannot_be_measured_is_dropped_with_its_reason_and_costs_nobody_else(tmp_path: Path) -> None:
    need_conformance()
    dropped = Rows(tmp_path / "dropped.txt")
    step = tamis_step(
        "datatrove",
        step="GopherQualityFilter",
        params={"min_doc_words": 20, "max_ellipsis_lines_ratio": "many", "stop_words": ["the"]},
        exclusion_writer=dropped,
    )

    kept = through(
        step,
        folder=tmp_path,
        given=["short", "a \ud800 lone one", "The cat sat on the mat and looked at them. " * 4, "end"],
    )

    assert kept == []
    assert [row[REASON] for row in dropped.read()] == ["refused", "lone_surrogate", "error", "refused"]
    assert "TypeError" in dropped.read()[2]["datatrove.error"]


def test_datatrove_counts_what_was_dropped_by_its_reason() -> None:
    step = tamis_step("gopher_quality", min_words=20)

    kept = list(step.run(iter([Document(id=str(number), text=text) for number, text in enumerate(SAMPLE)])))

    assert step.stats.stats["forwarded"].total == len(kept)
    assert step.stats.stats["dropped_gopher_short_doc"].total > 0


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("gopher_qualty", {}, "Did you mean gopher_quality"),
        ("minhash_dedup", {}, "`minhash_dedup` needs a whole dataset"),
        ("gopher_quality", {"min_word": 3}, "tamis_step: gopher_quality: `min_word` is not known here"),
        ("gopher_quality", {"min_words": -1}, "tamis_step: gopher_quality.min_words is -1"),
        ("decontaminate", {"against": ["gone.jsonl"]}, "`gone.jsonl` is not a file"),
    ],
)
def test_a_mistake_is_named_where_it_is_made(name: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        tamis_step(name, **params)

    assert said in str(caught.value)


def test_a_step_of_a_plugin_travels_with_its_code(tmp_path: Path) -> None:
    file = tmp_path / "vowels.py"
    file.write_text(VOWELS)
    stored = dill.dumps(tamis_step("vowels", max_count=3, plugins=[file]))
    file.unlink()
    there = f"""
import dill, json, sys
from datatrove.data import Document
step = dill.loads(open(sys.argv[1], "rb").read())
documents = [Document(id=str(place), text=text) for place, text in enumerate({SAMPLE[:20]!r})]
print(json.dumps([[row.id, row.metadata["vowels.count"]] for row in step.run(iter(documents))]))
"""
    (tmp_path / "step").write_bytes(stored)

    command, environment = [sys.executable, "-c", there, tmp_path / "step"], {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)

    counts = [(str(place), text.count("e")) for place, text in enumerate(SAMPLE[:20])]
    assert json.loads(ran.stdout) == [[id, count] for id, count in counts if count <= 3]


def test_files_that_a_step_reads_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "held.jsonl").write_text(json.dumps({"text": SAMPLE[43]}) + "\n")
    monkeypatch.chdir(tmp_path)
    step = tamis_step("decontaminate", against=["held.jsonl"])
    monkeypatch.chdir("/")

    kept = list(step.run(iter([Document(id="a", text=SAMPLE[43]), Document(id="b", text=SAMPLE[41])])))

    assert [document.id for document in kept] == ["b"]
