"""A few texts like those that a step will get, before anything is built: from the dataset it stands on, or its sources.

Nothing is written. What is built is sampled over its parts; of a source that was not read yet the first rows are
taken, of up to four slices. Each text weighs as many documents as it stands for: rows where they are counted, else the
size of a source's files by what a row takes, which compression blurs. Steps in between may drop or edit some of them,
so a pilot tells sizes and no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.core.claude.accounting.forecast import Pilot
from pipeline.core.errors import TamisError
from pipeline.core.rng import generator
from pipeline.plan.graph import Plan, PlannedDataset
from pipeline.store.dataset.chain import Chain
from pipeline.store.node import Node
from pipeline.store.results import base_parts

DOCUMENTS = 200
PLACES = 4  # parts or slices that they are from


def pilot_of(plan: Plan, dataset: PlannedDataset) -> Pilot:
    """Return up to 200 texts that a dataset starts from, and of what they are; none where none can be read."""
    try:
        found = {node.name: pilot for node in dataset.base if (pilot := _pilot(plan, node)).texts}
    except TamisError:  # a run will say it; a plan says all that it can
        return Pilot()
    return _joined([_thinned(pilot, by=len(found)) for pilot in found.values()], place=", ".join(found))


def _joined(pilots: Sequence[Pilot], *, place: str = "") -> Pilot:
    texts = [text for pilot in pilots for text in pilot.texts]
    return Pilot(texts, [weight for pilot in pilots for weight in pilot.weights], place)


def _thinned(pilot: Pilot, *, by: int) -> Pilot:
    """Return every so many-th text, which together weigh as much."""
    kept = pilot.weights[::by]
    return Pilot(pilot.texts[::by], [weight * sum(pilot.weights) / sum(kept) for weight in kept])


def _pilot(plan: Plan, node: Node) -> Pilot:
    if node.complete:
        return _stored(node)
    source = next((name for name, planned in plan.sources.items() if planned is node), None)
    if source is not None:
        return _first_rows(plan, source)
    parents = next((planned.base for planned in plan.datasets.values() if planned.node is node), ())
    return _joined([_pilot(plan, parent) for parent in parents])


def _stored(node: Node) -> Pilot:
    parts = [part for part in Chain(base=base_parts([node])).parts() if part.num_rows]
    draw = generator(0, "pilot", node.identity)
    chosen = [parts[index] for index in sorted(draw.permutation(len(parts))[:PLACES])]
    among = sum(part.num_rows for part in parts) / max(sum(part.num_rows for part in chosen), 1)
    texts: list[str] = []
    weights: list[float] = []
    for part in chosen:
        rows = draw.permutation(part.num_rows)[: DOCUMENTS // len(chosen)]
        texts += part.load_some(("text",), rows).column("text").to_pylist()
        weights += [among * part.num_rows / len(rows)] * len(rows)
    return Pilot(texts, weights)


def _first_rows(plan: Plan, name: str) -> Pilot:
    reader = plan.recipe.sources[name].reader
    slices = [piece for piece in reader.slices() if not reader.may_break(piece)]
    chosen = slices[:: max(1, -(-len(slices) // PLACES))]
    most = DOCUMENTS // max(len(chosen), 1)
    texts: list[str] = []
    for piece in chosen:
        for chunk in reader.read(piece, most=most):
            documents = chunk.documents
            texts += [] if documents is None else documents.column("text").to_pylist()
    if not texts:
        return Pilot()
    rows = float(len(texts))
    if len(chosen) < len(slices) or rows >= most:  # there may be more
        rows = max(rows, reader.size_bytes() / max(sum(len(text.encode()) for text in texts) / len(texts), 1.0))
    params = reader.params
    rows = (rows if params.limit is None else min(rows, params.limit)) * params.sample
    rows = rows if params.max_documents is None else min(rows, params.max_documents)
    if params.max_bytes is not None:
        rows = min(rows, params.max_bytes * len(texts) / sum(len(text.encode()) for text in texts))
    return Pilot(texts, [rows / len(texts)] * len(texts))
