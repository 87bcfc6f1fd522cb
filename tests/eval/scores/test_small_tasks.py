from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from eval.proxies.proxy import init_lane
from eval.proxies.tokenizer import train_tokenizer
from eval.scores.small_tasks import CONSONANTS, TASKS, VOWELS, Point, curve, items_of
from pipeline.core.errors import RecipeError
from tests.eval.choosing import tier_of, trained_on


@pytest.mark.parametrize("task", TASKS)
def test_items_depend_on_seed_and_number_alone(task: str) -> None:
    few, many, others = (items_of(task, count=count, seed=seed) for count, seed in ((5, 1), (50, 1), (50, 2)))

    assert many[:5] == few
    assert {item.prompt for item in many}.isdisjoint(item.prompt for item in others) or task == "arithmetic"
    assert len({item.prompt for item in many}) > 40


def test_answers_follow_from_their_prompts() -> None:
    """A second reading of each prompt, which shares nothing with the generators."""
    for item in items_of("copying", count=50, seed=3):
        assert f"copy:{item.choices[0].rstrip()} ->" == item.prompt
    for item in items_of("induction", count=50, seed=3):
        *words, last = item.prompt.split()
        assert words[words.index(last) + 1] == item.choices[0].strip() and words.count(last) == 1
    for item in items_of("arithmetic", count=50, seed=3):
        one, sign, other = re.fullmatch(r"(\d+) ([+-]) (\d+) =", item.prompt).groups()
        assert int(item.choices[0]) == (int(one) + int(other) if sign == "+" else int(one) - int(other)) >= 0
    for item in items_of("retrieval", count=50, seed=3):
        holds = dict(re.findall(r"box (\w+) holds (\d+)\.", item.prompt))
        assert len(holds) == 6 and holds[item.prompt.split()[-2]] == item.choices[0].strip(" .")
    for item in items_of("sorting", count=50, seed=3):
        given = re.fullmatch(r"sort: ([\d ]+) ->", item.prompt)[1].split()
        assert sorted(given, key=int) == item.choices[0].split()


def test_an_unknown_task_is_named_with_those_that_there_are() -> None:
    with pytest.raises(RecipeError, match=r"`copyng` is not a task; .* Use copying"):
        items_of("copyng", count=1, seed=0)


def test_lanes_that_read_copies_beat_one_that_was_never_trained(tmp_path: Path) -> None:
    never, *after = copying_curve(tmp_path, steps=100).points

    assert [never.num_tokens, *(point.num_tokens for point in after)] == [0, 51_200, 51_200]
    for point in after:
        assert above(point) < never.bits_per_byte.value / 2


@pytest.mark.slow
def test_lanes_that_read_enough_copies_learn_to_copy(tmp_path: Path) -> None:
    """Below what each word costs whoever only knows how words are made."""
    found = copying_curve(tmp_path, steps=400)

    assert all(above(point) < found.without_copying for point in found.points[1:])


@dataclass
class Copying:
    """How two lanes, and one that was never trained, copy words that they have not read."""

    points: list[Point]
    without_copying: float  # bits per byte of whoever knows how words are made and not which these are


def copying_curve(folder: Path, *, steps: int) -> Copying:
    made = [item.prompt + item.choices[0] for item in items_of("copying", count=2_500, seed=1)]
    tokenizer = train_tokenizer(made[:500], path=folder / "t.model", vocab_size=330, seed=1)
    tier = tier_of(tokenizer)
    lanes = trained_on(made * 3, tokenizer=tokenizer, tier=tier, steps=steps, seeds=2)
    items = items_of("copying", count=100, seed=2)
    found = curve(
        {name: torch.cat([lanes[name], init]) for name, init in init_lane(tier, seed=5).items()},
        [steps * tier.batch_tokens] * 2 + [0], tasks={"copying": items}, tokenizer=tokenizer, tier=tier,
        precision="fp32",
    )  # fmt: skip
    words, size = sum(len(item.choices[0].split()) for item in items), sum(len(item.choices[0]) for item in items)
    return Copying(found["copying"], without_copying=words * math.log2(len(CONSONANTS) ** 2 * len(VOWELS) ** 2) / size)


def above(point: Point) -> float:
    """Return where a lane's bits per byte lie at most: five standard errors above the estimate."""
    assert point.bits_per_byte.standard_error is not None
    return point.bits_per_byte.value + 5 * point.bits_per_byte.standard_error
