"""`tamis init`: a look at a user's files -> a recipe that runs on them as it stands, with the reasons beside each line.

Documents are the first of up to SAMPLED_FILES files spread over all of them, ROWS_PER_FILE of each, and at most
SAMPLED_BYTES of text: a sample to start from and not to judge by, which the recipe says. Nothing that is there is
overwritten, and what is written was read as a recipe before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core.errors import DataError, RecipeError, TamisError
from pipeline.core.files.reading.strict_yaml import parse
from pipeline.queries.starter.columns import Columns, look_at_columns
from pipeline.queries.starter.found_files import FoundFiles, look_for_files
from pipeline.queries.starter.proposed import Proposal, propose
from pipeline.queries.starter.reading import SOURCE, documents_of, opened
from pipeline.queries.starter.written import recipe_text
from pipeline.recipe.load import load_recipe
from pipeline.sources.reader import ColumnParams

SAMPLED_FILES, ROWS_PER_FILE, SAMPLED_BYTES = 8, 125, 8 << 20
SHOWN = 5
SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Sample:
    """Documents of some of the files, how many rows were looked at, and why some of these are no documents."""

    table: pa.Table
    files: int
    rows_in: int
    reasons: dict[str, int]
    unreadable: tuple[str, ...]  # one sentence for each file


def start_recipe(
    paths: Sequence[str], *, to: Path, text_column: str | None = None, id_column: str | None = None
) -> dict[str, Any]:
    """Write a recipe for what `paths` name to `to` and return what was seen; RecipeError if `to` is there already."""
    if to.exists() or to.is_symlink():
        raise RecipeError(f"{to}: is there already, and is not overwritten. Name another file with --to.")
    if not to.absolute().parent.is_dir():
        raise RecipeError(f"{to}: {to.parent} is not a folder. Make it, or name another file with --to.")
    found = look_for_files(paths)
    columns = _columns(found, text=text_column, id=id_column)
    sample = _sampled(found, columns)
    proposal = propose(sample.table)
    text = recipe_text(found, columns, sample, proposal, to=to)
    load_recipe(parse(text, path=to).data)  # so nothing is written that cannot be run
    try:
        with to.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError as error:
        raise RecipeError(f"{to}: is there already, and is not overwritten. Name another file with --to.") from error
    return _told(found, columns, sample, proposal, to=to)


def _columns(found: FoundFiles, *, text: str | None, id: str | None) -> Columns | None:
    """Return the columns, None where files have none; the first file that has a text speaks for all."""
    first = found.files[0].path
    reader = opened(found.format, first)
    if not issubclass(reader.Params, ColumnParams):
        if text or id:
            raise RecipeError(f"{first}: files of format {found.format} have no columns. Leave out --text-column.")
        reader.check()
        return None
    problems = list[TamisError]()
    for file in found.files[:SAMPLED_FILES]:
        try:
            return look_at_columns(found.format, file.path, text=text, id=id)
        except (DataError, RecipeError) as error:
            problems.append(error)
    raise problems[0]


def _sampled(found: FoundFiles, columns: Columns | None) -> Sample:
    fields = {} if columns is None else {"text": columns.text, "id": columns.id, "metadata": "none"}
    single = found.format in ("text", "html", "pdf")  # one document a file
    most = SAMPLED_FILES * ROWS_PER_FILE if single else SAMPLED_FILES
    rows = 1 if single else ROWS_PER_FILE
    chosen = [
        found.files[i * len(found.files) // min(most, len(found.files))] for i in range(min(most, len(found.files)))
    ]
    tables, rows_in, files, size = list[pa.Table](), 0, 0, 0
    reasons: Counter[str] = Counter()
    unreadable = []
    for file in chosen:
        try:
            first = documents_of(found.format, file.path, rows=rows, **fields)
        except DataError as error:
            unreadable.append(str(error))
            continue
        files += 1
        rows_in += first.rows_in
        reasons.update(first.reasons)
        tables.append(first.table)
        size += first.table.nbytes
        if size > SAMPLED_BYTES:
            break
    table = pa.concat_tables(tables) if tables else None
    if table is None or not table.num_rows:
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "; ".join(unreadable[:2])
        raise DataError(
            f"{found.patterns[0]}: none of {rows_in:,} rows looked at is a document ({why or 'they are empty'}). "
            "Look at the files, or name the column of the text with --text-column."
        )
    return Sample(table, files, rows_in, dict(reasons), tuple(unreadable))


def _told(
    found: FoundFiles, columns: Columns | None, sample: Sample, proposal: Proposal, *, to: Path
) -> dict[str, Any]:
    step = max(1, sample.table.num_rows // SHOWN)
    rows = sample.table.select(["id", "text"]).take(list(range(0, sample.table.num_rows, step))[:SHOWN]).to_pylist()
    documents = [{"id": row["id"], "text": row["text"][:SHOWN_CHARACTERS]} for row in rows]
    return {
        "recipe": str(to), "read": found.format, "path": list(found.patterns), "files": len(found.files),
        "size_bytes": found.size_bytes, "left_out": list(found.left_out), "source": SOURCE,
        "columns": None if columns is None else asdict(columns), "sampled_files": sample.files,
        "sampled_rows": sample.rows_in, "refused": sample.reasons, "unreadable": list(sample.unreadable),
        "documents": documents, "proposal": asdict(proposal),
    }  # fmt: skip
