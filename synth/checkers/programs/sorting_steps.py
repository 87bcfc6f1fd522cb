"""Checks rounds of sorting by what they must leave, not by swapping.

A round of bubble sort hands the largest so far along; selection puts the k least in front and follows who went where;
insertion orders the first k + 1; the swaps of bubble sort are the pairs that stand in the wrong order.
"""

from __future__ import annotations

from itertools import combinations

from synth.checkers.reading import UnreadableError, agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the list after the rounds, or the number of swaps."""
    have = [int(item) for item in found(r"list (\d+(?:, \d+)+)", prompt_text).group(1).split(", ")]
    if len(set(have)) < len(have):  # which of two equal numbers is swapped is not said
        raise UnreadableError(prompt_text)
    if "swaps does it" in prompt_text or "its swaps" in prompt_text:
        return agrees(prompt_text, answer_text, sum(one > two for one, two in combinations(have, 2)))
    rounds = int(found(r"after (\d+) rounds?\?", prompt_text).group(1))
    if "bubble" in prompt_text:
        for _ in range(rounds):
            have = _carried(have)
    elif "insertion" in prompt_text:
        for place in range(1, rounds + 1):
            number = have.pop(place)
            have.insert(sum(other < number for other in have[:place]), number)
    else:
        place_of = {number: place for place, number in enumerate(have)}
        for place, least in enumerate(sorted(have)[:rounds]):
            moved = next(number for number, at in place_of.items() if at == place)
            place_of[moved], place_of[least] = place_of[least], place
        have = sorted(place_of, key=place_of.__getitem__)
    return agrees(prompt_text, answer_text, ", ".join(map(str, have)))


def _carried(have: list[int]) -> list[int]:
    hand, left = have[0], []
    for number in have[1:]:
        left.append(min(hand, number))
        hand = max(hand, number)
    return [*left, hand]
