"""What single steps found, beyond who was dropped: clusters of duplicates and evaluation items met in the text.

Works from the stored signals (`duplicate_of`; `overlap`, `item`, `excerpt`; `containment`, `contained_item`,
`contained_excerpt`), so any step that gives them is shown.
Over a million duplicates are counted by the 64-bit hash of what was kept, a few million at a time, so that the
memory does not grow with the corpus; two clusters of 30 million share a hash with a chance of 0.00002.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.arrow import as_flags, as_numbers
from pipeline.report.dataset.chosen import DUPLICATE_OF, Place, Quoted
from pipeline.report.dataset.examples import Example, Examples
from pipeline.report.dataset.recall import Audit, audit_in
from pipeline.report.dataset.signals import Signals
from pipeline.report.dataset.steps import DatasetShown
from pipeline.report.draw import figures
from pipeline.store.dataset.chain import Link

if TYPE_CHECKING:
    import polars as pl

LARGEST, ITEMS = 6, 8
MEMBERS = 3  # dropped documents quoted of each of the largest clusters
ESTIMATE = "jaccard_estimate"  # signal of a deduplication: how alike it held a document and the one kept instead
MOST_COUNTED = 1_000_000  # duplicates counted by the ids of what was kept, as they are: 50 MB with ids of 30 bytes
MOST_HASHES = 4_000_000  # counted at a time: 32 MB, and about 100 MB while they are sorted
SIZES = ((2, 2), (3, 5), (6, 10), (11, 100), (101, 10**12))


@dataclass(frozen=True, slots=True)
class Cluster:
    """Documents that one kept document stands for."""

    size: int
    kept: Example
    dropped: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Clusters:
    """The sizes of a deduplication step's clusters, and the largest by the id of the document kept."""

    by_size: Mapping[int, int]  # documents in the cluster, the kept one too -> clusters
    largest: tuple[tuple[str, int], ...]
    members: Mapping[str, Sequence[Quoted]]  # a few dropped ones of each of the largest


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What one deduplication step found."""

    dataset: str
    step: str
    examined: int
    num_clusters: int
    num_duplicates: int
    sizes: tuple[tuple[str, int], ...]  # range of sizes -> clusters
    largest: tuple[Cluster, ...]
    audit: Audit | None


@dataclass(frozen=True, slots=True)
class Hit:
    """One evaluation item and the documents that held it."""

    item: str
    documents: int
    excerpt: str


@dataclass(frozen=True, slots=True)
class Contamination:
    """What one decontamination step found: word for word, or (`over`) most of an item in other order or wording."""

    dataset: str
    step: str
    examined: int
    documents: int
    num_items: int
    hits: tuple[Hit, ...]
    over: float | None = None  # the share of an item's words that each document holds more than


def clusters_in(shown: DatasetShown, signals: Signals) -> dict[str, Clusters]:
    """Return the clusters of every deduplication step of a dataset, by the step's label."""
    links = [link for link in shown.evidence.chain.links if DUPLICATE_OF in signals.texts(link)]
    found = {}
    for link in links:
        by_size, largest = _clusters(signals, link)
        found[link.label] = Clusters(by_size, largest, _members(signals, link, [name for name, _ in largest]))
    return found


def _members(signals: Signals, link: Link, kept: Sequence[str]) -> dict[str, list[Quoted]]:
    """Return the first documents that were dropped for each of some kept ones."""
    found: dict[str, list[Quoted]] = {name: [] for name in kept}
    wanted = pa.array(kept, pa.string())
    names = [name for name in (DUPLICATE_OF, ESTIMATE) if name in signals.names(link)]
    for part, table in signals.parts(link, names if kept else []):
        instead = table.column(DUPLICATE_OF)
        rows = np.flatnonzero(as_flags(pc.is_in(instead, value_set=wanted)))
        codes = as_numbers(pc.index_in(instead.take(pa.array(rows)), value_set=wanted))
        for code, name in enumerate(kept):
            for row in rows[codes == code][: MEMBERS - len(found[name])].tolist():
                alike = table.column(ESTIMATE)[row].as_py() if ESTIMATE in names else None
                note = f"estimated similarity {alike:.2f}" if alike is not None else ""
                found[name].append(Quoted(Place(part.index, row), note))
    return found


Counted = tuple[Counter[int], tuple[tuple[str, int], ...]]  # clusters by size; the largest


def _clusters(signals: Signals, link: Link) -> Counted:
    pieces, total = [pa.chunked_array([], pa.string())], 0
    for _, table in signals.parts(link, [DUPLICATE_OF]):
        pieces.append(table.column(DUPLICATE_OF).drop_null())
        total += len(pieces[-1])
        if total > MOST_COUNTED:
            pieces.clear()
            return _clusters_by_hash(signals, link)
    counted = pc.value_counts(pa.chunked_array([chunk for piece in pieces for chunk in piece.chunks], pa.string()))
    counts = as_numbers(counted.field("counts")).astype(np.int64)
    least = int(np.partition(counts, -LARGEST)[-LARGEST]) if len(counts) > LARGEST else 1
    near = counted.filter(pc.greater_equal(counted.field("counts"), least)).to_pylist()
    near.sort(key=lambda pair: (-pair["counts"], pair["values"]))
    return _sizes(counts), tuple((pair["values"], pair["counts"] + 1) for pair in near[:LARGEST])


def _sizes(counts: np.ndarray) -> Counter[int]:
    """Return the clusters by size; a cluster is its duplicates and the document kept."""
    sizes, clusters = np.unique(counts + 1, return_counts=True)
    return Counter(dict(zip(sizes.tolist(), clusters.tolist(), strict=True)))


def _clusters_by_hash(signals: Signals, link: Link) -> Counted:
    import polars as pl  # 0.1 s

    num_duplicates = sum(len(table) for table in _kept_instead(signals, link, share=(0, 1)))
    rounds = max(-(-num_duplicates // MOST_HASHES), 1)
    by_size: Counter[int] = Counter()
    largest: dict[str, int] = {}
    for number in range(rounds):
        pieces = [table["hash"].to_numpy() for table in _kept_instead(signals, link, share=(number, rounds))]
        hashes, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *pieces]), return_counts=True)
        if not len(hashes):
            continue
        by_size.update(_sizes(counts))
        least = int(np.partition(counts, -LARGEST)[-LARGEST]) if len(counts) > LARGEST else 1
        for table in _kept_instead(signals, link, share=(number, rounds)):
            count = counts[np.searchsorted(hashes, table["hash"].to_numpy())]
            near = table.with_columns(count=pl.Series(count, dtype=pl.Int64)).filter(pl.col("count") >= least)
            near = near.unique("id").sort(["count", "id"], descending=[True, False]).head(LARGEST)
            largest |= dict(zip(near["id"].to_list(), near["count"].to_list(), strict=True))
            largest = dict(sorted(largest.items(), key=lambda item: (-item[1], item[0]))[:LARGEST])
    return by_size, tuple((name, count + 1) for name, count in largest.items())


def _kept_instead(signals: Signals, link: Link, *, share: tuple[int, int]) -> Iterator[pl.DataFrame]:
    """Yield ids and hashes of what was kept, part by part: those whose hash leaves rest `share[0]` over `share[1]`."""
    import polars as pl

    rest, rounds = share
    for _, table in signals.parts(link, [DUPLICATE_OF]):
        ids = pl.Series("id", table.column(DUPLICATE_OF), dtype=pl.String).drop_nulls()
        found = pl.DataFrame({"id": ids, "hash": ids.hash(seed=0)})
        yield found.filter(pl.col("hash") % rounds == rest) if rounds > 1 else found


def duplicates_in(shown: DatasetShown, clusters: Mapping[str, Clusters], examples: Examples) -> list[Duplicates]:
    """Return what every deduplication step of a dataset found, its largest clusters quoted."""
    found = []
    for step in shown.steps:
        if step.label not in clusters:
            continue
        by_size, members = clusters[step.label].by_size, clusters[step.label].members
        spread = tuple(
            (
                f"{low}" if low == high else f"over {low - 1}" if high > 10**9 else f"{low} to {high}",
                sum(number for size, number in by_size.items() if low <= size <= high),
            )
            for low, high in SIZES
        )
        found.append(
            Duplicates(
                dataset=shown.name,
                step=step.label,
                examined=step.reached,
                num_clusters=sum(by_size.values()),
                num_duplicates=sum((size - 1) * number for size, number in by_size.items()),
                sizes=spread,
                largest=tuple(
                    Cluster(size=size, kept=kept, dropped=examples.placed(members[name], label=step.label))
                    for name, size in clusters[step.label].largest
                    if (kept := examples.named(name, label=step.label))
                ),
                audit=audit_in(step.card),
            )
        )
    return found


def contamination_in(shown: DatasetShown, signals: Signals) -> list[Contamination]:
    """Return the evaluation items that every decontamination step of a dataset met, exact matches and fuzzy ones."""
    found = []
    for link, step in zip(shown.evidence.chain.links, shown.steps, strict=True):
        names = set(signals.names(link))
        if {"item", "excerpt", "overlap"} <= names:
            found.append(_met(shown, signals, link, item="item", excerpt="excerpt"))
        fuzzy = next((rule for rule in step.rules if rule.signal == "containment"), None)
        if fuzzy is not None and {"contained_item", "contained_excerpt"} <= names:
            met = _met(shown, signals, link, item="contained_item", excerpt="contained_excerpt", over=fuzzy.threshold)
            found.append(met)
    return found


def _met(
    shown: DatasetShown, signals: Signals, link: Link, *, item: str, excerpt: str, over: float | None = None
) -> Contamination:
    """Count the items named in one column; with `over`, of documents whose containment is larger."""
    items: Counter[str] = Counter()
    texts: dict[str, str] = {}  # both as many as there are evaluation items, however large the corpus
    for _, table in signals.parts(link, [item, excerpt] if over is None else [item, excerpt, "containment"]):
        hits = table.filter(pc.is_valid(table.column(item)))
        if over is not None:
            hits = hits.filter(pa.array(as_numbers(hits.column("containment")) > over))
        for met in hits.select([item, excerpt]).to_pylist():
            items[met[item]] += 1
            texts.setdefault(met[item], str(met[excerpt]))
    most = sorted(items.items(), key=lambda pair: (-pair[1], pair[0]))[:ITEMS]
    return Contamination(
        dataset=shown.name,
        step=link.label,
        examined=shown.rows_in,
        documents=items.total(),
        num_items=len(items),
        hits=tuple(Hit(figures.excerpt(name, 120), count, figures.excerpt(texts[name], 200)) for name, count in most),
        over=over,
    )
