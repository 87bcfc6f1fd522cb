from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.errors import RecipeError
from pipeline.recipe.ablation import ablation_of, step_left_out
from pipeline.recipe.load import load_recipe

DATA: dict[str, Any] = {
    "seed": 3,
    "sources": {"pages": {"read": "jsonl", "path": "pages.jsonl"}, "news": {"read": "jsonl", "path": "news.jsonl"}},
    "datasets": {
        "held": {"from": "news", "steps": ["exact_dedup"]},
        "clean": {"from": "pages", "steps": ["length", {"pii": {}}, "pii", {"decontaminate": {"against": ["held"]}}]},
        "good": {"from": "clean", "steps": ["minhash_dedup"]},
        "side": {"from": "pages", "steps": ["exact_dedup"]},
    },
    "mixtures": {"all": {"weights": {"side": 1}}, "best": {"weights": {"good": 0.8, "clean": 0.2}, "max_epochs": 8}},
    "proxy": {"tokens": "8k"},
    "gate": {"candidate": "best", "baseline": "all", "on": ["held"], "min_gain": 0.004},
    "promote": {"as": "docs"},
}


def test_each_step_on_the_way_to_the_candidate_is_left_out_once():
    """Not those of held-out sets and other mixtures, nor what keeps the test out of the training data."""
    found = ablation_of(DATA, name="demo")

    assert [(arm.dataset, arm.step) for arm in found.arms] == [
        ("clean", "length"), ("clean", "pii"), ("clean", "pii_2"), ("good", "minhash_dedup"),
    ]  # fmt: skip


def test_what_is_made_from_a_changed_dataset_changes_with_it_and_nothing_else():
    found = ablation_of(DATA, name="demo", only=["clean.length"])
    arm = found.arms[0]

    assert arm.mixture == "without-clean-length"
    assert arm.final == {"good": "good-without-clean-length", "clean": "clean-without-length"}
    assert found.data["datasets"]["clean-without-length"]["steps"] == DATA["datasets"]["clean"]["steps"][1:]
    assert found.data["datasets"]["good-without-clean-length"] == {
        "from": "clean-without-length", "steps": ["minhash_dedup"],
    }  # fmt: skip
    assert found.data["mixtures"]["without-clean-length"] == {
        "weights": {"good-without-clean-length": 0.8, "clean-without-length": 0.2}, "max_epochs": 8,
    }  # fmt: skip
    assert {name: found.data["datasets"][name] for name in DATA["datasets"]} == DATA["datasets"]


def test_an_ablation_is_a_valid_recipe_that_decides_nothing():
    found = ablation_of(DATA, name="demo")

    recipe = load_recipe(found.data, look_at_inputs=False)
    assert recipe.name == "demo-ablation" and recipe.promote is None and recipe.gate is not None
    assert recipe.gate.verdict is False and set(recipe.mixtures) == {"best", *(arm.mixture for arm in found.arms)}


def with_steps(*steps: Any) -> dict[str, Any]:
    return {**DATA, "datasets": {**DATA["datasets"], "clean": {"from": "pages", "steps": list(steps)}}}


def test_a_preset_is_left_out_whole_under_a_name_that_recipes_allow():
    found = ablation_of(with_steps("gopher_quality@datatrove-0.10"), name="demo", only=[])

    assert found.arms[0].step == "gopher_quality@datatrove-0.10"
    assert found.arms[0].final["clean"] == "clean-without-gopher_quality-datatrove-0-10"
    assert found.arms[0].mixture in load_recipe(found.data, look_at_inputs=False).mixtures


LABELLED = ({"label": {"rubric": "educational", "teacher": "claude", "documents": 2000, "max_usd": 3}}, "quality")


def test_a_step_that_another_needs_stays_and_is_told():
    found = ablation_of(with_steps(*LABELLED), name="demo")

    assert [(arm.dataset, arm.step) for arm in found.arms] == [("clean", "quality"), ("good", "minhash_dedup")]
    assert found.needed == ("clean.label",)
    assert load_recipe(found.data, look_at_inputs=False).gate.baseline == "without-clean-quality"
    with pytest.raises(RecipeError, match="no step to leave out but those that guard the test or that others need"):
        ablation_of(with_steps(*LABELLED), name="demo", only=["clean.label"])


@pytest.mark.parametrize(
    ("change", "only", "said"),
    [
        ({"gate": None}, [], "demo: has no `gate:`"),
        (
            {},
            ["clean.lenght"],
            r"--step clean.lenght: is not a step of the candidate in demo. Did you mean clean.length",
        ),
        ({"mixtures": {"all": {"weights": {"side": 1}}}}, [], "is what a search finds. Ablate the recipe that"),
        ({"mixtures": {"best": {"weights": {"pages": 1}}}}, [], "have no step to leave out"),
    ],
)
def test_where_nothing_can_be_left_out_it_says_so(change, only, said):
    with pytest.raises(RecipeError, match=said):
        ablation_of({**DATA, **change}, name="demo", only=only)


def test_the_step_left_out_is_told_from_the_datasets_and_not_from_names():
    data = {**DATA, "datasets": dict(DATA["datasets"]), "mixtures": dict(DATA["mixtures"]), "promote": None}
    steps = DATA["datasets"]["clean"]["steps"]
    data["datasets"] |= {
        "x": {"from": "pages", "steps": [*steps[:2], *steps[3:]]},
        "y": {"from": "x", "steps": ["minhash_dedup"]},
        "z": {"from": "x"},
        "other": {"from": "pages", "steps": ["length"]},
    }
    data["mixtures"] |= {
        "a": {"weights": {"y": 0.8, "x": 0.2}, "max_epochs": 8},
        "more_epochs": {"weights": {"y": 0.8, "x": 0.2}, "max_epochs": 9},
        "two_steps": {"weights": {"z": 0.8, "x": 0.2}, "max_epochs": 8},
        "other_weights": {"weights": {"y": 0.7, "x": 0.3}, "max_epochs": 8},
        "other_steps": {"weights": {"y": 0.8, "other": 0.2}, "max_epochs": 8},
        "in_one_place": {"weights": {"good": 0.8, "x": 0.2}, "max_epochs": 8},
        "without-clean-length": {"weights": {"good": 0.8, "clean": 0.2}, "max_epochs": 8},
    }
    del data["promote"]
    recipe = load_recipe(data, look_at_inputs=False)

    found = {name: step_left_out(recipe, candidate="best", mixture=name) for name in recipe.mixtures}

    assert {name: step for name, step in found.items() if step} == {"a": "clean.pii"}


def test_every_mixture_of_an_ablation_is_the_candidate_without_its_step():
    found = ablation_of(DATA, name="demo")
    recipe = load_recipe(found.data, look_at_inputs=False)

    steps = [step_left_out(recipe, candidate=found.candidate, mixture=arm.mixture) for arm in found.arms]

    assert steps == ["clean.length", "clean.pii", "clean.pii", "good.minhash_dedup"]  # the two of pii are the same
