"""A step's name and its parameters, as a recipe gives them -> the step itself, or every mistake in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from pipeline.core.errors import RecipeError, shortened
from pipeline.core.files.reading.strict_yaml import Place
from pipeline.core.step import Step
from pipeline.core.strict_model import StrictModel
from pipeline.recipe.names import step_class
from pipeline.recipe.sections import explain_invalid

Note = Callable[[Place, str], None]  # where below what was given, and what is wrong there


def make_step(name: str, given: Any, *, where: str) -> Step:
    """Return a step with the parameters given for it; RecipeError lists every mistake, each begun with `where`."""
    mistakes: list[str] = []
    step = note_or_make(step_class(name), given, where=where, note=lambda place, message: mistakes.append(message))
    if step is None:
        raise RecipeError("\n".join(mistakes))
    return step


def note_or_make(kind: type[Step], given: Any, *, where: str, note: Note) -> Step | None:
    """Return a step with the parameters given for it; None if there are mistakes, which are noted."""
    params = note_or_parse(kind.Params, {} if given is None else given, where=where, note=note)
    if params is None:
        return None
    try:
        return kind(params=params)
    except RecipeError as error:
        note((), f"{where}: {error}")
        return None


def note_or_parse(kind: type[StrictModel], given: Any, *, where: str, note: Note) -> Any:
    """Return a section or parameters as their model; None if there are mistakes, which are noted."""
    if not isinstance(given, Mapping):
        note((), f"{where} is {shortened(repr(given))}; it must be a mapping.")
        return None
    try:
        return kind.parse(given)
    except ValidationError as error:
        for place, message in explain_invalid(error, kind, given, where):
            note(place, message)
    except (TypeError, ValueError) as error:
        note((), f"{where}: {error}.")
    return None
