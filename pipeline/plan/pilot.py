"""A few texts like those that a step will get, before anything is built: from the dataset it stands on, or its sources.

Nothing is written. What is built is sampled over its parts; of a source that was not read yet the first rows are
taken, of up to four slices. Steps in between may drop or edit some of them, so a pilot tells sizes and no more.
"""

from __future__ import annotations

from pipeline.core.errors import TamisError
from pipeline.core.rng import generator
from pipeline.plan.graph import Plan, PlannedDataset
from pipeline.store.chain import Chain
from pipeline.store.node import Node
from pipeline.store.results import base_parts

DOCUMENTS = 200
PLACES = 4  # parts or slices that they are from


def pilot_of(plan: Plan, dataset: PlannedDataset) -> tuple[list[str], str]:
    """Return up to 200 texts that a dataset starts from, and of what they are; none where none can be read."""
    try:
        found = {node.name: texts for node in dataset.base if (texts := _texts(plan, node))}
    except TamisError:  # a run will say it; a plan says all that it can
        return [], ""
    texts = [text for each in found.values() for text in each]
    return texts[:: max(len(found), 1)], ", ".join(found)


def _texts(plan: Plan, node: Node) -> list[str]:
    if node.complete:
        return _stored(node)
    source = next((name for name, planned in plan.sources.items() if planned is node), None)
    if source is not None:
        return _first_rows(plan, source)
    parents = next((planned.base for planned in plan.datasets.values() if planned.node is node), ())
    return [text for parent in parents for text in _texts(plan, parent)]


def _stored(node: Node) -> list[str]:
    parts = [part for part in Chain(base=base_parts([node])).parts() if part.num_rows]
    draw = generator(0, "pilot", node.identity)
    chosen = [parts[index] for index in sorted(draw.permutation(len(parts))[:PLACES])]
    texts: list[str] = []
    for part in chosen:
        rows = draw.permutation(part.num_rows)[: DOCUMENTS // len(chosen)]
        texts += part.load_some(("text",), rows).column("text").to_pylist()
    return texts


def _first_rows(plan: Plan, name: str) -> list[str]:
    reader = plan.recipe.sources[name].reader
    slices = [piece for piece in reader.slices() if not reader.may_break(piece)]
    chosen = slices[:: max(1, -(-len(slices) // PLACES))]
    texts: list[str] = []
    for piece in chosen:
        for chunk in reader.read(piece, most=DOCUMENTS // len(chosen)):
            documents = chunk.documents
            texts += [] if documents is None else documents.column("text").to_pylist()
    return texts
