"""Cards of grading, classifying and task-making steps -> what the report says of teacher, classifier and tasks.

Expected in `details`: of `label`, teacher, rubric, asked, outcomes and grades (grade -> documents), of a file of grades
also file (counts), and what `label_card` reads; of a step that makes verified tasks, generated, verified,
verified_by_family, rejected, duplicates_dropped and the wrong answers tried and accepted. What is missing is left out
of the page; anything else that a step noted is listed as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from markupsafe import Markup

from pipeline.core.files.card import Card
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.rng import generator
from pipeline.plan.graph import Plan
from pipeline.report.dataset.diverse import DiversityShown, diversity_in
from pipeline.report.dataset.examples import EXCERPT, EXCERPT_LINES, Example
from pipeline.report.dataset.label_card import LabelCard, label_card_of
from pipeline.report.dataset.made_facts import TOLD, made_facts
from pipeline.report.dataset.steps import DatasetShown
from pipeline.report.draw import figures
from pipeline.report.draw.charts import columns
from pipeline.store.results import document_paths

MOST_NOTES = 48
MEASURED_SHARE = {"share", "low", "high", "pairs"}  # with its 95 % interval
EXAMPLE_FACTS = ("family", "difficulty", "style", "skill", "question", "answer", "quote", "written_from")
MOST_REASONS = 3  # of refusals, told beside a group


@dataclass(frozen=True, slots=True)
class TeacherShown:
    """Who graded a sample by which rubric, and how the grades fell."""

    step: str
    title: str
    offline: bool
    rubric: str
    rubric_hash: str
    asked: int
    outcomes: tuple[tuple[str, int], ...]
    picture: Markup | None
    cost_usd: float
    found: tuple[tuple[str, str], ...]  # of a file of grades: what of it is here
    card: LabelCard | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupMade:
    """What became of what was asked for in one group: yield, and why the rest was refused, the most frequent first."""

    name: str
    asked: int
    kept: int
    refused: str

    @property
    def share(self) -> float:
        return self.kept / self.asked if self.asked else 0.0


@dataclass(frozen=True, slots=True)
class MadeShown:
    """A dataset that a step made: what was generated, what was kept by `group` and what not, a few documents."""

    name: str
    step: str
    inputs: tuple[str, ...]  # datasets that it was written from
    rows: int
    group: str  # family of tasks, style of a text, skill of a question
    families: tuple[GroupMade, ...]
    folded: str  # what their table would say, where every group was kept whole
    rejected: tuple[tuple[str, int], ...]
    facts: tuple[tuple[str, str], ...]
    diversity: DiversityShown | None
    examples: tuple[Example, ...]
    seconds: float
    cost_usd: float


def teachers_in(shown: DatasetShown) -> list[TeacherShown]:
    """Return every grading step of a dataset."""
    return [_teacher(step.label, step.card) for step in shown.steps if {"teacher", "grades"} <= set(step.card.details)]


def _teacher(label: str, card: Card) -> TeacherShown:
    details = card.details
    grades = {str(grade): int(number) for grade, number in dict(details["grades"]).items()}
    title = str(details["teacher"])
    spoken = "Grades given: " + ", ".join(
        f"{figures.count(number)} of grade {grade}" for grade, number in grades.items()
    )
    return TeacherShown(
        step=label,
        title=title,
        offline=title.startswith("offline"),
        rubric=str(details.get("rubric", "")),
        rubric_hash=str(details.get("rubric_blake3", "")),
        asked=int(details.get("asked", sum(grades.values()))),
        outcomes=tuple(dict(details.get("outcomes", {})).items()),
        cost_usd=card.cost_usd,
        picture=columns(list(grades.values()), list(grades), title=spoken) if any(grades.values()) else None,
        found=tuple(_found_in_file(details.get("file"))),
        card=label_card_of(details),
        warnings=tuple(map(str, details.get("warnings", ()))),
    )


def _found_in_file(file: Any) -> Iterator[tuple[str, str]]:
    names = {
        "graded_documents": "documents graded in the file", "here": "of them here", "same_text": "with the graded text",
        "other_text": "with another text", "not_here": "not here",
    }  # fmt: skip
    if isinstance(file, Mapping):
        yield from ((shown, figures.count(file[key])) for key, shown in names.items() if key in file)


def made_in(plan: Plan, cards: Mapping[str, Card], *, per_side: int) -> list[MadeShown]:
    """Return every dataset that a making step wrote."""
    found = []
    for name, planned in plan.datasets.items():
        card = cards.get(planned.made.node.identity) if planned.made is not None else None
        if planned.made is None or card is None:
            continue
        details = card.details
        others = {key: value for key, value in details.items() if key not in TOLD and not isinstance(value, Mapping)}
        group, kept, refused = _outcomes(details)
        families = tuple(_group_made(name, count, refused) for name, count in kept)
        found.append(
            MadeShown(
                name=name,
                step=planned.made.spec.label,
                inputs=tuple(planned.spec.inputs),
                rows=card.rows_out,
                group=group,
                families=families,
                folded=folded(group, families),
                rejected=refused,
                facts=(*made_facts(details), *notes_of(others)),
                diversity=diversity_in(details),
                examples=_some_documents(plan, name, card, count=per_side),
                seconds=card.seconds,
                cost_usd=card.cost_usd,
            )
        )
    return found


def _group_made(name: str, kept: int, refused: Sequence[tuple[str, int]]) -> GroupMade:
    own = sorted(((count, why.removeprefix(f"{name}: ")) for why, count in refused if why.startswith(f"{name}: ")))
    told = ", ".join(f"{why} {figures.count(count)}" for count, why in own[: -MOST_REASONS - 1 : -1])
    return GroupMade(name, kept + sum(count for count, _ in own), kept, told)


def folded(group: str, families: Sequence[GroupMade]) -> str:
    """Return one line in place of a table whose rows all say that everything was kept; "" where some differ."""
    if len(families) < 2 or any(each.kept < each.asked or not each.asked for each in families):
        return ""
    counts = {each.kept for each in families}
    spread = " to ".join(figures.count(end) for end in sorted({min(counts), max(counts)}))
    names = f"{group[:-1]}ies" if group.endswith("y") else f"{group}s"
    return f"{len(families)} {names}, each 100 % kept, {spread} of each"


def _outcomes(details: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]:
    """Return what rows are grouped by, how many were kept in each group, and why others were not."""
    for group in ("style", "skill"):
        counted: Mapping[str, Mapping[str, int]] | None = details.get(f"by_{group}")
        if counted is not None:
            kept = tuple((name, counts.get("kept", 0)) for name, counts in counted.items())
            refused = [(f"{name}: {why}", count) for name, counts in counted.items() for why, count in counts.items()]
            return group, kept, tuple(each for each in refused if not each[0].endswith(": kept"))
    return "family", _counts(details.get("verified_by_family")), _counts(details.get("rejected"))


def _counts(value: Any) -> tuple[tuple[str, int], ...]:
    return tuple((str(key), int(number)) for key, number in value.items()) if isinstance(value, Mapping) else ()


def _some_documents(plan: Plan, name: str, card: Card, *, count: int) -> tuple[Example, ...]:
    planned = plan.datasets[name].made
    assert planned is not None
    if not card.rows_out or not count:
        return ()
    size = min(count, card.rows_out)
    rows = sorted(int(r) for r in generator(0, "report", name, "made").choice(card.rows_out, size=size, replace=False))
    found, start = [], 0
    for path in document_paths(planned.node.folder):
        table = read_table(path, columns=["id", "text", "source", "metadata"])
        inside = [row - start for row in rows if start <= row < start + table.num_rows]
        for document in table.take(pa.array(inside, pa.int64())).to_pylist():
            found.append(_made_example(document))
        start += table.num_rows
    return tuple(found)


def _made_example(document: Mapping[str, Any]) -> Example:
    metadata = json.loads(document["metadata"])
    known = tuple((key, figures.excerpt(str(metadata[key]), 120)) for key in EXAMPLE_FACTS if key in metadata)
    return Example(
        doc_id=figures.excerpt(document["id"], 160),
        source=document["source"],
        text=figures.excerpt(document["text"], 2 * EXCERPT, lines=2 * EXCERPT_LINES),
        note="",
        signals=known,
    )


def notes_of(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return numbers and words of a card's details as (name, text), nested names joined.

    What stands at the top and shares with an interval come first; the last note tells how many were left out.
    """
    noted = sorted(_notes(details), key=lambda note: not note.comes_first)
    found = [(note.name, note.text) for note in noted[:MOST_NOTES]]
    return [*found, ("left out", f"{len(noted) - MOST_NOTES} more, in card.json")] if len(noted) > MOST_NOTES else found


@dataclass(frozen=True, slots=True)
class _Note:
    name: str
    text: str
    comes_first: bool


def _notes(details: Mapping[str, Any], *, above: str = "") -> Iterator[_Note]:
    for key, value in details.items():
        name = f"{above} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping) and set(value) == MEASURED_SHARE:
            low, high, share = (figures.number(value[key]) for key in ("low", "high", "share"))
            yield _Note(name, f"{share} ({low} to {high}) of {figures.count(value['pairs'])}", True)
        elif isinstance(value, Mapping):
            yield from _notes(value, above=name)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield _Note(name, figures.number(float(value)), not above)
        elif isinstance(value, str):
            yield _Note(name, figures.excerpt(value, 80), not above)
