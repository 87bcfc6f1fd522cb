"""The head of a rubric -> its questions, their possible answers and how they add up, checked line by line.

YAML between two lines `---`: `name`, `version`, `model` and `excerpt` (characters) that it was tried with, `criteria`
(question -> `boolean`, or a short list of answers, the one that needs no evidence first) and `scale` (grade -> question
-> points for yes, or points by answer). Every grade goes from 0 to 5, so thresholds mean the same under all rubrics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import RecipeError, nearest_names
from pipeline.core.files.reading.strict_yaml import Document, Place, dotted, parse

BEST = 5  # the highest grade
YES_NO = ("no", "yes")
MOST_CRITERIA, MOST_OPTIONS = 15, 6
KEYS = ("name", "version", "model", "excerpt", "criteria", "scale")
WORD = re.compile(r"[a-z][a-z0-9_]*")
NAME = re.compile(r"[a-z][a-z0-9_-]*")
SECTION = re.compile(r"## ([^:]*): \S.*")
# Columns beside the answers and grades, in the signals and in labels.parquet.
TAKEN = (
    "id",
    "text",
    "status",
    "teacher",
    "justification",
    "evidence",
    "injections",
    "unsupported",
    "error",
    "kept_ranges",
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A question and its answers, the one that needs no evidence first."""

    key: str
    options: tuple[str, ...] = YES_NO

    @property
    def boolean(self) -> bool:
        return self.options == YES_NO

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the answer."""
        return {"type": "boolean"} if self.boolean else {"type": "string", "enum": list(self.options)}

    def option(self, answer: Any) -> str:
        """Return what a parsed answer says."""
        return YES_NO[answer is True] if self.boolean else str(answer)

    def place(self, option: str) -> float:
        """Return the position of an answer among the options, by which two raters are compared."""
        return float(self.options.index(option))

    def value(self, option: str) -> Any:
        """Return an option as the answer that says it."""
        return option == "yes" if self.boolean else option


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a rubric says."""

    name: str
    version: int
    criteria: tuple[Criterion, ...]
    scale: Mapping[str, Mapping[str, Mapping[str, int]]]  # grade -> question -> answer -> points; `grade` is first
    model: str
    excerpt: int


def read_head(text: str, *, path: Path) -> tuple[Head, str]:
    """Return the head and the rest of a rubric; RecipeError lists all mistakes, each with file and line."""
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"), None)
    if lines[0].rstrip() != "---" or end is None:
        raise RecipeError(f"{path}:1: the head does not end; it stands between two lines `---`. Add the second one.")
    document = parse("\n".join(["", *lines[1:end]]) + "\n", path=path)  # an empty line in place of the first mark
    reader = _Reader(document)
    head = reader.head()
    if head is not None:
        reader.sections(lines, start=end + 1)
    document.raise_mistakes()
    assert head is not None
    return head, "\n".join(lines[end + 1 :])


class _Reader:
    """Reads the parts of a head and notes what is wrong with each."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.data: Mapping[str, Any] = document.data if isinstance(document.data, dict) else {}
        self.criteria: dict[str, Criterion] = {}

    def wrong(self, place: Place, message: str) -> None:
        self.document.mistake(place, message)

    def head(self) -> Head | None:
        for key in self.data:
            if key not in KEYS:
                self.wrong((key,), f"`{key}` is no key of a rubric's head; did you mean {nearest_names(key, KEYS)}?")
        for key in KEYS:
            if key not in self.data:
                self.wrong((), f"the head lacks `{key}`; it has {', '.join(KEYS)}. Add it (see rubrics/template.md).")
        if any(key not in self.data for key in KEYS):
            return None
        name = self.checked("name", isinstance(self.data["name"], str) and NAME.fullmatch(self.data["name"]),
                            "a word of a-z, 0-9, - and _")  # fmt: skip
        version = self.checked("version", _whole(self.data["version"], least=1), "a whole number from 1 on")
        model = self.checked("model", isinstance(self.data["model"], str), "a model's id, such as claude-haiku-5-5")
        excerpt = self.checked(
            "excerpt", _whole(self.data["excerpt"], least=200) and self.data["excerpt"] <= 200_000,
            "a whole number of characters from 200 to 200,000",
        )  # fmt: skip
        self.read_criteria()
        return Head(name, version, tuple(self.criteria.values()), self.scale(), model, excerpt)

    def checked(self, key: str, fits: object, rule: str) -> Any:
        if not fits:
            self.wrong((key,), f"{key} is {_shown(self.data[key])}; it must be {rule}. Correct it.")
        return self.data[key]

    def read_criteria(self) -> None:
        given = self.data["criteria"]
        if not isinstance(given, dict) or not 1 <= len(given) <= MOST_CRITERIA:
            self.wrong(
                ("criteria",), f"criteria is {_shown(given)}; it must be 1 to {MOST_CRITERIA} questions, such as "
                "`explains: boolean`.",
            )  # fmt: skip
            return
        for key, kind in given.items():
            place = ("criteria", key)
            if not WORD.fullmatch(key) or key in TAKEN:
                self.wrong(place, f"criteria: a question is called {key!r}; its name must be a word of a-z, 0-9 and _, "
                                  f"and none of {', '.join(TAKEN)}. Rename it.")  # fmt: skip
            listed = kind if isinstance(kind, list) else []
            fits = 2 <= len(set(map(str, listed))) == len(listed) <= MOST_OPTIONS and all(
                isinstance(option, str) and WORD.fullmatch(option) and option != "unsupported" for option in listed
            )
            if kind != "boolean" and not fits:
                self.wrong(place, f"criteria.{key} is {_shown(kind)}; it must be `boolean`, or a list of 2 to "
                                  f"{MOST_OPTIONS} different words, the one that needs no evidence first. "
                                  "Correct it.")  # fmt: skip
            self.criteria[key] = Criterion(key, tuple(listed) if fits else YES_NO)

    def scale(self) -> dict[str, dict[str, dict[str, int]]]:
        given = self.data["scale"]
        if not isinstance(given, dict) or "grade" not in given:
            self.wrong(("scale",), f"scale is {_shown(given)}; it must hold `grade`, and may hold further grades. Add "
                                   "`grade: {explains: 1, ...}`.")  # fmt: skip
            return {}
        found = {}
        for name in sorted(given, key=lambda name: name != "grade"):
            if not WORD.fullmatch(name) or name in TAKEN or name in self.criteria:
                self.wrong(("scale", name), f"scale: a grade is called {name!r}; its name must be a word of a-z, 0-9 "
                                            f"and _, no question's, and none of {', '.join(TAKEN)}. Rename "
                                            "it.")  # fmt: skip
            found[name] = dict(self.points(given[name], ("scale", name)))
            most = sum(max(points.values(), default=0) for points in found[name].values())
            if most != BEST:
                self.wrong(("scale", name), f"scale.{name}: the best answers add up to {most}; every grade goes from 0 "
                                            f"to {BEST}. Change the points.")  # fmt: skip
        return found

    def points(self, given: Any, place: Place) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield the points of each question by answer."""
        for key, value in given.items() if isinstance(given, dict) else ():
            here, criterion = (*place, key), self.criteria.get(key)
            if criterion is None:
                near = nearest_names(key, list(self.criteria))
                self.wrong(here, f"{dotted(place)}: `{key}` is no question of `criteria`; did you mean {near}?")
                continue
            by_answer = {"yes": value} if criterion.boolean and not isinstance(value, dict) else value
            options = ", ".join(criterion.options)
            if not isinstance(by_answer, dict) or not all(_whole(each, least=0) for each in by_answer.values()):
                self.wrong(here, f"{dotted(here)} is {_shown(value)}; it must be points by answer ({options}), whole "
                                 "numbers from 0 on. Correct it.")  # fmt: skip
                continue
            for option in by_answer:
                if option not in criterion.options:
                    self.wrong(here, f"{dotted(here)}: `{option}` is no answer to it; its answers are {options}. "
                                     "Rename it.")  # fmt: skip
            yield key, by_answer

    def sections(self, lines: list[str], *, start: int) -> None:
        """Compare the headings `## key: question` with the criteria."""
        found: dict[str, int] = {}
        for number, line in enumerate(lines[start:], start=start + 1):
            heading = SECTION.fullmatch(line.rstrip())
            if heading is None:
                continue
            key = heading[1]
            if key not in self.criteria:
                self.at(
                    number,
                    f"`## {key}:` is no question of `criteria`. Add it there, or write the heading without a colon.",
                )
            elif key in found:
                self.at(number, f"`## {key}:` stands here and on line {found[key]}; keep one of the two.")
            found.setdefault(key, number)
        for key in self.criteria:
            if key not in found:
                self.wrong(("criteria", key), f"criteria.{key} has no section in the text; each question has one. Add "
                                              f"`## {key}: the question` and when it is answered how.")  # fmt: skip

    def at(self, line: int, message: str) -> None:
        self.document.mistakes.append((line, message))


def _whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
