"""Checks knights and knaves speaker by speaker: a claim that is contradicted ends that branch at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from synth.checkers.reading import UnreadableError, agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer holds in the one reading that there must be."""
    said = re.findall(r'([A-Z][a-z]+) says: "([^"]*)\."', prompt_text)
    order = [speaker for speaker, _ in said]
    if len(set(order)) < len(order):
        raise UnreadableError(prompt_text)
    readings = list(_readings(order, dict(said), {}))
    if len(readings) != 1:
        raise UnreadableError(prompt_text)
    (reading,) = readings
    if "the knights" in prompt_text:
        return agrees(prompt_text, answer_text, ", ".join(name for name in order if reading[name]))
    name = found(r"(?:Is|What is) ([A-Z][a-z]+),? a knight or a knave\?", prompt_text).group(1)
    return agrees(prompt_text, answer_text, "knight" if reading[name] else "knave")


def _readings(order: list[str], said: dict[str, str], known: dict[str, bool]) -> Iterator[dict[str, bool]]:
    if any(_truth(said[name], known) not in (None, known[name]) for name in known):
        return
    if len(known) == len(order):
        yield known
        return
    for guess in (False, True):
        yield from _readings(order, said, {**known, order[len(known)]: guess})


def _truth(claim: str, known: dict[str, bool]) -> bool | None:
    """Return whether the claim is true, or None while it concerns somebody who is not settled."""
    names = re.findall(r"[A-Z][a-z]+", claim.removeprefix("At least"))
    if any(name not in known for name in names):
        return None
    knights = sum(known[name] for name in names)
    if "same kind" in claim:
        return knights != 1
    if "different kinds" in claim:
        return knights == 1
    if "both knights" in claim:
        return knights == 2
    if claim.startswith("At least one"):
        return knights > 0
    return (knights == 1) == claim.endswith("is a knight")
