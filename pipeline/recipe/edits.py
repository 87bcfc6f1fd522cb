"""Edits of a recipe as data: what a proposal may say, how it is applied, and what none may touch.

    set          datasets.clean.gopher_quality.min_words   40
    add_step     datasets.clean                            {"step": {"c4_quality": {}}, "before": "exact_dedup"}
    remove_step  datasets.clean.c4_quality
    move_step    datasets.clean.exact_dedup                "c4_quality" (to stand before it) or "end"
    weight       mixtures.even                             {"numeric": 0.6, "tables": 0.3, "tasks": 0.1}

An edit names no code and no file. Whatever judges is out of its reach: gate, held-out sets and what they are made of,
guards, seeds, budgets, sources and the space itself are refused whoever proposes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipeline.core.errors import RecipeError, did_you_mean, shortened
from pipeline.core.identity import canonical
from pipeline.core.shown import one_line
from pipeline.core.step import Params
from pipeline.recipe.names import label_of
from pipeline.recipe.proxy_settings import NAMES, PLACE
from pipeline.recipe.python_recipe import document_of, plain_copy
from pipeline.recipe.settings import apply_setting, step_positions
from pipeline.recipe.spec import Recipe, StepSpec, held_out_by, step_inputs

Op = Literal["set", "add_step", "remove_step", "move_step", "weight"]
OPS: tuple[Op, ...] = ("set", "add_step", "remove_step", "move_step", "weight")
GUARDS = ("decontaminate", "paraphrases", "unique_ids")  # they keep a comparison fair, and are no choice about text
OPEN_ROLES = ("measure", "decide")  # of parameters: inputs are sources, alarms are guards, the rest changes no result
END, SEED = "end", "seed"


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a recipe. `value` is plain JSON; None for `remove_step`."""

    op: Op
    place: str
    value: Any = None

    @property
    def told(self) -> dict[str, Any]:
        """The edit as JSON."""
        return asdict(self)

    @property
    def key(self) -> str:
        """What two edits have in common that say the same."""
        return canonical([self.op, self.place, self.value])

    @property
    def words(self) -> str:
        """The edit in one line, whatever stands in it: all that a person reads who approves it."""
        return one_line(self._words())

    def _words(self) -> str:
        place = self.place.removeprefix("datasets.").removeprefix("mixtures.").removeprefix(PLACE)
        if self.op == "set":
            return f"{place} = {_word(self.value)}"
        if self.op == "remove_step":
            return f"without {place}"
        if self.op == "add_step":
            step, before = self.value["step"], self.value.get("before")
            name = step if isinstance(step, str) else next(iter(step))
            given = step[name] if isinstance(step, Mapping) else None
            told = f" ({', '.join(f'{key} = {_word(value)}' for key, value in given.items())})" if given else ""
            return f"{place} + {name}{told}{f' before {before}' if before not in (None, END) else ''}"
        if self.op == "move_step":
            return f"{place} at the end" if self.value == END else f"{place} before {self.value}"
        weights = ", ".join(f"{name} {100 * share:.1f} %" for name, share in self.value.items())
        return f"weights {weights}"


def key_of(edits: Iterable[Edit]) -> tuple[str, ...]:
    """Return what sets of edits have in common that come to the same, in whatever order they stand."""
    return tuple(sorted(edit.key for edit in edits))


def edit_of(told: Any) -> Edit:
    """Return the edit that JSON tells; RecipeError for anything that is none."""
    if not isinstance(told, Mapping) or told.get("op") not in OPS or not isinstance(told.get("place"), str):
        raise RecipeError(
            f"{shortened(repr(told))} is no edit; it must be {{op, place, value}}, op one of {_listed()}."
        )
    if unknown := sorted(map(str, told.keys() - {"op", "place", "value"})):
        raise RecipeError(f"an edit has op, place and value, and not {', '.join(unknown)}.")
    edit = Edit(**{"value": None, **plain_copy(told)})
    _SHAPES[edit.op](edit)
    return edit


def _any_value(edit: Edit) -> None:
    """Whatever the parameter takes: its step reads it."""


def _no_value(edit: Edit) -> None:
    if edit.value is not None:
        raise RecipeError(f"remove_step {shortened(edit.place)}: takes no value.")


def _step_before(edit: Edit) -> None:
    if not isinstance(edit.value, str) or not edit.value:
        raise RecipeError(f"move_step {shortened(edit.place)}: the value must be the step to stand before, or `end`.")


def _shares(edit: Edit) -> None:
    if not isinstance(edit.value, Mapping) or not edit.value or not all(map(_is_share, edit.value.values())):
        raise RecipeError(f"weight {shortened(edit.place)}: the value must be {{DATASET: share}}, shares of 0 to 1.")


def _step_given(edit: Edit) -> None:
    told = edit.value
    if not isinstance(told, Mapping) or "step" not in told or told.keys() - {"step", "before"}:
        raise RecipeError(f"add_step {shortened(edit.place)}: the value must be {{step, before}}.")
    step, before = told["step"], told.get("before")
    one = (
        isinstance(step, Mapping)
        and len(step) == 1
        and all(each is None or isinstance(each, Mapping) for each in step.values())
    )
    if not one and not (isinstance(step, str) and step):
        raise RecipeError(
            f"add_step {shortened(edit.place)}: `step` must be a step's name or {{NAME: {{parameters}}}}."
        )
    if before is not None and not isinstance(before, str):
        raise RecipeError(f"add_step {shortened(edit.place)}: `before` must name a step, or be `end`.")


_SHAPES: Mapping[Op, Callable[[Edit], None]] = {
    "set": _any_value, "add_step": _step_given, "remove_step": _no_value, "move_step": _step_before, "weight": _shares,
}  # fmt: skip


def edited(data: Mapping[str, Any], edits: Iterable[Edit]) -> dict[str, Any]:
    """Return a recipe with some edits; RecipeError names the first that meets nothing. The order does not matter.

    Values are set before steps go, come and move, so that each edit finds what it names.
    """
    body = copy.deepcopy(dict(data))
    for edit in sorted(edits, key=lambda edit: (ORDER.index(edit.op), edit.place, edit.key)):
        _APPLY[edit.op](body, edit)
    return body


def _set(body: dict[str, Any], edit: Edit) -> None:
    document = document_of(body)
    apply_setting(document, edit.place, edit.value)
    body |= document.data


def _weight(body: dict[str, Any], edit: Edit) -> None:
    name = edit.place.removeprefix("mixtures.")
    mixtures = body.get("mixtures") or {}
    if name not in mixtures:
        raise RecipeError(f"weight {edit.place}: there is no mixture `{name}`.{did_you_mean(name, mixtures)}")
    known = mixtures[name]["weights"]
    if not isinstance(edit.value, Mapping) or not edit.value or any(each not in known for each in edit.value):
        raise RecipeError(f"weight {edit.place}: the value must give a share of each of {', '.join(known)}.")
    shares = {each: edit.value.get(each, 0.0) for each in known}
    if not all(_is_share(share) for share in shares.values()) or abs(math.fsum(shares.values()) - 1) > 1e-3:
        raise RecipeError(f"weight {edit.place}: the shares must be 0 to 1 and sum to 1.")
    kept = {each: float(share) for each, share in shares.items() if share > 0}
    body["mixtures"] = {**mixtures, name: {**mixtures[name], "weights": kept}}


def _remove(body: dict[str, Any], edit: Edit) -> None:
    steps, index = _found(body, edit)
    del steps[index]


def _add(body: dict[str, Any], edit: Edit) -> None:
    dataset = edit.place.removeprefix("datasets.")
    _step_given(edit)
    told = edit.value
    entry = _dataset(body, dataset, edit)
    steps = list(entry.get("steps") or [])
    entry["steps"] = steps
    before = told.get("before")
    steps.insert(len(steps) if before in (None, END) else _index(steps, str(before), edit), told["step"])


def _move(body: dict[str, Any], edit: Edit) -> None:
    steps, index = _found(body, edit)
    entry = steps.pop(index)
    steps.insert(len(steps) if edit.value == END else _index(steps, str(edit.value), edit), entry)


_APPLY = {"set": _set, "weight": _weight, "remove_step": _remove, "add_step": _add, "move_step": _move}
ORDER: tuple[Op, ...] = ("set", "weight", "move_step", "add_step", "remove_step")


def _found(body: dict[str, Any], edit: Edit) -> tuple[list[Any], int]:
    """Return the steps of the dataset that a place names, and where among them its step stands."""
    names = body.get("datasets") or {}
    rest = edit.place.removeprefix("datasets.")
    dataset = next((name for name in names if rest.startswith(f"{name}.")), rest.partition(".")[0])
    entry = _dataset(body, dataset, edit)
    entry["steps"] = list(entry.get("steps") or [])
    return entry["steps"], _index(entry["steps"], rest[len(dataset) + 1 :], edit)


def _dataset(body: dict[str, Any], name: str, edit: Edit) -> dict[str, Any]:
    datasets = body.get("datasets") or {}
    if not isinstance(datasets.get(name), dict):
        raise RecipeError(f"{edit.op} {edit.place}: there is no dataset `{name}`.{did_you_mean(name, datasets)}")
    found: dict[str, Any] = datasets[name]
    return found


def _index(steps: Sequence[Any], label: str, edit: Edit) -> int:
    places = step_positions(steps)
    if label not in places:
        raise RecipeError(f"{edit.op} {edit.place}: there is no step `{label}` there.{did_you_mean(label, places)}")
    return places[label]


def refuse_forbidden(recipe: Recipe, edits: Sequence[Edit]) -> None:
    """Raise RecipeError where an edit touches what judges, guards or pays, or another mixture than the incumbent."""
    assert recipe.research is not None
    incumbent, judged = recipe.research.incumbent, _judging(recipe)
    seen: set[tuple[str, str]] = set()
    for edit in edits:
        if (edit.op, edit.place) in seen:
            raise RecipeError(f"{edit.op} {edit.place}: stands twice among the edits; one must do.")
        seen.add((edit.op, edit.place))
        if recipe.research.space.is_of_settings:
            _refuse_text(edit)
            continue
        if edit.op == "weight":
            if edit.place != f"mixtures.{incumbent}":
                raise RecipeError(f"weight {edit.place}: only the weights of mixtures.{incumbent} may move.")
            continue
        if not edit.place.startswith("datasets."):
            key = edit.place.partition(".")[0]
            raise RecipeError(
                f"{edit.op} {edit.place}: `{key}` is out of reach of any proposal, as what judges, pays or is read is; "
                "edits are of datasets.DATASET and of the incumbent's weights."
            )
        dataset = dataset_of(recipe, edit)
        rest = edit.place.removeprefix("datasets.")
        if dataset in judged:
            raise RecipeError(
                f"{edit.op} {edit.place}: `{dataset}` is a held-out set or is one made of; what judges stays as it is."
            )
        if edit.op == "set":
            _refuse_closed(recipe, edit, dataset, rest[len(dataset) + 1 :])
        else:
            _refuse_guard(edit, rest[len(dataset) + 1 :])


def _refuse_text(edit: Edit) -> None:
    """Raise RecipeError for what is no setting of proxies, in a search for these."""
    name = edit.place.removeprefix(PLACE)
    if edit.op != "set" or not edit.place.startswith(PLACE):
        raise RecipeError(
            f"{edit.op} {edit.place}: this search is for settings of proxies, which judge all text alike; edits are "
            f"`set {PLACE}NAME`."
        )
    if name not in NAMES:
        raise RecipeError(f"set {edit.place}: the trainer has no setting `{name}`.{did_you_mean(name, NAMES)}")


def dataset_of(recipe: Recipe, edit: Edit) -> str:
    """Return the dataset that an edit of one changes; RecipeError where there is none."""
    rest = edit.place.removeprefix("datasets.")
    for name in recipe.datasets:
        if rest == name or rest.startswith(f"{name}."):
            return name
    name = rest.partition(".")[0]
    raise RecipeError(f"{edit.op} {edit.place}: there is no dataset `{name}`.{did_you_mean(name, recipe.datasets)}")


def _judging(recipe: Recipe) -> set[str]:
    """Return the held-out datasets with all that they are made of."""
    found = set(held_out_by(recipe))
    waiting = list(found)
    while waiting:
        spec = recipe.datasets.get(waiting.pop())
        new = ({*spec.inputs, *step_inputs(spec)} & recipe.datasets.keys()) - found if spec is not None else set()
        found |= new
        waiting += new
    return found


def _refuse_guard(edit: Edit, label: str) -> None:
    step = edit.value.get("step") if edit.op == "add_step" and isinstance(edit.value, Mapping) else None
    name = next(iter(step), "") if isinstance(step, Mapping) else step
    if edit.op != "add_step" and label_of(label).rstrip("_0123456789") in GUARDS:
        raise RecipeError(
            f"{edit.op} {edit.place}: {label} guards the comparison; without it a mixture is better because it has "
            "seen the test. It stays where it is."
        )
    if edit.op == "add_step" and isinstance(step, Mapping):
        from pipeline.recipe.names import step_class

        params = step_class(str(name)).Params
        given = step[name] if isinstance(step[name], Mapping) else {}
        _refuse_roles(edit, params, given)


def _refuse_closed(recipe: Recipe, edit: Edit, dataset: str, rest: str) -> None:
    spec = recipe.datasets[dataset]
    item = next((item for item in spec.steps if rest.startswith(f"{item.label}.")), None)
    if item is None and spec.make is not None and rest.startswith(f"make.{spec.make.label}."):
        return _refuse_roles(edit, type(spec.make.step.params), {rest.split(".")[2]: None})
    if item is None:
        raise RecipeError(
            f"set {edit.place}: names no parameter of a step of {dataset}."
            f"{did_you_mean(rest.partition('.')[0], [item.label for item in spec.steps])}"
        )
    if item.step.name in GUARDS or item.implied:
        raise RecipeError(f"set {edit.place}: {item.label} guards the comparison and stays as it is.")
    return _refuse_roles(edit, type(item.step.params), {rest[len(item.label) + 1 :].partition(".")[0]: None})


def _refuse_roles(edit: Edit, params: type[Params], given: Mapping[str, Any]) -> None:
    for key in given:
        if key not in params.model_fields:
            raise RecipeError(
                f"{edit.op} {edit.place}: `{key}` is no parameter of it.{did_you_mean(key, params.model_fields)}"
            )
        if key == SEED:
            raise RecipeError(
                f"{edit.op} {edit.place}: seeds are chance, and no choice about text; no proposal sets it."
            )
        if params.role_of(key) not in OPEN_ROLES:
            raise RecipeError(
                f"{edit.op} {edit.place}: `{key}` names a source, guards or changes no result; no proposal sets it."
            )


def value_at(recipe: Recipe, place: str) -> Any:
    """Return what stands at a place of a recipe, `datasets.DATASET.STEP.PARAMETER`, defaults included.

    A setting of proxies is `proxy.settings.NAME`; where it is not given, it is the tier's.
    """
    if place.startswith(PLACE):
        assert recipe.proxy is not None
        return recipe.proxy.setting(place.removeprefix(PLACE))
    rest = place.removeprefix("datasets.")
    dataset = next((name for name in recipe.datasets if rest.startswith(f"{name}.")), None)
    if not place.startswith("datasets.") or dataset is None:
        raise RecipeError(f"{place}: names no dataset of the recipe; it must be datasets.DATASET.STEP.PARAMETER.")
    item, keys = _item_at(recipe, dataset, rest[len(dataset) + 1 :], place)
    value: Any = item.step.params.model_dump(mode="json")
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            known = value if isinstance(value, Mapping) else ()
            raise RecipeError(f"{place}: `{key}` is no parameter there.{did_you_mean(key, known)}")
        value = value[key]
    return value


def _item_at(recipe: Recipe, dataset: str, rest: str, place: str) -> tuple[StepSpec, list[str]]:
    spec = recipe.datasets[dataset]
    items = [(item.label, item) for item in spec.steps]
    items += [(f"make.{spec.make.label}", spec.make)] if spec.make is not None else []
    for label, item in items:
        if rest.startswith(f"{label}."):
            return item, rest[len(label) + 1 :].split(".")
    name = rest.partition(".")[0]
    raise RecipeError(f"{place}: `{dataset}` has no step `{name}`.{did_you_mean(name, [label for label, _ in items])}")


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _listed() -> str:
    return ", ".join(OPS)
