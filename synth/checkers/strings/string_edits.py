"""Checks string edits with a line of cells: every instruction is read by its key words and moves or drops cells."""

from __future__ import annotations

import re
from collections import Counter, deque

from synth.checkers.reading import UnreadableError

_QUOTED = re.compile(r"'([a-z]+)'")
_CUT = re.compile(r"\.\s|;\s|\n|\.$")


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` is the edited string, its length, or how often a letter occurs in it."""
    start = re.search(r'"([a-z]+)"', prompt_text)
    if start is None:
        raise UnreadableError(prompt_text)
    cells = deque(start.group(1))
    question = ""
    for clause in _CUT.split(prompt_text[start.end() :].lstrip('".')):
        clause = re.sub(r"^\d+$", "", clause.strip())
        lowered = clause.lower()
        if not clause or lowered in ("on a card",):
            continue
        if clause.endswith("?") or re.match(r"(?:Give the|Write down|Find the final|Count the)", clause):
            question = lowered
            break
        cells = _edit(cells, lowered)
    if "how many characters" in question or "length" in question or "count the characters" in question:
        return answer_text == str(len(cells))
    if "letter" in question:
        wanted = _QUOTED.findall(question)[0]
        return answer_text == str(Counter(cells)[wanted])
    if not question:
        raise UnreadableError(prompt_text)
    return answer_text == "".join(cells)


def _edit(cells: deque[str], order: str) -> deque[str]:
    quoted = _QUOTED.findall(order)
    if len(quoted) == 2:
        return _two_letters(cells, order, quoted)
    if len(quoted) == 1:
        return _one_text(cells, order, quoted[0])
    if "vowel" in order:
        twice = "double" in order or "twice" in order
        return deque(c for cell in cells for c in _vowel(cell, twice))
    number = re.search(r"(first|last) (\d+) characters", order) or re.search(r"(first|last) (character)", order)
    if "backwards" in order or "reverse" in order:
        cells.reverse()
    elif "halves" in order or "half" in order:
        cells.rotate(len(cells) // 2)
    elif "swap" in order or "exchange" in order:
        first, last = cells.popleft(), cells.pop()
        cells.appendleft(last)
        cells.append(first)
    elif "every second" in order or "positions 1, 3, 5" in order:
        cells = deque(cell for at, cell in enumerate(cells, 1) if at % 2)
    elif "alphabetical" in order:
        counted = Counter(cells)
        cells = deque(letter for letter in map(chr, range(97, 123)) for _ in range(counted[letter]))
    elif number:
        _ends(cells, order, number)
    else:
        raise UnreadableError(order)
    return cells


def _vowel(cell: str, twice: bool) -> tuple[str, ...]:
    if cell not in {"a", "e", "i", "o", "u"}:
        return (cell,)
    return (cell, cell) if twice else ()


def _ends(cells: deque[str], order: str, number: re.Match[str]) -> None:
    count = int(number.group(2)) if number.group(2).isdigit() else 1
    at_front = number.group(1) == "first"
    if order.startswith(("remove", "then remove", "after that remove", "first remove")):
        for _ in range(count):
            if at_front:
                cells.popleft()
            else:
                cells.pop()
    elif "move" in order:
        cells.rotate(-count if at_front else count)
    else:
        raise UnreadableError(order)


def _two_letters(cells: deque[str], order: str, quoted: list[str]) -> deque[str]:
    if "insert" in order:
        extra, letter = quoted
        return deque(c for cell in cells for c in ((cell, extra) if cell == letter else (cell,)))
    if re.search(r"\b(?:replace|change|turn)\b", order):
        return deque(quoted[1] if cell == quoted[0] else cell for cell in cells)
    raise UnreadableError(order)


def _one_text(cells: deque[str], order: str, text: str) -> deque[str]:
    if re.search(r"\b(?:delete|remove all|strike)\b", order):
        return deque(cell for cell in cells if cell != text)
    if "end" in order:
        cells.extend(text)
    elif "front" in order or "beginning" in order:
        cells.extendleft(reversed(text))
    else:
        raise UnreadableError(order)
    return cells
