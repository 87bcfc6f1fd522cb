"""Checks reports by reading every sentence on its own into (town, year) -> number."""

from __future__ import annotations

import re

from synth.checkers.reading import UnreadableError, agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the sum, the difference or the best year."""
    sold: dict[tuple[str, int], int] = {}
    for sentence in re.findall(r"[^.?]*\bsold\b[^.?]*\.", prompt_text):
        year = found(r"\b(?:in|In|of) (\d{4})\b", sentence).group(1)
        town = found(r"(?:\b[iI]n|For) ([A-Z][a-z]+)", sentence).group(1)
        number = found(r"(?:sold|show|^)\s*(\d+) [a-z]", sentence).group(1)
        sold[town, int(year)] = int(number)
    question = prompt_text[prompt_text.rindex(".", 0, prompt_text.rindex("?")) + 1 : prompt_text.rindex("?")]
    towns = [town for town in re.findall(r"[A-Z][a-z]+", question) if any(town == other for other, _ in sold)]
    years = [int(year) for year in re.findall(r"\d{4}", question)]
    if len(towns) == 2 and years:
        one, two = (sold[town, years[0]] for town in towns)
        return agrees(prompt_text, answer_text, abs(one - two))
    if "which year" in question.lower() and towns:
        own = {year: number for (town, year), number in sold.items() if town == towns[0]}
        return agrees(prompt_text, answer_text, max(own, key=own.__getitem__))
    if not towns and not years:
        raise UnreadableError(question)
    right = sum(number for (town, year), number in sold.items() if town in towns or year in years)
    return agrees(prompt_text, answer_text, right)
