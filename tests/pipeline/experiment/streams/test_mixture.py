"""A mixture's shares are true in tokens, and its caps hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.proxies.packing import Tokens
from pipeline.core.errors import DataError, RecipeError
from pipeline.experiment.streams.mixture import plan_mixture


def dataset(lengths: list[int], *, first: int = 100) -> Tokens:
    """Documents of the given lengths; document d consists of the token `first + d`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(flat=np.repeat(np.arange(first, first + len(lengths)), lengths).astype(np.uint16), offsets=offsets)


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[dict[str, Tokens], dict[str, float], int, float]:
    """A feasible mixture of 1 to 5 small datasets, empty documents included."""
    names = [f"set{index}" for index in range(draw(st.integers(1, 5)))]
    lengths = st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(any)
    datasets = {name: dataset(draw(lengths), first=1000 * (index + 1)) for index, name in enumerate(names)}
    weights = {name: draw(st.floats(0.01, 10)) for name in names}
    max_epochs = draw(st.sampled_from([0.5, 1.0, 2.0, 3.5]))
    feasible = sum(int(max_epochs * (len(item.flat) + (np.diff(item.offsets) > 0).sum())) for item in datasets.values())
    return datasets, weights, draw(st.integers(1, max(1, feasible))), max_epochs


@settings(max_examples=60, deadline=None)
@given(mixture=mixtures())
def test_every_mixture_keeps_its_promises(
    mixture: tuple[dict[str, Tokens], dict[str, float], int, float],
) -> None:
    datasets, weights, total, max_epochs = mixture

    plan = plan_mixture(datasets, weights=weights, total_tokens=total, max_epochs=max_epochs)

    # every token accounted for, and no cap broken
    assert total == sum(share.num_tokens for share in plan.shares)
    for share in plan.shares:
        assert share.num_tokens <= share.max_epochs * share.available_tokens
    # uncapped datasets keep the proportions of their weights, to a token
    loose = [share for share in plan.shares if not share.capped]
    for first in loose:
        for second in loose:
            expected = second.num_tokens * first.weight / second.weight
            assert abs(first.num_tokens - expected) <= 1 + first.weight / second.weight


def test_what_a_capped_dataset_cannot_give_goes_to_the_others_by_weight() -> None:
    datasets = {"a": dataset([99]), "b": dataset([999] * 10), "c": dataset([999] * 10)}

    plan = plan_mixture(datasets, weights={"a": 0.5, "b": 0.3, "c": 0.2}, total_tokens=10_000, max_epochs=4)

    assert [(share.num_tokens, share.capped) for share in plan.shares] == [(400, True), (5760, False), (3840, False)]
    assert [share.weight for share in plan.shares] == [0.5, 0.3, 0.2]
    assert plan.shares[0].epochs == 4


def test_a_budget_that_no_repetition_can_fill_names_the_largest_that_can() -> None:
    datasets = {"a": dataset([99] * 10), "b": dataset([49] * 10)}

    with pytest.raises(RecipeError, match=r"give 3000 within their max_epochs\. Lower the tokens to 3000"):
        plan_mixture(datasets, weights={"a": 1, "b": 1}, total_tokens=3001, max_epochs=2)
    assert plan_mixture(datasets, weights={"a": 1, "b": 1}, total_tokens=3000, max_epochs=2).total_tokens == 3000


@pytest.mark.parametrize(
    ("weights", "max_epochs", "message"),
    [
        ({}, 1, "no weights"),
        ({"aa": 1.0}, 1, "'aa' is not a dataset.*Use a"),
        ({"a": 0.0}, 1, "weight of 'a' is 0.0"),
        ({"a": float("nan")}, 1, "weight of 'a' is nan"),
        ({"a": 1.0}, 0, "max_epochs is 0"),
    ],
)
def test_a_mixture_that_means_nothing_is_refused(weights: dict[str, float], max_epochs: float, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        plan_mixture({"a": dataset([9])}, weights=weights, total_tokens=10, max_epochs=max_epochs)


def test_a_dataset_without_tokens_is_refused() -> None:
    with pytest.raises(DataError, match="'a' has no tokens"):
        plan_mixture({"a": dataset([0, 0])}, weights={"a": 1}, total_tokens=10)
