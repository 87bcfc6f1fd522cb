"""A file of grades -> the grade of each document, checked row by row, and how well two readings of it agree.

JSON lines or parquet with `grade`, and `id` or `text_hash` or both: matched by id where there is one, as the text may
have been edited since. `reading: 2` is another reading of a document: where there is a first one it gives no grade, it
measures the first ones. A row may hold the rubric's five answers, which must add up to its grade, and `evidence`. JSON
lines may begin with a line that says by whom and by which rubric (`graded_by`, `rubric_blake3`), parquet says it in its
metadata; a file graded by another rubric than the recipe's is refused. A few wrong rows (no grade, out of range) are
left out, counted and named; more than a twentieth means another scale, and stops. The `labels.parquet` of a `label`
step is such a file too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filters.labels.rubrics.head import BEST, YES_NO, Criterion
from filters.labels.rubrics.rubric import Rubric
from filters.labels.teachers.agreement import Rated, agreement
from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import read_table, schema_of
from pipeline.core.files.reading.json_lines import read_objects
from pipeline.core.identity import hash_file

KeyKind = Literal["id", "blake3", "xxh3_128"]
HASH_CHARACTERS: dict[int, KeyKind] = {64: "blake3", 32: "xxh3_128"}
UNGRADED = ("unsupported", "refused", "truncated", "invalid", "errored")  # what `label` writes in place of a grade
ABOUT = ("graded_by", "rubric", "rubric_blake3")  # what the first line, or the metadata, may say
EXAMPLES = 3
MOST_WRONG = 0.05  # share of rows that may be left out
Wrong = Literal["no grade", "out of range", "unusable"]


@dataclass(frozen=True, slots=True)
class GradeRow:
    """One reading of one document."""

    key: str
    grade: float
    reading: int
    text_hash: str
    evidence: str
    answers: Mapping[str, float]  # to the rubric's questions, places among the options; empty if one is not there
    place: str

    @property
    def rated(self) -> Rated:
        """Return the reading as one that another is compared with."""
        return Rated(self.grade, self.answers)


@dataclass(frozen=True, slots=True)
class GradeFile:
    """The first reading of every document, by id or by the hash of the whole text (UTF-8); later ones apart."""

    path: Path
    key: KeyKind
    first: Mapping[str, GradeRow]
    second: Mapping[str, GradeRow]
    graded_by: str
    blake3: str  # of the file; its name is no part of a result
    wrong: Mapping[Wrong, int] = field(default_factory=dict)  # rows that were left out
    wrong_examples: Sequence[str] = ()

    @property
    def title(self) -> str:
        named = f"graded by {self.graded_by}, file" if self.graded_by else "file of grades"
        return f"{named} {self.blake3[:12]}"

    @property
    def hash_kind(self) -> KeyKind | None:
        """Return by what hash the file knows the texts that were graded, if it does."""
        sizes = {len(row.text_hash) for row in self.first.values()}
        return HASH_CHARACTERS.get(sizes.pop()) if len(sizes) == 1 else None

    def readings(self, *, seed: int) -> dict[str, Any]:
        """Return how well the second readings agree with the first: kappa with its 95 % interval, as plain JSON."""
        keys = sorted(self.second)
        return agreement([(self.first[key].rated, self.second[key].rated) for key in keys], seed=seed)

    def rated(self, key: str) -> Rated:
        """Return the first reading of a document."""
        return self.first[key].rated


def grade_files(inputs: Mapping[str, Sequence[Path]], *, rubric: Rubric) -> dict[str, GradeFile]:
    """Read the files that a step's parameters name; of several earlier ones each has a name of its own."""
    named = {name: inputs[name][0] for name in ("path", "known", "people") if inputs.get(name)}
    named |= {earlier_name(number): path for number, path in enumerate(inputs.get("earlier", ()))}
    return {name: read_grades(path, rubric=rubric) for name, path in named.items()}


def earlier_name(number: int) -> str:
    """Return what the set of this place among `earlier` is called in a card: earlier, earlier_2, earlier_3."""
    return "earlier" if number == 0 else f"earlier_{number + 1}"


def read_grades(path: Path, *, rubric: Rubric) -> GradeFile:
    """Read a file of grades; DataError names what is missing, every wrong row, and a key that has two grades."""
    rows = _rows_of(path)
    about = rows.pop(0)[1] if rows and _is_about(rows[0][1]) else _metadata_of(path)
    if about.get("rubric_blake3") not in (None, rubric.hash):
        raise DataError(
            f"{path}: was graded by the rubric {about.get('rubric', '')} {str(about['rubric_blake3'])[:12]}; `label` "
            f"names {rubric.name} {rubric.hash[:12]}. Name the rubric that was used (rubric_file), or grade anew."
        )
    names = dict.fromkeys(name for _, row in rows for name in row)
    column = next((name for name in ("id", "text_hash") if name in names), None)
    if column is None or "grade" not in names:
        raise DataError(
            f"{path}: has the columns {', '.join(names) or 'none'}; grades need `grade` and either `id` or "
            "`text_hash` (hex of BLAKE3 or XXH3-128 of the text). Rename the columns."
        )
    read, wrong = [], list[tuple[str, Wrong, str]]()
    for place, row in rows:
        if row.get("grade") is None and row.get("status") in UNGRADED:
            continue
        kind, problem = _problem(row, column=column, rubric=rubric)
        if problem:
            wrong.append((place, kind, problem))
        else:
            read.append(_row(row, column=column, rubric=rubric, place=place))
    if len(wrong) > MOST_WRONG * (len(wrong) + len(read)):
        raise DataError(_told(path, wrong))
    first, second = _by_reading(read, path=path, column=column)
    return GradeFile(
        path=path, key="id" if column == "id" else _hash_kind([*first], path=path), first=first, second=second,
        graded_by=str(about.get("graded_by", "")), blake3=hash_file(path),
        wrong=Counter(kind for _, kind, _ in wrong),
        wrong_examples=[f"{place}: {problem}" for place, _, problem in wrong[:EXAMPLES]],
    )  # fmt: skip


def _is_about(row: Mapping[str, Any]) -> bool:
    return "grade" not in row and any(name in row for name in ABOUT)


def _metadata_of(path: Path) -> dict[str, str]:
    """Return what a parquet file says of all its rows."""
    said = (schema_of(path).metadata or {}) if path.suffix == ".parquet" else {}
    return {name: said[name.encode()].decode() for name in ABOUT if name.encode() in said}


def _problem(row: Mapping[str, Any], *, column: str, rubric: Rubric) -> tuple[Wrong, str]:
    """Return what is wrong with a row, of which kind and in words; the words are empty if nothing is."""
    grade, reading, key = row.get("grade"), _reading(row), row.get(column)
    if not isinstance(key, (str, int)) or isinstance(key, bool) or key == "":
        return "unusable", f"`{column}` is {_shown(key)}; it must be text"
    if not isinstance(grade, (int, float)) or isinstance(grade, bool) or not 0 <= grade <= BEST:
        kind: Wrong = "no grade" if grade is None else "out of range"
        return kind, f"`grade` is {_shown(grade)}; it must be a number from 0 to {BEST}"
    if not isinstance(reading, int) or isinstance(reading, bool) or reading < 1:
        said = f"`reading` is {_shown(reading)}; it must be 1, or 2 for a second reading of the same document"
        return "unusable", said
    answers = _answers(row, rubric=rubric)
    if answers and (added := rubric.scores(answers)["grade"]) != grade:
        return "unusable", f"`grade` is {grade:g}, but its answers add up to {added}"
    return "unusable", ""


def _answers(row: Mapping[str, Any], *, rubric: Rubric) -> dict[str, str]:
    """Return the answers to all questions of the rubric, or none if one is missing or unsupported."""
    found = {each.key: _option(row.get(each.key), each) for each in rubric.head.criteria}
    return {key: option for key, option in found.items() if option} if all(found.values()) else {}


def _option(answer: Any, criterion: Criterion) -> str:
    """Return the option that an answer names, in words or as true or false; empty if it names none."""
    if criterion.boolean and isinstance(answer, bool):
        return YES_NO[answer]
    return answer if isinstance(answer, str) and answer in criterion.options else ""


def _reading(row: Mapping[str, Any]) -> Any:
    return 1 if row.get("reading") is None else row["reading"]


def _shown(value: object) -> str:
    return json.dumps(value, default=str)[:60]


def _told(path: Path, wrong: Sequence[tuple[str, Wrong, str]]) -> str:
    place, _, problem = wrong[0]
    others = ", ".join(place for place, _, _ in wrong[1 : 1 + EXAMPLES])
    more = f" So are {len(wrong) - 1} more rows, such as {others}." if others else ""
    return f"{path}:{place}: {problem}.{more} Correct or delete the rows."


def _row(row: Mapping[str, Any], *, column: str, rubric: Rubric, place: str) -> GradeRow:
    answers = _answers(row, rubric=rubric)
    return GradeRow(
        key=str(row[column]), grade=float(row["grade"]), reading=_reading(row),
        text_hash=str(row.get("text_hash") or ""), evidence=" ".join(str(row.get("evidence") or "").split())[:500],
        answers={each.key: each.place(answers[each.key]) for each in rubric.head.criteria} if answers else {},
        place=place,
    )  # fmt: skip


def _by_reading(
    rows: Sequence[GradeRow], *, path: Path, column: str
) -> tuple[dict[str, GradeRow], dict[str, GradeRow]]:
    """Return the first and the second reading of every document."""
    found: dict[str, dict[int, GradeRow]] = {}
    for row in rows:
        readings = found.setdefault(row.key, {})
        known = readings.setdefault(row.reading, row)
        if known.grade != row.grade:
            raise DataError(
                f"{path}:{row.place}: {column} {row.key!r} has two grades, {known.grade:g} ({known.place}) and "
                f"{row.grade:g}. Keep one of them, or mark the later one `reading: 2`."
            )
    ordered = {key: [readings[number] for number in sorted(readings)] for key, readings in found.items()}
    return (
        {key: readings[0] for key, readings in ordered.items()},
        {key: readings[1] for key, readings in ordered.items() if len(readings) > 1},
    )


def _hash_kind(keys: Sequence[str], *, path: Path) -> KeyKind:
    lengths = {len(key) for key in keys}
    if len(lengths) != 1 or not lengths <= HASH_CHARACTERS.keys():
        raise DataError(
            f"{path}: text_hash has values of {sorted(lengths)} characters; it must be BLAKE3 (64) or XXH3-128 (32) "
            "hex throughout. Hash the UTF-8 bytes of the text."
        )
    return HASH_CHARACTERS[lengths.pop()]


def _rows_of(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return every row of the file with its place in it."""
    if path.suffix == ".parquet":
        return [(f"row {number}", row) for number, row in enumerate(read_table(path).to_pylist(), start=1)]
    return [(str(number), row) for number, row in read_objects(path)]


def count_rows(path: Path) -> int:
    """Return how many rows a file of grades has, without looking at them."""
    return len(_rows_of(path))
