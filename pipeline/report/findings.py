"""What single steps found, beyond who was dropped: clusters of duplicates and evaluation items met in the text.

Works from the stored signals (`duplicate_of`; `overlap`, `item`, `excerpt`), so any step that gives them is shown.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipeline.report import figures
from pipeline.report.examples import DUPLICATE_OF, Example, Examples
from pipeline.report.steps import DatasetShown, Signals

LARGEST, ITEMS = 6, 8
SIZES = ((2, 2), (3, 5), (6, 10), (11, 100), (101, 10**12))


@dataclass(frozen=True, slots=True)
class Cluster:
    """Documents that one kept document stands for."""

    size: int
    kept: Example


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


@dataclass(frozen=True, slots=True)
class Hit:
    """One evaluation item and the documents that held it."""

    item: str
    documents: int
    excerpt: str


@dataclass(frozen=True, slots=True)
class Contamination:
    """What one decontamination step found."""

    dataset: str
    step: str
    examined: int
    documents: int
    num_items: int
    hits: tuple[Hit, ...]


def duplicates_in(shown: DatasetShown, signals: Signals, examples: Examples) -> list[Duplicates]:
    """Return the clusters of every deduplication step of a dataset."""
    found = []
    for link, step in zip(shown.evidence.chain.links, shown.steps, strict=True):
        if DUPLICATE_OF not in signals.names(link):
            continue
        twins = Counter(str(twin) for twin in signals.strings(link)[DUPLICATE_OF] if twin is not None)
        sizes = [count + 1 for count in twins.values()]
        spread = tuple(
            (
                f"{low}" if low == high else f"over {low - 1}" if high > 10**9 else f"{low} to {high}",
                sum(low <= size <= high for size in sizes),
            )
            for low, high in SIZES
        )
        largest = sorted(twins.items(), key=lambda item: (-item[1], item[0]))[:LARGEST]
        found.append(
            Duplicates(
                dataset=shown.name,
                step=step.label,
                examined=step.reached,
                num_clusters=len(twins),
                num_duplicates=sum(twins.values()),
                sizes=spread,
                largest=tuple(
                    Cluster(size=count + 1, kept=kept)
                    for name, count in largest
                    if (kept := examples.named(name, seen_by=link))
                ),
            )
        )
    return found


def contamination_in(shown: DatasetShown, signals: Signals) -> list[Contamination]:
    """Return the evaluation items that every decontamination step of a dataset met."""
    found = []
    for link, step in zip(shown.evidence.chain.links, shown.steps, strict=True):
        names = signals.names(link)
        if not {"item", "excerpt", "overlap"} <= set(names):
            continue
        words = signals.strings(link)
        items: Counter[str] = Counter()
        texts: dict[str, str] = {}
        for item, excerpt in zip(words["item"], words["excerpt"], strict=True):
            if item is not None:
                items[str(item)] += 1
                texts.setdefault(str(item), str(excerpt))
        most = sorted(items.items(), key=lambda pair: (-pair[1], pair[0]))[:ITEMS]
        found.append(
            Contamination(
                dataset=shown.name,
                step=step.label,
                examined=shown.rows_in,
                documents=sum(items.values()),
                num_items=len(items),
                hits=tuple(
                    Hit(figures.excerpt(name, 120), count, figures.excerpt(texts[name], 200)) for name, count in most
                ),
            )
        )
    return found
