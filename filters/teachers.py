"""Whoever grades documents: the offline rubric, a file of grades that the user brings, or Claude.

A teacher gets excerpts and returns one grading per document, in their order, and a note for the card. Its `title` goes
into every row that it graded, so no label travels without saying whose it is. Refused, cut off and malformed answers
and rejected requests are gradings without a grade, never dropped: what a teacher would not grade is not missing at
random (Claude's safety classifiers decline by topic), and a classifier trained on the rest must be able to know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from filters.offline_rubric import CRITERIA, grade_text
from filters.rubric import NUM_CRITERIA, Rubric
from pipeline.core.endpoint import foreign_endpoint, shown
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.identity import hash_file
from pipeline.core.shards import read_table

GradeStatus = Literal["graded", "refused", "truncated", "invalid", "errored"]

OFFLINE_TITLE = "offline-rubric-v1 (signals, not a model)"
CHUNK = 256

KeyKind = Literal["id", "blake3", "xxh3_128"]
HASH_CHARACTERS: dict[int, KeyKind] = {64: "blake3", 32: "xxh3_128"}


@dataclass(frozen=True, slots=True)
class Specimen:
    """One document as a teacher sees it."""

    id: str
    text: str  # an excerpt


@dataclass(frozen=True, slots=True)
class Grading:
    """One document's grade, or why it has none."""

    status: GradeStatus
    grade: float | None = None  # 0 to 5
    justification: str = ""


@dataclass(slots=True)
class Lesson:
    """What a teacher says of all documents together; `note` goes into the card."""

    gradings: list[Grading]
    note: dict[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0  # that these grades cost, whichever run paid for them


class Teacher(Protocol):
    """Grades documents."""

    title: str

    def grade(self, specimens: Sequence[Specimen]) -> Lesson:
        """Return one grading per specimen, in their order."""
        ...


class OfflineTeacher:
    """The transparent scorer of `offline_rubric`; needs nothing."""

    title = OFFLINE_TITLE

    def __init__(self, *, rubric: Rubric, map: Callable[..., list[Any]]) -> None:
        if rubric.criteria != CRITERIA:
            raise RecipeError(
                f"label: the offline teacher knows the rubric `educational` only, not {rubric.name!r}. "
                "Use `teacher: claude` or `teacher: file` with this rubric."
            )
        self._map = map

    def grade(self, specimens: Sequence[Specimen]) -> Lesson:
        texts = [specimen.text for specimen in specimens]
        chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
        graded = self._map(grade_offline, chunks, label="label (offline rubric)")
        return Lesson(gradings=[grading for chunk in graded for grading in chunk])


def grade_offline(texts: Sequence[str]) -> list[Grading]:
    """Grade texts by the offline rubric; runs in a worker process."""
    grades = [grade_text(text) for text in texts]
    return [Grading("graded", grade=float(grade.grade), justification=grade.evidence) for grade in grades]


class ClaudeTeacher:
    """Claude, one document per request, through the door that buys every answer once."""

    def __init__(
        self, *, rubric: Rubric, model: str, ledger: Path, max_usd: float, prices: Path | None, concurrency: int,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.title = f"{model}{shown(foreign_endpoint())}, rubric {rubric.name} {rubric.hash[:12]}"
        self._rubric, self._model, self._ledger = rubric, model, ledger
        self._how: dict[str, Any] = {"max_usd": max_usd, "prices": prices, "workers": concurrency, "say": say}

    def grade(self, specimens: Sequence[Specimen]) -> Lesson:
        from pipeline.core.claude import ClaudeDoor

        requests = [self._rubric.request(specimen.text, model=self._model) for specimen in specimens]
        with ClaudeDoor(self._ledger, **self._how) as door:
            answers = door.ask(requests)
            note = {"in_doubt": door.num_in_doubt, "spent_usd": door.spent_usd}
        unique = {answer.request_id: answer for answer in answers}.values()
        note["from_ledger"] = sum(answer.from_ledger for answer in unique)
        note["bought"] = sum(not answer.from_ledger and answer.status != "errored" for answer in unique)
        note["paid_now_usd"] = sum(answer.cost_usd for answer in unique if not answer.from_ledger)
        cost = sum(answer.cost_usd for answer in unique)  # of all runs: the card is written by the last one alone
        return Lesson(gradings=[self._grading(answer) for answer in answers], note=note, cost_usd=cost)

    def _grading(self, answer: Any) -> Grading:
        if answer.data is None:
            return Grading(answer.status, justification=answer.reason)
        evidence = " ".join(str(answer.data["evidence"]).split())[:500]
        return Grading("graded", grade=float(self._rubric.grade(answer.data)), justification=evidence)


@dataclass(frozen=True, slots=True)
class GradeFile:
    """Grades that the user brings, by document id or by the hash of the whole text (UTF-8)."""

    path: Path
    key: KeyKind
    grades: Mapping[str, float | None]  # None: not a number from 0 to 5
    blake3: str  # of the file; its name is no part of a result

    @property
    def title(self) -> str:
        return f"file of grades {self.blake3[:12]}"

    def grading(self, key: str) -> Grading:
        """Return the grading of the document with this key."""
        grade = self.grades[key]
        if grade is None:
            return Grading("invalid", justification=f"not a number from 0 to {NUM_CRITERIA}")
        return Grading("graded", grade=grade)


def read_grades(path: Path) -> GradeFile:
    """Read a parquet or JSONL file with the columns `grade` and either `id` or `text_hash`.

    `text_hash` is the hex of BLAKE3 (64 characters) or XXH3-128 (32 characters) of the document's UTF-8 text. Other
    columns are left alone. DataError names what is missing, and a key that has two different grades.
    """
    table = read_table(path) if path.suffix == ".parquet" else _read_jsonl(path)
    column = next((name for name in ("id", "text_hash") if name in table.column_names), None)
    if column is None or "grade" not in table.column_names:
        raise DataError(
            f"{path}: has the columns {', '.join(table.column_names)}; grades need `grade` and either `id` or "
            "`text_hash` (hex of BLAKE3 or XXH3-128 of the text). Rename the columns."
        )
    keys = [str(key) for key in table.column(column).to_pylist()]
    grades: dict[str, float | None] = {}
    for key, value in zip(keys, table.column("grade").to_pylist(), strict=True):
        grade = _valid_grade(value)
        if key in grades and grades[key] != grade:
            raise DataError(f"{path}: {column} {key!r} has two grades, {grades[key]} and {grade}. Keep one of them.")
        grades[key] = grade
    return GradeFile(
        path=path, key="id" if column == "id" else _hash_kind(keys, path=path), grades=grades, blake3=hash_file(path)
    )


def _valid_grade(value: object) -> float | None:
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else -1.0
    return number if 0 <= number <= NUM_CRITERIA else None


def _hash_kind(keys: Sequence[str], *, path: Path) -> KeyKind:
    lengths = {len(key) for key in keys}
    if len(lengths) != 1 or not lengths <= HASH_CHARACTERS.keys():
        raise DataError(
            f"{path}: text_hash has values of {sorted(lengths)} characters; it must be BLAKE3 (64) or XXH3-128 (32) "
            "hex throughout. Hash the UTF-8 bytes of the text."
        )
    return HASH_CHARACTERS[lengths.pop()]


def _read_jsonl(path: Path) -> pa.Table:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as JSON lines ({error}). Give a .parquet or a .jsonl file.") from error
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: is not JSON ({error}). Mend or delete the line.") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: is {type(row).__name__}, not an object. Mend or delete the line.")
        rows.append(row)
    names = [name for name in ("id", "text_hash", "grade") if any(name in row for row in rows)]
    columns = {name: [row.get(name) for row in rows] for name in names}
    columns = {
        name: [str(v) for v in values] if name != "grade" else _numbers(values) for name, values in columns.items()
    }
    return pa.table(columns)


def _numbers(values: Sequence[object]) -> list[float | None]:
    return [_valid_grade(value) for value in values]
