"""A measuring step's name and parameters -> the step ready to measure with, without a recipe, plan or workspace.

What the step reads must be files, as there are no datasets, and no threshold may be a share of all documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import RecipeError
from pipeline.core.identity import hash_file, identity_of
from pipeline.core.step import MeasuringStep, Rule
from pipeline.engine.measure import StepRef
from pipeline.recipe.make_step import make_step
from pipeline.recipe.names import outside, step_class
from pipeline.recipe.spec import input_names_of


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for a step, in the words of its messages."""

    name: str  # such as `measure`
    place: str  # what a message on a parameter begins with, such as `--set `
    sees: str  # the documents that it has at a time, such as `one document at a time`


@dataclass(frozen=True, slots=True)
class ReadyStep:
    """A measuring step, how a worker rebuilds it, and its rules."""

    step: MeasuringStep
    ref: StepRef
    rules: tuple[Rule, ...]


def ready_step(
    name: str, params: Any, *, caller: Caller, label: str | None = None, shared: Path | None = None
) -> ReadyStep:
    """Return a measuring step of Tamis or of a plugin; RecipeError for what no recipe could say either.

    `label` is what its parameters are called by in messages, the name if left out; `shared` as in `StepRef`.
    """
    if not issubclass(step_class(name), MeasuringStep):
        raise RecipeError(
            f"{caller.name}: `{name}` needs a whole dataset, and {caller.name} sees {caller.sees}. Take it out, or put "
            f"it into a recipe, `datasets: {{clean: {{from: docs, steps: [{name}]}}}}`, and use tamis run."
        )
    where = f"{caller.place}{label or name}"
    step = make_step(name, params, where=where)
    assert isinstance(step, MeasuringStep)
    inputs = _files(step, caller=caller, where=where)
    content = {key: [[Path(path).name, hash_file(Path(path))] for path in paths] for key, paths in inputs.items()}
    plugin = outside(name)
    ref = StepRef(
        name=name,
        params=step.params.model_dump_json(exclude_defaults=True),
        inputs=tuple(inputs.items()),
        identity=identity_of([name, step.version, plugin and plugin.identity, step.params.of_role("measure"), content]),
        plugin=None if plugin is None else plugin.file,
        shared=None if shared is None else str(shared),
    )
    return ReadyStep(step=step, ref=ref, rules=step.rules(quantile=_NoQuantile(caller)))


@dataclass(frozen=True, slots=True)
class _NoQuantile:
    caller: Caller

    def __call__(self, signal: str, fraction: float) -> float:
        raise RecipeError(
            f"{self.caller.name}: a share of {fraction} of `{signal}` needs all documents, and {self.caller.name} sees "
            f"{self.caller.sees}. Set a threshold."
        )


def _files(step: MeasuringStep, *, caller: Caller, where: str) -> dict[str, tuple[str, ...]]:
    """Return the files that a step's `input_names` parameters name, from whatever folder they are opened."""
    found: dict[str, tuple[str, ...]] = {}
    for key, paths in input_names_of(step.params).items():
        missing = next((path for path in paths if not Path(path).is_file()), None)
        if missing is not None:
            raise RecipeError(f"{where}.{key}: `{missing}` is not a file; {caller.name} knows no datasets. Name files.")
        if paths:
            found[key] = tuple(str(Path(path).absolute()) for path in paths)
    return found
