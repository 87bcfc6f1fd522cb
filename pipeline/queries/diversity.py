"""`diversity`: a stored dataset, in groups -> how diverse each is, held against the band of real text of another one.

What is measured stands in `synth/diversity`. Here a blind sample of open documents is drawn, watched in a seeded order
of ids (neighbours in a file are often of one matter), and cut after equally many words on both sides. Without another
dataset, one half of the dataset's own documents gives the band for groups of the other half: which group is less
diverse than all of them together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.core.errors import DataError, RecipeError, did_you_mean
from pipeline.core.files.parquet.shards import iterate_tables, read_table
from pipeline.core.rng import generator
from pipeline.core.sketch import order_of
from pipeline.core.text.batch import Batch
from pipeline.experiment.streams.opened import closed_in
from pipeline.queries.audit.distributions import other_of
from pipeline.store.results import document_paths
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from synth.diversity.governor import Governor

MOST_DOCUMENTS = 20_000  # of each dataset
COLUMNS = ("text", "source", "origin", "lineage", "metadata")
MAKERS = ("model", "step", "prompt")  # told by the lineage, of its last maker
NONE = "(none)"
FEWEST_WORDS, MOST_WORDS = 10, 200  # that documents may be cut after
MOST_GROUPS = 200  # of one kind


@dataclass(frozen=True, slots=True)
class Drawn:
    """Documents of one dataset, in a seeded order of their ids."""

    name: str
    folder: Path
    documents: int  # that anybody may read
    sealed: str  # what is said of the others
    rows: pa.Table

    @property
    def texts(self) -> list[str]:
        found: list[str] = self.rows.column("text").to_pylist()
        return found


def diversity(
    workspace: Workspace, name: str, *, against: str | None = None, by: Sequence[str] = (),
    count: int = MOST_DOCUMENTS, words: int | None = None, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Return what a governor sees (`synth/diversity/told.py`) in at most `count` documents, and which they are.

    `by` names what groups are told by: source, origin, model, step, prompt, or a key of the metadata. Documents are
    cut after `words`; without it, after as many as three quarters of both sides have.
    """
    from synth.diversity.bands import Bands
    from synth.diversity.governor import Governor
    from synth.diversity.told import told

    made = draw(workspace, name, count=count, seed=seed)
    groups = {key: _groups(made.rows, key) for key in dict.fromkeys(by)}
    if against is None:
        half = generator(seed, "diversity", "by itself").permutation(made.rows.num_rows)
        cut = len(half) // 2
        rest = np.sort(half[cut:])
        real = Drawn(made.name, made.folder, made.documents, "", made.rows.take(pa.array(np.sort(half[:cut]))))
        made = Drawn(made.name, made.folder, made.documents, made.sealed, made.rows.take(pa.array(rest)))
        groups = {key: [names[row] for row in rest.tolist()] for key, names in groups.items()}
    else:
        real = draw(workspace, other_of(workspace, name, against), count=count, seed=seed)
    watched, band = Batch.from_texts(made.texts), Batch.from_texts(real.texts)
    most = words or _common_words([watched, band])
    try:
        bands = Bands.of(band, most_words=most, seed=seed)
    except ValueError as error:
        raise DataError(
            f"`{real.name}`: {error}. Name a dataset of real text of the same kind by --against"
            f"{'; without it, half of the documents make the band' if against is None else ''}."
        ) from error
    governor = Governor(bands)
    governor.watch(watched, groups=groups)
    _refuse_less_than_a_window(governor, made, count=count)
    return {
        "dataset": made.name, "folder": made.folder.name, "documents": made.documents, "read": len(watched),
        "against": None if against is None else real.name, "against_folder": real.folder.name,
        "notes": [f"{side.name}: {side.sealed}" for side in (made, real) if side.sealed],
    } | told(governor)  # fmt: skip


def draw(workspace: Workspace, name: str, *, count: int, seed: int) -> Drawn:
    """Read at most `count` open documents: the same whatever the parts and their order."""
    folder, card = workspace.dataset(name)
    closed, paths = closed_in(workspace, folder), document_paths(folder)
    ids = [read_table(path, columns=["id"]).column("id") for path in paths]
    opened = [closed.open_of(each) for each in ids]
    orders = [order_of(each, seed=seed) for each in ids]
    every = np.concatenate(
        [np.zeros(0, np.uint64), *(order[mine] for order, mine in zip(orders, opened, strict=True))]
    )  # fmt: skip
    last = np.partition(every, count - 1)[count - 1] if count < len(every) else np.uint64(2**64 - 1)
    tables, places = [], [np.zeros(0, np.uint64)]
    for path, order, mine in zip(paths, orders, opened, strict=True):
        chosen, start = mine & (order <= last), 0
        places.append(order[chosen])
        for table in iterate_tables(path, columns=COLUMNS):
            tables.append(table.filter(pa.array(chosen[start : start + table.num_rows])))
            start += table.num_rows
    rows = pa.concat_tables(tables) if tables else pa.table({column: pa.array([], pa.string()) for column in COLUMNS})
    rows = rows.take(pa.array(np.argsort(np.concatenate(places), kind="stable")))
    return Drawn(card.name, folder, len(every), closed.note(sum(map(len, ids)) - len(every)), rows)


def _groups(rows: pa.Table, key: str) -> list[str]:
    """Return the group of each document."""
    if key in ("source", "origin"):
        found = rows.column(key).to_pylist()
    elif key in MAKERS:
        makers = [json.loads(told) for told in rows.column("lineage").to_pylist()]
        found = [made[-1].get(key) if made and isinstance(made[-1], dict) else None for made in makers]
    else:
        metadata = [json.loads(told) for told in rows.column("metadata").to_pylist()]
        found = [told.get(key) for told in metadata]
        if rows.num_rows and all(value is None for value in found):
            known = {name for told in metadata[:1000] for name in told}
            raise RecipeError(
                f"--by {key}: no document has it.{did_you_mean(key, ['source', 'origin', *MAKERS, *sorted(known)])}"
            )
    names = [NONE if value is None else str(value) for value in found]
    if len(set(names)) > MOST_GROUPS:
        raise RecipeError(
            f"--by {key}: {len(set(names)):,} groups; at most {MOST_GROUPS} are told apart, and each needs a window of "
            "about 100 documents. Name what has fewer values."
        )
    return names


def _common_words(sides: Sequence[Batch]) -> int:
    """Return how many words three quarters of the documents of each side have, within bounds."""
    from synth.diversity.words import read_words

    counts = [read_words(side, most=MOST_WORDS).counts for side in sides]
    least = min((int(np.quantile(own[own > 0], 0.25)) for own in counts if (own > 0).any()), default=FEWEST_WORDS)
    return max(FEWEST_WORDS, least)


def _refuse_less_than_a_window(governor: Governor, made: Drawn, *, count: int) -> None:
    if governor.windows:
        return
    size = governor.bands.size
    raise DataError(
        f"`{made.name}`: {made.rows.num_rows:,} documents were read, and one window takes {size.documents} with "
        f"{size.words:,} words. {'Raise --sample' if count < made.documents else 'Name a larger dataset'}."
    )
