"""A stored dataset -> the columns of a blind sample of its documents: measured once, or read where its chain did.

The same documents are drawn whatever the parts and their order, by a seeded order of ids. Texts are read a few
megabytes at a time and forgotten, but for the beginnings of those that are read closely. Languages and signals that a
step of the chain stored are taken from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.arrow import as_flags, as_numbers
from pipeline.core.files.card import Card
from pipeline.core.files.parquet.shards import iterate_tables, read_table
from pipeline.core.files.stores.stored import present
from pipeline.core.sketch import order_of
from pipeline.core.step import ENGINE_COLUMNS
from pipeline.experiment.streams.opened import Closed, closed_in
from pipeline.store.dataset.chain import BasePart, part_name
from pipeline.store.evidence import Evidence, evidence_at
from pipeline.store.results import document_paths
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.proxies.tokenizer import Tokenizer
    from filters.audit.columns import Labels
    from filters.audit.measured import Measured
    from filters.language.language import Language

UNKNOWN = "(unknown)"
URLS = ("url", "uri", "link", "source_url", "page_url", "warc_target_uri")  # keys of the metadata, tried in order
HOSTS = ("host", "hostname", "domain")
DATES = ("date", "timestamp", "published", "created", "created_at", "year", "warc_date", "last_modified")
NUMBERS_OF_ROWS = ("cluster", "topic")  # signals that name a row or a topic, so that their size says nothing
MOST_CHARS = 253  # of a host, by RFC 1035, and of any other label
_HOST = re.compile(r"[\w\-.]+(:[0-9]+)?|\[?[0-9a-f:.]+\]?")  # names, in other scripts too, and addresses
COLUMNS = ("id", "text", "source", "origin", "metadata")


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was read of one dataset."""

    name: str
    folder: Path
    card: Card
    num_documents: int  # that anybody may read
    sealed: str  # what is said of the others
    measured: Measured
    labels: Mapping[str, Labels]
    signals: Mapping[str, np.ndarray]  # float32[num_read]
    texts: tuple[str, ...]  # the beginnings of those that are read closely
    closely: np.ndarray  # bool[num_read], which these are
    tokens: np.ndarray | None  # int64[num_read], -1 where none were counted


@dataclass(slots=True)
class _Columns:
    """Columns on their way, a piece for each few megabytes."""

    measured: list[Measured] = field(default_factory=list)
    labels: dict[str, list[str]] = field(
        default_factory=lambda: {name: [] for name in ("source", "origin", "host", "year")}
    )
    signals: dict[str, list[np.ndarray]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    closely: list[np.ndarray] = field(default_factory=list)
    tokens: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _File:
    """One file of published documents, and what the chain stored of them."""

    path: Path
    evidence: Evidence | None
    part: BasePart | None

    def stored(self, label: str, signal: str) -> pa.ChunkedArray:
        """Return a stored signal of every published document."""
        assert self.evidence is not None and self.part is not None
        link = next(link for link in self.evidence.chain.links if link.label == label)
        kept = as_flags(self.evidence.verdicts(self.part, ["kept"]).column("kept"))
        return self.evidence.signals(link, self.part, [signal]).column(signal).filter(pa.array(kept))


def draw(workspace: Workspace, name: str, *, count: int, closely: int, seed: int, tokenizer: Tokenizer | None) -> Drawn:
    """Read at most `count` open documents of a dataset, and keep the beginnings of `closely` of them."""
    from filters.audit.columns import Labels
    from filters.audit.measured import Measured
    from filters.language.language import Language

    folder, card = workspace.dataset(name)
    evidence = evidence_at(workspace, folder) if card.kind == "dataset" else None
    files = list(_files(folder, evidence))
    closed = closed_in(workspace, folder)
    ids = [read_table(file.path, columns=["id"]).column("id") for file in files]
    orders, opened = [order_of(each, seed=seed) for each in ids], [closed.open_of(each) for each in ids]
    every = np.concatenate([np.zeros(0, np.uint64), *(order[mine] for order, mine in zip(orders, opened, strict=True))])
    last, last_close = _nth(every, count), _nth(every, min(closely, count))
    language = Language(params=Language.Params())
    found = _Columns()
    wanted = [] if evidence is None or not evidence.chain.base else list(_numbers(evidence))
    for file, order, mine in zip(files, orders, opened, strict=True):
        chosen = mine & (order <= last)
        _read(file, chosen, mine & (order <= last_close), found, language=language, tokenizer=tokenizer)
        for label, signal in wanted:
            values = as_numbers(file.stored(label, signal)).astype(np.float32)[chosen]
            found.signals.setdefault(f"{label}.{signal}", []).append(values)
    return Drawn(
        name=card.name, folder=folder, card=card, num_documents=len(every),
        sealed=closed.note(sum(map(len, ids)) - len(every)),
        measured=Measured.joined(found.measured),
        labels={label: Labels.of(values) for label, values in found.labels.items()},
        signals={signal: np.concatenate(values) for signal, values in found.signals.items()},
        texts=tuple(found.texts), closely=np.concatenate(found.closely),
        tokens=np.concatenate(found.tokens) if tokenizer is not None else None,
    )  # fmt: skip


def num_closed(folder: Path, closed: Closed) -> int:
    """Return how many documents of a dataset nobody may read."""
    paths = document_paths(folder) if closed.ids else ()
    return sum(int((~closed.open_of(read_table(path, columns=["id"]).column("id"))).sum()) for path in paths)


def _files(folder: Path, evidence: Evidence | None) -> Iterator[_File]:
    if evidence is None:
        yield from (_File(path, None, None) for path in document_paths(folder))
        return
    for part in evidence.chain.base:
        if (path := present(folder / part_name(part.index))).exists():
            yield _File(path, evidence, part)


def _nth(order: np.ndarray, count: int) -> np.uint64:
    """Return the place of the last of the first `count` documents."""
    if count >= len(order):
        return np.uint64(2**64 - 1)
    return np.uint64(np.partition(order, count - 1)[count - 1])


def _numbers(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Yield (label, signal) of every numeric signal that the chain stored."""
    for link in evidence.chain.links:
        for column in evidence.signals_schema(link, evidence.chain.base[0]):
            number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
            if number and column.name not in (*ENGINE_COLUMNS, *NUMBERS_OF_ROWS):
                yield link.label, column.name


def _read(
    file: _File, chosen: np.ndarray, close: np.ndarray, found: _Columns, *, language: Language,
    tokenizer: Tokenizer | None,
) -> None:  # fmt: skip
    """Read the chosen documents of one file, bool[num_docs], a few megabytes at a time."""
    from filters.audit.measured import measure
    from filters.topics.word_counts import batches_of, excerpts

    known = _languages(file)
    start = 0
    for table in iterate_tables(file.path, columns=COLUMNS):
        rows = start + np.flatnonzero(chosen[start : start + table.num_rows])
        start += table.num_rows
        table = table.take(pa.array(rows - (start - table.num_rows)))
        at = 0
        for batch in batches_of(table):
            here = rows[at : at + len(batch)]
            languages = None if known is None else known[here]
            found.measured.append(measure(batch, language=language, languages=languages))
            at += len(batch)
        _label(table, found.labels)
        found.closely.append(close[rows])
        mine = table.filter(pa.array(close[rows]))
        found.texts += excerpts(mine, chars=2000).column("text").to_pylist()
        if tokenizer is not None:
            tokens = np.full(len(rows), -1, np.int64)
            tokens[close[rows]] = np.diff(tokenizer.encode(mine.column("text").to_pylist()).offsets)
            found.tokens.append(tokens)


def _languages(file: _File) -> np.ndarray | None:
    """Return str[num_docs] as a step of the chain found them, None where none did."""
    if file.evidence is None or file.part is None:
        return None
    for link in file.evidence.chain.links:
        if "language" in file.evidence.signals_schema(link, file.part).names:
            return np.array([code or "und" for code in file.stored(link.label, "language").to_pylist()], dtype="U8")
    return None


def _label(table: pa.Table, labels: dict[str, list[str]]) -> None:
    """Add what is known of where documents come from."""
    for name in ("source", "origin"):
        labels[name] += pc.utf8_slice_codeunits(table.column(name), 0, MOST_CHARS).to_pylist()
    for doc_id, metadata in zip(table.column("id").to_pylist(), table.column("metadata").to_pylist(), strict=True):
        told = json.loads(metadata) if metadata != "{}" else {}
        labels["host"].append(host_of(told, doc_id))
        labels["year"].append(year_of(told))


def host_of(metadata: Mapping[str, Any], doc_id: str) -> str:
    """Return the host that a document was read from, by its metadata or, where that is an address, its id."""
    for key in HOSTS:
        if isinstance(metadata.get(key), str):
            return _host(metadata[key])
    for address in (*(metadata.get(key) for key in URLS), doc_id):
        if isinstance(address, str) and "://" in address:
            try:
                return _host(urlsplit(address).hostname or "")
            except ValueError:
                continue
    return UNKNOWN


def _host(told: str) -> str:
    """Return a host in its usual form; what is not formed like one is unknown, and text of any length is not kept."""
    host = told[: MOST_CHARS + 1].lower().removeprefix("www.")
    return host if len(told) <= MOST_CHARS and _HOST.fullmatch(host) else UNKNOWN


def year_of(metadata: Mapping[str, Any]) -> str:
    """Return the year that a document's metadata tells, if any."""
    for key in DATES:
        told = str(metadata.get(key, ""))[:4]
        if told.isdecimal() and 1900 <= int(told) < 2100:
            return told
    return UNKNOWN
