"""Lanes and items of a prompt with its choices in; bits of every choice, and what they say of the right one, out.

Prompt and choice are joined byte for byte and tokenised as one text, as a lane has read it in training. Where a piece
reaches over the border, no token begins with the choice. So an item is cut before the first token that differs
between the prompt alone and any of its prompts with a choice: the same bytes of the prompt's end then stand before
every choice, count with it, and shift all choices alike. The probability of a choice (its own over that of all) loses
nothing by this, and bits per byte are over the bytes that were scored. `Scores` names such items; there are none where
choices begin with a space and prompts do not end with one. Prompts too long for the context lose their beginning, the
same tokens for every choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from eval.proxies.machine import Precision
from eval.proxies.packing import Tokens
from eval.proxies.tiers import Tier
from eval.proxies.tokenizer import Tokenizer
from eval.scores.bits_per_byte import document_bits
from pipeline.core.errors import DataError, shortened


@dataclass(frozen=True, slots=True)
class Item:
    """One question: `prompt + choices[answer]` is right. With a single choice only its bits are asked for."""

    prompt: str
    choices: tuple[str, ...]
    answer: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """Of K lanes on N items. Probability and accuracy are nan for items with a single choice, and of a broken lane."""

    bits_KN: npt.NDArray[np.float64]  # of the right choice
    num_bytes_N: npt.NDArray[np.int64]  # that these bits are of
    probability_KN: npt.NDArray[np.float64]  # of the right choice, of all choices together
    correct_KN: npt.NDArray[np.float64]  # 1 if it is the most probable, 1 / n if n are
    num_choices_N: npt.NDArray[np.int64]
    merged_N: npt.NDArray[np.bool_]  # the end of the prompt is scored with every choice
    cut_N: npt.NDArray[np.bool_]  # the prompt lost its beginning


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over items with its standard error, None where it takes two items."""

    value: float
    standard_error: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What one lane made of a task."""

    bits_per_byte: Estimate  # of the right choices: all bits over all bytes
    probability: Estimate | None
    accuracy: Estimate | None


def item_of(row: Mapping[str, Any], *, place: str) -> Item:
    """Return the item that an object holds; DataError names the `place` of one that asks nothing.

    A `prompt` and its choices are joined as they stand. A `question` is asked as `Question: ...` and `Answer:`, and a
    space is put before each choice.
    """
    given = [key for key in ("prompt", "question") if key in row]
    if len(given) != 1 or not isinstance(row[given[0]], str) or not row[given[0]]:
        raise DataError(f"{place}: has {_said(given)}; it must have one text, `prompt` or `question`. Add it.")
    choices, answer = row.get("choices"), row.get("answer")
    if not isinstance(choices, list) or len(choices) < 2 or not all(isinstance(c, str) and c for c in choices):
        raise DataError(f"{place}: choices is {_said(choices)}; it must be two texts or more, none empty. Complete it.")
    if type(answer) is not int or not 0 <= answer < len(choices):
        raise DataError(
            f"{place}: answer is {_said(answer)}; it must be the number of the right choice, 0 to {len(choices) - 1}. "
            "Correct it."
        )
    twice = next((choice for choice in choices if choices.count(choice) > 1), None)
    if twice is not None:
        which = "the answer" if twice == choices[answer] else "a choice"
        raise DataError(f"{place}: {which}, {_said(twice)}, stands twice among the choices. Take one of them out.")
    if given == ["prompt"]:
        return Item(prompt=row["prompt"], choices=tuple(choices), answer=answer)
    asked = f"Question: {row['question'].strip()}\nAnswer:"
    return Item(prompt=asked, choices=tuple(f" {choice}" for choice in choices), answer=answer)


def _said(found: object) -> str:
    return shortened(repr(found))


@dataclass(frozen=True, slots=True)
class Laid:
    """Every choice of every item as a document: prompt and choice, the first token that counts, what it is of."""

    tokens: Tokens
    first_D: npt.NDArray[np.int64]
    num_bytes_D: npt.NDArray[np.int64]
    begin_N: npt.NDArray[np.int64]  # item n has documents begin[n] up to begin[n + 1]
    merged_N: npt.NDArray[np.bool_]
    cut_N: npt.NDArray[np.bool_]


def score_items(
    params: Mapping[str, Tensor],
    items: Sequence[Item],
    *,
    tokenizer: Tokenizer,
    tier: Tier,
    device: str = "cpu",
    precision: Precision = "auto",
    threads: int = 1,
) -> Scores:
    """Return what stacked lanes say of items, one document for each choice, scored as `document_bits` does.

    DataError if a choice alone is longer than the tier's context.
    """
    laid = lay(items, tokenizer=tokenizer, context=tier.context)
    bits_KD = document_bits(
        params, laid.tokens, tier=tier, bos=tokenizer.bos, first=laid.first_D, device=device, precision=precision,
        threads=threads,
    )  # fmt: skip
    right_N = laid.begin_N[:-1] + np.array([item.answer for item in items], np.int64)
    probability_KN = np.full((len(bits_KD), len(items)), np.nan)
    correct_KN = probability_KN.copy()
    for n, (begin, end) in enumerate(zip(laid.begin_N[:-1], laid.begin_N[1:], strict=True)):
        if end - begin > 1:
            bits_KC = bits_KD[:, begin:end]
            least_K1 = bits_KC.min(1, keepdims=True)
            weight_KC = np.exp2(least_K1 - bits_KC)
            probability_KN[:, n] = weight_KC[:, items[n].answer] / weight_KC.sum(1)
            best_KC = ~(bits_KC > least_K1)
            correct_KN[:, n] = np.where(np.isnan(least_K1[:, 0]), np.nan, best_KC[:, items[n].answer] / best_KC.sum(1))
    return Scores(
        bits_KN=bits_KD[:, right_N], num_bytes_N=laid.num_bytes_D[right_N], probability_KN=probability_KN,
        correct_KN=correct_KN, num_choices_N=np.diff(laid.begin_N), merged_N=laid.merged_N, cut_N=laid.cut_N,
    )  # fmt: skip


def summaries(scores: Scores) -> list[Summary]:
    """Return each lane's means over the items, with standard errors."""
    asked_N = scores.num_choices_N > 1
    found = []
    for bits_N, probability_N, correct_N in zip(scores.bits_KN, scores.probability_KN, scores.correct_KN, strict=True):
        choice = [_mean(values_N[asked_N]) if asked_N.any() else None for values_N in (probability_N, correct_N)]
        found.append(Summary(_ratio(bits_N, scores.num_bytes_N), probability=choice[0], accuracy=choice[1]))
    return found


def _ratio(bits_N: npt.NDArray[np.float64], num_bytes_N: npt.NDArray[np.int64]) -> Estimate:
    """Return all bits over all bytes; its error from how items deviate from it."""
    rate = float(bits_N.sum() / num_bytes_N.sum())
    error = _error(len(bits_N) * (bits_N - rate * num_bytes_N) / num_bytes_N.sum())
    return Estimate(rate, standard_error=error)


def _mean(values_N: npt.NDArray[np.float64]) -> Estimate:
    return Estimate(float(values_N.mean()), standard_error=_error(values_N))


def _error(values_N: npt.NDArray[np.float64]) -> float | None:
    return float(values_N.std(ddof=1) / len(values_N) ** 0.5) if len(values_N) > 1 else None


def lay(items: Sequence[Item], *, tokenizer: Tokenizer, context: int) -> Laid:
    """Return every choice as tokens, with the border before which all choices of an item are alike."""
    if not items:
        raise DataError("items: there are none; at least one is needed to score. Give a file that has some.")
    texts = [text for item in items for text in (item.prompt, *(item.prompt + choice for choice in item.choices))]
    encoded = tokenizer.encode(texts)
    ids = iter(encoded.flat[a:b] for a, b in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True))
    flat, first, num_bytes = [], [], []
    merged, cut = np.zeros((2, len(items)), bool)
    for n, item in enumerate(items):
        prompt, *whole = (next(ids) for _ in range(1 + len(item.choices)))
        shared = min(_shared(prompt, tokens) for tokens in whole)
        merged[n] = shared < len(prompt)
        drop = max(0, *(len(tokens) - context for tokens in whole))
        cut[n] = drop > 0
        if drop > shared:
            raise DataError(
                f"item {n + 1}: a choice is {max(len(tokens) for tokens in whole) - shared} tokens; a context holds "
                f"{context}. Leave it out, or use proxies with a longer context."
            )
        for tokens in whole:
            flat.append(tokens[drop:])
            first.append(shared - drop)
            num_bytes.append(int(tokenizer.num_bytes[tokens[shared:]].sum()))
    return Laid(
        tokens=Tokens(flat=np.concatenate(flat), offsets=np.cumsum([0, *(len(tokens) for tokens in flat)])),
        first_D=np.array(first, np.int64),
        num_bytes_D=np.array(num_bytes, np.int64),
        begin_N=np.cumsum([0, *(len(item.choices) for item in items)]),
        merged_N=merged,
        cut_N=cut,
    )


def _shared(one: npt.NDArray[np.uint16], other: npt.NDArray[np.uint16]) -> int:
    """Return how many tokens two texts begin with alike."""
    size = min(len(one), len(other))
    differ = np.flatnonzero(one[:size] != other[:size])
    return int(differ[0]) if len(differ) else size
