"""The first rows of a table -> which column holds the text, which names a document, what the others seem to hold."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.core.errors import DataError, RecipeError, nearest_names
from pipeline.queries.starter.reading import documents_of, opened

Kind = Literal["id", "address", "date", "language", "text", "list", "other"]
TEXT_NAMES = ("text", "content", "raw_content", "body", "document", "page_content", "article", "markdown", "passage")
ID_NAMES = ("id", "_id", "doc_id", "docid", "document_id", "uuid", "warc_record_id", "key", "url", "uri")
LANGUAGE_NAMES = ("lang", "language", "lang_code", "locale")
ROWS = 200
MOST_COLUMNS = 100  # that are read to find the text
LEAST_CHARACTERS = 20  # on average, of what may be running text
LEAST_SHARE = 0.5  # of rows that must have a text
LONG_CHARACTERS = 1000  # of a value that is not worth keeping beside every document
_ADDRESS = re.compile(r"https?://\S+|www\.\S+")
_DATE = re.compile(r"(19|20)\d\d-[01]\d(-[0-3]\d.*)?|(19|20)\d{6,12}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column that may hold the text: the share of rows that have one, and its mean length."""

    name: str
    share: float
    mean_characters: float


@dataclass(frozen=True, slots=True)
class Columns:
    """What a recipe says of a table's columns, and what the others hold."""

    text: str
    id: str | None
    others: dict[str, Kind]
    long: tuple[str, ...]  # others whose values are too long to keep
    candidates: tuple[Candidate, ...]  # for the text, the longest first


def look_at_columns(read: str, path: Path, *, text: str | None, id: str | None) -> Columns:
    """Return what the columns of a file seem to hold; RecipeError if none holds text, with those that come close."""
    names = opened(read, path, text="text").names()
    candidates = _candidates(read, path, names)
    chosen = text or _choose(candidates)
    if chosen is None:
        near = ", ".join(f"{one.name} ({one.mean_characters:.0f} characters)" for one in candidates[:5])
        near = f"Columns with text: {near}" if near else f"Its columns: {', '.join(names[:10])}"
        raise RecipeError(
            f"{path}: no column seems to hold text, {LEAST_CHARACTERS} characters or more on average in half of its "
            f"rows. {near}. Name one with --text-column."
        )
    if chosen not in names:
        raise RecipeError(
            f"--text-column {chosen}: is no column of {path}. Did you mean {nearest_names(chosen, names)}?"
        )
    table = documents_of(read, path, rows=ROWS, text=chosen, metadata="all").table
    rows = [json.loads(row) for row in table.column("metadata").to_pylist()]
    values = {name: [row.get(name) for row in rows] for name in sorted({key for row in rows for key in row})}
    if id is not None and id not in values:
        raise RecipeError(
            f"--id-column {id}: is no column that names documents. Did you mean {nearest_names(id, values)}?"
        )
    found = id or next((name for name in _by_rank(values) if _names_documents(values[name], len(rows))), None)
    others = {name: _kind(name, given) for name, given in values.items() if name != found}
    long = tuple(name for name in others if _mean_length(values[name]) > LONG_CHARACTERS)
    return Columns(chosen, found, others, long, tuple(candidates))


def _candidates(read: str, path: Path, names: Sequence[str]) -> list[Candidate]:
    """Return the columns with text, longest first; a reader that knows the types says at once which have none."""
    found = []
    for name in names[:MOST_COLUMNS]:
        try:
            reader = opened(read, path, text=name, metadata="none")
            reader.check()
            read_rows = documents_of(read, path, rows=ROWS, text=name, metadata="none")
        except (RecipeError, DataError):
            continue
        texts = read_rows.table.column("text").to_pylist()
        if texts:
            mean = sum(map(len, texts)) / len(texts)
            found.append(Candidate(name, len(texts) / read_rows.rows_in, round(mean, 1)))
    return sorted(found, key=lambda one: -one.mean_characters)


def _choose(candidates: Sequence[Candidate]) -> str | None:
    """Return the longest column that is called as texts are, unless another is four times as long; else the longest."""
    fit = [one for one in candidates if one.mean_characters >= LEAST_CHARACTERS and one.share >= LEAST_SHARE]
    if not fit:
        return None
    usual = [one for one in fit if one.name.lower() in TEXT_NAMES and 4 * one.mean_characters >= fit[0].mean_characters]
    return (usual or fit)[0].name


def _by_rank(values: dict[str, list[Any]]) -> list[str]:
    """Return the columns that may name documents, the likeliest first."""
    usual = [name for wanted in ID_NAMES for name in values if name.lower() == wanted]
    return usual + [name for name in values if name not in usual and name.lower().endswith(("_id", "id"))]


def _names_documents(values: Sequence[Any], rows: int) -> bool:
    plain = [value for value in values if isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""]
    return 0 < rows == len(plain) == len(set(plain)) and max(len(str(value)) for value in plain) <= LONG_CHARACTERS


def _kind(name: str, values: Sequence[Any]) -> Kind:
    plain = [value for value in values if value is not None]
    if plain and all(isinstance(value, (list, dict)) for value in plain):
        return "list"
    words = [value for value in plain if isinstance(value, str)]
    if not words or len(words) < len(plain):
        return "other"
    if all(_ADDRESS.fullmatch(word) for word in words):
        return "address"
    if all(_DATE.fullmatch(word) for word in words):
        return "date"
    if name.lower() in LANGUAGE_NAMES:
        return "language"
    return "text" if _mean_length(words) > 5 * LEAST_CHARACTERS else "other"


def _mean_length(values: Sequence[Any]) -> float:
    sizes = [len(value) if isinstance(value, str) else len(json.dumps(value)) for value in values if value is not None]
    return sum(sizes) / len(sizes) if sizes else 0.0
