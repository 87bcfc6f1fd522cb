"""Finished proxies on tasks: what a person sees is what `eval` finds, and nothing is stored."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from eval.proxies.tiers import TIERS
from eval.proxies.tokenizer import Tokenizer
from eval.scores.multiple_choice import score_items, summaries
from eval.scores.small_tasks import items_of
from pipeline.cli import main
from pipeline.commands.proxies import scores_text
from pipeline.core.errors import DataError, RecipeError
from pipeline.engine.progress import Silent
from pipeline.queries.proxies.lanes import find_lane, find_lanes, tokenizer_of_lane
from pipeline.queries.proxies.score import TaskScore, curves_of, score_proxies
from tests.pipeline.house import House, write_lines

QUESTIONS = [
    {"question": "What falls on the lake?", "choices": ["rain", "the stone of a river"], "answer": 0},
    {"prompt": "under the riv", "choices": ["er grows", " cloud", "ers"], "answer": 0},
    {"prompt": "water " * 400, "choices": ["falls", "grows"], "answer": 1},
]


def scored(house: House, wanted: list[str], tasks: list[str], **how: Any) -> list[TaskScore]:
    given = {"count": 20, "seed": 4, "device": "cpu", "threads": 1, "progress": Silent()} | how
    return score_proxies(house.workspace, wanted, tasks=tasks, **given)


def test_every_proxy_has_a_row_for_every_task_and_nothing_is_stored(trained_house: House, tmp_path: Path):
    file = write_lines(tmp_path / "questions.jsonl", QUESTIONS)
    before = {path: path.stat().st_mtime_ns for path in trained_house.workspace.root.rglob("*")}

    found = scored(trained_house, ["raw", "both/seed1", "raw/seed0/lr1"], ["copying, sorting", str(file)])

    rows = [(score.lane, score.task, score.items) for score in found]
    lanes = ["raw/seed0/lr1", "raw/seed1/lr1", "raw/seed2/lr1", "both/seed1/lr1"]
    tasks = [("copying", 20), ("sorting", 20), (str(file), 3)]
    assert rows == [(lane, task, items) for lane in lanes for task, items in tasks]
    assert {path: path.stat().st_mtime_ns for path in trained_house.workspace.root.rglob("*")} == before


def test_proxies_of_several_budgets_give_a_curve_by_tokens(trained_house: House, tmp_path: Path):
    house = House(tmp_path)
    house.write(trained_house.recipe.read_text().replace("tokens: 4k", "tokens: 9k"))
    shutil.copytree(trained_house.workspace.root, house.workspace.root)
    before = [lane.folder.name for lane in find_lanes(house.workspace, "raw")]
    house.run()

    after = [node.folder.name for lane, node in house.plan().experiment.lanes.items() if lane.mixture == "raw"]
    scores = scored(house, [*after, *before], ["copying"])

    (curve,) = curves_of(scores)
    assert [(point.num_tokens, point.proxies) for point in curve.points] == [(4096, 3), (8192, 3)]
    mean = sum(score.bits_per_byte for score in scores[:3]) / 3
    assert (curve.mixture, curve.task, curve.points[1].bits_per_byte) == ("raw", "copying", mean)
    assert f"copying, bits per byte of raw by tokens: {curve.points[0].bits_per_byte:.4g} at 4,096" in scores_text(
        scores
    )
    assert curves_of(scores[:3]) == []


def test_numbers_are_those_of_the_lane_alone(trained_house: House):
    lane = find_lane(trained_house.workspace, "both/seed1")

    _, _, found = scored(trained_house, ["raw/seed0", "raw/seed1", "both/seed1"], ["retrieval"])

    tokenizer = Tokenizer.load(tokenizer_of_lane(trained_house.workspace, lane))
    items = items_of("retrieval", count=20, seed=4)
    alone = score_items(load_file(lane.folder / "weights.safetensors"), items, tokenizer=tokenizer, tier=TIERS["t0"])
    (summary,) = summaries(alone)
    assert (found.bits_per_byte, found.bits_per_byte_error) == (
        summary.bits_per_byte.value,
        summary.bits_per_byte.standard_error,
    )
    assert (found.probability, found.accuracy, found.chance) == (None, None, None)


def test_a_file_of_questions_gives_probability_and_accuracy_and_says_what_was_odd(trained_house: House, tmp_path: Path):
    file = write_lines(tmp_path / "questions.jsonl", QUESTIONS)

    (found,) = scored(trained_house, ["both/seed0"], [str(file)])

    text = scores_text([found])
    assert found.chance == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 3)
    assert 0 < found.probability < 1 and found.accuracy in (0, 1 / 3, 2 / 3, 1)
    assert found.cut == 1 and f"{file}: 1 prompts are longer than the context" in text
    assert found.merged >= 1 and "end inside a piece of the tokenizer" in text
    json.dumps(asdict(found), allow_nan=False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"prompt": "a", "choices": [], "answer": 0}', r"questions\.jsonl:2: choices is \[\]"),
        ('{"prompt": "a", "choices": ["b", "b"], "answer": 0}', r"questions\.jsonl:2: the answer, 'b', stands twice"),
        ('{"prompt": "a", "prompt": "b"}', r"questions\.jsonl:2: names a key twice"),
        ("[]", r"questions\.jsonl:2: is not an object"),
    ],
)
def test_a_line_that_asks_nothing_is_named(trained_house: House, tmp_path: Path, line: str, said: str):
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps(QUESTIONS[0]) + "\n" + line + "\n")

    with pytest.raises(DataError, match=said):
        scored(trained_house, ["raw/seed0"], [str(file)])


def test_a_choice_longer_than_the_context_names_task_and_tier(trained_house: House, tmp_path: Path):
    file = write_lines(tmp_path / "long.jsonl", [QUESTIONS[0] | {"choices": ["rain", "the stone " * 400]}])

    with pytest.raises(DataError, match="item 1: a choice is") as raised:
        scored(trained_house, ["raw/seed0"], [str(file)])

    assert raised.value.__notes__ == [f"task {file}, proxies of tier t0"]


def test_an_unknown_task_is_refused_with_those_that_there_are(trained_house: House):
    with pytest.raises(RecipeError, match=r"--tasks copyng: is neither a file nor a task.*Did you mean copying"):
        scored(trained_house, ["raw"], ["sorting,copyng"])


def test_the_verbs_print_data_and_end_with_the_codes_that_are_promised(
    trained_house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def tamis(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(signal, "signal", lambda number, handler: None)
        monkeypatch.setattr(sys, "argv", ["tamis", *words, "--workspace", str(trained_house.workspace.root)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().out

    code, printed = tamis("score", "raw/seed0", "--tasks", "copying", "--items", "5", "--json")
    assert code == 0 and json.loads(printed)["scores"][0]["items"] == 5
    assert tamis("score", "rw/seed0", "--tasks", "copying")[0] == 2
    assert tamis("score", "raw/seed0", "--tasks", "nothing.jsonl")[0] == 2
    code, printed = tamis("export-proxy", "raw/seed0/lr1", "--to", str(tmp_path / "proxy"), "--json")
    assert code == 0 and json.loads(printed)["proxy"] == "raw/seed0/lr1"
    assert tamis("export-proxy", "raw/seed0/lr1", "--to", str(tmp_path / "proxy"))[0] == 2
    assert tamis("export-proxy", "raw", "--to", str(tmp_path / "other"))[0] == 2
