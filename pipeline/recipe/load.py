"""A recipe file -> one frozen Recipe, or one error that lists every mistake with its line.

One file is one experiment. What is in it is in the hash; how it is run (workers, device, paths) is a flag. Steps and
readers go by the short names of `catalog.py`; there is no code, no template and no dotted path in a recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.catalog import READERS
from pipeline.core.errors import RecipeError, did_you_mean, shortened
from pipeline.core.files.reading import strict_yaml
from pipeline.core.files.reading.strict_yaml import MOST_DIGITS, Document, Place, dotted
from pipeline.core.files.stores.places import is_url
from pipeline.core.step import MakingStep, Params, Step
from pipeline.core.strict_model import StrictModel
from pipeline.recipe.by_topic import KEY as BY_TOPIC
from pipeline.recipe.by_topic import split_by_topic
from pipeline.recipe.make_step import Note, note_or_make, note_or_parse
from pipeline.recipe.names import label_of, reader_class, step_class, steps_of
from pipeline.recipe.python_recipe import document_of
from pipeline.recipe.references import note_wrong_references
from pipeline.recipe.research import ResearchSection
from pipeline.recipe.sections import (
    GateSection,
    MixtureSection,
    PromoteSection,
    ProxySection,
    SweepSection,
    TrialsSection,
)
from pipeline.recipe.settings import apply_setting
from pipeline.recipe.spec import DatasetSpec, Recipe, SourceSpec, StepSpec, input_names_of, step_inputs

MOST_REPEATED_IDS = 0.01  # assumption, not measured; a recipe that means more writes `unique_ids` itself
UNNAMED = "recipe"  # what one is called that has neither a name nor a file
KEYS = ("name", "seed", "sources", "datasets", "mixtures", "proxy", "sweep", "trials", "research", "gate", "promote")


def load_recipe(
    given: Path | Mapping[str, Any], *, settings: Mapping[str, Any] | None = None, look_at_inputs: bool = True
) -> Recipe:
    """Read and check a recipe, a file or a mapping; `settings` maps places (`datasets.clean.pii.x`) to new values.

    Without `look_at_inputs` nobody checks that the sources' files are there.
    """
    document = document_of(given) if isinstance(given, Mapping) else strict_yaml.load(given)
    if not isinstance(document.data, dict):
        raise RecipeError(f"{document.name}:1: a recipe is a mapping with the keys {', '.join(KEYS)}.")
    for place, value in (settings or {}).items():
        apply_setting(document, place, value)
    return _Builder(document, look_at_inputs=look_at_inputs).build()


class _Builder:
    """Turns parsed YAML into a Recipe, noting every mistake with its place."""

    def __init__(self, document: Document, *, look_at_inputs: bool) -> None:
        self.document = document
        self.look_at_inputs = look_at_inputs
        self.split = split_by_topic(document)  # dataset -> the one in the recipe of which it is a topic
        self.data: dict[str, Any] = document.data

    def build(self) -> Recipe:
        for key in self.data:
            if key not in KEYS:
                self.wrong((key,), f"`{key}` is not a key of a recipe.{did_you_mean(key, KEYS)}")
        sources = {name: self.source(name, body) for name, body in self.section("sources")}
        datasets = {name: self.dataset(name, body) for name, body in self.section("datasets")}
        mixtures = {
            name: self.model(MixtureSection, body, ("mixtures", name)) for name, body in self.section("mixtures")
        }
        proxy = self.optional(ProxySection, "proxy")
        sweep = self.optional(SweepSection, "sweep")
        trials = self.optional(TrialsSection, "trials")
        research = self.optional(ResearchSection, "research")
        gate = self.optional(GateSection, "gate")
        promote = self.optional(PromoteSection, "promote")
        for name in set(sources) & set(datasets):
            self.wrong(("datasets", name), f"`{name}` is also a source; give one of the two another name.")
        ordered = self.order({k: v for k, v in datasets.items() if v is not None}, set(sources))
        note_wrong_references(self.document, ordered, sources if self.look_at_inputs else {})
        path = self.document.path
        name, seed = self.scalar("name", str, UNNAMED if path is None else path.stem), self.scalar("seed", int, 0)
        if not ordered and not self.document.mistakes:
            self.wrong((), "a recipe needs at least one entry under `datasets:`.")
        self.document.raise_mistakes()
        return Recipe(
            path=path,
            text=self.document.text,
            name=name,
            seed=seed,
            sources={k: v for k, v in sources.items() if v is not None},
            datasets=ordered,
            mixtures={k: v for k, v in mixtures.items() if v is not None},
            proxy=proxy,
            gate=gate,
            promote=promote,
            sweep=sweep,
            trials=trials,
            research=research,
        )

    def wrong(self, place: Place, message: str) -> None:
        self.document.mistake(place, message)

    def scalar(self, key: str, kind: type, default: Any) -> Any:
        value = self.data.get(key, default)
        if not isinstance(value, kind) or isinstance(value, bool) or (key == "name" and not _is_name(str(value))):
            rule = (
                "a word of letters, digits, - and _"
                if key == "name"
                else f"a whole number of up to {MOST_DIGITS} digits"
            )
            self.wrong((key,), f"{key} is {shortened(repr(value))}; it must be {rule}.")
        return value

    def section(self, key: str) -> Iterator[tuple[str, Any]]:
        body = self.data.get(key)
        if body is None:
            return
        if not isinstance(body, dict):
            self.wrong((key,), f"{key} is {shortened(repr(body))}; it must be a mapping of names.")
            return
        for name, value in body.items():
            if _is_name(name):
                yield name, value
            else:
                self.wrong((key, name), f"{key}: `{name}` must be a name of letters, digits, - and _.")

    def optional(self, kind: type[StrictModel], key: str) -> Any:
        return self.model(kind, self.data[key], (key,)) if self.data.get(key) is not None else None

    def model(self, kind: type[StrictModel], body: Any, place: Place) -> Any:
        """Validate a section; notes the mistakes and returns None when there are any."""
        return note_or_parse(kind, body, where=dotted(place), note=self.below(place))

    def below(self, place: Place) -> Note:
        """Return what notes a mistake at a place below this one."""
        return lambda rest, message: self.wrong((*place, *rest), message)

    def source(self, name: str, body: Any) -> SourceSpec | None:
        place: Place = ("sources", name)
        if not isinstance(body, dict) or "read" not in body:
            rule = f"it must be a mapping with a key `read`: {', '.join(READERS)}."
            self.wrong(place, f"{dotted(place)} is {shortened(repr(body))}; {rule}")
            return None
        try:
            kind = reader_class(str(body["read"]))
        except RecipeError as error:
            self.wrong((*place, "read"), f"{dotted(place)}.read: {error}")
            return None
        params = self.model(kind.Params, {k: v for k, v in body.items() if k != "read"}, place)
        if params is None:
            return None
        try:
            reader = kind(params=params, source=name, base=Path.cwd())
            if self.look_at_inputs:
                reader.check()
            return SourceSpec(name=name, reader=reader)
        except RecipeError as error:
            self.wrong(place, str(error))  # readers begin with their place: sources.NAME...
            return None

    def dataset(self, name: str, body: Any) -> DatasetSpec | None:
        place: Place = ("datasets", self.split.get(name, name))
        allowed = ("from", "make", "steps", BY_TOPIC)
        for key in body if isinstance(body, dict) else ():
            if key not in allowed:
                self.wrong(
                    (*place, key),
                    f"{dotted(place)}: `{key}` is not a key of a dataset.{did_you_mean(key, allowed)}",
                )
        if not isinstance(body, dict) or not ("from" in body or "make" in body):
            self.wrong(
                place, f"{dotted(place)} is {shortened(repr(body))}; it must be a mapping with `from` or `make`."
            )
            return None
        given = body.get("from", [])
        inputs = tuple(str(item) for item in (given if isinstance(given, list) else [given]))
        make = self.step(body["make"], (*place, "make")) if "make" in body else None
        if make is not None and not isinstance(make.step, MakingStep):
            self.wrong(
                (*place, "make"), f"{dotted(place)}.make: `{make.label}` makes no documents; put it under `steps`."
            )
        entries = body.get("steps") or []
        if not isinstance(entries, list):
            self.wrong((*place, "steps"), f"{dotted(place)}.steps is {shortened(repr(entries))}; it must be a list.")
            entries = []
        found = [
            (index, part, self.step(part, (*place, "steps", index)))
            for index, entry in enumerate(entries)
            for part in self.expanded(entry, (*place, "steps", index))
        ]
        steps = self.labelled(found, place)
        if make is None and len(inputs) > 1 and all(item.label != "unique_ids" for item in steps):
            kind = step_class("unique_ids")  # ids of two inputs may meet; many that do name different documents alike
            alarm = kind.Params(max_drop_fraction=MOST_REPEATED_IDS)
            steps = (StepSpec(label="unique_ids", step=kind(params=alarm), implied=True), *steps)
        return DatasetSpec(name=name, inputs=inputs, make=make, steps=steps)

    def expanded(self, entry: Any, place: Place) -> list[Any]:
        """Return the entries that a preset's name stands for; any other entry as it is."""
        if not isinstance(entry, str) or "@" not in entry:
            return [entry]
        try:
            return [{name: params} for name, params in steps_of(entry)]
        except RecipeError as error:
            self.wrong(place, f"{dotted(place)}: {error}")
            return []

    def labelled(self, found: list[tuple[int, Any, StepSpec | None]], place: Place) -> tuple[StepSpec, ...]:
        """Give a repeated step a number: `pii`, `pii_2`; check each against those before it, where all are known."""
        steps: list[StepSpec] = []
        known, earlier = True, dict[str, Step]()
        for index, entry, spec in found:
            if spec is None:  # what is wrong with it is said already; by its name alone, later ones can be judged
                stand_in = _with_defaults(entry)
                known = known and stand_in is not None
                earlier |= {} if stand_in is None else {label_of(stand_in.name): stand_in}
                continue
            if isinstance(spec.step, MakingStep):
                self.wrong((*place, "steps", index), f"`{spec.label}` makes documents; put it under `make`.")
            if known:
                try:
                    spec.step.check(earlier)
                except RecipeError as error:
                    self.wrong((*place, "steps", index), f"{dotted((*place, 'steps', index))}: {error}")
            label = label_of(spec.label)
            before = sum(label_of(other.step.name) == label_of(spec.step.name) for other in steps)
            steps.append(StepSpec(label=label if not before else f"{label}_{before + 1}", step=spec.step))
            earlier[steps[-1].label] = spec.step
        return tuple(steps)

    def step(self, entry: Any, place: Place) -> StepSpec | None:
        if isinstance(entry, str):
            name, body = entry, dict[str, Any]()
        elif isinstance(entry, dict) and len(entry) == 1:
            name, body = next(iter(entry.items()))
        else:
            rule = "it must be a step's name, or one name with its parameters."
            self.wrong(place, f"{dotted(place)} is {shortened(repr(entry))}; {rule}")
            return None
        place = (*place, name) if isinstance(entry, dict) else place
        try:
            kind = step_class(name)
        except RecipeError as error:
            self.wrong(place, f"{dotted(place)}: {error}")
            return None
        step = note_or_make(kind, body, where=dotted(place), note=self.below(place))
        self.check_files(kind.Params, body, place, taken={} if step is None else input_names_of(step.params))
        return None if step is None else StepSpec(label=name, step=step)

    def check_files(
        self, params: type[Params], body: Any, place: Place, *, taken: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Note the names in a step's parameters that are neither a dataset or source of the recipe nor a file.

        `taken` is what a step made of them: where it takes a folder, its files.
        """
        declared = {*(self.data.get("datasets") or ()), *(self.data.get("sources") or ())}
        given = body if isinstance(body, dict) and self.look_at_inputs else {}
        named = dict(taken) if self.look_at_inputs else {}
        for key in (key for key in given if key in params.model_fields and params.role_of(key) == "input"):
            named[key] = taken.get(key) or ((given[key],) if isinstance(given[key], str) else tuple(given[key] or ()))
        for key, names in named.items():
            for name in names:
                if name not in declared and not is_url(name) and not Path(name).is_file():
                    hint = did_you_mean(name, declared)
                    self.wrong(
                        (*place, key), f"{dotted((*place, key))}: `{name}` is neither a dataset nor a file.{hint}"
                    )

    def order(self, datasets: dict[str, DatasetSpec], sources: set[str]) -> dict[str, DatasetSpec]:
        """Return the datasets in dependency order; unknown names and cycles are noted."""
        known = sources | set(self.data.get("datasets") or {}) | set(self.data.get("sources") or {})
        needs: dict[str, set[str]] = {}
        for name, spec in datasets.items():
            for wanted in spec.inputs:
                if wanted not in known:
                    written = self.split.get(name, name)
                    self.wrong(
                        ("datasets", written, "from"),
                        f"datasets.{written}.from: `{wanted}` is neither a source nor a dataset."
                        f"{did_you_mean(wanted, known - {name})}",
                    )
            needs[name] = {wanted for wanted in (*spec.inputs, *step_inputs(spec)) if wanted in datasets}
        ordered: dict[str, DatasetSpec] = {}
        while len(ordered) < len(datasets):
            ready = [name for name in datasets if name not in ordered and needs[name] <= set(ordered)]
            if not ready:
                left = [name for name in datasets if name not in ordered]
                for name in left:
                    self.wrong(
                        ("datasets", name),
                        f"datasets.{name} needs itself through {', '.join(sorted(needs[name] - set(ordered)))}; "
                        "break the cycle.",
                    )
                return ordered
            ordered.update({name: datasets[name] for name in ready})
        return ordered


def _with_defaults(entry: Any) -> Step | None:
    """Return the step that an entry names with its default parameters, if it names one that has them."""
    try:
        kind = step_class(next(iter(entry)) if isinstance(entry, dict) else str(entry))
        return kind(params=kind.Params())
    except (RecipeError, ValidationError, StopIteration):
        return None


def _is_name(name: str) -> bool:
    return bool(name) and len(name) <= 64 and name.replace("-", "a").replace("_", "a").isalnum() and name.isascii()
