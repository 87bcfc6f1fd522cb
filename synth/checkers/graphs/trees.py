"""Checks trees of people by handing sets down from the top, level by level."""

from __future__ import annotations

import re

from synth.checkers.reading import UnreadableError, agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the level, the number below, or the lowest common head."""
    pairs = re.findall(r"([A-Z][a-z]+) reports to ([A-Z][a-z]+)\.", prompt_text)
    heads = {up for _, up in pairs} - {person for person, _ in pairs}
    if len(heads) != 1:
        raise UnreadableError(prompt_text)
    line = {head: frozenset((head,)) for head in heads}  # everybody from a person to the top, the person included
    while under := {person: line[up] | {person} for person, up in pairs if up in line and person not in line}:
        line |= under
    if len(line) != len(pairs) + 1:  # some go round in a circle, or report to two
        raise UnreadableError(prompt_text)
    question = prompt_text[prompt_text.rindex("reports to") :]
    if "steps up" in question or "stand above" in question:
        person = found(r"(?:from|above) ([A-Z]\w+)", question).group(1)
        return agrees(prompt_text, answer_text, len(line[person]) - 1)
    if "How many people report" in question or "everybody below" in question:
        head = found(r"(?:report to|below) ([A-Z]\w+),", question).group(1)
        return agrees(prompt_text, answer_text, sum(head in above for above in line.values()) - 1)
    one, two = found(r"(?:that|from) ([A-Z]\w+) and (?:from )?([A-Z]\w+)", question).groups()
    return agrees(prompt_text, answer_text, max(line[one] & line[two], key=lambda person: len(line[person])))
