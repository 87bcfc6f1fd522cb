"""Checks schedules on a line of minutes: every minute of the day is marked by the meeting that has it."""

from __future__ import annotations

import re

from synth.checkers.reading import UnreadableError, agrees


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the total, the longest pause, or the meetings that clash."""
    line = [""] * (24 * 60 * 2)
    for subject, one, two, three, four in re.findall(r"([a-z]+) (\d\d):(\d\d)-(\d\d):(\d\d)", prompt_text):
        begin, end = int(one) * 60 + int(two), int(three) * 60 + int(four)
        if any(line[begin:end]):
            raise UnreadableError(prompt_text)
        line[begin:end] = [subject] * (end - begin)
    if "take together" in prompt_text or "total length" in prompt_text:
        return agrees(prompt_text, answer_text, sum(map(bool, line)))
    if "longest pause" in prompt_text:
        marks = "".join("x" if subject else " " for subject in line).strip()
        return agrees(prompt_text, answer_text, max(map(len, marks.split("x"))))
    call = re.search(r"from (\d\d):(\d\d) to (\d\d):(\d\d)", prompt_text)
    if call is None:
        raise UnreadableError(prompt_text)
    one, two, three, four = map(int, call.groups())
    hit = dict.fromkeys(subject for subject in line[one * 60 + two : three * 60 + four] if subject)
    return agrees(prompt_text, answer_text, ", ".join(hit) or "none")
