"""The default student beside fastText itself: as fast on the same documents, as good on the same labels.

Both learn the grades of recipes/grades on the quickstart's documents and are measured on the same ones held out, by
near-duplicate cluster. fastText gets its settings as ours gets its penalty: by a part of the training documents. Its
score is the mean of the grades, weighted by the probabilities of their labels.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pyarrow as pa

from filters.classifier import agreement as report
from filters.classifier.course import teach
from filters.classifier.graded import Graded, TrainingSplit, split
from filters.classifier.model import TOP_GRADE, Settings
from filters.classifier.quality import QualityParams
from filters.classifier.students import course_of
from pipeline.core.text.batch import Batch
from tests.benchmarks.clock import Work
from tests.benchmarks.corpus import SEED, Text
from tests.benchmarks.curation import Place

FASTTEXT = ("fasttext-wheel",)
GRADES = Path(__file__).resolve().parents[2] / "recipes" / "grades" / "educational-docs.jsonl"
DEFAULT = QualityParams()
SEEDS = (SEED, 1, 2, 3, 4)
TRIED = tuple(product((5, 25, 100), (0.1, 0.5)))  # epochs and learning rates of fastText


def fasttext_scoring(text: Text, place: Place) -> Work:
    """Score the beginnings of documents by a fastText model of the grades."""
    graded = graded_of(text)
    model = _trained(place.folder, _lines(graded.batch), graded.grades, epochs=25, rate=0.5)
    lines = [line for batch in text.batches() for line in _lines(batch)]

    def run() -> None:
        for line in lines:
            model.f.predict(line, TOP_GRADE + 1, 0.0, "strict")

    size = sum(len(line.encode()) for line in lines)
    return Work(name="fastText, word pairs, 100 numbers a word", run=run, num_documents=len(lines), size_bytes=size)


def agreements(text: Text, place: Place) -> dict[str, Any]:
    """Return the mean Spearman of both over several splits, and our gain with its interval on each."""
    graded = graded_of(text)
    rows = [_one_split(graded, place.folder, seed=seed) for seed in SEEDS]
    return {
        "documents": len(graded.grades),
        "ours": mean(row["ours"] for row in rows),
        "rival": mean(row["spearman"] for row in rows),
        "splits": rows,
    }


def graded_of(text: Text) -> Graded:
    """Return the documents of a text that are graded."""
    lines = map(json.loads, GRADES.read_text(encoding="utf-8").splitlines())
    grades = {line["id"]: float(line["grade"]) for line in lines if line.get("reading") == 1}
    tables = [pa.table({"id": ids, "text": texts}) for ids, texts in text.pieces]
    table = pa.concat_tables(tables)
    table = table.filter(pa.array([identity in grades for identity in table.column("id").to_pylist()]))
    table = table.sort_by("id").combine_chunks()
    ids = table.column("id").to_pylist()
    found = np.array([grades[identity] for identity in ids])
    return Graded(
        Batch.from_table(table),
        grades=found,
        sources=np.array(["docs"] * len(ids)),
        chosen=np.array(["file"] * len(ids)),
        teachers={"Claude": len(ids)},
        people=np.full(len(ids), np.nan),
    )


def _one_split(graded: Graded, folder: Path, *, seed: int) -> dict[str, Any]:
    lesson = split(graded, by="clusters", share=DEFAULT.held_out, seed=seed)
    settings = Settings(DEFAULT.buckets, DEFAULT.ngrams, DEFAULT.excerpt_chars)
    course = course_of("linear", graded, settings=settings, epochs=DEFAULT.epochs, top=TOP_GRADE, seed=seed)
    ours = teach(course, graded, lesson).student.score(graded.batch)[lesson.held]
    theirs = _fasttext_scores(graded, lesson, folder)
    grades, clusters = graded.grades[lesson.held], lesson.clusters[lesson.held]
    told = report.beside(theirs, ours, grades, clusters=clusters, seed=seed)
    return {"seed": seed, "held_out": len(grades), "ours": report.spearman(ours, grades), **told}


def _fasttext_scores(graded: Graded, lesson: TrainingSplit, folder: Path) -> np.ndarray:
    lines, grades = np.array(_lines(graded.batch), dtype=object), graded.grades
    fit, check = lesson.inner()
    tried = []
    for epochs, rate in TRIED:
        model = _trained(folder, lines[fit], grades[fit], epochs=epochs, rate=rate)
        tried.append((report.spearman(_expected(model, lines[check]), grades[check]), epochs, rate))
    _, epochs, rate = max(tried)
    return _expected(
        _trained(folder, lines[lesson.train], grades[lesson.train], epochs=epochs, rate=rate), lines[lesson.held]
    )


def _trained(folder: Path, lines: Any, grades: np.ndarray, *, epochs: int, rate: float) -> Any:
    import fasttext

    path = folder / "fasttext.txt"
    rows = [f"__label__{round(grade)} {line}" for line, grade in zip(lines, grades.tolist(), strict=True)]
    path.write_text("".join(rows), encoding="utf-8")
    return fasttext.train_supervised(
        str(path), wordNgrams=2, bucket=DEFAULT.buckets, epoch=epochs, lr=rate, thread=1, verbose=0
    )


def _expected(model: Any, lines: Any) -> np.ndarray:
    """Return the mean grade of each line by the labels' probabilities."""
    found = []
    for line in lines:
        told = model.f.predict(line, TOP_GRADE + 1, 0.0, "strict")
        found.append(sum(share * float(label.removeprefix("__label__")) for share, label in told))
    return np.array(found)


def _lines(batch: Batch) -> list[str]:
    """Return what fastText reads of each document: the excerpt in one line."""
    return [" ".join(string[: DEFAULT.excerpt_chars].split()) + "\n" for string in batch.strings()]
