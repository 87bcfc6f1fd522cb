"""A recipe -> the same recipe with one mixture more for each step, which is the candidate without that step.

A step left out changes its dataset and all that is made from it on the way to the mixture; everything else is shared,
and what was measured is measured already. Steps that keep held-out text out of the training data stay: without them a
mixture is better because it has seen the test. So do steps that a later one needs, as `quality` needs `label`: those
are told. Nothing is decided, so no look of a gate is used up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import RecipeError, did_you_mean
from pipeline.recipe.load import load_recipe
from pipeline.recipe.spec import DatasetSpec, Recipe

KEPT = ("decontaminate", "paraphrases", "unique_ids")  # guards of the experiment and of the ids, not choices about text
NAME = 64  # characters at most


@dataclass(frozen=True, slots=True)
class Arm:
    """One step left out: `mixture` is the candidate without it, `final` each changed dataset that the mixture names."""

    dataset: str
    step: str  # as the recipe has it; a preset is left out whole
    mixture: str
    final: Mapping[str, str]  # dataset of the candidate -> what stands in its place


@dataclass(frozen=True, slots=True)
class Ablation:
    """The recipe to run, and what it leaves out where."""

    data: dict[str, Any]
    candidate: str
    arms: tuple[Arm, ...]
    needed: tuple[str, ...]  # steps that stay, as the recipe is refused without them


def ablation_of(data: Mapping[str, Any], *, name: str, only: Sequence[str] = ()) -> Ablation:
    """Return the ablation of a valid recipe's candidate, of the steps named (`clean.c4_quality`) or of all.

    Raises RecipeError for a recipe without a gate, a step that is none of its candidate's, and where none is left.
    """
    gate = data.get("gate")
    if not isinstance(gate, Mapping):
        raise RecipeError(
            f"{name}: has no `gate:`, which names the candidate and the held-out sets to judge by. Add one."
        )
    candidate = str(gate["candidate"])
    if candidate not in data.get("mixtures", {}):
        raise RecipeError(
            f"{name}: gate.candidate `{candidate}` is what a search finds. Ablate the recipe that `tamis sweep` wrote."
        )
    weights = data["mixtures"][candidate]["weights"]
    found = list(_steps(data, weights))
    wanted = _wanted(found, only, name=name)
    kept = {key: value for key, value in data.items() if key not in ("promote", "sweep")}
    judged = {key: value for key, value in gate.items() if key in ("on", "sealed", "confidence", "group_by")}
    body = {
        **kept,
        "name": named(f"{name}-ablation"),
        "datasets": dict(data["datasets"]),
        "mixtures": {candidate: data["mixtures"][candidate]},
        "gate": {**judged, "candidate": candidate, "verdict": False},
    }
    arms, needed = [], []
    for dataset, index, step in wanted:
        tag = f"without-{dataset}-{step}"
        datasets = {}
        places = _places(data, dataset, weights)
        renamed = {each: named(f"{each}-{tag}" if each != dataset else f"{dataset}-without-{step}") for each in places}
        for each in places:
            changed = dict(data["datasets"][each])
            if each == dataset:
                changed["steps"] = [entry for number, entry in enumerate(changed["steps"]) if number != index]
            changed["from"] = _renamed(changed["from"], renamed) if "from" in changed else None
            datasets[renamed[each]] = {key: value for key, value in changed.items() if value is not None}
        final = {each: renamed[each] for each in weights if each in renamed}
        section = dict(data["mixtures"][candidate])
        section["weights"] = {final.get(each, each): weight for each, weight in weights.items()}
        mixture = named(tag)
        longer = _with(body, datasets=datasets, mixture=mixture, section=section)
        if _is_refused(longer):
            needed.append(f"{dataset}.{step}")
        else:
            body = longer
            arms.append(Arm(dataset, step, mixture, final))
    if not arms:
        raise _nothing_left(name)
    return Ablation(body, candidate, tuple(arms), tuple(needed))


def _with(
    body: Mapping[str, Any], *, datasets: Mapping[str, Any], mixture: str, section: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the recipe with the datasets and the mixture of one arm more; the first mixture is the baseline."""
    return {
        **body,
        "datasets": {**body["datasets"], **datasets},
        "mixtures": {**body["mixtures"], mixture: section},
        "gate": {"baseline": mixture, **body["gate"]},
    }


def _is_refused(body: Mapping[str, Any]) -> bool:
    try:
        load_recipe(body, look_at_inputs=False)
    except RecipeError:
        return True
    return False


def _nothing_left(name: str) -> RecipeError:
    return RecipeError(
        f"{name}: the candidate's datasets have no step to leave out but those that guard the test or that others need."
    )


def step_left_out(recipe: Recipe, *, candidate: str, mixture: str) -> str | None:
    """Return the step (`clean.c4_quality`) that makes a mixture the candidate without it, whatever the two are called.

    None where they differ in anything else. Of a preset, whose steps go together, all are named.
    """
    one, other = recipe.mixtures.get(candidate), recipe.mixtures.get(mixture)
    if one is None or other is None or len(one.weights) != len(other.weights):
        return None
    if one.model_copy(update={"weights": {}}) != other.model_copy(update={"weights": {}}):
        return None
    if list(one.weights.values()) != list(other.weights.values()):
        return None
    stands: dict[str, str] = {}  # dataset of the candidate -> the one in its place, all the way up
    if not all(_stands_for(recipe, *pair, stands) for pair in zip(one.weights, other.weights, strict=True)):
        return None
    missing = {
        name: _missing(recipe.datasets[name], recipe.datasets[part]) for name, part in stands.items() if name != part
    }
    changed = {name: labels for name, labels in missing.items() if labels != []}
    if len(changed) != 1:
        return None
    ((dataset, labels),) = changed.items()
    return f"{dataset}.{' and '.join(labels)}" if labels is not None else None


def _stands_for(recipe: Recipe, one: str, other: str, stands: dict[str, str]) -> bool:
    """Note that a dataset stands for another one, and those before it; say whether nothing noted earlier differs."""
    if stands.setdefault(one, other) != other:
        return False
    whole, part = recipe.datasets.get(one), recipe.datasets.get(other)
    if whole is None or part is None:  # a source
        return one == other
    same_start = len(whole.inputs) == len(part.inputs) and (one == other or not (whole.make or part.make))
    pairs = zip(whole.inputs, part.inputs, strict=False)
    return same_start and all(_stands_for(recipe, *pair, stands) for pair in pairs)


def _missing(whole: DatasetSpec, part: DatasetSpec) -> list[str] | None:
    """Return the labels of neighbouring steps that one dataset has more than the other, None if they differ else."""
    steps, kept = ([item for item in spec.steps if not item.implied] for spec in (whole, part))
    plain, rest = ([(item.step.name, item.step.params) for item in listed] for listed in (steps, kept))
    count = len(steps) - len(kept)
    for at in range(len(rest) + 1) if count >= 0 else ():
        if plain[:at] + plain[at + count :] == rest:
            return [item.label for item in steps[at : at + count]]
    return None


def _steps(data: Mapping[str, Any], weights: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """Yield dataset, place and name of every step on the way to the mixture, in the recipe's order."""
    used = _upstream(data, list(weights))
    for dataset, body in data["datasets"].items():
        if dataset in used:
            before: list[str] = []
            for index, entry in enumerate(body.get("steps") or []):
                step = str(entry if isinstance(entry, str) else next(iter(entry)))
                before.append(step)
                if step not in KEPT:
                    yield dataset, index, step if before.count(step) == 1 else f"{step}_{before.count(step)}"


def _upstream(data: Mapping[str, Any], names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        if name in data["datasets"]:
            found |= {name} | _upstream(data, _listed(data["datasets"][name].get("from")))
    return found


def _places(data: Mapping[str, Any], dataset: str, weights: Mapping[str, Any]) -> list[str]:
    """Return the dataset and those between it and the mixture, in the recipe's order."""
    used = _upstream(data, list(weights))
    return [each for each in data["datasets"] if each in used and dataset in _upstream(data, [each])]


def _wanted(found: Sequence[tuple[str, int, str]], only: Sequence[str], *, name: str) -> list[tuple[str, int, str]]:
    known = {f"{dataset}.{step}": (dataset, index, step) for dataset, index, step in found}
    for each in only:
        if each not in known:
            raise RecipeError(f"--step {each}: is not a step of the candidate in {name}.{did_you_mean(each, known)}")
    wanted = [known[each] for each in dict.fromkeys(only)] if only else list(known.values())
    if not wanted:
        raise _nothing_left(name)
    return wanted


def _listed(given: Any) -> list[str]:
    return [str(item) for item in given] if isinstance(given, list) else [] if given is None else [str(given)]


def _renamed(given: Any, renamed: Mapping[str, str]) -> Any:
    names = [renamed.get(each, each) for each in _listed(given)]
    return names if isinstance(given, list) else names[0]


def named(text: str) -> str:
    """Return a name that recipes allow; where it is too long the beginning goes, as the step stands at the end."""
    text = re.sub(r"[^A-Za-z0-9_-]", "-", text)
    return text[-NAME:].lstrip("-_") if len(text) > NAME else text
