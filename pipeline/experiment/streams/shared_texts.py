"""Held-out sets against what is trained on: no source and no file in common, and few texts word for word.

Names and files are compared when the recipe is read, before any work. Texts are compared before the first proxy is
trained, as one page may lie in two files: by a 128-bit hash of each, a million texts of 1 kB in 2 s; MOST_SHARED of
the held-out ones may be met. A dataset with a step that looks at the held-out set, such as `decontaminate: {against:
[NAME]}`, is taken at its word in both, whatever the step drops. A complete experiment is not compared again, and near
copies are not looked for: that is what `decontaminate` is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import xxhash

from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import iterate_batches, row_groups_of
from pipeline.recipe.leaks import is_open
from pipeline.recipe.spec import held_out_by
from pipeline.store.results import document_paths

if TYPE_CHECKING:
    from pipeline.plan.graph import Plan

MOST_SHARED = 0.01  # of the held-out documents, word for word; assumption: a licence is in two crawls, not a corpus


def refuse_shared_texts(plan: Plan) -> None:
    """Raise DataError if more than MOST_SHARED of a held-out set's texts stand in a dataset that is trained on."""
    recipe = plan.recipe
    trained_on = sorted({name for mixture in recipe.mixtures.values() for name in mixture.weights})
    judged = recipe.gate.on if recipe.gate is not None else ()
    for held_out in held_out_by(recipe):
        section = "gate" if held_out in judged else "sweep"
        known = recipe.stored if plan.documents_node(held_out).identity in recipe.judged_before else {}
        suspects = [name for name in trained_on if name not in known and is_open(recipe.datasets, name, held_out)]
        wanted = {digest: doc_id for doc_id, digest in _texts(plan, held_out)} if suspects else {}
        for name in suspects:
            found = {digest for _, digest in _texts(plan, name) if digest in wanted}
            if len(found) > MOST_SHARED * len(wanted):
                first = min(wanted[digest] for digest in found)
                raise DataError(
                    f"{section}.on: {len(found):,} of {len(wanted):,} texts of `{held_out}` stand in `{name}` word for "
                    f"word, such as {first}; at most {MOST_SHARED:.0%} may. Hold out other text, or "
                    f"`decontaminate: {{against: [{held_out}]}}` in `{name}`."
                )


def _texts(plan: Plan, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield id and text hash of a finished dataset's documents."""
    for path in document_paths(plan.documents_node(name).folder):
        for batch in iterate_batches(path, row_groups=range(len(row_groups_of(path))), columns=["id", "text"]):
            ids, texts = (batch.column(key).to_pylist() for key in ("id", "text"))
            yield from zip(ids, (xxhash.xxh3_128_digest(text.encode()) for text in texts), strict=True)
