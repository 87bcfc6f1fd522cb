"""Documents of an experiment -> named slices of them: by set, length, topic, copies, form, and by every stored signal.

Signals are those that the steps of a held-out set measured; of numbers the lowest and the highest fifth are slices, of
words each value. No slice is made that names few documents (`eval/claims/slices.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.core.arrow import as_flags
from pipeline.core.errors import TamisError
from pipeline.core.files.card import read_card
from pipeline.queries.errors.material import Material
from pipeline.queries.errors.topics import LEAST_DOCUMENTS, MOST_TOPICS, topics_of
from pipeline.store.evidence import Evidence, evidence_at
from pipeline.store.workspace import Workspace

FIFTH, MOST_OF_A_FIFTH = 0.2, 0.3  # with more documents of one value it is no fifth
MOST_VALUES = 20  # of a column of words: one with more is a name
FORMS = {
    "code": re.compile(r"[{}()\[\];=<>_]"),  # share of such characters
    "digits": re.compile(r"[0-9]"),
    "other than ASCII": re.compile(r"[^\x00-\x7f]"),
    "line ends": re.compile(r"\n"),
}


def members_of(material: Material, workspace: Workspace | None) -> dict[str, np.ndarray]:
    """Return bool[D] for every slice by its name."""
    found = dict(_plain(material))
    if workspace is not None:
        for name, values in signals_of(material, workspace).items():
            found |= dict(_of_values(name, values))
    return found


def _plain(material: Material) -> Iterator[tuple[str, np.ndarray]]:
    for domain in np.unique(material.domain):
        if (mine := material.domain == domain).sum() < len(mine):
            yield f"set {domain}", mine
    yield from _of_values("length", material.num_bytes.astype(float))
    copies = np.bincount(material.cluster, minlength=int(material.cluster.max(initial=0)) + 1)
    yield "in a group with others", copies[material.cluster] > 1
    count = min(MOST_TOPICS, len(material.texts) // LEAST_DOCUMENTS)
    topic, names = topics_of(material.texts, count=count)
    for number, name in enumerate(names):
        yield f"topic {name}", topic == number
    for name, form in FORMS.items():
        shares = np.array([len(form.findall(text)) / max(len(text), 1) for text in material.texts])
        yield from _of_values(f"share of {name}", shares)


def _of_values(name: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the ends of numbers, or the values of words; a value that is missing is in no slice."""
    if values.dtype.kind in "fiu":
        known = values[np.isfinite(values)]
        if len(known) == 0 or known.min() == known.max():
            return
        low, high = np.quantile(known, [FIFTH, 1 - FIFTH])
        for end, mine in (("lowest", values <= low), ("highest", values >= high)):
            if mine.sum() <= MOST_OF_A_FIFTH * len(values):
                yield f"{name}: {end} fifth", mine
        return
    values = values.astype(str)
    distinct = np.unique(values[values != ""])
    if 1 < len(distinct) <= MOST_VALUES:
        for value in distinct:
            yield f"{name} {value}", values == value


def signals_of(material: Material, workspace: Workspace) -> dict[str, np.ndarray]:
    """Return the stored signals of the documents by `step.signal`; missing ones are NaN or an empty text."""
    found: dict[str, np.ndarray] = {}
    for domain, folder in material.folders.items():
        rows = {material.ids[row]: row for row in np.flatnonzero(material.domain == domain).tolist()}
        try:
            if read_card(folder).kind != "dataset":
                continue
            _add(found, evidence_at(workspace, folder), rows, total=len(material.ids))
        except TamisError:  # what is damaged or gone is not this question's to repair, and other slices are left
            continue
    return found


def _add(found: dict[str, np.ndarray], evidence: Evidence, rows: dict[str, int], *, total: int) -> None:
    for part in evidence.chain.base:
        verdicts = evidence.verdicts(part, ["id"])
        mine = [(place, rows[name]) for place, name in enumerate(verdicts.column("id").to_pylist()) if name in rows]
        if not mine:
            continue
        places, targets = (np.array(each) for each in zip(*mine, strict=True))
        for link in evidence.chain.links:
            table = evidence.signals(link, part)
            for name in table.column_names:
                column, label = table.column(name), f"{link.label}.{name}"
                values = _values(column)
                if values is not None:
                    empty = np.full(total, np.nan) if values.dtype.kind == "f" else np.full(total, "", object)
                    found.setdefault(label, empty)[targets] = values[places]


def _values(column: pa.ChunkedArray) -> np.ndarray | None:
    """Return numbers as floats, flags and words as words; None for what is neither."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return np.where(as_flags(column), "yes", "no").astype(object)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array([value or "" for value in column.to_pylist()], object)
    return None
