from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eval.proxies.proxy import init_lane, stack
from eval.proxies.tiers import Tier
from eval.proxies.tokenizer import Tokenizer, train_tokenizer
from eval.scores.bits_per_byte import document_bits
from eval.scores.multiple_choice import Item, Scores, item_of, score_items, summaries
from pipeline.core.errors import DataError
from tests.eval.choosing import tier_of
from tests.eval.proxies.test_proxy import awake

SENTENCE = "The harbour keeper counts the ships that pass the lighthouse at dawn and at noon"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    texts = [f"{SENTENCE}, {number} of them. Question: how many?\nAnswer: {number}\n" for number in range(100)]
    return train_tokenizer(texts, path=tmp_path_factory.mktemp("pieces") / "t.model", vocab_size=420, seed=1)


@pytest.fixture(scope="module")
def tier(tokenizer: Tokenizer) -> Tier:
    return tier_of(tokenizer, context=32)


@pytest.fixture(scope="module")
def lanes(tier: Tier) -> dict[str, Tensor]:
    return stack([awake(tier, seed=seed) for seed in range(2)])


def scored(lanes: dict[str, Tensor], items: list[Item], *, tokenizer: Tokenizer, tier: Tier, **how: Any) -> Scores:
    return score_items(lanes, items, tokenizer=tokenizer, tier=tier, precision="fp32", **how)


def whole_bits(lanes: dict[str, Tensor], texts: list[str], *, tokenizer: Tokenizer, tier: Tier) -> np.ndarray:
    return document_bits(lanes, tokenizer.encode(texts), tier=tier, bos=tokenizer.bos, precision="fp32")


def test_the_bits_of_a_choice_are_those_of_the_whole_less_those_of_the_prompt(
    tokenizer: Tokenizer, tier: Tier, lanes: dict[str, Tensor]
) -> None:
    items = [Item("The keeper counts", (" ships", " the dawn and noon"), 1), Item("At", (" noon", " dawn"), 0)]

    scores = scored(lanes, items, tokenizer=tokenizer, tier=tier)

    rights = [item.prompt + item.choices[item.answer] for item in items]
    prompts = whole_bits(lanes, [item.prompt for item in items], tokenizer=tokenizer, tier=tier)
    expected = whole_bits(lanes, rights, tokenizer=tokenizer, tier=tier) - prompts
    np.testing.assert_allclose(scores.bits_KN, expected, atol=1e-3)
    assert scores.num_bytes_N.tolist() == [len(" the dawn and noon"), len(" noon")]
    assert not scores.merged_N.any() and not scores.cut_N.any()


def test_probabilities_are_those_of_whole_texts_also_where_a_piece_reaches_over_the_border(
    tokenizer: Tokenizer, tier: Tier, lanes: dict[str, Tensor]
) -> None:
    """What all choices share cancels, so the border cannot change a probability."""
    item = Item("The light", ("house", "ships", "s"), 0)

    scores = scored(lanes, [item], tokenizer=tokenizer, tier=tier)

    bits = whole_bits(lanes, [item.prompt + choice for choice in item.choices], tokenizer=tokenizer, tier=tier)
    weights = np.exp2(-bits)
    np.testing.assert_allclose(scores.probability_KN[:, 0], weights[:, 0] / weights.sum(1), rtol=1e-4)
    assert scores.correct_KN[:, 0].tolist() == (bits.argmin(1) == 0).astype(float).tolist()


def test_an_item_whose_border_lies_inside_a_piece_is_named_and_scored_over_the_bytes_of_its_pieces(
    tokenizer: Tokenizer, tier: Tier, lanes: dict[str, Tensor]
) -> None:
    joined = tokenizer.encode(["The lighthouse", "The light", "The"])
    assert joined.offsets.tolist() == [0, 2, *(joined.offsets[2:].tolist())]  # ` lighthouse` is one piece

    scores = scored(lanes, [Item("The light", ("house", " ships"), 0)], tokenizer=tokenizer, tier=tier)

    assert scores.merged_N.tolist() == [True]
    assert scores.num_bytes_N.tolist() == [len(" lighthouse")]
    bits = whole_bits(lanes, ["The lighthouse", "The"], tokenizer=tokenizer, tier=tier)
    np.testing.assert_allclose(scores.bits_KN[:, 0], bits[:, 0] - bits[:, 1], atol=1e-3)


@pytest.mark.parametrize(
    "choice", [" noon", " \u2581odd\x00", " na\u00efve", " 17", " \n", "  two", " " + SENTENCE[:20]]
)
def test_a_choice_behind_a_space_begins_with_a_piece_of_its_own(
    tokenizer: Tokenizer, tier: Tier, lanes: dict[str, Tensor], choice: str
) -> None:
    for prompt in ("The keeper", "Answer:", "17", "At noon.\n"):
        scores = scored(lanes, [Item(prompt, (choice,))], tokenizer=tokenizer, tier=tier)

        assert scores.num_bytes_N.tolist() == [len(choice.encode())]


def test_a_long_prompt_loses_its_beginning_alike_for_every_choice(
    tokenizer: Tokenizer, tier: Tier, lanes: dict[str, Tensor]
) -> None:
    long, short = (Item(f"{text} counts", (" ships that pass", " noon")) for text in (SENTENCE * 9, "keeper"))
    texts = [long.prompt + choice for choice in long.choices]
    tokens = tokenizer.encode(texts)
    drop = int(max(np.diff(tokens.offsets))) - tier.context

    scores = scored(lanes, [long, short], tokenizer=tokenizer, tier=tier)

    bounds = itertools.pairwise(tokens.offsets)
    tails = [tokenizer.decode(tokens.flat[a + drop : b]) for a, b in bounds]
    bits = whole_bits(lanes, tails, tokenizer=tokenizer, tier=tier)
    assert scores.cut_N.tolist() == [True, False]
    np.testing.assert_allclose(scores.probability_KN[:, 0], np.exp2(-bits[:, 0]) / np.exp2(-bits).sum(1), rtol=1e-4)


def test_a_choice_longer_than_the_context_is_refused(
    tokenizer: Tokenizer, tier: Tier, lanes: dict[str, Tensor]
) -> None:
    items = [Item("a", (" b",)), Item("a", (" " + "xq" * 40, " b"))]

    with pytest.raises(DataError, match=r"item 2: a choice is 8\d tokens; a context holds 32"):
        scored(lanes, items, tokenizer=tokenizer, tier=tier)


def test_no_items_are_refused(tokenizer: Tokenizer, tier: Tier, lanes: dict[str, Tensor]) -> None:
    with pytest.raises(DataError, match="there are none"):
        scored(lanes, [], tokenizer=tokenizer, tier=tier)


def test_a_model_that_knows_nothing_is_right_by_chance(tokenizer: Tokenizer, tier: Tier) -> None:
    uniform = init_lane(tier, seed=1)
    uniform["head_KVD"].zero_()
    items = [Item("At", (" 1", " 2", " 3", " 4"), answer) for answer in range(4)]

    (summary,) = summaries(scored(uniform, items, tokenizer=tokenizer, tier=tier))

    assert summary.accuracy is not None and summary.probability is not None
    assert (summary.accuracy.value, summary.probability.value) == (0.25, pytest.approx(0.25))
    assert summary.bits_per_byte.value == pytest.approx(2 * math.log2(tier.vocab_size) / 2, rel=1e-5)


def test_standard_errors_are_those_of_means_and_of_a_ratio() -> None:
    """The error of all bits over all bytes is checked against drawing the items again."""
    draw = np.random.Generator(np.random.PCG64(3))
    num_bytes = draw.integers(2, 30, 400)
    bits = num_bytes * 2.0 + draw.normal(0, 5, 400)
    right = draw.uniform(0, 1, 400)
    flags, twos = np.zeros(400, bool), np.full(400, 2)
    scores = Scores(bits[None], num_bytes, right[None], (right > 0.3)[None].astype(float), twos, flags, flags)

    (summary,) = summaries(scores)

    again = draw.integers(0, 400, (4_000, 400))
    spread = (bits[again].sum(1) / num_bytes[again].sum(1)).std()
    assert summary.bits_per_byte.value == bits.sum() / num_bytes.sum()
    assert summary.bits_per_byte.standard_error == pytest.approx(spread, rel=0.05)
    assert summary.probability is not None and summary.accuracy is not None
    assert summary.probability.standard_error == pytest.approx(right.std(ddof=1) / 20)
    assert summary.accuracy.value == (right > 0.3).mean()


def test_items_with_one_choice_have_bits_and_nothing_else(
    tokenizer: Tokenizer, tier: Tier, lanes: dict[str, Tensor]
) -> None:
    found = summaries(scored(lanes, [Item("At", (" noon",))], tokenizer=tokenizer, tier=tier))

    assert [(item.probability, item.accuracy, item.bits_per_byte.standard_error) for item in found] == [(None,) * 3] * 2


def test_a_broken_lane_has_no_numbers_and_changes_none_of_the_others(
    tokenizer: Tokenizer, tier: Tier, lanes: dict[str, Tensor]
) -> None:
    items = [Item("At", (" noon", " dawn"), answer) for answer in (0, 1)]
    broken = {name: torch.cat([param[:1], param[1:] * math.nan]) for name, param in lanes.items()}

    whole, other = (summaries(scored(found, items, tokenizer=tokenizer, tier=tier)) for found in (lanes, broken))

    assert other[0] == whole[0]
    assert other[1].accuracy is not None and math.isnan(other[1].accuracy.value)
    assert math.isnan(other[1].bits_per_byte.value)


def test_a_question_is_asked_and_a_prompt_stands_as_it_is() -> None:
    question = item_of({"question": "How many? ", "choices": ["one", "two"], "answer": 1}, place="a:1")
    prompt = item_of({"prompt": "How many? ", "choices": ["one", "two"], "answer": 0}, place="a:1")

    assert question == Item("Question: How many?\nAnswer:", (" one", " two"), 1)
    assert prompt == Item("How many? ", ("one", "two"), 0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"choices": []}, r"choices is \[\]; it must be two texts or more"),
        ({"choices": ["a"]}, "two texts or more"),
        ({"choices": ["a", ""]}, "none empty"),
        ({"choices": "ab"}, "choices is 'ab'"),
        ({"answer": 2}, "answer is 2; it must be the number of the right choice, 0 to 1"),
        ({"answer": -1}, "answer is -1"),
        ({"answer": True}, "answer is True"),
        ({"answer": "a"}, "answer is 'a'"),
        ({"answer": None}, "answer is None"),
        ({"choices": ["a", "b", "a"]}, "the answer, 'a', stands twice"),
        ({"choices": ["a", "b", "b"]}, "a choice, 'b', stands twice"),
        ({"prompt": ""}, "it must have one text"),
        ({"question": "both"}, r"has \['prompt', 'question'\]"),
    ],
)
def test_what_asks_nothing_is_refused_by_its_place(changed: dict[str, Any], said: str) -> None:
    row = {"prompt": "p", "choices": ["a", "b"], "answer": 0} | changed

    with pytest.raises(DataError, match=rf"^tasks\.jsonl:7: .*{said}"):
        item_of(row, place="tasks.jsonl:7")
