"""lm-evaluation-harness on exported proxies: its numbers are those of our own multiple choice on the same items."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from eval.proxies.tiers import TIERS
from eval.proxies.tokenizer import Tokenizer
from eval.scores.bits_per_byte import document_bits
from eval.scores.multiple_choice import Item, score_items, summaries
from pipeline.commands.proxies import harness_text, score
from pipeline.core.errors import DataError, RecipeError
from pipeline.engine.progress import Silent
from pipeline.queries.export.proxy import export_proxy
from pipeline.queries.proxies.harness import score_by_harness
from pipeline.queries.proxies.lanes import find_lane, tokenizer_of_lane
from tests.pipeline.house import House, write_lines

INSTALLED = find_spec("lm_eval") is not None
QUESTIONS = [
    {"prompt": "What falls on the lake?", "choices": [" rain", " the stone of a river", " wind"], "answer": 0},
    {"prompt": "under the riv", "choices": ["er grows", " cloud", "ers"], "answer": 2},  # ends inside a piece
    {"prompt": "a forest and ", "choices": ["a river", "light"], "answer": 1},
    {"prompt": "water " * 400, "choices": ["falls", "grows"], "answer": 1},  # longer than the context
    {"prompt": "near the city", "choices": [" winter", " morning in the field"], "answer": 1},
]
ITEMS = [Item(row["prompt"], tuple(row["choices"]), row["answer"]) for row in QUESTIONS]
TASK = """task: lakes
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: prompt
doc_to_choice: choices
doc_to_target: answer
target_delimiter: ""
metric_list: [{metric: acc}]
"""


@dataclass
class Request:
    """What the harness hands to a model."""

    args: tuple[Any, ...]
    doc_id: int = 0
    task_name: str = "lakes"


@pytest.fixture
def proxy(trained_house: House, tmp_path: Path) -> Any:
    if not INSTALLED:
        pytest.skip("the extra [tasks] is not installed")
    from eval.scores.harness import HarnessProxy

    export_proxy(trained_house.workspace, "both/seed0", to=tmp_path / "proxy")
    return HarnessProxy(tmp_path / "proxy")


def scored(house: House) -> tuple[Any, Tokenizer, dict[str, Any]]:
    """Return what our own multiple choice says of the items, in float32, its tokenizer and the weights."""
    lane = find_lane(house.workspace, "both/seed0")
    tokenizer = Tokenizer.load(tokenizer_of_lane(house.workspace, lane))
    weights = load_file(lane.folder / "weights.safetensors")
    return score_items(weights, ITEMS, tokenizer=tokenizer, tier=TIERS["t0"], precision="float32"), tokenizer, weights


def test_a_local_task_has_the_accuracy_of_our_own_multiple_choice(trained_house: House, tmp_path: Path):
    if not INSTALLED:
        pytest.skip("the extra [tasks] is not installed")
    file = write_lines(tmp_path / "lakes.jsonl", QUESTIONS)
    (tmp_path / "lakes.yaml").write_text(TASK.replace("FILE", str(file)))

    given = {"tasks": ["lakes"], "include": tmp_path, "progress": Silent()}
    (found,) = score_by_harness(trained_house.workspace, ["both/seed0"], **given)

    ours, _, _ = scored(trained_house)
    (summary,) = summaries(ours)
    assert (found.lane, found.task, found.items, found.metric) == ("both/seed0/lr1", "lm_eval:lakes", 5, "acc")
    assert summary.accuracy is not None and found.value == pytest.approx(summary.accuracy.value)
    assert found.error == pytest.approx(summary.accuracy.standard_error, abs=1e-6)
    assert "lm_eval:lakes" in harness_text([found])
    with pytest.raises(RecipeError, match=r"lm_eval:lake: there is no such task .* Did you mean lakes"):
        score_by_harness(trained_house.workspace, ["both/seed0"], **{**given, "tasks": ["lake"]})


def test_bits_of_every_choice_are_those_of_our_own_multiple_choice(trained_house: House, proxy: Any):
    requests = [Request((item.prompt, choice), number) for number, item in enumerate(ITEMS) for choice in item.choices]

    nats = [value for value, _ in proxy.loglikelihood(requests)]

    ours, _, _ = scored(trained_house)
    begins = np.cumsum([0, *(len(item.choices) for item in ITEMS[:-1])])
    right = [-nats[begin + item.answer] / math.log(2) for begin, item in zip(begins, ITEMS, strict=True)]
    assert right == pytest.approx(ours.bits_KN[0].tolist(), rel=1e-4)
    assert ours.merged_N.any() and ours.cut_N.any()


def test_whole_texts_have_the_bits_of_held_out_documents(trained_house: House, proxy: Any):
    texts = ["the river under the bridge", "water and light " * 300, ""]

    nats = proxy.loglikelihood_rolling([Request((text,)) for text in texts])

    _, tokenizer, weights = scored(trained_house)
    ours = document_bits(
        weights, tokenizer.encode(texts), tier=TIERS["t0"], bos=tokenizer.bos, precision="float32"
    )  # fmt: skip
    assert [-value / math.log(2) for value in nats] == pytest.approx(ours[0].tolist(), rel=1e-4)


def test_what_is_continued_is_what_is_most_probable_and_ends_at_a_stop(proxy: Any):
    (text,) = proxy.generate_until([Request(("the river", {"until": [], "max_gen_toks": 12}))])
    stop = text[3:5]
    (cut,) = proxy.generate_until([Request(("the river", {"until": [stop], "max_gen_toks": 12}))])

    assert cut == text[: text.find(stop)]
    with pytest.raises(DataError, match="a proxy only continues by the most probable token"):
        proxy.generate_until([Request(("the river", {"do_sample": True}))])


@pytest.mark.skipif(INSTALLED, reason="lm_eval is installed")
def test_without_the_harness_the_way_to_install_it_is_told(trained_house: House):
    with pytest.raises(RecipeError, match=r"pip install 'tamis\[tasks\]'"):
        score_by_harness(
            trained_house.workspace, ["both/seed0"], tasks=["lakes"], include=None, progress=Silent()
        )  # fmt: skip


def test_a_folder_of_tasks_that_nothing_asks_for_is_refused(trained_house: House, tmp_path: Path):
    given = {"lanes": ["both"], "tasks": ["copying"], "items": 2, "seed": 0, "workers": 1, "device": "cpu"}

    with pytest.raises(RecipeError, match="is of no use without --tasks lm_eval:TASK"):
        score(include=tmp_path, workspace=trained_house.workspace.root, as_json=False, **given)
