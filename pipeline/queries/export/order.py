"""Counted datasets and shares -> the place of every document in the mixture's order, and where each shard begins.

Within a dataset the documents come as a seed, the dataset's name and the epoch permute them, between datasets by the
fair queueing that proxies' rows are drawn by (`interleave.fill_schedule`), so every prefix holds the shares. Of a
document that is longer than the proxies read of one (`max_document_share`, of what they were given) the rest is cut;
every other one is whole, and the last ends at or after the budget. What is held for each document (24 bytes, and 28
for each epoch that it is in) lies in mapped files of the scratch folder, which the system may write back, so memory
does not grow with the corpus; a hundred million documents take some GB of disk until the export is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.proxies.packing import Tokens
from pipeline.core.errors import DataError, ServiceError, write_advice
from pipeline.core.rng import generator
from pipeline.experiment.streams.mixture import MixturePlan, plan_mixture
from pipeline.queries.export.counts import Counted
from pipeline.queries.export.written_counts import Written

CHUNK = 1 << 20  # documents handled at a time, where numpy would otherwise take memory for all of them


@dataclass(frozen=True, slots=True)
class Places:
    """Where the places of one dataset's documents lie: int64[epochs, documents] in a file, -1 for one not taken."""

    path: Path
    start: int
    epochs: int
    documents: int

    def of(self, start: int, stop: int) -> np.ndarray:
        """Return int64[epochs, stop - start], the places of some documents."""
        whole = np.memmap(self.path, np.int64, "r", 8 * self.start, (self.epochs, self.documents))
        return np.array(whole[:, start:stop])


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens of another tokenizer at which the order ends, and what each dataset's documents are in them."""

    written: Mapping[str, Written]
    tokens: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What a mixture takes of one dataset."""

    documents: int  # repeated ones counted each time
    num_tokens: int
    written_tokens: int = 0  # where there is a budget of them


@dataclass(frozen=True, slots=True)
class Arranged:
    """A mixture in order. Shard s holds the places from `shards[s]` to `shards[s + 1]`, the last bound included."""

    places: tuple[Places, ...]  # in the order of the plan's shares
    taken: tuple[Taken, ...]
    shards: np.ndarray  # int64[num_shards + 1]


def most_tokens(datasets: Sequence[Counted], *, weights: dict[str, float], max_epochs: float) -> int:
    """Return the largest budget at which every dataset has the share that its weight asks for, within its epochs."""
    whole = sum(weights.values())
    totals = {found.name: found.num_tokens for found in datasets}
    return int(min(max_epochs * totals[name] * whole / weight for name, weight in weights.items()))


def plan_shares(
    datasets: Sequence[Counted], *, weights: dict[str, float], total_tokens: int, max_epochs: float
) -> MixturePlan:
    """Divide a budget among counted datasets as a mixture does; raises what `plan_mixture` raises."""
    sums = {
        found.name: Tokens(flat=np.zeros(0, np.uint16), offsets=_as_one_document(found.num_tokens))
        for found in datasets
    }
    return plan_mixture(sums, weights=weights, total_tokens=total_tokens, max_epochs=max_epochs)


def _as_one_document(num_tokens: int) -> np.ndarray:
    """Return the offsets of one document that has so many tokens with its BOS: a plan looks at their sum alone."""
    return np.array([0, max(num_tokens - 1, 0)], np.int64)


def arrange(
    datasets: Sequence[Counted], *, plan: MixturePlan, seed: int, scratch: Path, shard_bytes: int,
    budget: Budget | None = None,
) -> Arranged:  # fmt: skip
    """Put the documents of a plan's datasets, in the order of its shares, into the mixture's order.

    A budget ends it with the document that reaches it.
    """
    from pipeline.experiment.streams.interleave import fill_schedule, picks_until, place_documents

    by_name = {found.name: found for found in datasets}
    chosen = [by_name[share.name] for share in plan.shares]
    first = np.cumsum([0, *(found.rows for found in chosen)]).astype(np.int64)
    tokens = _gathered(scratch / "tokens", [part.num_tokens for found in chosen for part in found.parts], first[-1])
    sizes = _gathered(scratch / "sizes", [part.size_bytes for found in chosen for part in found.parts], first[-1])
    for j, found in enumerate(chosen):
        mine = tokens[first[j] : first[j + 1]]
        np.minimum(mine, found.longest, out=mine)
    kept, epochs = np.zeros(len(chosen), np.int64), np.zeros(len(chosen), np.int64)
    for j, share in enumerate(plan.shares):
        kept[j] = int(np.count_nonzero(tokens[first[j] : first[j + 1]]))
        epochs[j] = -(-share.num_tokens // share.available_tokens)
    bounds = np.cumsum([0, *(kept * epochs)]).astype(np.int64)
    orders = _mapped(scratch / "orders", bounds[-1], np.int64)
    ordered = _mapped(scratch / "ordered", bounds[-1], np.int64)
    for j, share in enumerate(plan.shares):
        mine = tokens[first[j] : first[j + 1]]
        documents = _documents_with_tokens(scratch / "documents", mine, int(kept[j]))
        for epoch in range(int(epochs[j])):
            start = int(bounds[j] + epoch * kept[j])
            here = slice(start, start + int(kept[j]))
            _fill_order(orders[here], documents, generator(seed, "mixture", share.name, epoch))
            np.take(mine, orders[here], out=ordered[here], mode="clip")
    picks = _mapped(scratch / "picks", bounds[-1], np.int32)
    targets = np.array([share.num_tokens for share in plan.shares], np.int64)
    picks = picks[: fill_schedule(ordered, bounds, targets, picks)]
    written = np.zeros(len(chosen), np.int64)
    if budget is not None:
        others = _others(scratch, chosen, budget, first=first, orders=orders, bounds=bounds)
        picks = picks[: picks_until(picks, others, bounds, budget.tokens, written)]
    documents = np.diff(first)
    base = np.cumsum([0, *(documents * epochs)]).astype(np.int64)
    places = _mapped(scratch / "places", base[-1], np.int64)
    places[:] = -1
    largest = int(sum(int(sizes[first[j] : first[j + 1]].sum()) * int(epochs[j]) for j in range(len(chosen))))
    shards = np.zeros(2 * (largest // shard_bytes) + 3, np.int64)
    count = place_documents(picks, orders, bounds, kept, first, sizes, places, base, shard_bytes, shards)
    shards[count] = len(picks)
    numbers = np.zeros(len(chosen), np.int64)
    for at in range(0, len(picks), CHUNK):
        numbers += np.bincount(picks[at : at + CHUNK], minlength=len(chosen))
    taken = [
        Taken(int(number), num_tokens=int(ordered[start : start + number].sum()), written_tokens=int(other))
        for number, start, other in zip(numbers, bounds[:-1], written, strict=True)
    ]
    return Arranged(
        places=tuple(
            Places(scratch / "places", start=int(base[j]), epochs=int(epochs[j]), documents=int(documents[j]))
            for j in range(len(chosen))
        ),
        taken=tuple(taken),
        shards=shards[: count + 1],
    )


def _others(
    scratch: Path, chosen: Sequence[Counted], budget: Budget, *, first: np.ndarray, orders: np.ndarray,
    bounds: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the written tokens of every document in the order of its dataset, laid out as `orders` is."""
    columns = [column for found in chosen for column in budget.written[found.name].columns()]
    written = _gathered(scratch / "written", columns, first[-1])
    found = _mapped(scratch / "others", bounds[-1], np.int64)
    for j in range(len(chosen)):
        here = slice(int(bounds[j]), int(bounds[j + 1]))
        np.take(written[first[j] : first[j + 1]], orders[here], out=found[here], mode="clip")
    return found


def _documents_with_tokens(path: Path, tokens: np.ndarray, count: int) -> np.ndarray:
    """Return the numbers of the documents that have any, mapped."""
    found = _mapped(path, count, np.int64)
    done = 0
    for start in range(0, len(tokens), CHUNK):
        some = np.flatnonzero(tokens[start : start + CHUNK]) + start
        found[done : done + len(some)] = some
        done += len(some)
    return found


def _fill_order(order: np.ndarray, documents: np.ndarray, draw: np.random.Generator) -> None:
    """Write `documents[draw.permutation(len(documents))]` to `order` without memory for another copy of it."""
    for start in range(0, len(order), CHUNK):
        order[start : start + CHUNK] = np.arange(start, min(start + CHUNK, len(order)))
    draw.shuffle(order)  # what `permutation` does with numbers in order
    for start in range(0, len(order), CHUNK):
        order[start : start + CHUNK] = documents[order[start : start + CHUNK]]


def _gathered(path: Path, columns: Sequence[Callable[[], np.ndarray]], length: int) -> np.ndarray:
    """Return the counts of all parts one after the other, mapped; one part's in memory at a time."""
    found = _mapped(path, int(length), np.int64)
    start = 0
    for column in columns:
        some = column()
        found[start : start + len(some)] = some
        start += len(some)
    if start != length:
        raise DataError(f"{path}: {start} documents are counted where {length} lie. Delete the counts and run again.")
    return found


def _mapped(path: Path, length: int, kind: type[np.generic]) -> np.ndarray:
    """Return an array in a new file; the disk has room for all of it, or else ServiceError and no bus error later."""
    size = int(length) * np.dtype(kind).itemsize
    try:
        with path.open("wb") as file:
            for start in range(0, size, CHUNK):
                file.write(bytes(min(CHUNK, size - start)))
    except OSError as error:
        raise ServiceError(
            f"{path}: no room for {size:,} bytes ({error.strerror or error}). {write_advice(error)}"
        ) from error
    return np.asarray(np.memmap(path, kind, "r+", 0, (int(length),))) if length else np.zeros(0, kind)


def pieces(part_sizes: np.ndarray, *, most_bytes: int) -> Iterator[tuple[int, int]]:
    """Cut the rows of a file into runs of at most so many bytes, or of one row that is larger."""
    ends = np.cumsum(part_sizes)
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most_bytes, side="right")))
        yield start, stop
        start = stop
