"""Checks set questions with bit masks over the members named in the prompt, and Venn counts by listing the regions."""

from __future__ import annotations

import re
from collections.abc import Callable

from synth.checkers.reading import UnreadableError, items_of, whole

_SET = re.compile(r"\b([A-Z]) = \{([^}]*)\}")
_CLUB = re.compile(r"(?:[Tt]he |of the )(\w+) club(?:: | are )([^.]+)\.")
_PHRASES: tuple[tuple[re.Pattern[str], Callable[[int, int], int]], ...] = (
    (
        re.compile(r"symmetric difference of (\w) and (\w)|is in exactly one of (\w) and (\w)"),
        lambda a, b: (a | b) & ~(a & b),
    ),
    (re.compile(r"union of (\w) and (\w)|is in (\w) or in (\w) or in both"), lambda a, b: a | b),
    (re.compile(r"intersection of (\w) and (\w)|that (\w) and (\w) have in common"), lambda a, b: a & b),
    (re.compile(r"difference (\w) minus (\w)|is in (\w) but not in (\w)"), lambda a, b: a & ~b),
)
_ASKED: tuple[tuple[re.Pattern[str], Callable[[int, int], int]], ...] = (
    (re.compile(r"both the (\w+) club and the (\w+) club"), lambda a, b: a & b),
    (re.compile(r"the (\w+) club but not in the (\w+) club"), lambda a, b: a & ~b),
    (re.compile(r"exactly one of the (\w+) club and the (\w+) club"), lambda a, b: a ^ b),
    (re.compile(r"the (\w+) club or the (\w+) club or both"), lambda a, b: a | b),
)


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` is the set, the list of names or the count that the prompt asks for."""
    sets = _SET.findall(prompt_text)
    if sets:
        return answer_text == _formula(prompt_text, {name: items_of(members) for name, members in sets})
    clubs = _CLUB.findall(prompt_text)
    if clubs:
        return answer_text == _clubs(prompt_text, {name: items_of(members) for name, members in clubs})
    return whole(answer_text) == _regions(prompt_text)


def _masks(groups: dict[str, list[str]]) -> tuple[list[str], dict[str, int]]:
    """Return the universe in the order in which answers are written, and one bit per member for each group."""
    universe = sorted(
        {member for members in groups.values() for member in members},
        key=lambda m: (len(m), m) if m.isdigit() else (0, m),
    )
    bit = {member: 1 << at for at, member in enumerate(universe)}
    return universe, {name: sum(bit[member] for member in set(members)) for name, members in groups.items()}


def _formula(prompt: str, groups: dict[str, list[str]]) -> str:
    universe, masks = _masks(groups)
    question = prompt[max(match.end() for match in _SET.finditer(prompt)) :]
    named = re.search(r"Let D be ([^.]+)\.", question)
    if named:
        masks["D"] = _operation(named.group(1), masks)
        question = question[named.end() :]
    result = _operation(question, masks)
    if "How many" in question or "Count" in question or "number of elements" in question:
        return str(result.bit_count())
    return "{" + ", ".join(member for at, member in enumerate(universe) if result >> at & 1) + "}"


def _operation(text: str, masks: dict[str, int]) -> int:
    for pattern, combine in _PHRASES:
        match = pattern.search(text)
        if match:
            left, right = (group for group in match.groups() if group)
            return combine(masks[left], masks[right])
    raise UnreadableError(text)


def _clubs(prompt: str, groups: dict[str, list[str]]) -> str:
    universe, masks = _masks(groups)
    for pattern, combine in _ASKED:
        match = pattern.search(prompt)
        if match:
            result = combine(masks[match.group(1)], masks[match.group(2)])
            break
    else:
        raise UnreadableError(prompt)
    without = re.search(r", and are not in the (\w+) club", prompt)
    if without:
        result &= ~masks[without.group(1)]
    if "Count the" in prompt or "How many" in prompt or "number of" in prompt:
        return str(result.bit_count())
    return ", ".join(member for at, member in enumerate(universe) if result >> at & 1) or "nobody"


def _regions(prompt: str) -> int:
    numbers = [int(text) for text in re.findall(r"\d+", prompt)]
    if len(numbers) != 4:
        raise UnreadableError(prompt)
    total, first, second, both = numbers
    regions = {"10": first - both, "01": second - both, "11": both}
    regions["00"] = total - sum(regions.values())
    if min(regions.values()) < 0:
        raise UnreadableError(prompt)
    if "do neither" in prompt:
        wanted = ["00"]
    elif "at least one" in prompt:
        wanted = ["10", "01", "11"]
    elif "exactly one" in prompt:
        wanted = ["10", "01"]
    elif "but do not do the other" in prompt:
        wanted = ["10"]
    else:
        raise UnreadableError(prompt)
    return sum(regions[name] for name in wanted)
