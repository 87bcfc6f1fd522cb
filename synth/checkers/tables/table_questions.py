"""Checks table questions: reads the table back from its text, then answers by scanning the rows once."""

from __future__ import annotations

import re
from fractions import Fraction

from synth.checkers.reading import UnreadableError, whole

Rows = dict[str, dict[str, int]]  # name -> heading -> value

_CONDITION = re.compile(r"(more than|less than|at least|at most) (\d+)")


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` is the name, names or number that the table gives."""
    rows, question = _read(prompt_text)
    heads = sorted(next(iter(rows.values())), key=len, reverse=True)
    condition = _CONDITION.search(question)
    kept, asked = list(rows), question
    if condition:
        before = question[: condition.start()]
        by = max((head for head in heads if head in before), key=before.rfind)
        kept = [name for name in rows if _holds(rows[name][by], condition.group(1), int(condition.group(2)))]
        asked = question.replace(before[before.rfind(by) : condition.start()], " ", 1)
        if re.search(r"How many|Count the|For how many", question):
            return whole(answer_text) == len(kept)
        if "order of the table" in question:
            return answer_text == ", ".join(kept)
    head = next((head for head in heads if head in asked), None)
    if head is None:
        raise UnreadableError(question)
    values = {name: rows[name][head] for name in kept}
    return _answer(asked, values, answer_text)


def _answer(question: str, values: dict[str, int], answer: str) -> bool:
    lowered = question.lower()
    if "second" in lowered:
        return answer in values and sum(value > values[answer] for value in values.values()) == 1
    if "highest" in lowered or "lowest" in lowered:
        sign = 1 if "highest" in lowered else -1
        return answer in values and all(
            sign * value < sign * values[answer] for name, value in values.items() if name != answer
        )
    if re.search(r"\bmean\b|average", lowered):
        tidy = re.fullmatch(r"(?:0|[1-9]\d*)(?:\.\d*[1-9])?", answer)
        return tidy is not None and Fraction(answer) * len(values) == sum(values.values())
    if re.search(r"\bsum\b|add up|total", lowered):
        return whole(answer) == sum(values.values())
    named = [name for name in values if re.search(rf"\b{re.escape(name)}\b(?! \d)", question)]
    if "differ" in lowered or "far apart" in lowered:
        if len(named) != 2:
            raise UnreadableError(question)
        low, high = sorted(values[name] for name in named)
        return whole(answer) is not None and low + int(answer) == high
    if len(named) != 1:
        raise UnreadableError(question)
    return whole(answer) == values[named[0]]


def _holds(value: int, word: str, limit: int) -> bool:
    return {
        "more than": value > limit,
        "less than": value < limit,
        "at least": value >= limit,
        "at most": value <= limit,
    }[word]


def _read(prompt: str) -> tuple[Rows, str]:
    """Return the table and the question below it."""
    blocks = prompt.split("\n\n")
    if len(blocks) != 3:
        raise UnreadableError(prompt)
    lines = blocks[1].split("\n")
    if lines[0].startswith("- "):
        records = [line[2:].split(": ", 1) for line in lines]
        return {
            name: {k: int(v) for k, v in re.findall(r"([A-Z][^,]*?) (\d+)(?:, |$)", rest)} for name, rest in records
        }, blocks[2]
    if lines[0].startswith("|"):
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]
    elif "," in lines[0]:
        cells = [line.split(",") for line in lines]
    else:
        cells = [re.split(r" {2,}", line.strip()) for line in lines]
    if len({len(row) for row in cells}) != 1:
        raise UnreadableError(prompt)
    return {row[0]: dict(zip(cells[0][1:], map(int, row[1:]), strict=True)) for row in cells[1:]}, blocks[2]
