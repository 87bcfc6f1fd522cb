"""Checks roads by lowering distances along them until nothing changes."""

from __future__ import annotations

import re

from synth.checkers.reading import UnreadableError, agrees, found

_FAR = 10**6


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the distance, the number of towns reached, or the number of roads."""
    roads = re.findall(r"([A-Z][a-z]+) - ([A-Z][a-z]+)", prompt_text)
    question = prompt_text[prompt_text.rindex(" - ") :] if roads else prompt_text
    ends = re.search(r"roads end in ([A-Z]\w+)|roads at ([A-Z]\w+)", question)
    if ends:
        town = ends.group(1) or ends.group(2)
        return agrees(prompt_text, answer_text, sum(town in road for road in roads))
    start = found(r"from ([A-Z]\w+)", question).group(1)
    far = {town: _FAR for road in roads for town in road}
    if start not in far:
        raise UnreadableError(prompt_text)
    far[start], changed = 0, True
    while changed:
        changed = False
        for a, b in (*roads, *((b, a) for a, b in roads)):
            if far[a] + 1 < far[b]:
                far[b], changed = far[a] + 1, True
    if "other towns" in question or "Count the towns" in question:
        return agrees(prompt_text, answer_text, sum(distance < _FAR for distance in far.values()) - 1)
    return agrees(prompt_text, answer_text, far[found(r" to ([A-Z]\w+)\?", question).group(1)])
