"""The space of a recipe, as knobs and weights that models know, and as edits that recipes know.

A point is numbers, a card is edits; each says the other. What a person lets in from outside the space with a card is
one more setting, in or out as a whole; it goes before what else the space says of the same places.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.loop.space import Knob, Point, Space, Value
from eval.search.simplex import Limits, rounded
from pipeline.core.errors import RecipeError
from pipeline.core.identity import canonical
from pipeline.recipe.edits import END, Edit, dataset_of, edited, refuse_forbidden, value_at
from pipeline.recipe.load import load_recipe
from pipeline.recipe.proxy_settings import PLACE
from pipeline.recipe.research import RangeSection
from pipeline.recipe.spec import Recipe
from pipeline.research.edits.settings import is_of_settings
from pipeline.research.edits.variants import affected_by, plain_data

OUT = False
AS_IT_IS = "as it is"
MOST_VALUES = 1000  # of a whole number on a linear scale: places are kept in thousandths of the range


class OutsideError(RecipeError):
    """An edit that may be good, and lies outside what the recipe lets move."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A knob with what each of its values means. `edits` are of every value but the incumbent's own."""

    knob: Knob
    own: Value
    op: str
    place: str
    flags: tuple[Edit, ...] = ()  # what switching it means; empty for a value that is set or a step that moves
    is_let_in: bool = False

    def edits(self, place: float) -> tuple[Edit, ...]:
        """Return the edits that the value at a place of the knob is; none for the incumbent's own."""
        if place == self.knob.to_unit(self.own):
            return ()
        return self.flags or (Edit("set" if self.op == "set" else "move_step", self.place, self.knob.from_unit(place)),)


@dataclass(frozen=True, slots=True)
class EditSpace:
    """The space and the incumbent's place in it."""

    recipe: Recipe
    space: Space
    axes: tuple[Axis, ...]
    base: Point

    @property
    def incumbent(self) -> str:
        """Return the name of the mixture that is to be bettered."""
        assert self.recipe.research is not None
        return self.recipe.research.incumbent

    def edits_of(self, point: Point) -> tuple[Edit, ...]:
        """Return the edits that make a point of the incumbent."""
        own: list[Edit] = []
        let_in: list[Edit] = []
        if point.weights is not None and point.weights != self.base.weights:
            shares = dict(zip(self.space.datasets, point.weights, strict=True))
            own.append(Edit("weight", f"mixtures.{self.incumbent}", shares))
        for axis, place in zip(self.axes, point.knobs, strict=True):
            (let_in if axis.is_let_in else own).extend(axis.edits(place))
        taken = {(edit.op, edit.place) for edit in let_in if edit.op != "add_step"}
        kept = [edit for edit in own if (edit.op, edit.place) not in taken]
        return tuple({edit.key: edit for edit in (*kept, *let_in)}.values())

    def point_of(self, edits: Sequence[Edit]) -> Point:
        """Return the point that edits are; OutsideError names the first that no setting of the space makes.

        The nearest, for a number between two that the space tells apart: `edits_of` says which it is.
        """
        weights, places = self.base.weights, list(self.base.knobs)
        given = {edit.key for edit in edits}
        left = dict.fromkeys(given)
        for index in sorted(range(len(self.axes)), key=lambda index: -len(self.axes[index].flags)):
            axis = self.axes[index]
            keys = {edit.key for edit in axis.flags}
            if keys and keys <= given and not keys.isdisjoint(left):
                places[index] = axis.knob.to_unit(not axis.own)
                left = {key: None for key in left if key not in keys}
        for edit in edits:
            if edit.key not in left:
                continue
            if edit.op == "weight":
                weights = self._weights(edit)
                continue
            found = (number for number, axis in enumerate(self.axes) if _is_of(axis, edit))
            number = next(found, None)
            if number is None:
                raise OutsideError(f"{edit.words}: lies outside the space.")
            try:
                places[number] = self.axes[number].knob.to_unit(edit.value)
            except (RecipeError, TypeError, ValueError) as error:
                raise OutsideError(f"{edit.words}: {error}") from error
        return Point(weights, tuple(places))

    def _weights(self, edit: Edit) -> tuple[float, ...]:
        limits = self.space.limits
        if limits is None:
            raise OutsideError(f"{edit.words}: the space lets no weights move.")
        given = edit.value if isinstance(edit.value, Mapping) else {}
        weights_D = np.array([float(given.get(name, 0.0)) for name in self.space.datasets])
        if abs(weights_D.sum() - 1) > 1e-3:
            raise RecipeError(f"{edit.words}: the shares sum to {weights_D.sum():g}; they must sum to 1.")
        for name, weight, low, high in zip(limits.names, weights_D, limits.low_D, limits.high_D, strict=True):
            if not low - 1e-3 <= weight <= high + 1e-3:
                raise OutsideError(f"{edit.words}: {name} may weigh {low:.3g} to {high:.3g}.")
        return tuple(float(weight) for weight in rounded(weights_D[None] / weights_D.sum())[0])


def _is_of(axis: Axis, edit: Edit) -> bool:
    return not axis.flags and (axis.op, axis.place) == (edit.op, edit.place)


def space_of(
    recipe: Recipe,
    *,
    supply: Mapping[str, float] | None = None,
    let_in: Sequence[tuple[str, Sequence[Edit]]] = (),
) -> EditSpace:
    """Return the space of a recipe's research; RecipeError for one that contradicts the recipe or itself.

    `supply` is the most that each dataset's text allows it to weigh, `let_in` what people approved from outside, by
    card.
    """
    research = recipe.research
    assert research is not None
    given = research.space
    axes = [_ranged(recipe, place, each) for place, each in given.set_.items()]
    axes += [_switch(recipe, f"without {name}", _removal(recipe, name)) for name in given.remove_step]
    axes += [_switch(recipe, _added_name(added.dataset, added.step), _addition(added)) for added in given.add_step]
    axes += [_movable(recipe, name, places) for name, places in given.move_step.items()]
    axes += [_let_in(card, tuple(edits)) for card, edits in let_in]
    if len({axis.knob.name for axis in axes}) < len(axes):
        raise RecipeError(f"{recipe.place}: research.space names a setting twice; once must do.")
    weights = recipe.mixtures[research.incumbent].weights
    names = tuple(sorted(weights))
    limits, own = None, None
    if given.weights is not None and len(names) > 1:
        if whole := weights.keys() - plain_data(recipe)["mixtures"][research.incumbent]["weights"].keys():
            raise RecipeError(
                f"{recipe.place}: research.space.weights: `{min(whole)}` is a topic of a dataset that "
                f"{research.incumbent} mixes as a whole. Give each topic a weight in the mixture, and it can move."
            )
        most = {name: min(1.0, share) for name, share in (supply or {}).items() if name in names}
        most |= {name: min(share, most.get(name, 1.0)) for name, share in given.weights.most.items()}
        limits = Limits.of(names, least=given.weights.least, most=most)
        total = math.fsum(weights.values())
        prior_D = np.array([weights[name] / total for name in names])
        own = tuple(float(weight) for weight in rounded(limits.nearest(prior_D[None]))[0])
        if not supply and float(np.abs(limits.nearest(prior_D[None])[0] - prior_D).max()) > 1e-3:
            told = ", ".join(f"{name} {share:.3g}" for name, share in zip(names, prior_D.tolist(), strict=True))
            raise RecipeError(
                f"{recipe.place}: research.space.weights: the incumbent itself ({told}) lies outside least and most. "
                "Widen them."
            )
    elif given.weights is not None and not axes:
        raise RecipeError(f"{recipe.place}: research.space: {research.incumbent} has one dataset, so no weights move.")
    space = Space(names, limits, tuple(axis.knob for axis in axes))
    base = Point(own, tuple(axis.knob.to_unit(axis.own) for axis in axes))
    return EditSpace(recipe, space, tuple(axes), base)


def _ranged(recipe: Recipe, place: str, given: RangeSection) -> Axis:
    where = f"{recipe.place}: research.space.set"
    own = _checked(recipe, where, Edit("set", place, None), lambda: value_at(recipe, place))
    if place == f"{PLACE}width" and not given.choices:
        raise RecipeError(f"{where}.{place}: give `choices`, even numbers; between two others there are odd ones too.")
    if given.choices:
        choices = tuple(given.choices)
        if not all(isinstance(choice, (str, int, float, bool)) for choice in choices):
            raise RecipeError(f"{where}.{place}.choices must be words, numbers, true or false.")
        if own not in choices:
            raise RecipeError(f"{where}.{place}: the recipe's own value {own!r} is not among the choices. Add it.")
        return Axis(Knob(place, "choice", choices=choices), own, "set", place)
    if not isinstance(own, (int, float)) or isinstance(own, bool):
        raise RecipeError(f"{where}.{place} is {own!r}, no number; give `choices` instead of `low` and `high`.")
    assert given.low is not None and given.high is not None
    whole = isinstance(own, int) and float(given.low).is_integer() and float(given.high).is_integer()
    if not given.low <= own <= given.high:
        raise RecipeError(
            f"{where}.{place}: the recipe's own value {own:g} lies outside {given.low:g} to {given.high:g}. Widen them."
        )
    if whole and not given.log and given.high - given.low >= MOST_VALUES:
        raise RecipeError(
            f"{where}.{place}: {given.low:g} to {given.high:g} are more than {MOST_VALUES:,} whole numbers, which the "
            "space cannot tell apart. Use `log: true`, or a narrower range."
        )
    return Axis(
        Knob(place, "int" if whole else "float", low=given.low, high=given.high, log=given.log), own, "set", place
    )


def _checked(recipe: Recipe, where: str, edit: Edit, read: Any) -> Any:
    """Return what a place holds, once it is known that a proposal may touch it."""
    try:
        refuse_forbidden(recipe, [edit])
        if not is_of_settings(recipe):
            affected_by(recipe, plain_data(recipe), {dataset_of(recipe, edit)})
        return read()
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error


def _removal(recipe: Recipe, name: str) -> Edit:
    return Edit("remove_step", f"datasets.{name}")


def _addition(added: Any) -> Edit:
    return Edit("add_step", f"datasets.{added.dataset}", {"step": added.step, "before": added.before or END})


def _added_name(dataset: str, step: Any) -> str:
    return f"{dataset} + {step if isinstance(step, str) else canonical(step)}"


def _switch(recipe: Recipe, name: str, edit: Edit) -> Axis:
    """Return the setting that an edit may be in or out."""
    where = f"{recipe.place}: research.space.{edit.op}"

    def tried() -> None:
        load_recipe(_with(recipe, edit), look_at_inputs=False)

    _checked(recipe, where, edit, tried)
    return Axis(Knob(name, "flag"), OUT, edit.op, edit.place, flags=(edit,))


def _let_in(card: str, edits: tuple[Edit, ...]) -> Axis:
    """Return the setting of what a person let in with a card: all of it or nothing, as it was approved."""
    words = "; ".join(edit.words for edit in edits)
    return Axis(Knob(f"card {card}: {words}", "flag"), OUT, edits[0].op, edits[0].place, flags=edits, is_let_in=True)


def _with(recipe: Recipe, edit: Edit) -> dict[str, Any]:
    return {key: value for key, value in edited(plain_data(recipe), [edit]).items() if key != "research"} | {
        "gate": None, "promote": None,
    }  # fmt: skip


def _movable(recipe: Recipe, name: str, places: Sequence[str]) -> Axis:
    where, place = f"{recipe.place}: research.space.move_step", f"datasets.{name}"
    for before in places:
        edit = Edit("move_step", place, before)
        _checked(recipe, where, edit, lambda edit=edit: load_recipe(_with(recipe, edit), look_at_inputs=False))
    return Axis(Knob(f"place of {name}", "choice", choices=(AS_IT_IS, *places)), AS_IT_IS, "move_step", place)
