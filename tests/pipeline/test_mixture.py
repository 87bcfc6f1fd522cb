"""A mixture's shares are true in tokens, its caps hold, and its draws do not depend on what else is in it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.rng import generator
from pipeline.mixture import MixtureStream, Tokens, build_stream, plan_mixture

BOS = 1


def dataset(lengths: list[int], *, first: int = 100) -> Tokens:
    """Documents of the given lengths; document d consists of the token `first + d`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(tokens=np.repeat(np.arange(first, first + len(lengths)), lengths).astype(np.uint16), offsets=offsets)


def many(*, documents: int, mean: int, draw: int = 0) -> Tokens:
    return dataset(generator(draw, "mixture test").integers(1, 2 * mean, size=documents).tolist())


def documents_of(stream: MixtureStream, name: str) -> list[int]:
    index = [share.name for share in stream.plan.shares].index(name)
    return stream.documents[stream.datasets == index].tolist()


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[dict[str, Tokens], dict[str, float], int, float]:
    """A feasible mixture of 1 to 5 small datasets, empty documents included."""
    names = [f"set{index}" for index in range(draw(st.integers(1, 5)))]
    lengths = st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(any)
    datasets = {name: dataset(draw(lengths), first=1000 * (index + 1)) for index, name in enumerate(names)}
    weights = {name: draw(st.floats(0.01, 10)) for name in names}
    max_epochs = draw(st.sampled_from([0.5, 1.0, 2.0, 3.5]))
    feasible = sum(
        int(max_epochs * (len(item.tokens) + (np.diff(item.offsets) > 0).sum())) for item in datasets.values()
    )
    return datasets, weights, draw(st.integers(1, max(1, feasible))), max_epochs


@settings(max_examples=60, deadline=None)
@given(mixture=mixtures(), seed=st.integers(0, 5))
def test_every_mixture_keeps_its_promises(
    mixture: tuple[dict[str, Tokens], dict[str, float], int, float], seed: int
) -> None:
    datasets, weights, total, max_epochs = mixture

    plan = plan_mixture(datasets, weights=weights, total_tokens=total, max_epochs=max_epochs)
    stream = build_stream(datasets, plan=plan, seed=seed, bos=BOS)

    # exact length, and every token accounted for
    assert (
        len(stream.tokens) == total == sum(share.num_tokens for share in plan.shares) == sum(stream.realised.values())
    )
    # caps: never above max_epochs in the plan, and in whole epochs never above it in the stream
    for share in plan.shares:
        assert share.num_tokens <= share.max_epochs * share.available_tokens
        assert stream.realised[share.name] < share.num_tokens + 41
        if max_epochs == int(max_epochs):
            seen = np.bincount(np.array(documents_of(stream, share.name), np.int64), minlength=1)
            assert seen.max() <= max_epochs
    # uncapped datasets keep the proportions of their weights, to a token
    loose = [share for share in plan.shares if not share.capped]
    for first in loose:
        for second in loose:
            expected = second.num_tokens * first.weight / second.weight
            assert abs(first.num_tokens - expected) <= 1 + first.weight / second.weight
    # documents are whole, in place, and each begins with a BOS
    ends = [*stream.starts[1:], total]
    for start, end, index, document in zip(stream.starts, ends, stream.datasets, stream.documents, strict=True):
        source = datasets[plan.shares[index].name]
        whole = source.tokens[source.offsets[document] : source.offsets[document + 1]]
        assert len(whole) > 0
        assert stream.tokens[start] == BOS
        assert stream.tokens[start + 1 : end].tolist() == whole[: end - start - 1].tolist()
        assert end == total or end - start == len(whole) + 1


@settings(max_examples=50, deadline=None)
@given(mixture=mixtures())
def test_the_order_in_which_datasets_are_named_does_not_matter(
    mixture: tuple[dict[str, Tokens], dict[str, float], int, float],
) -> None:
    datasets, weights, total, max_epochs = mixture
    turned = dict(reversed(weights.items()))

    first = build_stream(
        datasets,
        plan=plan_mixture(datasets, weights=weights, total_tokens=total, max_epochs=max_epochs),
        seed=1,
        bos=BOS,
    )
    second = build_stream(
        datasets,
        plan=plan_mixture(datasets, weights=turned, total_tokens=total, max_epochs=max_epochs),
        seed=1,
        bos=BOS,
    )

    assert first.tokens.tobytes() == second.tokens.tobytes()


def test_the_order_within_a_dataset_is_the_same_whatever_else_is_mixed_in() -> None:
    clean, code, web = (many(documents=200, mean=20, draw=draw) for draw in range(3))
    datasets = {"clean": clean, "code": code, "web": web}

    orders = []
    for weights in ({"clean": 1.0}, {"clean": 0.3, "code": 0.7}, {"web": 5.0, "clean": 1.0, "code": 1.0}):
        plan = plan_mixture(datasets, weights=weights, total_tokens=2000, max_epochs=3)
        orders.append(documents_of(build_stream(datasets, plan=plan, seed=9, bos=BOS), "clean"))

    shortest = min(len(order) for order in orders)
    assert shortest > 5
    assert orders[0][:shortest] == orders[1][:shortest] == orders[2][:shortest]


def test_each_epoch_is_a_fresh_permutation_of_all_documents() -> None:
    datasets = {"clean": many(documents=50, mean=10)}
    size = len(datasets["clean"].tokens) + 50

    stream = build_stream(
        datasets,
        plan=plan_mixture(datasets, weights={"clean": 1.0}, total_tokens=2 * size, max_epochs=2),
        seed=0,
        bos=BOS,
    )

    first, second = documents_of(stream, "clean")[:50], documents_of(stream, "clean")[50:]
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_what_a_capped_dataset_cannot_give_goes_to_the_others_by_weight() -> None:
    datasets = {"a": dataset([99]), "b": dataset([999] * 10), "c": dataset([999] * 10)}

    plan = plan_mixture(datasets, weights={"a": 0.5, "b": 0.3, "c": 0.2}, total_tokens=10_000, max_epochs=4)

    assert [(share.num_tokens, share.capped) for share in plan.shares] == [(400, True), (5760, False), (3840, False)]
    assert [share.weight for share in plan.shares] == [0.5, 0.3, 0.2]
    assert plan.shares[0].epochs == 4


def test_a_cap_can_be_set_for_one_dataset_alone() -> None:
    datasets = {"a": dataset([99] * 10), "b": dataset([99] * 10)}

    plan = plan_mixture(datasets, weights={"a": 1, "b": 1}, total_tokens=1500, max_epochs=1, max_epochs_of={"a": 5.0})

    assert [share.num_tokens for share in plan.shares] == [750, 750]


def test_a_budget_that_no_repetition_can_fill_names_the_largest_that_can() -> None:
    datasets = {"a": dataset([99] * 10), "b": dataset([49] * 10)}

    with pytest.raises(RecipeError, match=r"give 3000 within their max_epochs\. Lower the tokens to 3000"):
        plan_mixture(datasets, weights={"a": 1, "b": 1}, total_tokens=3001, max_epochs=2)
    assert plan_mixture(datasets, weights={"a": 1, "b": 1}, total_tokens=3000, max_epochs=2).total_tokens == 3000


@pytest.mark.parametrize(
    ("weights", "caps", "message"),
    [
        ({}, {}, "no weights"),
        ({"aa": 1.0}, {}, "'aa' is not a dataset.*Use a"),
        ({"a": 0.0}, {}, "weight of 'a' is 0.0"),
        ({"a": float("nan")}, {}, "weight of 'a' is nan"),
        ({"a": 1.0}, {"b": 2.0}, "'b' is not a dataset"),
        ({"a": 1.0}, {"a": 0.0}, "max_epochs of 'a' is 0.0"),
    ],
)
def test_a_mixture_that_means_nothing_is_refused(
    weights: dict[str, float], caps: dict[str, float], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        plan_mixture({"a": dataset([9])}, weights=weights, total_tokens=10, max_epochs_of=caps)


def test_a_dataset_without_tokens_is_refused() -> None:
    with pytest.raises(DataError, match="'a' has no tokens"):
        plan_mixture({"a": dataset([0, 0])}, weights={"a": 1}, total_tokens=10)


def test_the_card_reports_asked_and_realised_shares() -> None:
    datasets = {"a": many(documents=100, mean=30), "b": many(documents=100, mean=30, draw=1)}
    plan = plan_mixture(datasets, weights={"a": 3, "b": 1}, total_tokens=1000)

    details = build_stream(datasets, plan=plan, seed=0, bos=BOS).details()

    assert details["a"]["weight"] == 0.75
    assert details["a"]["realised_share"] == pytest.approx(0.75, abs=0.06)
    assert sum(item["realised_share"] for item in details.values()) == pytest.approx(1)


def test_five_million_tokens_are_packed_in_under_two_seconds() -> None:
    datasets = {name: many(documents=20_000, mean=100, draw=index) for index, name in enumerate("abcd")}
    plan = plan_mixture(
        datasets, weights=dict(zip("abcd", (4, 3, 2, 1), strict=True)), total_tokens=5_000_000, max_epochs=4
    )
    build_stream(datasets, plan=plan_mixture(datasets, weights={"a": 1}, total_tokens=10), seed=0, bos=BOS)  # compile

    start = time.perf_counter()
    build_stream(datasets, plan=plan, seed=0, bos=BOS)

    assert time.perf_counter() - start < 2
