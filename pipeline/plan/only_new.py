"""A recipe and what it promoted last -> the recipe of this night: new files alone, and the mixture that they add to.

What was promoted stands as it is stored: its datasets are taken into the mixture under their own names, its mixture is
what the gate compares with, its tokenizer stays, so none of it is read, cleaned, tokenised or trained again. A dataset
that grows is built tonight from files whose content no promoted dataset was read from; its near-duplicates are looked
for in a store of what was promoted. Its share of the mixture is shared out by size among tonight's documents and those
of earlier nights. What a dataset had too little of to be judged waits: the next time that it grows, it reads these
files again, also where another dataset that was promoted meanwhile was read from them, through copies of the datasets
that it is made of; where these pay for grades or texts, it does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.card import Card, is_complete, read_card
from pipeline.plan.pinned import TEACHER, pinned_of, with_pinned
from pipeline.recipe.sections import MixtureSection
from pipeline.recipe.spec import DatasetSpec, Recipe, SourceSpec, StepSpec, held_out_by
from pipeline.sources.files import FileReader
from pipeline.store.dataset.stored_source import StoredSource
from pipeline.store.input_hashes import InputHashes
from pipeline.store.names.registry import Version, current
from pipeline.store.sizes import kept_bytes_of
from pipeline.store.workspace import Workspace

INCUMBENT = "incumbent"  # the mixture that was promoted last, as this night's recipe calls it
FOR = "-for-"  # in the name of a source that one dataset alone reads, since files of it wait for that one
DEDUP = "minhash_dedup"  # the step that a store answers


@dataclass(frozen=True, slots=True)
class Night:
    """What is new, and the recipes that build it and judge it."""

    recipe: Recipe  # as it is written
    incumbent: Version
    new: Mapping[str, tuple[str, ...]]  # labels of the new files by source
    growing: tuple[str, ...]  # datasets of the candidate that gain documents tonight
    grown: Mapping[str, tuple[Path, ...]]  # folders of what each has so far, the oldest first
    pinned: Mapping[str, StepSpec] = field(default_factory=dict)  # by dataset: its classifier, as it was trained before
    waiting: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)  # labels by (dataset, source)

    @property
    def store(self) -> str:
        """The dedup store of what was promoted."""
        return self.incumbent.name

    @property
    def promoted(self) -> list[Path]:
        """Folders of all that the growing datasets have so far."""
        return list(dict.fromkeys(folder for folders in self.grown.values() for folder in folders))

    def cleaning(self) -> Recipe:
        """Return the recipe of tonight's documents, without an experiment."""
        kept: dict[str, DatasetSpec] = {}
        for spec in self.recipe.datasets.values():
            tonights = self._tonight(spec)
            if tonights is not None:
                kept |= {inner.name: inner for inner in self._apart(spec.name)} | {spec.name: tonights}
        return replace(
            self.recipe, sources=self._sources(), datasets=kept,
            mixtures={}, proxy=None, gate=None, promote=None, trials=None,
        )  # fmt: skip

    def _sources(self) -> dict[str, Any]:
        found = dict(self.recipe.sources)
        for name, labels in self.new.items():
            if labels:
                found[name] = replace(found[name], reader=found[name].reader.with_only(labels))
            else:
                del found[name]
        for (dataset, name), labels in self.waiting.items():
            reader = self.recipe.sources[name].reader.with_only({*labels, *self.new[name]})
            found[_own(name, dataset)] = SourceSpec(name=_own(name, dataset), reader=reader)
        return found

    def _tonight(self, spec: DatasetSpec) -> DatasetSpec | None:
        """Return a dataset as it is built tonight; None where nothing that it reads is new."""
        inputs = self._inputs(spec, reader=spec.name)
        if spec.inputs and not inputs:
            return None
        if not _reads(self.recipe, spec.name) & self.new.keys():
            return spec
        return replace(spec, inputs=inputs, steps=self._steps(spec))

    def _apart(self, reader: str) -> list[DatasetSpec]:
        """Return the datasets that stand between a dataset and files that wait for it alone, each after its inputs."""
        inner = [spec for name, spec in self.recipe.datasets.items() if name in _between(self.recipe, reader)]
        return [
            replace(
                spec, name=_own(spec.name, reader), inputs=self._inputs(spec, reader=reader), steps=self._steps(spec)
            )
            for spec in inner
            if self._waits(spec.name, reader)
        ]  # fmt: skip

    def _inputs(self, spec: DatasetSpec, *, reader: str) -> tuple[str, ...]:
        """Return what of a dataset's inputs has something new, or something that waits for `reader`."""
        idle = {name for name, labels in self.new.items() if not labels}
        return tuple(
            _own(name, reader) if self._waits(name, reader) else name
            for name in spec.inputs
            if self._waits(name, reader) or not _is_idle(self.recipe, name, idle)
        )

    def _waits(self, name: str, reader: str) -> bool:
        """Say whether files of a source, or of what a dataset is made of, wait for another dataset alone."""
        if name in self.recipe.datasets and not can_wait(self.recipe, reader):
            return False
        return any((reader, source) in self.waiting for source in _reads(self.recipe, name))

    def _steps(self, spec: DatasetSpec) -> tuple[StepSpec, ...]:
        steps = with_pinned(spec.steps, self.pinned[spec.name]) if spec.name in self.pinned else spec.steps
        return tuple(self._against_store(step) for step in steps)

    def _against_store(self, item: StepSpec) -> StepSpec:
        """Return a step for near-duplicates as one that also looks at what was promoted."""
        params: Any = item.step.params
        if item.step.name != DEDUP or params.against_store or not self.promoted:
            return item
        return replace(item, step=type(item.step)(params=params.model_copy(update={"against_store": self.store})))

    def dedup_settings(self) -> dict[str, int] | None:
        """Return how the first step for near-duplicates signs; None without one."""
        for spec in self.recipe.datasets.values():
            for item in spec.steps:
                params: Any = item.step.params
                if item.step.name == DEDUP and _reads(self.recipe, spec.name) & self.new.keys():
                    return {key: getattr(params, key) for key in ("bands", "rows", "shingle_words", "seed")}
        return None

    def judging(self, workspace: Workspace, *, tonight: Mapping[str, Path]) -> Recipe:
        """Return the recipe that judges the grown mixture; `tonight` are folders of the datasets that were built."""
        cleaning, stored = self.cleaning(), dict[str, str]()
        gate, proxy, candidate = self.recipe.gate, self.recipe.proxy, self.recipe.mixtures[self._candidate]
        assert gate is not None and proxy is not None

        def name_of(folder: Path) -> str:
            """Return a name for a stored result, which no dataset of the recipe has."""
            place = f"{folder.parent.name}/{folder.name}"
            known = next((name for name, there in stored.items() if there == place), None)
            name = known or _free(f"{read_card(folder).name}-earlier", {*self.recipe.datasets, *stored})
            stored[name] = place
            return name

        weights: dict[str, float] = {}
        for name, share in candidate.weights.items():
            folders = {name_of(folder): folder for folder in self.grown.get(name, ())}
            if name in tonight:
                folders[name] = tonight[name]
            sizes = {part: kept_bytes_of(workspace, folder) for part, folder in folders.items()}
            total = sum(sizes.values())
            weights |= {part: share * size / total for part, size in sizes.items() if size} if total else {name: share}
        mixture = read_card(workspace.root / self.incumbent.folder)
        tokens = {name: _tokens(workspace, part[0]) for name, part in mixture.payload["weights"].items()}
        before = {
            name_of(_documents(workspace, tokens[name].payload["dataset"])): share
            for name, (_, share) in mixture.payload["weights"].items()
        }
        tokenizer = workspace.by_identity("tokenizer", next(iter(tokens.values())).payload["tokenizer"])
        if tokenizer is None:
            raise DataError(f"{workspace.root}: the tokenizer of {self.store} is gone. Run without --new-only.")
        sample = tuple(name_of(_documents(workspace, each)) for each in read_card(tokenizer).payload["sample"])
        stored[f"mixture/{INCUMBENT}"] = self.incumbent.folder
        caps = {
            "max_epochs": mixture.payload["max_epochs"],
            "max_document_share": mixture.payload["max_document_share"],
        }
        specs = {name: DatasetSpec(name=name, inputs=(), make=None, steps=()) for name in stored if not name.count("/")}
        return replace(
            self.recipe, sources=cleaning.sources, datasets=specs | dict(cleaning.datasets),
            mixtures={
                self._candidate: candidate.model_copy(update={"weights": weights}),
                INCUMBENT: MixtureSection(weights=before, **caps),
            },
            proxy=proxy.model_copy(update={"tokenizer_on": sample}),
            gate=gate.model_copy(update={"baseline": INCUMBENT}), trials=None, stored=stored,
            judged_before=frozenset(((self.incumbent.certificate or {}).get("held_out") or {}).values()),
        )  # fmt: skip

    @property
    def _candidate(self) -> str:
        assert self.recipe.gate is not None
        return self.recipe.gate.candidate


def tonight(recipe: Recipe, workspace: Workspace, *, hashes: InputHashes) -> Night | None:
    """Return what is new since the last promotion; None before the first. RecipeError if the recipe cannot grow."""
    gate = recipe.gate
    for section, there in (("sweep", recipe.sweep), ("research", recipe.research)):
        if there is not None:
            raise RecipeError(
                f"{recipe.place}: has `{section}:`, which looks at whole datasets. Run without --new-only."
            )
    if gate is None or recipe.promote is None or not gate.verdict:
        raise RecipeError(
            f"{recipe.place}: --new-only adds to what a gate promoted last, and the recipe has no `gate:` with a "
            "verdict and `promote:`. Add them, or run without --new-only."
        )
    wanted = recipe.mixtures[gate.candidate].weights
    sources = _growing_sources(recipe, wanted)
    incumbent = current(workspace, recipe.promote.as_)
    if incumbent is None:
        return None
    parts = _parts(workspace, incumbent)
    read = {name: set[str]() for name in sources}
    for folder in parts.values():
        for source in _sources_of(workspace, read_card(folder)):
            read.get(_shared(source.name, read), set()).update(_contents(source))
    new, named = {}, {}
    for name in sources:
        named[name] = {file["file"]: file["blake3"] for file in recipe.sources[name].reader.inputs(hashes.of)["files"]}
        new[name] = tuple(label for label, content in named[name].items() if content not in read[name])
    growing = tuple(name for name in wanted if _reads(recipe, name) & {key for key, found in new.items() if found})
    grown = {
        name: tuple(folder for folder in parts.values() if read_card(folder).name == name)
        for name in wanted
        if _reads(recipe, name) & new.keys()
    }
    lost = [name for name, folders in grown.items() if not folders]
    if lost:
        raise RecipeError(
            f"{recipe.place}: {incumbent.name} version {incumbent.version} holds no dataset `{lost[0]}` to add to. "
            "Run once without --new-only."
        )
    pins = {name: pinned_of(workspace, recipe.datasets[name], grown[name], hash_file=hashes.of) for name in growing}
    waiting: dict[tuple[str, str], tuple[str, ...]] = {}
    for dataset in growing:
        near = _reads(recipe, dataset) if can_wait(recipe, dataset) else set(recipe.datasets[dataset].inputs)
        own = {each: set[str]() for each in sorted(near & named.keys())}
        for folder in grown[dataset]:
            for card in _sources_of(workspace, read_card(folder)):
                own.get(_shared(card.name, read), set()).update(_contents(card))
        for each, contents in own.items():
            late = {label for label, content in named[each].items() if content in read[each] - contents}
            waiting |= {(dataset, each): tuple(sorted(late))} if late else {}
    pinned = {name: pin for name, pin in pins.items() if pin is not None}
    return Night(recipe, incumbent, new, growing, grown, pinned, waiting)


def _own(source: str, dataset: str) -> str:
    """Return the name of a source as one dataset alone reads it; its documents are as those of the source."""
    return f"{source}{FOR}{dataset}"


def _shared(source: str, known: Collection[str]) -> str:
    """Return the source of the recipe that a stored one was read as."""
    return source if source in known else source.partition(FOR)[0]


def _contents(source: Card) -> set[str]:
    return {file.blake3 for file in StoredSource.from_payload(source.payload).files}


def can_wait(recipe: Recipe, dataset: str) -> bool:
    """Say whether files can wait for a dataset alone: what stands between them is made again at no price."""
    steps = [recipe.datasets[name] for name in _between(recipe, dataset)]
    return all(spec.make is None and all(item.step.name != TEACHER for item in spec.steps) for spec in steps)


def _between(recipe: Recipe, dataset: str) -> set[str]:
    """Return the datasets that a dataset is made of, at any remove."""
    inner = {name for name in recipe.datasets[dataset].inputs if name in recipe.datasets}
    return inner.union(*(_between(recipe, name) for name in inner))


def _growing_sources(recipe: Recipe, wanted: Mapping[str, float]) -> list[str]:
    """Return the sources of files that the candidate is read from; RecipeError where more depends on them."""
    found = sorted({name for dataset in wanted for name in _reads(recipe, dataset)})
    files = [name for name in found if isinstance(recipe.sources[name].reader, FileReader)]
    if not files:
        raise RecipeError(
            f"{recipe.place}: its candidate reads no files, so nothing can be new. Run without --new-only."
        )
    for held_out in held_out_by(recipe):
        both = sorted(_reads(recipe, held_out) & set(files))
        if both:
            raise RecipeError(
                f"{recipe.place}: `{held_out}`, by which a gate judges, is read from the source `{both[0]}` as the "
                "candidate is, and must not change from night to night. Give it a source of its own."
            )
    for name in recipe.datasets:
        mixed = sorted(set(found) & _reads(recipe, name) - set(files))
        if mixed and _reads(recipe, name) & set(files):
            raise RecipeError(
                f"{recipe.place}: datasets.{name} puts `{mixed[0]}`, which is no list of files, beside files. "
                "Give each a dataset of its own."
            )
    for name in files:
        params = recipe.sources[name].reader.params
        ends = next((key for key in ("limit", "max_documents", "max_bytes") if getattr(params, key) is not None), None)
        if ends is not None:
            raise RecipeError(f"{recipe.place}: sources.{name} has a `{ends}`, which is of all files. Take it out.")
    return files


def _reads(recipe: Recipe, name: str) -> set[str]:
    """Return the sources that a dataset's documents come from."""
    if name in recipe.sources:
        return {name}
    return set().union(*(_reads(recipe, wanted) for wanted in recipe.datasets[name].inputs))


def _is_idle(recipe: Recipe, name: str, idle: set[str]) -> bool:
    reads = _reads(recipe, name)
    return bool(reads) and reads <= idle


def _free(name: str, taken: set[str]) -> str:
    number = 1
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def _parts(workspace: Workspace, version: Version) -> dict[str, Path]:
    """Return the folders of the datasets that a promoted mixture was made of, by their names in it."""
    mixture = workspace.root / version.folder
    if not is_complete(mixture, version.mixture_identity):
        raise DataError(
            f"{mixture}: the mixture of {version.name} version {version.version} is not there any more. "
            "Run without --new-only."
        )
    weights = read_card(mixture).payload["weights"]
    return {
        name: _documents(workspace, _tokens(workspace, part).payload["dataset"]) for name, (part, _) in weights.items()
    }


def _tokens(workspace: Workspace, identity: str) -> Card:
    folder = workspace.by_identity("tokens", identity)
    if folder is None:
        raise DataError(f"{workspace.root}: tokens of what was promoted last are gone. Run without --new-only.")
    return read_card(folder)


def _documents(workspace: Workspace, identity: str) -> Path:
    for kind in ("dataset", "made", "source"):
        folder = workspace.by_identity(kind, identity)
        if folder is not None:
            return folder
    raise DataError(f"{workspace.root}: documents of what was promoted last are gone. Run without --new-only.")


def _sources_of(workspace: Workspace, card: Card) -> Iterator[Card]:
    """Yield the sources that a result's documents were first read from."""
    if card.kind == "source":
        yield card
    for parent in card.payload.get({"dataset": "base", "made": "from"}.get(card.kind, ""), ()):
        yield from _sources_of(workspace, read_card(_documents(workspace, parent)))
