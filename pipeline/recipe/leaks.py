"""May documents of a held-out set reach a dataset that is trained on? Told by names and files, before any work.

Nor may a model write from a document that gives a held-out text away: what it writes would tell it in other words,
which no matching of words finds with certainty. So seeds are held against held-out sets before they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.recipe.spec import DatasetSpec, SourceSpec, step_inputs


def leaks(
    datasets: Mapping[str, DatasetSpec], sources: Mapping[str, SourceSpec | None], name: str, held_out: str
) -> bool:
    """Say whether a dataset may hold documents of a held-out one: both have one origin, no step looks at the other."""
    origins = _origins(datasets, held_out)
    reads = {each: spec.reader.reads() for each, spec in sources.items() if spec is not None}
    read = {item for each in origins for item in reads.get(each, ())}
    same = origins | {each for each, items in reads.items() if items & read}
    return any(each in same for each in _unguarded(datasets, name, held_out))


def open_seeds(datasets: Mapping[str, DatasetSpec], held_out: str) -> list[tuple[str, str]]:
    """Return each dataset that is made from documents, and which of them, that no step held against a held-out set."""
    return [
        (name, seeds)
        for name, spec in datasets.items()
        if spec.make is not None
        for seeds in spec.inputs
        if is_open(datasets, seeds, held_out) and seeds not in _origins(datasets, held_out)
    ]


def is_open(datasets: Mapping[str, DatasetSpec], name: str, held_out: str) -> bool:
    """Say whether documents can reach a dataset or source past every step that looks at the held-out set."""
    if name not in datasets:
        return True
    spec = datasets[name]
    if held_out in step_inputs(spec):
        return False
    return not spec.inputs or any(is_open(datasets, wanted, held_out) for wanted in spec.inputs)


def _origins(datasets: Mapping[str, DatasetSpec], name: str) -> set[str]:
    """Return the sources and makers that a dataset's documents come from, itself included."""
    inputs = datasets[name].inputs if name in datasets else ()
    return {name}.union(*(_origins(datasets, wanted) for wanted in inputs))


def _unguarded(datasets: Mapping[str, DatasetSpec], name: str, held_out: str) -> set[str]:
    """Return the dataset and what it is made from, as far as no step looks at the held-out set."""
    if name in datasets and held_out in step_inputs(datasets[name]):
        return set()
    inputs = datasets[name].inputs if name in datasets else ()
    return {name}.union(*(_unguarded(datasets, wanted, held_out) for wanted in inputs))
