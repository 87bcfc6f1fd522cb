"""Documents -> tokens: a seeded choice of documents, encoded in parallel, as flat arrays beside a card.

Documents are chosen in the order of a seeded hash of their ids until the limit is reached, so the same ids give the
same choice whatever parts they lie in. tokens.npy uint16[num_tokens] (no BOS), offsets.npy int64[num_docs + 1],
documents.parquet (id, num_bytes).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.core.files.parquet.shards import iterate_batches, read_table, row_groups_of, write_table
from pipeline.core.files.stores.stored import present
from pipeline.core.files.writing.durable import write_atomically
from pipeline.engine.executors import Executor
from pipeline.experiment.streams.groups import group_documents
from pipeline.plan.parts import Part
from pipeline.store.results import document_paths

SPLIT_SEED = 20_261_130  # of what is sealed: another one would unseal what was looked at
MOST_SPLIT_BYTES = 64_000_000  # text of a held-out set that is divided; a verdict reads less than a hundredth of it
HEAD_BYTES_PER_TOKEN = 4  # assumption: what a token of a held-out document's head holds, where a choice is counted


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens of the chosen documents, in dataset order."""

    tokens: np.ndarray  # uint16[num_tokens]
    offsets: np.ndarray  # int64[num_docs + 1]
    num_bytes: np.ndarray  # int64[num_docs]: raw UTF-8 bytes
    ids: list[str]
    of_documents: int  # in the dataset
    of_bytes: int

    @property
    def sampled_fraction(self) -> float:
        """Bytes encoded over bytes in the dataset."""
        return float(self.num_bytes.sum()) / self.of_bytes if self.of_bytes else 1.0


def save_encoded(folder: Path, encoded: Encoded) -> list[str]:
    """Write the arrays; return the file names."""
    write_atomically(folder / "tokens.npy", lambda file: np.save(file, encoded.tokens, allow_pickle=False))
    write_atomically(folder / "offsets.npy", lambda file: np.save(file, encoded.offsets, allow_pickle=False))
    size = np.array([encoded.of_documents, encoded.of_bytes], np.int64)
    write_atomically(folder / "size.npy", lambda file: np.save(file, size, allow_pickle=False))
    table = pa.table({"id": pa.array(encoded.ids, pa.string()), "num_bytes": pa.array(encoded.num_bytes)})
    write_table(folder / "documents.parquet", table)
    return ["tokens.npy", "offsets.npy", "size.npy", "documents.parquet"]


def load_encoded(folder: Path) -> Encoded:
    """Read what `save_encoded` wrote; the tokens stay a memory map."""
    table = read_table(folder / "documents.parquet")
    size = np.load(present(folder / "size.npy"), allow_pickle=False)
    return Encoded(
        tokens=np.load(present(folder / "tokens.npy"), mmap_mode="r", allow_pickle=False),
        offsets=np.load(present(folder / "offsets.npy"), allow_pickle=False),
        num_bytes=table.column("num_bytes").to_numpy(),
        ids=table.column("id").to_pylist(),
        of_documents=int(size[0]),
        of_bytes=int(size[1]),
    )


def choose(
    folder: Path, *, limit_bytes: int, seed: int, head_bytes: int | None = None, part: Part | None = None
) -> tuple[list[tuple[Path, np.ndarray]], int, int]:
    """Return (file, chosen rows) in dataset order, and the documents and bytes of the whole dataset, or of its part.

    Of each document only the first `head_bytes` count towards the limit.
    """
    keys, sizes, counts = [], [], []
    paths = document_paths(folder)
    for path in paths:
        ids = read_table(path, columns=["id"]).column("id").to_pylist()
        keys.append(np.array([xxhash.xxh64_intdigest(name.encode(), seed=seed % 2**64) for name in ids], np.uint64))
        sizes.append(_sizes(path))
        counts.append(len(ids))
    if not paths:
        return [], 0, 0
    size = np.concatenate(sizes)
    order = np.argsort(np.concatenate(keys), kind="stable")
    counted = size if head_bytes is None else np.minimum(size, head_bytes)
    if part is not None and part.share:
        belongs = _belongs(paths, size, part)
        order, size = order[belongs[order]], np.where(belongs, size, 0)
    wanted = order[: int(np.searchsorted(np.cumsum(counted[order]), limit_bytes, side="left")) + 1]
    chosen = np.zeros(len(size), bool)
    chosen[wanted] = True
    starts = np.concatenate([[0], np.cumsum(counts)])
    rows = [(path, np.flatnonzero(chosen[a:b])) for path, a, b in zip(paths, starts[:-1], starts[1:], strict=True)]
    return [(path, found) for path, found in rows if len(found)], len(order), int(size.sum())


def _belongs(paths: Sequence[Path], size: np.ndarray, part: Part) -> np.ndarray:
    """Return bool[num_docs]: what belongs to a part of a set.

    Documents that say much the same stay together, and the least hash among their texts is drawn from once more, so
    that a group of many is sealed as often as one of a single document; neither ids nor order nor a recipe's seed show.
    Of a very large set no more is divided than MOST_SPLIT_BYTES; the rest is in neither part.
    """
    hashes = np.concatenate([_text_hashes(path) for path in paths])
    by_hash = np.argsort(hashes, kind="stable")
    divided = np.sort(by_hash[: int(np.searchsorted(np.cumsum(size[by_hash]), MOST_SPLIT_BYTES, side="left")) + 1])
    whole = _rows(paths, divided)
    group = group_documents(
        whole.column("text").to_pylist(),
        whole.column("metadata").to_pylist(),
        names=[part.dataset] * len(divided),
        group_by=part.group_by,
    )
    least = np.full(len(divided), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, group, hashes[divided])
    drawn = {int(value): xxhash.xxh64_intdigest(int(value).to_bytes(8, "little"), SPLIT_SEED) for value in least[group]}
    sealed = np.array([drawn[int(value)] < part.share * 2**64 for value in least[group]], bool)
    found = np.zeros(len(size), bool)
    found[divided[sealed == part.is_sealed]] = True
    return found


def _text_hashes(path: Path) -> np.ndarray:
    texts = read_table(path, columns=["text"]).column("text").to_pylist()
    return np.array([xxhash.xxh64_intdigest(text.encode(), seed=SPLIT_SEED) for text in texts], np.uint64)


def _rows(paths: Sequence[Path], rows: np.ndarray) -> pa.Table:
    """Return texts and metadata of some rows of all files together, with one file in memory at a time."""
    found, start = [], 0
    for path in paths:
        table = read_table(path, columns=["text", "metadata"])
        here = rows[(rows >= start) & (rows < start + table.num_rows)] - start
        found.append(table.take(pa.array(here)))
        start += table.num_rows
    return pa.concat_tables(found)


def size_of(folder: Path) -> int:
    """Return the bytes of text in a complete dataset folder."""
    return sum(int(_sizes(path).sum()) for path in document_paths(folder))


def _sizes(path: Path) -> np.ndarray:
    """Return int64[num_docs], the bytes of each text, without a whole file's text in memory."""
    groups = range(len(row_groups_of(path)))
    batches = iterate_batches(path, row_groups=groups, columns=["text"])
    lengths = [pc.binary_length(batch.column("text")).to_numpy() for batch in batches]
    return np.concatenate([np.zeros(0, np.int64), *lengths]).astype(np.int64)


def sample_texts(folder: Path, *, limit_bytes: int, seed: int) -> list[str]:
    """Return the chosen documents' texts."""
    texts: list[str] = []
    for path, rows in choose(folder, limit_bytes=limit_bytes, seed=seed)[0]:
        texts.extend(read_table(path, columns=["text"]).column("text").take(pa.array(rows)).to_pylist())
    return texts


@dataclass(frozen=True, slots=True)
class EncodeTask:
    """Encode some rows of one documents file."""

    label: str
    tokenizer: Path
    path: Path
    rows: np.ndarray
    head_tokens: int | None


def encode_rows(task: EncodeTask) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return tokens uint16, tokens per document int64, raw bytes per document int64, ids.

    With `head_tokens` only the first tokens of each document and their bytes.
    """
    table = read_table(task.path, columns=["id", "text"]).take(pa.array(task.rows))
    tokenizer, ids = _tokenizer(task.tokenizer), table.column("id").to_pylist()
    tokens = tokenizer.encode(table.column("text").to_pylist())
    lengths = np.diff(tokens.offsets)
    if task.head_tokens is None:
        return tokens.flat, lengths, np.asarray(pc.binary_length(table.column("text")).to_numpy(), np.int64), ids
    place = np.arange(len(tokens.flat)) - np.repeat(tokens.offsets[:-1], lengths)
    flat = tokens.flat[place < task.head_tokens]
    lengths = np.minimum(lengths, task.head_tokens)
    size = np.bincount(np.repeat(np.arange(len(lengths)), lengths), tokenizer.num_bytes[flat], len(lengths))
    return flat, lengths, size.astype(np.int64), ids


@lru_cache(maxsize=4)
def _tokenizer(path: Path) -> Any:
    from eval.proxies.tokenizer import Tokenizer

    return Tokenizer.load(path)


def encode_dataset(
    folder: Path,
    *,
    tokenizer: Path,
    limit_bytes: int,
    seed: int,
    executor: Executor,
    done: Callable[[int], None],
    head_tokens: int | None = None,
    part: Part | None = None,
) -> Encoded:
    """Encode the chosen documents of a complete dataset folder or of a part, or the first `head_tokens` of each."""
    head_bytes = None if head_tokens is None else head_tokens * HEAD_BYTES_PER_TOKEN
    chosen, documents, size = choose(folder, limit_bytes=limit_bytes, seed=seed, head_bytes=head_bytes, part=part)
    tasks = [
        EncodeTask(label=path.name, tokenizer=tokenizer, path=path, rows=rows, head_tokens=head_tokens)
        for path, rows in chosen
    ]
    found = executor.map(encode_rows, tasks, label="tokenize", done=lambda result: done(len(result[3])))
    lengths = np.concatenate([item[1] for item in found]) if found else np.zeros(0, np.int64)
    return Encoded(
        tokens=np.concatenate([item[0] for item in found]) if found else np.zeros(0, np.uint16),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        num_bytes=np.concatenate([item[2] for item in found]) if found else np.zeros(0, np.int64),
        ids=[name for item in found for name in item[3]],
        of_documents=documents,
        of_bytes=size,
    )
