"""Documents with equal 128-bit keys, found in partitions by key: no worker ever holds more than one partition.

Each part saves its keys in their order, of documents that are equal within it only the one to keep, which stands for
the others; a partition takes the same stretch of key space from every part, names the document to keep of each group,
and saves the groups of two and more; then each part looks up its own documents there. So a text that half of all
documents have fills no partition: it is there once for each part. A key costs 40 bytes on disk, a document with an
equal one 24 more; in memory are at most PARTITION_ROWS keys of a worker, or as many as fit its share, and in the
process that runs the recipe nothing that grows with the documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from filters.dedup.clusters import best_rows
from pipeline.core.files.writing.scratch import open_array, save_array, scratch_file, write_scratch
from pipeline.core.files.writing.sums import is_whole
from pipeline.core.step import Part

PARTITION_ROWS = 1 << 23  # 1.2 GB while they are grouped; fewer would open more files: one of each part for each
SPREAD_ROWS, SPREAD = 1 << 21, 64  # up to so many partitions hold so few keys, to be grouped side by side
BYTES_PER_ROW = 150  # of memory, while a partition is grouped
HIGH, LOW, SCORE, DOC, COUNT = range(5)  # of a saved key: the document that stands for so many of its part
ROW, KEPT, COPIES = range(3)  # of a saved group's member
OTHER, FOR = range(2)  # of a document of a part, and the one that stands for it


@dataclass(frozen=True, slots=True)
class Partition:
    """One stretch of key space, of all parts."""

    keys: EqualKeys
    number: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What a partition found: groups of two and more, and who of them is not kept."""

    groups: int
    duplicates: int
    most_copies: int


@dataclass(frozen=True, slots=True)
class EqualKeys:
    """The keys of some parts, which lie in `scratch`. Picklable, and small: every job bears it."""

    scratch: Path
    partitions: int

    @staticmethod
    def of(scratch: Path, starts: np.ndarray, *, memory_bytes: int) -> EqualKeys:
        """Cut the key space so that a partition takes about so much memory at most.

        `starts` is int64[num_parts + 1]: the first global row of each part, and the end.
        """
        rows, fitting = int(starts[-1]), max(min(PARTITION_ROWS, memory_bytes // BYTES_PER_ROW), 1)
        save_array(scratch_file(scratch, "starts", 0), starts)
        return EqualKeys(scratch, max(-(-rows // fitting), min(-(-rows // SPREAD_ROWS), SPREAD), 1))

    @property
    def starts(self) -> np.ndarray:
        """Map the first global row of each part, and the end: int64[num_parts + 1]."""
        return open_array(scratch_file(self.scratch, "starts", 0))

    def save(self, position: int, high: np.ndarray, low: np.ndarray, *, scores: np.ndarray) -> None:
        """Keep the keys of the part at `position`, uint64[num_docs] twice; the highest float64 score is kept."""
        order = np.lexsort((low, high))
        starts, sizes = _runs(high[order], low[order])
        best = order[best_rows(np.repeat(starts, sizes), scores.astype(np.float64)[order])]
        others = np.stack([order, best])[:, order != best]
        save_array(self.others_file(position), others[:, np.argsort(others[OTHER])])
        docs = best[starts]
        score = scores[docs].astype(np.float64).view(np.uint64)
        columns = (high[docs], low[docs], score, docs.astype(np.uint64), sizes.astype(np.uint64))
        save_array(self.keys_file(position), np.stack(columns))

    def others_file(self, position: int) -> Path:
        return scratch_file(self.scratch, "others", position)

    def keys_file(self, position: int) -> Path:
        return scratch_file(self.scratch, "distinct", position)

    def is_saved(self, position: int) -> bool:
        return is_whole(self.others_file(position)) and is_whole(self.keys_file(position))

    def all_partitions(self) -> list[Partition]:
        return [Partition(self, number) for number in range(self.partitions)]

    def members(self, number: int, position: int) -> np.ndarray:
        """Return int64[3, n]: ROW, KEPT and COPIES of a part's documents in groups of one partition, rows ascending.

        Documents for which another of their part stands are left out.
        """
        found = open_array(self.groups_file(number))
        first, past = np.searchsorted(found[ROW], self.starts[position : position + 2])
        return np.array(found[:, first:past])

    def members_of(self, position: int) -> np.ndarray:
        """Return the same of all partitions and documents, rows ascending."""
        found = np.concatenate([self.members(number, position) for number in range(self.partitions)], axis=1)
        found = found[:, np.argsort(found[ROW])]
        others = open_array(self.others_file(position)) + self.starts[position]
        theirs = found[:, np.searchsorted(found[ROW], others[FOR])]
        theirs[ROW] = others[OTHER]
        joined = np.concatenate([found, theirs], axis=1)
        return joined[:, np.argsort(joined[ROW])]

    def groups_file(self, number: int) -> Path:
        return scratch_file(self.scratch, f"members-{self.partitions}", number)

    def ids_file(self, position: int) -> Path:
        return self.scratch / f"ids-{self.partitions}-{position:05d}.arrow"

    def names_file(self, number: int) -> Path:
        return self.scratch / f"names-{self.partitions}-{number:05d}.arrow"

    def save_ids(self, position: int, part: Part) -> None:
        """Keep the ids of a part's documents of which others are duplicates, by partition."""
        if is_whole(self.ids_file(position)):
            return
        members = [self.members(number, position) for number in range(self.partitions)]
        named = [found[ROW][found[ROW] == found[KEPT]] for found in members]
        rows = np.concatenate(named)
        ids = pa.array([], pa.string())
        if len(rows):
            column = part.load(("id",)).column("id").combine_chunks().cast(pa.string())
            ids = column.take(pa.array(rows - self.starts[position]))
        numbers = np.repeat(np.arange(self.partitions), [len(each) for each in named])
        _save_names(self.ids_file(position), rows, ids, numbers)

    def kept_ids(self, position: int) -> pa.Array:
        """Return string[num_docs] of a part: the id of the document that is kept instead, else null."""
        start, end = self.starts[position : position + 2].tolist()
        places, ids = np.full(end - start, -1), [pa.array([], pa.string())]
        is_kept, before = np.zeros(end - start, np.bool_), 0
        for number in range(self.partitions):
            found = self.members(number, position)
            if not found.shape[1]:
                continue
            table = _names(self.names_file(number))
            wanted, back = np.unique(found[KEPT], return_inverse=True)
            at = np.searchsorted(table.column("row").to_numpy(), wanted)
            ids.append(table.column("id").take(pa.array(at)).combine_chunks())
            places[found[ROW] - start] = before + back
            is_kept[found[ROW] - start] = found[ROW] == found[KEPT]
            before += len(wanted)
        others = open_array(self.others_file(position))
        places[others[OTHER]] = places[others[FOR]]
        return pa.concat_arrays(ids).take(pa.array(places, mask=(places < 0) | is_kept))


def group(partition: Partition) -> Tally:
    """Save a partition's groups of two and more, unless they are there: a document of the highest score is kept.

    Of equal scores the first is; NaN is the lowest.
    """
    keys, number = partition.keys, partition.number
    done = keys.groups_file(number)
    if not is_whole(done):
        pieces = [np.zeros((5, 0), np.uint64)]
        for position, start in enumerate(keys.starts[:-1]):
            saved = open_array(keys.keys_file(position))
            first, past = (_bound(saved[HIGH], edge, keys.partitions) for edge in (number, number + 1))
            piece = np.array(saved[:, first:past])
            piece[DOC] += np.uint64(start)
            pieces.append(piece)
        save_array(done, _grouped(np.concatenate(pieces, axis=1)))
    found = open_array(done)
    copies = found[COPIES][found[ROW] == found[KEPT]]
    return Tally(len(copies), int(copies.sum()) - len(copies), int(copies.max(initial=0)))


def name(partition: Partition) -> None:
    """Join what all parts say of one partition, unless that is there: the ids of its kept documents, rows ascending."""
    keys, number = partition.keys, partition.number
    if is_whole(keys.names_file(number)):
        return
    rows, ids = [np.zeros(0, np.int64)], [pa.array([], pa.string())]
    for position in range(len(keys.starts) - 1):
        table = _names(keys.ids_file(position))
        first, past = np.searchsorted(table.column("partition").to_numpy(), (number, number + 1))
        here = table.slice(first, past - first)
        rows.append(here.column("row").to_numpy())
        ids.append(here.column("id").combine_chunks())
    _save_names(keys.names_file(number), np.concatenate(rows), pa.concat_arrays(ids), None)


def _grouped(keys: np.ndarray) -> np.ndarray:
    """Return int64[3, n], ROW, KEPT and COPIES of uint64[5, m] keys' members of groups of two documents and more."""
    keys = keys[:, np.lexsort((keys[DOC], keys[LOW], keys[HIGH]))]
    starts, sizes = _runs(keys[HIGH], keys[LOW])
    kept = best_rows(np.repeat(starts, sizes), keys[SCORE].copy().view(np.float64))
    counts = keys[COUNT].astype(np.int64)
    copies = np.repeat(np.add.reduceat(counts, starts) if len(starts) else counts, sizes)
    several = np.flatnonzero(copies > 1)
    docs = keys[DOC].astype(np.int64)
    found = np.stack([docs[several], docs[kept[several]], copies[several]])
    return found[:, np.argsort(found[ROW])]


def _runs(high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int64[num_runs] twice: where runs of equal keys begin, and how long they are."""
    opens = np.ones(len(high), np.bool_)
    opens[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    starts = np.flatnonzero(opens)
    return starts, np.diff(np.append(starts, len(high)))


def _bound(sorted_keys: np.ndarray, edge: int, partitions: int) -> int:
    """Return where the partition `edge` begins among ascending keys."""
    least = (edge << 64) // partitions
    return len(sorted_keys) if least >> 64 else int(np.searchsorted(sorted_keys, np.uint64(least)))


def _save_names(path: Path, rows: np.ndarray, ids: pa.Array, partitions: np.ndarray | None) -> None:
    columns = {"row": pa.array(rows, pa.int64()), "id": ids}
    table = pa.table(columns if partitions is None else columns | {"partition": pa.array(partitions, pa.int64())})

    def write(file: object) -> None:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    write_scratch(path, write)


def _names(path: Path) -> pa.Table:
    """Map a file of names; no byte of an id is read that is not asked for."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
