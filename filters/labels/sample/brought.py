"""A file of grades beside a dataset: which of its documents are here, by which text, and what others graded of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from filters.labels.sample.sampling import Survey, SurveyTask, survey_part
from filters.labels.teachers.agreement import Pair
from filters.labels.teachers.grade_file import EXAMPLES, GradeFile
from filters.labels.teachers.grading import Grading
from pipeline.core.errors import DataError
from pipeline.core.rng import derive
from pipeline.core.step import Gathering


@dataclass(frozen=True, slots=True)
class Here:
    """A file of grades, and which documents of it are here: position in the survey -> the file's key."""

    file: GradeFile
    keys: Mapping[int, str]

    @classmethod
    def found(cls, file: GradeFile, keys: Sequence[str]) -> Here:
        """Find the documents of a file; `keys` are what it knows each document of the survey by."""
        return cls(file, {position: key for position, key in enumerate(keys) if key in file.first})

    def grading(self, position: int) -> Grading:
        """Return the file's grade of a document."""
        row, rated = self.file.first[self.keys[position]], self.file.rated(self.keys[position])
        return Grading("graded", row.grade, row.evidence, rated.answers)

    def grades(self, survey: Survey) -> dict[str, float]:
        """Return the file's grade of every document that is here, by id."""
        ids = survey.ids[list(self.keys)].tolist() if self.keys else []
        return {id: self.file.first[key].grade for id, key in zip(ids, self.keys.values(), strict=True)}

    def pairs(self, others: Mapping[int, Grading]) -> list[Pair]:
        """Return (the file's, the other's) reading of every document that both graded."""
        return [
            (self.file.rated(key), rated)
            for position, key in self.keys.items()
            if position in others and (rated := others[position].rated) is not None
        ]


@dataclass(frozen=True, slots=True)
class Seen:
    """All documents of a dataset as sampling sees them, and what of each file of grades is among them."""

    survey: Survey
    here: Mapping[str, Here]


def look(work: Gathering, *, files: Mapping[str, GradeFile], signals: tuple[str, ...] = ()) -> Seen:
    """Look at every document's id, source, length and signals, and find those of each file."""
    survey = _survey(work, files.get("path"), signals=signals)
    here = {
        name: Here.found(file, (survey.ids if file.key == "id" else _survey(work, file).keys).tolist())
        for name, file in files.items()
    }
    return Seen(survey, here)


def _survey(work: Gathering, file: GradeFile | None, *, signals: tuple[str, ...] = ()) -> Survey:
    """Look at every document, and at what a file knows it by."""
    seed = derive(work.seed, "label", "sample")
    key = "id" if file is None else file.key
    hash = file.hash_kind if file is not None and key == "id" else None
    tasks = [SurveyTask(part, seed, key=key, hash=hash, signals=signals) for part in work.parts]
    return Survey.concatenate(work.map(survey_part, tasks, label="label (sampling)"))


def found_in_file(here: Here, survey: Survey, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Say which grades of a file are of documents that are here, and of the text that is here."""
    file, keys = here.file, here.keys
    there = set(keys.values())
    missing = sorted(key for key in file.first if key not in there)
    note: dict[str, Any] = {
        "name": file.path.name, "blake3": file.blake3, "graded_documents": len(file.first),
        "here": len(there), "not_here": len(missing), "not_here_examples": missing[:EXAMPLES],
    }  # fmt: skip
    told = f"label: {len(there):,} of {len(file.first):,} graded documents are here"
    hashes = survey.hashes[list(keys)].tolist() if keys else []
    if file.key == "id" and file.hash_kind is not None and all(hashes):
        same = sum(file.first[key].text_hash == text for key, text in zip(keys.values(), hashes, strict=True))
        note |= {"same_text": same, "other_text": len(keys) - same}
        told += f", {len(keys) - same:,} with another text than was graded (an earlier step edited it, or a version)"
    if missing:
        told += f"; {len(missing):,} are not (dropped earlier, or unknown), such as {', '.join(missing[:EXAMPLES])}"
    if not there:
        raise DataError(
            f"{file.path}: none of its {len(file.first):,} documents reaches `label`, such as "
            f"{', '.join(missing[:EXAMPLES])}. Grades are matched by {file.key}: bring those of this dataset."
        )
    say(told)
    if file.wrong:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(file.wrong.items()))
        note |= {"wrong_rows": dict(file.wrong), "wrong_examples": list(file.wrong_examples)}
        told = f"label: rows of {file.path.name} without a usable grade are left out: {counts}"
        say(f"{told}, such as {file.wrong_examples[0]}")
    return note
