"""The dedup store: signatures of documents published before, and which of them a new document nearly equals.

A store keeps, for every dataset that was remembered, one *piece* per part: ids, signatures and sorted band keys. A
version is one JSON file that lists pieces and forgotten ids; it is never changed, so a step's identity is its hash.
New keys are looked up in the sorted old ones, so a batch costs its own work and nothing is signed twice. A document
that meets an earlier one and is as alike as `min_jaccard` is its duplicate; so are the documents of its group that are
as alike to the same one. Pieces whose sources a run reads itself hold its own documents, no earlier ones, and are left
out. What is compared is hashed before, once in a run: a flipped bit would change who is a duplicate. 570 bytes per
document and 14 x 8.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.dedup.minhash_bands import StoredSignatures, save_signatures
from filters.dedup.minhash_kernels import equal_values, hash_family, signatures_of
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.card import StoredFile, describe_files, difference
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.files.writing.durable import sweep, write_text
from pipeline.core.files.writing.scratch import open_array, save_array, scratch_file
from pipeline.core.files.writing.sums import SUMS, is_whole
from pipeline.core.identity import identity_of
from pipeline.core.step import Gathering
from pipeline.core.text.batch import Batch

PIECES = "pieces"
MANIFEST = "piece.json"  # size and BLAKE3 of each file of a piece: arrays carry no checksum of their own
SETTINGS = {"bands": 14, "rows": 8, "shingle_words": 5, "seed": 0}  # of minhash_dedup, by default
MOST_OLD = 8  # documents of a store that share a key and are compared with a new one, the first ones
AT_ONCE = 4096  # signatures compared at a time
UNKNOWN = np.iinfo(np.int64).max  # the store row of a document that no earlier one is like


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a remembered dataset; its store rows begin at `start`."""

    folder: Path
    label: str  # dataset/identity, as the signal `earlier` names it
    start: int
    num_rows: int

    def ids(self) -> pa.ChunkedArray:
        return read_table(self.folder / "ids.parquet", columns=["id"]).column("id")


@dataclass(frozen=True, slots=True)
class StoreVersion:
    """One version of a store, as its file says."""

    settings: Mapping[str, int]
    batches: Sequence[Mapping[str, Any]]  # dataset, identity, read: {source: [content]}, pieces: [[name, rows, source]]
    forgotten: Sequence[str]  # ids
    folder: Path

    def content(self) -> dict[str, Any]:
        """Return what decides about documents: the identity of a version is the hash of this."""
        return {
            "settings": dict(self.settings), "batches": list(self.batches), "forgotten": list(self.forgotten),
        }  # fmt: skip

    def pieces(self) -> list[Piece]:
        found: list[Piece] = []
        start = 0
        for batch in self.batches:
            label = f"{batch['dataset']}/{batch['identity'][:8]}"
            for name, num_rows, _ in batch["pieces"]:
                found.append(Piece(self.folder / PIECES / name, label, start, num_rows))
                start += num_rows
        return found

    def own(self, contents: set[str]) -> list[str]:
        """Return the pieces whose source read nothing that is not among `contents`, which a run reads itself."""
        return [
            name
            for batch in self.batches
            for name, _, source in batch["pieces"]
            if contents.issuperset(batch["read"][source])
        ]

    def without(self, names: Collection[str]) -> StoreVersion:
        """Return what is left to compare with when some pieces are left out."""
        batches = [
            {**batch, "pieces": [piece for piece in batch["pieces"] if piece[0] not in names]} for batch in self.batches
        ]
        held = [batch for batch, old in zip(batches, self.batches, strict=True) if batch["pieces"] or not old["pieces"]]
        return replace(self, batches=held)


def read_version(path: Path) -> StoreVersion:
    """Read a version file; DataError if it is not as it was written."""
    try:
        record = json.loads(path.read_bytes())
        version = StoreVersion(record["settings"], record["batches"], record["forgotten"], path.parent)
        if identity_of(version.content()) != record["identity"]:
            raise ValueError("its content does not match its hash")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: is not a version of a dedup store ({error}). Restore it from a backup, or delete "
            f"{path.parent} and `tamis remember` the datasets again."
        ) from error
    if any("read" not in batch for batch in version.batches):
        raise DataError(
            f"{path}: does not say what its documents were read from, as an early Tamis wrote it. "
            f"Delete {path.parent} and `tamis remember` the datasets again."
        )
    return version


def save_piece(folder: Path, table: pa.Table, *, settings: Mapping[str, int]) -> int:
    """Sign the documents of one part and keep them as a piece, its manifest last; return their number."""
    batch = Batch.from_table(table)
    bands, rows = settings["bands"], settings["rows"]
    family = hash_family(settings["seed"], num_values=bands * rows)
    found = signatures_of(batch, family=family, shingle_words=settings["shingle_words"])
    save_signatures(
        folder, 0, values=found.values, num_words=found.num_words, num_bytes=np.diff(batch.offsets),
        bands=bands, rows=rows, fold=False,  # one may be forgotten and its copies stay
    )  # fmt: skip
    write_table(folder / "ids.parquet", table.select(["id"]))
    _write_manifest(folder, num_rows=table.num_rows)
    return table.num_rows


def _write_manifest(folder: Path, *, num_rows: int) -> None:
    """Say what the files of a piece are, which makes it one."""
    rows = {path.name: -1 for path in folder.glob("*.npy")} | {"ids.parquet": num_rows}
    files = [asdict(file) for file in describe_files(folder, rows)]
    record = {"files": files, "identity": identity_of(files)}
    write_text(folder / MANIFEST, json.dumps(record, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(folder / SUMS, ignore_errors=True)
    sweep(folder)


def read_manifest(folder: Path) -> list[StoredFile]:
    """Return what the files of a piece must be; DataError if nothing says so."""
    path = folder / MANIFEST
    try:
        record = json.loads(path.read_bytes())
        if identity_of(record["files"]) != record["identity"]:
            raise ValueError("its content does not match its hash")
        return [StoredFile(**file) for file in record["files"]]
    except FileNotFoundError as error:
        missing = (
            f"has no {MANIFEST}, so nothing says what its files must be: it was deleted, or an early Tamis wrote none"
        )
        raise DataError(f"{folder}: {missing}. {_mend(folder)}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: is not the list of a piece's files ({error}). {_mend(folder)}") from error


def damage(folder: Path, file: StoredFile) -> str:
    """Return where a piece's file differs from what was written, and what to do; nothing if it does not."""
    path = folder / file.file
    found = difference(path, file, says=MANIFEST)
    return f"{path}: {found}. {_mend(folder)}" if found else ""


def require_sound(version: StoreVersion) -> None:
    """DataError that names the first file of a version's pieces that is not as it was written; reads all of them."""
    for piece in version.pieces():
        for file in read_manifest(piece.folder):
            if problem := damage(piece.folder, file):
                raise DataError(problem)


def _mend(folder: Path) -> str:
    home = folder.parent.parent
    return f"Delete {home} and `tamis remember` the datasets again, or restore it from a backup."


@dataclass(frozen=True, slots=True)
class MatchJob:
    scratch: Path
    index: int  # of the part
    version: StoreVersion
    least_equal: int  # values of two signatures


def match_part(job: MatchJob) -> None:
    """Save int64[num_docs]: the first store row that each document of a part meets and is alike to, or UNKNOWN."""
    import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

    done = scratch_file(job.scratch, "earlier", job.index)
    if is_whole(done):
        return
    version = job.version
    values = open_array(scratch_file(job.scratch, "values", job.index))
    found = np.full(len(values), UNKNOWN)
    forgotten = pa.array(version.forgotten, pa.string())
    for piece in version.pieces():
        gone = np.zeros(piece.num_rows, np.bool_)
        if len(forgotten):
            gone = pc.is_in(piece.ids(), value_set=forgotten).to_numpy()
        old_values = open_array(scratch_file(piece.folder, "values", 0))
        for band in range(version.settings["bands"]):
            old_keys, old_docs = _band(piece.folder, 0, band)
            held = ~gone[old_docs]
            old_keys, old_docs = old_keys[held], old_docs[held]
            keys, docs = _band(job.scratch, job.index, band)
            first = np.searchsorted(old_keys, keys)
            for place in range(MOST_OLD):
                within = first + place < len(old_keys)
                keys, docs, first = keys[within], docs[within], first[within]
                same = old_keys[first + place] == keys
                keys, docs, first = keys[same], docs[same], first[same]
                rows = piece.start + old_docs[first + place].astype(np.int64)
                better = np.flatnonzero(rows < found[docs])
                for some in np.array_split(better, len(better) // AT_ONCE + 1):
                    equal = equal_values(values[docs[some]], old_values[rows[some] - piece.start])
                    alike = some[equal >= job.least_equal]
                    np.minimum.at(found, docs[alike], rows[alike])
    forest = np.load(scratch_file(job.scratch, "forest", job.index))
    save_array(done, found[forest])  # what holds of the first of equal documents holds of all


def _band(folder: Path, index: int, band: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted keys of one band and the documents that they belong to, equal keys by document."""
    ends = np.cumsum([0, *np.load(scratch_file(folder, "bands", index))[0]])
    here = slice(ends[band], ends[band + 1])
    return (
        np.array(open_array(scratch_file(folder, "keys", index))[here]),
        np.array(open_array(scratch_file(folder, "docs", index))[here]),
    )


@dataclass(frozen=True, slots=True)
class Earlier:
    """For every document of a run, the earlier document that it is a duplicate of."""

    store_rows: np.ndarray  # int64[num_rows], UNKNOWN without one
    pieces: Sequence[Piece]

    @staticmethod
    def find(
        work: Gathering, *, stored: StoredSignatures, groups: np.ndarray, version: StoreVersion, least_equal: int
    ) -> Earlier:
        """Look all documents up, and compare those that met nothing with the first that their group met."""
        rows = stored.rows
        jobs = [MatchJob(work.scratch, part.index, version, least_equal) for part in rows.parts]
        work.map(match_part, jobs, label="dedup store")
        found = np.concatenate(
            [
                np.zeros(0, np.int64),
                *(np.load(scratch_file(work.scratch, "earlier", part.index)) for part in rows.parts),
            ]
        )
        first = np.full(len(rows), UNKNOWN)
        np.minimum.at(first, groups, found)
        earlier = Earlier(found, version.pieces())
        others = np.flatnonzero((found == UNKNOWN) & (first[groups] != UNKNOWN))
        for some in np.array_split(others, len(others) // AT_ONCE + 1):
            wanted = first[groups[some]]
            equal = equal_values(stored.of_rows(some), earlier.values(wanted, num_values=stored.num_values))
            found[some[equal >= least_equal]] = wanted[equal >= least_equal]
        return earlier

    def values(self, wanted: np.ndarray, *, num_values: int) -> np.ndarray:
        """Return uint32[num_wanted, num_values]: the signatures of some store rows."""
        owners = self._owners(wanted)
        values = np.empty((len(wanted), num_values), np.uint32)
        for number in np.unique(owners):
            piece, mine = self.pieces[number], np.flatnonzero(owners == number)
            values[mine] = open_array(scratch_file(piece.folder, "values", 0))[wanted[mine] - piece.start]
        return values

    def _owners(self, wanted: np.ndarray) -> np.ndarray:
        return np.searchsorted([piece.start for piece in self.pieces], wanted, side="right") - 1

    def labels(self, kept: np.ndarray) -> np.ndarray:
        """Return the kept rows with, for every document that is like an earlier one, the first like the same."""
        labels = kept.copy()
        mine = np.flatnonzero(self.store_rows != UNKNOWN)
        _, first, which = np.unique(self.store_rows[mine], return_index=True, return_inverse=True)
        labels[mine] = mine[first][which]
        return labels

    def columns(self, stored: StoredSignatures, *, position: int) -> tuple[np.ndarray, dict[str, pa.Array]]:
        """Return bool[num_docs] of matched documents, and their `duplicate_of`, `earlier` and `jaccard_estimate`."""
        here = stored.rows.within(position)
        wanted = self.store_rows[here]
        matched = wanted != UNKNOWN
        local = np.flatnonzero(matched)
        owners = self._owners(wanted[local])
        ids = np.full(len(wanted), None, dtype=object)
        labels = np.full(len(wanted), None, dtype=object)
        estimates = np.zeros(len(wanted), np.float32)
        for number in np.unique(owners):
            piece, mine = self.pieces[number], local[owners == number]
            docs = wanted[mine] - piece.start
            ids[mine] = piece.ids().take(pa.array(docs)).to_pylist()
            labels[mine] = piece.label
            values = np.array(open_array(scratch_file(piece.folder, "values", 0))[docs])
            estimates[mine] = equal_values(stored.of_rows(mine + here.start), values) / stored.num_values
        return matched, {
            "duplicate_of": pa.array(ids, pa.string()),
            "earlier": pa.array(labels, pa.string()),
            "jaccard_estimate": pa.array(estimates, mask=~matched),
        }


def require_same_settings(version: StoreVersion, *, name: str, settings: Mapping[str, int]) -> None:
    """RecipeError if a step's signatures cannot be compared with those of the store."""
    kept = dict(version.settings)
    if kept != dict(settings):
        raise RecipeError(
            f"minhash_dedup: against_store {name} holds signatures of {kept}; the step has {dict(settings)}. "
            "Only equal ones can be compared: use the store's, or remember the datasets in another store."
        )
